"""What the web tells of the demo beside plain sales: sign-ups, customers on two devices, fraud, second thoughts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import count
from random import Random
from uuid import UUID

from apps.campaigns.models import Campaign
from apps.campaigns.services import enroll_ad_space, revise_campaign
from apps.commissions.holding import review_partner, set_hold_rules
from apps.commissions.models import CommissionPlan
from apps.commissions.rules.holding import HoldRules
from apps.core.errors import Refusal
from apps.core.periods import start_of
from apps.pipeline.demo.cast import NEWSLETTER, NEWSLETTER_PARTNERS
from apps.pipeline.demo.stage import Stage, links_of, manager
from apps.pipeline.demo.stream import Journey, record_journeys
from apps.pipeline.services.opening import open_campaign, revise_plan
from apps.pipeline.services.receiving import receive_conversion, receive_refund
from apps.tracking.identifying import identify_visitor
from apps.tracking.models import Conversion, Refund
from apps.tracking.rules.basket import LineFact
from apps.tracking.rules.conversions import ConversionFact, read_conversion
from apps.tracking.rules.persons import Identity, email_hash
from apps.tracking.rules.signatures import UNSIGNED, check_signature
from apps.tracking.selectors import terms_of
from apps.tracking.services import record_rejection

DAY = timedelta(days=1)
Tell = Callable[[Campaign, Mapping[str, object], datetime], None]
TILL = "till-hamburg-2"
VISITORS_AT_THE_TILL = 22  # one more than a key may join
WHY_REVIEWED = "Clicks come from a browser toolbar; asked for its sources."
TENT, JACKET, SOCKS, LAMP = (
    LineFact(249_00, 1, "TENT-2P", "Two-person tent", "CAMPING"),
    LineFact(189_00, 1, "JKT-3L", "Rain jacket", "CLOTHING"),
    LineFact(34_90, 2, "SOCK-3", "Merino socks, three pairs", "CLOTHING"),
    LineFact(29_95, 1, "LAMP", "Head lamp", "SALE"),
)


def guard_campaign(stage: Stage, since: date) -> None:
    """Hold back what is bought within half a minute of its click, and what comes through a partner under review."""
    at = start_of(since, stage.advertiser.zone) + timedelta(hours=9)
    call = {"advertiser": stage.advertiser, "actor": manager(), "now": at}
    set_hold_rules(campaign=stage.campaign, rules=HoldRules(too_fast_seconds=30), **call)
    review_partner(partner=stage.enrollments["sommetshop"].partner, reason=WHY_REVIEWED, **call)


def open_newsletter(stage: Stage, starts_at: datetime) -> Stage:
    """Open a second campaign: sign-ups to the newsletter, paid once per person in 30 days; unsigned calls wait."""
    call = {"actor": manager(), "now": starts_at}
    campaign = open_campaign(
        advertiser=stage.advertiser,
        name="Aurora Letter",
        slug=NEWSLETTER,
        landing_url="https://shop.aurora.example/letter",
        currency="EUR",
        percent="0",
        model="LAST_CLICK",
        starts_at=starts_at - DAY,
        **call,
    )
    plan = CommissionPlan.objects.get(campaign=campaign)
    rules = [{"name": "sign-up", "when": {"goal": ["LEAD"]}, "pay": {"percent": "0"}}]
    revise_plan(plan=plan, document={"rules": rules, "per_order": "1.50"}, starts_at=starts_at, **call)
    told = "Sign-ups to the monthly letter about routes and huts. One per person."
    values = {"description": told, "dedup_scope": "CUSTOMER_GOAL", "dedup_days": 30}
    revise_campaign(campaign=campaign, values=values, **call)
    set_hold_rules(advertiser=stage.advertiser, campaign=campaign, rules=HoldRules(untrusted_door=True), **call)
    enrollments = {
        slug: enroll_ad_space(campaign=campaign, ad_space=stage.enrollments[slug].ad_space, link_name="Letter", **call)
        for slug in NEWSLETTER_PARTNERS
    }
    return Stage(stage.advertiser, campaign, enrollments, links_of(campaign))


def sign_ups(letter: Stage, until: datetime, draw: Random) -> list[Journey]:
    """Return who signed up to the newsletter in the last weeks: every sixth does so twice, every eighth unsigned."""
    found = []
    for place in range(24):
        at = until - timedelta(days=46 - 2 * place + (place // 6), minutes=draw.randrange(600))
        person = place - 5 if place % 6 == 5 else place
        fact = ConversionFact(
            goal="LEAD",
            order_ref=f"LETTER-{place + 1001}",
            amount_minor=0,
            currency="EUR",
            occurred_at=at,
            country="DE",
            identity=Identity(email_sha256=email_hash(f"reader{person}@mail.example")),
        )
        enrollment = letter.enrollments[NEWSLETTER_PARTNERS[place % len(NEWSLETTER_PARTNERS)]]
        click = (at - timedelta(minutes=draw.randrange(2, 30)), enrollment)
        door = UNSIGNED if place % 8 == 3 else "s2s"
        found.append(Journey(UUID(int=draw.getrandbits(128)), (click,), draw.choice(("mobile", "desktop")), fact, door))
    return found


def two_devices(stage: Stage, until: datetime, draw: Random) -> None:
    """Let customers read on the phone, sign in there, and buy on the laptop; the last of them at a shared till."""
    stories = (
        ("wanderblog", "preisadler", Identity(customer_id="K-10482"), (TENT, SOCKS), 9),
        ("ninaontrail", "codefuchs", Identity(email_sha256=email_hash("mara@mail.example")), (JACKET,), 6),
        ("lamontagne", "preisadler", Identity(customer_id="K-20871", device_id=TILL), (SOCKS, LAMP), 4),
    )
    for _ in range(VISITORS_AT_THE_TILL):
        told = Identity(device_id=TILL)
        visitor = UUID(int=draw.getrandbits(128))
        identify_visitor(advertiser=stage.advertiser, visitor=visitor, identity=told, now=until - 30 * DAY)
    for place, (first, last, identity, lines, ago) in enumerate(stories):
        sold_at = until - ago * DAY - timedelta(minutes=draw.randrange(600))
        phone, laptop = (UUID(int=draw.getrandbits(128)) for _ in range(2))
        read_at = sold_at - 3 * DAY
        sale = _sale(f"AO-{sold_at:%y%m%d}-8{place:02d}", sold_at, *lines)
        record_journeys(stage, [Journey(phone, ((read_at, stage.enrollments[first]),), "mobile", None)])
        identify_visitor(
            advertiser=stage.advertiser, visitor=phone, identity=identity, now=read_at + timedelta(minutes=12)
        )
        click = (sold_at - timedelta(minutes=14), stage.enrollments[last])
        record_journeys(stage, [Journey(laptop, (click,), "desktop", replace(sale, identity=identity))])


def too_fast(stage: Stage, until: datetime, draw: Random) -> list[Journey]:
    """Return sales that follow their click within seconds."""
    found = []
    for place, seconds in enumerate((7, 11, 5)):
        at = until - timedelta(days=2 + place, minutes=draw.randrange(600))
        sale = _sale(f"AO-{at:%y%m%d}-85{place}", at, JACKET if place % 2 else TENT)
        click = (at - timedelta(seconds=seconds), stage.enrollments["codefuchs"])
        found.append(Journey(UUID(int=draw.getrandbits(128)), (click,), "desktop", sale))
    return found


def _sale(order_ref: str, at: datetime, *lines: LineFact) -> ConversionFact:
    amount = sum(line.unit_price_minor * line.quantity for line in lines)
    return ConversionFact("SALE", order_ref, amount, "EUR", occurred_at=at, lines=lines, new_customer=False)


# --- second thoughts ------------------------------------------------------------------------------
def tell_refund(stage: Stage, order_ref: str, now: datetime, **fields: object) -> None:
    """Let the shop tell a refund of an order: `whole`, an `amount` or `lines`."""
    told = {"order_ref": order_ref, "refund_ref": f"R-{order_ref}", "occurred_at": now.isoformat(), **fields}
    receive_refund(advertiser=stage.advertiser, campaign=stage.campaign, fields=told, now=now)


def amend_order(stage: Stage, sale: ConversionFact, now: datetime) -> None:
    """Let the shop tell an order again, without its last line."""
    lines = sale.lines[:-1]
    gross = sum(line.unit_price_minor * line.quantity for line in lines)
    discount = gross // 10 if sale.discount_minor else 0
    fact = replace(
        sale, lines=lines, amount_minor=gross - discount, discount_minor=discount, is_update=True, sequence=1
    )
    receive_conversion(campaign=stage.campaign, fact=fact, now=now)


def second_thoughts(stage: Stage, sales: Sequence[ConversionFact], now: datetime) -> None:
    """Let the shop change orders before anybody decides on them, and give money back on one it has yet to tell."""
    orders = _settled_orders(sales, now - 12 * DAY)
    for how in ({"whole": "1", "reason": "cancelled"}, {"amount": "12.00"}, {"lines": "1:1"}):
        sale = next(orders)
        assert sale.occurred_at is not None
        tell_refund(stage, sale.order_ref, sale.occurred_at + 4 * DAY, **how)
    sale = next(orders)
    assert sale.occurred_at is not None
    amend_order(stage, sale, sale.occurred_at + DAY)
    tell_refund(stage, "AO-PHONE-4711", now - DAY, amount="49.00", currency="EUR")


def _settled_orders(sales: Sequence[ConversionFact], before: datetime) -> Iterator[ConversionFact]:
    """Yield orders of several lines, the latest before a moment first."""
    found = [sale for sale in sales if len(sale.lines) > 1 and sale.occurred_at and sale.occurred_at < before]
    return iter(sorted(found, key=lambda sale: sale.order_ref, reverse=True))


def refund_now_and_then(stage: Stage, draw: Random, now: datetime) -> bool:
    """Let a customer of the last weeks send something back; tell whether one did."""
    sold = Conversion.objects.for_advertiser(stage.advertiser).filter(
        campaign=stage.campaign, occurred_at__lt=now - DAY
    )
    refunded = Refund.objects.filter(advertiser=stage.advertiser).values("order_ref")
    recent = sold.exclude(order_ref__in=refunded).order_by("-occurred_at", "order_ref")[:60]
    refs = list(recent.values_list("order_ref", flat=True))
    if not refs:
        return False
    how = draw.choice(({"amount": "5.00"}, {"whole": "1"}, {"lines": "1:1"}))
    tell_refund(stage, draw.choice(refs), now, **how)
    return True


# --- refused calls --------------------------------------------------------------------------------
def refused_calls(stage: Stage, sales: Sequence[ConversionFact], now: datetime) -> None:
    """Let the shop's developer make the mistakes that developers make; each is kept with its code."""
    known = sales[-1].order_ref
    sale = {"order_ref": "AO-TEST-1", "amount": "59.95", "currency": "EUR"}
    hours = count(2, 5)
    for fields in (
        {"amount": "59.95", "currency": "EUR"},
        {**sale, "amount": "59,95"},
        {**sale, "currency": "CZK"},
        {**sale, "tclid": "AZq0mQ1xQ3mVxw8T7pYH2wAAAAAAAAAA"},
        {**sale, "order_ref": known, "amount": "1.00"},
        {**sale, "occurred_at": "22.11.2026 14:05"},
        {**sale, "email_sha256": "ada@mail.example"},
        {**sale, "ts": "1790000000", "sig": "0" * 64},
    ):
        _try(stage.campaign, fields, now - timedelta(hours=next(hours)), _tell_sale)
    give_back = {"order_ref": known, "refund_ref": "R-1"}
    for fields in (
        {**give_back, "amount": "99999.00"},
        {**give_back, "lines": "9"},
        {**give_back, "amount": "5", "whole": "1"},
    ):
        _try(stage.campaign, fields, now - timedelta(hours=next(hours)), _tell_back)


def _tell_sale(campaign: Campaign, fields: Mapping[str, object], at: datetime) -> None:
    pairs = [(name, str(value)) for name, value in fields.items()]
    check_signature(pairs, secrets=(campaign.secret,), required=False, now=at)
    receive_conversion(campaign=campaign, fact=read_conversion(fields, terms=terms_of(campaign), now=at), now=at)


def _tell_back(campaign: Campaign, fields: Mapping[str, object], at: datetime) -> None:
    receive_refund(advertiser=campaign.advertiser, campaign=campaign, fields=fields, now=at)


def _try(campaign: Campaign, fields: Mapping[str, object], at: datetime, tell: Tell) -> None:
    """Make a call as a door does: what is refused is kept."""
    try:
        tell(campaign, fields, at)
    except Refusal as refusal:
        payload = {"campaign": campaign.slug, **fields}
        record_rejection(
            advertiser=campaign.advertiser_id, campaign=campaign, door="s2s", refusal=refusal, payload=payload, now=at
        )
