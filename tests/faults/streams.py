"""A shop's whole stream through the database in several orders of arrival: the books must be the same to the cent."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from tests.faults.books import differences, totals
from tests.faults.children import in_child
from tests.faults.figures import Figures
from tests.faults.servers import TEMPLATE, Servers, use_database

FIRST = datetime(2026, 1, 1, 6, tzinfo=UTC)
DAYS = 28
TOLD = datetime(2026, 2, 1, 8, tzinfo=UTC)
APPROVED = datetime(2026, 2, 10, 8, tzinfo=UTC)
CORRECTED = datetime(2026, 2, 20, 8, tzinfo=UTC)
CLOSED = datetime(2026, 3, 2, 8, tzinfo=UTC)
PARTNERS = ("ada", "ben", "cleo", "dan")
CURRENCIES = ("EUR", "USD")
CHUNKS = 6
REFUNDED, AMENDED, LATE, REPEATED = 0.03, 0.01, 0.15, 0.05  # parts of the orders, and of the facts


@dataclass
class Arrival:
    """What arrives together; touches and orders by the place of their campaign."""

    touches: list[tuple[int, tuple]] = field(default_factory=list)
    orders: list[tuple[int, tuple]] = field(default_factory=list)
    refunds: list[tuple] = field(default_factory=list)
    amendments: list[tuple] = field(default_factory=list)

    def add(self, fact: tuple) -> None:
        kind, *told = fact
        {"touch": self.touches, "order": self.orders, "refund": self.refunds, "amendment": self.amendments}[
            kind
        ].append(tuple(told))


def draw_facts(count: int, seed: int) -> tuple[list[tuple], list[tuple]]:
    """Return the facts told before the approval and those told after it, each in the order they happened."""
    from apps.core.ids import uuid7_from

    chance = random.Random(seed)
    early: list[tuple] = []
    late: list[tuple] = []
    step = timedelta(days=DAYS) / count
    for number in range(count):
        at, name = FIRST + number * step, f"{seed}-{number}"
        campaign = number % 10 == 0
        visitor = UUID(int=chance.getrandbits(128), version=4)
        for place in range(chance.choice((1, 1, 2, 3))):
            clicked = at - timedelta(minutes=chance.randrange(1, 20_000))
            touch = (uuid7_from(clicked, name, str(place)), chance.randrange(len(PARTNERS)), visitor, clicked)
            early.append(("touch", campaign, touch))
        id_ = uuid7_from(at, name)
        early.append(("order", campaign, (id_, f"S-{number}", at, chance.randrange(10_00, 300_00), visitor)))
        if chance.random() < REFUNDED:
            for place in range(chance.choice((1, 1, 2))):
                amount = chance.choice((None, chance.randrange(1, 200_00), chance.randrange(1, 50_00)))
                moment = at + timedelta(hours=chance.randrange(300))
                chance.choice((early, late)).append(("refund", f"S-{number}", f"R{place}", amount, moment))
        if chance.random() < AMENDED:
            for sequence in (1, 2):
                amount = chance.randrange(10_00, 300_00)
                chance.choice((early, late)).append(("amendment", id_, sequence, amount))
    return early, late


def arrivals(facts: Sequence[tuple], chunks: int, seed: str) -> list[Arrival]:
    """Return facts shuffled, some repeated and some late; an amendment is told again until its order is there."""
    if not seed:
        (whole,) = found = [Arrival()]
        for fact in facts:
            whole.add(fact)
        return found
    chance = random.Random(seed)
    found = [Arrival() for _ in range(chunks)]
    arrived: dict[UUID, int] = {}
    for place, fact in sorted(enumerate(facts), key=lambda item: (item[1][0] == "amendment", item[0])):
        own = place * chunks // len(facts)
        chunk = chance.randrange(chunks) if chance.random() < LATE else own
        if fact[0] == "order":
            arrived[fact[2][0]] = chunk
        elif fact[0] == "amendment":
            chunk = max(chunk, arrived.get(fact[1], 0))
        found[chunk].add(fact)
        if chance.random() < REPEATED:
            found[chance.randrange(chunk, chunks)].add(fact)
    for arrival in found:
        for told in (arrival.touches, arrival.orders, arrival.refunds, arrival.amendments):
            chance.shuffle(told)
    return found


def make_ground() -> None:
    from apps.tracking.partitions import make_partitions
    from tests import cast

    make_partitions(first_on=date(2025, 12, 1), last_on=date(2026, 2, 1))
    advertiser = cast.make_advertiser("streams")
    partners = [cast.make_partner(slug) for slug in PARTNERS]
    for currency in CURRENCIES:
        campaign = cast.make_campaign(advertiser, f"streams-{currency.lower()}", currencies=[currency])
        cast.make_policy(campaign, model="POSITION")
        cast.make_plan(campaign, rules=[{"name": "all", "when": {}, "pay": {"percent": "7.5"}}])
        for partner in partners:
            cast.join(partner, campaign)


def take(arrival: Arrival, now: datetime) -> None:
    """Store what arrived, in transactions of their own, then settle as the workers do."""
    from django.db import transaction

    from apps.campaigns.models import Campaign
    from apps.imports.rules.conversions import OrderFact
    from apps.imports.rules.tables import Batch
    from apps.imports.rules.touches import TouchFact
    from apps.imports.services.conversions import store_conversions
    from apps.imports.services.touches import store_touches
    from apps.partners.models import AdSpace
    from apps.pipeline.services.settling import settle_waiting
    from apps.tracking.models import Amendment, Refund
    from apps.tracking.sweeping import wake_awaited

    campaigns = [
        Campaign.objects.select_related("advertiser").get(slug=f"streams-{currency.lower()}") for currency in CURRENCIES
    ]
    advertiser = campaigns[0].advertiser
    spaces = {space.partner.slug: space for space in AdSpace.objects.select_related("partner")}
    owners = [(spaces[slug].partner_id, spaces[slug].pk) for slug in PARTNERS]
    Refund.objects.bulk_create(
        [
            Refund(
                advertiser=advertiser,
                order_ref=order_ref,
                refund_ref=ref,
                kind="WHOLE" if amount is None else "AMOUNT",
                amount_minor=amount,
                occurred_at=at,
                recorded_at=now,
                content_hash="",
            )
            for order_ref, ref, amount, at in arrival.refunds
        ],
        ignore_conflicts=True,
    )
    for place, campaign in enumerate(campaigns):
        touches = [
            TouchFact(id_, *owners[owner], visitor, at, "CLICK", PARTNERS[owner], "PAID", "", "DE", "mobile")
            for where, (id_, owner, visitor, at) in arrival.touches
            if where == (place == 1)
        ]
        orders = [
            OrderFact(
                id=id_,
                goal="SALE",
                order_ref=order_ref,
                occurred_at=at,
                amount_minor=amount,
                discount_minor=0,
                currency=CURRENCIES[place],
                visitor=visitor,
                coupons=[],
                new_customer=None,
                country="DE",
                device="mobile",
                content_hash=order_ref,
            )
            for where, (id_, order_ref, at, amount, visitor) in arrival.orders
            if where == (place == 1)
        ]
        with transaction.atomic():
            if touches:
                store_touches(Batch([], touches, []), campaign=campaign, now=now)
        with transaction.atomic():
            if orders:
                store_conversions(Batch([], orders, []), campaign=campaign, now=now)
    Amendment.objects.bulk_create(
        [
            Amendment(
                advertiser=advertiser,
                conversion_id=id_,
                sequence=sequence,
                content={"amount_minor": amount},
                recorded_at=now,
            )
            for id_, sequence, amount in arrival.amendments
        ],
        ignore_conflicts=True,
    )
    analyze()
    wake_awaited(now=now)
    result = settle_waiting(now=now)
    assert not result.failed, result


def analyze() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def play(database: str, count: int, seed: int, order: str) -> dict:
    """Live through the stream in one order of arrival; return the books and what the checks say of them."""
    from apps.core.actors import SYSTEM
    from apps.identity.models import Advertiser
    from apps.pipeline.books import check_books
    from apps.pipeline.services.closing import close_month, issue_invoices
    from apps.pipeline.services.deciding import approve_conversions
    from apps.tracking.models import Conversion

    use_database(database)
    make_ground()
    early, late = draw_facts(count, seed)
    for arrival in arrivals(early, CHUNKS, order and f"{order}-early"):
        take(arrival, TOLD)
    advertiser = Advertiser.objects.get()
    ids = list(Conversion.objects.order_by("pk").values_list("pk", flat=True))
    approve_conversions(advertiser=advertiser, conversion_ids=ids, actor=SYSTEM, now=APPROVED)
    for arrival in arrivals(late, 2, order and f"{order}-late"):
        take(arrival, CORRECTED)
    for month in (date(2026, 1, 1), date(2026, 2, 1)):
        close_month(advertiser=advertiser, month=month, actor=SYSTEM, now=CLOSED)
    issue_invoices(advertiser=advertiser, actor=SYSTEM, now=CLOSED)
    return {"books": totals(), "checks": [str(difference) for difference in check_books(sample=500)]}


def compare_streams(servers: Servers, *, count: int, orders: int, seed: int) -> Figures:
    """Play the stream in its own order and in shuffled ones, two at a time, and compare their books."""
    began = time.monotonic()
    names = ["", *(f"{seed}-{number}" for number in range(1, orders))]
    databases = [servers.copy(TEMPLATE, f"streams_{number}") for number in range(orders)]
    with ThreadPoolExecutor(2) as pool:
        runs = [
            pool.submit(in_child, lambda database=database, name=name: play(database, count, seed, name))
            for database, name in zip(databases, names, strict=True)
        ]
        ended: list[dict] = [run.result().result for run in runs]  # type: ignore[misc]
    first = ended[0]["books"]
    wrong = [text for end in ended for text in end["checks"]]
    wrong += [f"order {place}: {text}" for place, end in enumerate(ended) for text in differences(first, end["books"])]
    wrong += ["the books are empty"] * (len(first["invoices"]) < len(PARTNERS))
    for database in databases:
        servers.drop(database)
    early, late = draw_facts(count, seed)
    figures = {"conversions": count, "facts": len(early) + len(late), "orders": orders, "wrong": len(wrong)}
    return Figures("streams", seed, figures, wrong, began)
