"""Play the demo's history through the real services, then keep it alive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random

from django.db import connection, transaction

from apps.campaigns.models import Campaign, Enrollment
from apps.commissions.models import Decision, DecisionState, Reason
from apps.core.periods import add_months, day_of, month_length, start_of
from apps.identity.models import Advertiser
from apps.pipeline.demo.cast import PASSWORD, PLAYERS
from apps.pipeline.demo.incidents import (
    guard_campaign,
    open_newsletter,
    refund_now_and_then,
    refused_calls,
    second_thoughts,
    sign_ups,
    tell_refund,
    too_fast,
    two_devices,
)
from apps.pipeline.demo.office import (
    approved_before,
    claim_now_and_then,
    decide_by_file,
    decide_by_filter,
    invite_analyst,
    reject_some_lines,
    tell_claims,
)
from apps.pipeline.demo.stage import SLUG, TEAM, Stage, links_of, manager, set_stage
from apps.pipeline.demo.stream import Journey, journeys_of_day, record_journeys
from apps.pipeline.services.closing import close_month, issue_invoices, render_missing
from apps.pipeline.services.deciding import approve_conversions, approve_matured, hold_conversions, reject_conversions
from apps.pipeline.services.settling import settle_waiting
from apps.tracking.partitions import make_partitions

MONTHS = 4
SEED = 20260401
REFUNDS, CLAIMS = 0.05, 0.02  # of the beats
REASONS = (Reason.RETURNED, Reason.CANCELLED, Reason.PAYMENT_FAILED, Reason.CODE_MISUSE)
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Login:
    what: str
    email: str
    password: str


def logins() -> list[Login]:
    """Return who can sign in to the demo."""
    team = [Login(f"Aurora Outdoor, {role.label}", email, PASSWORD) for email, _, role in TEAM]
    return team + [Login(f"{player.name}, partner", player.email, PASSWORD) for player in PLAYERS[:3]]


@transaction.atomic
def play_demo(*, now: datetime, say: Say = lambda _text: None) -> bool:
    """Build the demo in one transaction, all or nothing; return whether there was anything to do."""
    if Advertiser.objects.filter(slug=SLUG).exists():
        return False
    zone = Advertiser(timezone="Europe/Berlin").zone
    first = add_months(day_of(now, zone).replace(day=1), -MONTHS)
    starts_at = start_of(first, zone)
    make_partitions(first_on=first - timedelta(days=40), last_on=add_months(day_of(now, zone), 3))
    say("people, campaign and partners")
    stage = set_stage(starts_at=starts_at, now=now)
    say("journeys and sales")
    draw, last, journeys = Random(SEED), day_of(now, zone), list[Journey]()
    for month in range(MONTHS + 1):
        if month == MONTHS - 1:
            guard_campaign(stage, add_months(first, month))
        journeys += _play_month(stage, add_months(first, month), last, draw, now)
        if month == MONTHS:
            break
        _decide_month(stage, add_months(first, month))
        if month < MONTHS - 1:  # the last one is left to whoever plays finance
            _close_month(stage, add_months(first, month), say)
        _refund_some(stage, add_months(first, month), now)
    _tell_incidents(stage, journeys, first, now)
    settle_waiting(now=now)
    approve_matured(advertiser=stage.advertiser, now=now)
    _hold_some(stage, now)
    say("claims, lists and returns")
    decide_by_file(stage, now)
    tell_claims(stage, starts_at, now)
    decide_by_filter(stage, now)
    reject_some_lines(stage, now)
    invite_analyst(stage, now)
    return True


def _play_month(stage: Stage, month: date, last: date, draw: Random, now: datetime) -> list[Journey]:
    """Let visitors come for a month; what they buy is settled at the end of each week."""
    zone, journeys = stage.advertiser.zone, list[Journey]()
    days = [month + timedelta(days=place) for place in range(month_length(month.year, month.month))]
    for place in range(0, len(days), 7):
        week = [day for day in days[place : place + 7] if day <= last]
        found = [journey for day in week for journey in journeys_of_day(stage, start_of(day, zone), draw, 0)]
        found = [j for j in found if j.touches[-1][0] < now and (j.sale is None or j.sale.occurred_at < now)]
        record_journeys(stage, found)
        if found:
            settle_waiting(now=min(now, start_of(week[-1] + timedelta(days=1), zone)))
        journeys += found
    with connection.cursor() as cursor:  # so many rows in one transaction: the planner should know of them
        cursor.execute("ANALYZE tracking_touchpoint, tracking_conversion, tracking_conversionline, tracking_unsettled")
    return journeys


def _tell_incidents(stage: Stage, journeys: list[Journey], first: date, now: datetime) -> None:
    """Tell what is out of the ordinary, while nothing is decided yet."""
    draw = Random(SEED + 1)
    yesterday = start_of(day_of(now, stage.advertiser.zone), stage.advertiser.zone) - timedelta(hours=3)
    sales = [journey.sale for journey in journeys if journey.sale is not None]
    letter = open_newsletter(stage, start_of(add_months(first, MONTHS - 2), stage.advertiser.zone))
    record_journeys(letter, sign_ups(letter, yesterday, draw))
    record_journeys(stage, too_fast(stage, yesterday, draw))
    two_devices(stage, yesterday, draw)
    second_thoughts(stage, sales, now)
    refused_calls(stage, sales, now)


def _after(stage: Stage, month: date) -> datetime:
    """Return the morning after a month's end."""
    return start_of(add_months(month, 1), stage.advertiser.zone) + timedelta(hours=8)


def _decide_month(stage: Stage, month: date) -> None:
    """Live through a month's end: the shop cancels some orders, some are approved by hand, others mature."""
    advertiser, now, actor = stage.advertiser, _after(stage, month), manager()
    pending = Decision.objects.for_advertiser(advertiser).filter(
        state=DecisionState.PENDING, conversion__occurred_at__lt=now
    )
    ids = list(pending.order_by("conversion_id").values_list("conversion_id", flat=True))
    rejected = set()
    for place, reason in enumerate(REASONS):
        chosen = ids[place * 7 :: 59]
        rejected |= set(chosen)
        if chosen:
            reject_conversions(advertiser=advertiser, conversion_ids=chosen, reason=reason, actor=actor, now=now)
    early = [id_ for id_ in ids[1::5] if id_ not in rejected]
    approve_conversions(advertiser=advertiser, conversion_ids=early, actor=actor, now=now)
    approve_matured(advertiser=advertiser, now=now)


def _close_month(stage: Stage, month: date, say: Say) -> None:
    advertiser, now, actor = stage.advertiser, _after(stage, month), manager()
    close_month(advertiser=advertiser, month=month, actor=actor, now=now, tells=False)
    result = issue_invoices(advertiser=advertiser, actor=actor, now=now, tells=False)
    render_missing(advertiser=advertiser, now=now)
    say(f"{month:%B %Y} closed, {len(result.issued)} invoices")


def _refund_some(stage: Stage, month: date, now: datetime) -> None:
    """Give money back on approved orders: on some before their statement, on others after it."""
    at = _after(stage, month) + timedelta(days=9)
    if at >= now:
        return
    hows: tuple[dict[str, object], ...] = ({"amount": "15.00"}, {"whole": "1", "reason": "returned"}, {"lines": "1:1"})
    for is_locked in (False, True):
        for order_ref, how in zip(approved_before(stage, at, is_locked=is_locked)[::9], hows, strict=False):
            tell_refund(stage, order_ref, at, **how)
    settle_waiting(now=at)


def _hold_some(stage: Stage, now: datetime) -> None:
    pending = Decision.objects.for_advertiser(stage.advertiser).filter(state=DecisionState.PENDING)
    ids = list(pending.order_by("-conversion_id").values_list("conversion_id", flat=True)[3:40:9])
    note = "Sale seconds after the click"
    hold_conversions(advertiser=stage.advertiser, conversion_ids=ids, actor=manager(), now=now, note=note)


@transaction.atomic
def beat_once(*, now: datetime) -> int:
    """Let a few visitors come by, as a running shop would have them; return the number of sales.

    Now and then (one time in twenty) something is sent back, and (one in fifty) a partner claims an order.
    """
    advertiser = Advertiser.objects.filter(slug=SLUG).first()
    if advertiser is None:
        return 0
    campaign = Campaign.objects.get(slug="aurora-shop")
    enrollments = Enrollment.objects.filter(campaign=campaign).select_related("partner")
    stage = Stage(advertiser, campaign, {row.partner.slug: row for row in enrollments}, links_of(campaign))
    draw = Random(int(now.timestamp()))
    today = start_of(day_of(now, advertiser.zone), advertiser.zone)
    journeys = [j for j in journeys_of_day(stage, today, draw, draw.randrange(100, 10**6)) if j.touches[-1][0] < now]
    sales = record_journeys(stage, [j for j in journeys[:2] if j.sale is None or j.sale.occurred_at < now])
    if draw.random() < REFUNDS:
        refund_now_and_then(stage, draw, now)
    if draw.random() < CLAIMS:
        claim_now_and_then(stage, draw, now)
    return sales
