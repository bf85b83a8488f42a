"""A shop's month through the database in several orders of arrival: the same books, and the shop's own account."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Any
from unittest import mock

from tests.faults.books import differences, totals
from tests.faults.children import in_child
from tests.faults.figures import Figures
from tests.faults.month import CAMPAIGNS, DEDUP_DAYS, PARTNERS, Fact, Month, Order
from tests.faults.servers import TEMPLATE, Servers, use_database

TOLD = datetime(2026, 2, 1, 8, tzinfo=UTC)
APPROVED = datetime(2026, 2, 10, 8, tzinfo=UTC)
CORRECTED = datetime(2026, 2, 20, 8, tzinfo=UTC)
CLOSED = datetime(2026, 3, 2, 8, tzinfo=UTC)
CHUNKS = 6
LATE, REPEATED = 0.15, 0.05  # parts of the facts
AT_ONCE = 1_500
Arrival = dict[str, list[Fact]]
KINDS = ("touch", "order", "sale", "refund", "identity", "update")


def arrivals(facts: Sequence[Fact], chunks: int, seed: str) -> list[Arrival]:
    """Return facts shuffled, some repeated and some late; an update is told again until its order is there.

    What repeats another order by its campaign's scope comes together with it: which of them counts is decided once,
    by what is there when they are first settled (D14), and is no function of the set otherwise.
    """
    chance = random.Random(seed)
    found: list[Arrival] = [{kind: [] for kind in KINDS} for _ in range(chunks if seed else 1)]
    came: dict[str, int] = {}
    for place, fact in sorted(enumerate(facts), key=lambda item: (item[1].kind == "update", item[0])):
        chunk = 0
        if seed:
            chunk = chance.randrange(chunks) if chance.random() < LATE else place * chunks // len(facts)
        if fact.group:
            chunk = came.setdefault(f"group {fact.group}", chunk)
        elif fact.kind in {"order", "sale"}:
            came.setdefault(fact.about, chunk)
        elif fact.kind == "update":
            chunk = max(chunk, came.get(fact.about, 0))
        found[chunk][fact.kind].append(fact)
        if seed and chance.random() < REPEATED:
            found[chance.randrange(chunk, chunks)][fact.kind].append(fact)
    for told in (told for arrival in found for told in arrival.values() if seed):
        chance.shuffle(told)
    return found


def make_ground() -> None:
    from apps.tracking.partitions import make_partitions
    from tests import cast

    make_partitions(first_on=date(2025, 12, 1), last_on=date(2026, 2, 1))
    advertiser = cast.make_advertiser("streams")
    partners = [cast.make_partner(slug) for slug in PARTNERS]
    for slug, (currency, rules, scope) in CAMPAIGNS.items():
        campaign = cast.make_campaign(
            advertiser, f"streams-{slug}", currencies=[currency], dedup_scope=scope, dedup_days=DEDUP_DAYS
        )
        cast.make_policy(campaign, model="POSITION")
        cast.make_plan(campaign, rules=rules)
        for partner in partners:
            cast.join(partner, campaign)
            cast.make_coupon(campaign, f"CODE-{partner.slug}", partner)


class Doors:
    """Takes facts in as the doors do: imports by the batch, all else call by call, each in its transaction."""

    def __init__(self, now: datetime) -> None:
        from apps.campaigns.models import Campaign
        from apps.partners.models import AdSpace

        self.now = now
        self.campaigns = {slug: Campaign.objects.select_related("advertiser").get(slug=f"streams-{slug}")
                          for slug in CAMPAIGNS}  # fmt: skip
        self.advertiser = self.campaigns["eur"].advertiser
        spaces = {space.partner.slug: space for space in AdSpace.objects.select_related("partner")}
        self.owners = [(spaces[slug].partner_id, spaces[slug].pk) for slug in PARTNERS]

    def take(self, arrival: Arrival, chance: random.Random) -> None:
        """Store what arrived, in any order but for updates, then settle as the workers do."""
        from apps.pipeline.services.refunding import tell_surpluses
        from apps.pipeline.services.settling import settle_waiting
        from apps.tracking.sweeping import wake_awaited

        steps: list[Callable[[list[Fact]], None]] = [getattr(self, f"take_{kind}") for kind in KINDS[:-1]]
        chance.shuffle(steps)
        for step in [*steps, self.take_update]:
            step(arrival[step.__name__.removeprefix("take_")])
        analyze()
        wake_awaited(now=self.now, hear=tell_surpluses)
        failed = self.settle_groups(arrival)
        failed += settle_waiting(now=self.now).failed
        assert not failed, f"{failed} failed"

    def settle_groups(self, arrival: Arrival) -> int:
        """Settle in one go what may repeat one another."""
        from apps.pipeline.services.settling import settle_conversions
        from apps.tracking.models import Conversion

        groups = {fact.about: fact.group for kind in ("order", "sale") for fact in arrival[kind] if fact.group}
        found = Conversion.objects.filter(order_ref__in=groups).values_list("order_ref", "pk")
        waiting = sorted(((groups[ref], id_) for ref, id_ in found), key=str)
        failed, batch = 0, []
        for place, (group, id_) in enumerate(waiting):
            batch.append(id_)
            is_last = place + 1 == len(waiting) or waiting[place + 1][0] != group
            if is_last and (len(batch) >= AT_ONCE or place + 1 == len(waiting)):
                failed += settle_conversions(conversion_ids=batch, now=self.now).failed
                batch = []
        return failed

    def take_touch(self, facts: list[Fact]) -> None:
        from django.db import transaction

        from apps.imports.rules.tables import Batch
        from apps.imports.rules.touches import TouchFact
        from apps.imports.services.touches import store_touches

        for slug, campaign in self.campaigns.items():
            touches = [
                TouchFact(id_, *self.owners[owner], visitor, at, "CLICK", PARTNERS[owner], "PAID", "", "DE", "mobile")
                for where, id_, owner, visitor, at in (fact.told for fact in facts)
                if where == slug
            ]
            with transaction.atomic():
                if touches:
                    assert not store_touches(Batch([], touches, []), campaign=campaign, now=self.now).refused

    def take_order(self, facts: list[Fact]) -> None:
        from django.db import transaction

        from apps.imports.rules.conversions import OrderFact
        from apps.imports.rules.tables import Batch
        from apps.imports.services.conversions import store_conversions
        from apps.tracking.rules.persons import Identity

        for slug, campaign in self.campaigns.items():
            own: list[tuple[Order, Any, Any, dict]] = [fact.told for fact in facts if fact.told[0].campaign == slug]
            orders = [
                OrderFact(
                    id_, order.goal, order.ref, order.at, order.amount, 0, order.currency, visitor,
                    list(order.coupons), order.is_new, "DE", "mobile", order.ref, Identity(**identity),
                )
                for order, id_, visitor, identity in own
            ]  # fmt: skip
            with transaction.atomic():
                if orders:
                    assert not store_conversions(Batch([], orders, []), campaign=campaign, now=self.now).refused

    def take_sale(self, facts: list[Fact]) -> None:
        from apps.pipeline.services.receiving import receive_conversion
        from apps.tracking.rules.basket import LineFact
        from apps.tracking.rules.conversions import ConversionFact

        for fact in facts:
            slug, fields = fact.told
            lines = tuple(
                LineFact(price, pieces, category=kind or "DEFAULT") for kind, price, pieces in fields["lines"]
            )
            told = ConversionFact(**{**fields, "lines": lines})
            receive_conversion(campaign=self.campaigns[slug], fact=told, now=self.now)

    def take_update(self, facts: list[Fact]) -> None:
        self.take_sale(facts)

    def take_refund(self, facts: list[Fact]) -> None:
        from apps.pipeline.services.receiving import receive_refund
        from apps.tracking.rules.refunds import MoreThanSold

        for fact in facts:
            # After the whole order came back a part of it is refused, before it is taken: nothing is left either way.
            # The refunds of these orders are not counted.
            with suppress(MoreThanSold):
                receive_refund(advertiser=self.advertiser, fields=fact.told, now=self.now)

    def take_identity(self, facts: list[Fact]) -> None:
        from apps.tracking.identifying import identify_visitor
        from apps.tracking.rules.persons import Identity

        for fact in facts:
            visitor, identity = fact.told
            identify_visitor(advertiser=self.advertiser, visitor=visitor, identity=Identity(**identity), now=self.now)

    def decide(self, orders: Collection[Order]) -> None:
        """Reject, hold and correct by a list, then approve what is left by a filter."""
        from apps.commissions.selections import Selection
        from apps.core.actors import SYSTEM
        from apps.pipeline.services.deciding_chunks import work_on_decisions
        from apps.pipeline.services.deciding_jobs import ask_by_filter, ask_by_list
        from apps.records.models import Job

        call: dict[str, Any] = {"advertiser": self.advertiser, "actor": SYSTEM, "now": self.now}
        items = [{"order_ref": order.ref, "goal": order.goal, **order.decision} for order in orders if order.decision]
        if items:
            ask_by_list(items=items, key="list", **call)
        work_on_decisions(now=self.now)
        ask_by_filter(selection=Selection(states=("PENDING",)), state="APPROVED", key="rest", as_of=self.now, **call)
        work_on_decisions(now=self.now)
        assert not sum(Job.objects.values_list("refused", flat=True)), "a decision was refused"


def analyze() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def play(database: str, count: int, seed: int, order: str) -> dict:
    """Live through the month in one order of arrival; return the books and what the checks say of them."""
    from apps.core.actors import SYSTEM
    from apps.identity.models import Advertiser
    from apps.pipeline.bell import Bell
    from apps.pipeline.books import check_books
    from apps.pipeline.services.closing import close_month, issue_invoices

    use_database(database)
    make_ground()
    month, chance = Month(seed, count), random.Random(order)
    with mock.patch.object(Bell, "ring", lambda _: None):
        for arrival in arrivals(month.early, CHUNKS, order and f"{order}-early"):
            Doors(TOLD).take(arrival, chance)
        Doors(APPROVED).decide(month.orders)
        for arrival in arrivals(month.late, 2, order and f"{order}-late"):
            Doors(CORRECTED).take(arrival, chance)
        advertiser = Advertiser.objects.get()
        for first in (date(2026, 1, 1), date(2026, 2, 1)):
            close_month(advertiser=advertiser, month=first, actor=SYSTEM, now=CLOSED)
        issue_invoices(advertiser=advertiser, actor=SYSTEM, now=CLOSED)
    books = totals(told=True)
    wrong = [str(difference) for difference in check_books(sample=500)]
    return {"books": books, "wrong": wrong + account_of(month, books)}


def account_of(month: Month, books: dict[str, list[list[str]]]) -> list[str]:
    """Return where the books differ from what the shop itself knows of its month."""
    expected = {
        "orders": len(month.orders),
        "owed": sorted([slug, currency, str(amount)] for (slug, currency), amount in month.owed().items()),
        "decided": sorted([ref, fate] for ref, fate in month.fates()),
        "duplicates": sorted([ref, first] for ref, first in month.originals.items()),
        "persons of more visitors": month.joined,
        "refunds": sum(len(order.refunds) + order.returned.total() for order in month.orders
                       if not order.is_whole_back and order.decision.get("decision") != "reject")
        + sum(order.decision.get("lines") is not None for order in month.orders),
        "amendments": sum(len(order.amendments) for order in month.orders),
    }  # fmt: skip
    found = {
        "orders": int(books["conversions"][0][0]),
        "owed": [row for row in books["owed"] if row[2] != "0"],
        "decided": books["decided"],
        "duplicates": books["duplicates"],
        "persons of more visitors": sum(int(count) for visitors, count, _ in books["persons"] if int(visitors) > 1),
        "refunds": int(books["refunds"][0][0]),
        "amendments": int(books["amendments"][0][0]),
    }
    return [
        f"{name}: the books say {short(found[name], expected[name])}, the shop {short(expected[name], found[name])}"
        for name in expected
        if found[name] != expected[name]
    ]


def short(told: Any, other: Any) -> Any:
    """Return a figure, or of two lists what the other has not."""
    return [row for row in told if row not in other][:5] if isinstance(told, list) else told


def compare_streams(servers: Servers, *, count: int, orders: int, seed: int) -> Figures:
    """Play the month in its own order and in shuffled ones, two at a time, and compare their books."""
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
    wrong = [f"order {place}: {text}" for place, end in enumerate(ended) for text in end["wrong"]]
    wrong += [f"order {place}: {text}" for place, end in enumerate(ended) for text in differences(first, end["books"])]
    wrong += ["the books are empty"] * (len(first["invoices"]) < len(PARTNERS))
    for database in databases:
        servers.drop(database)
    month = Month(seed, count)
    figures = {
        "conversions": len(month.orders),
        "facts": len(month.early) + len(month.late),
        "persons": month.joined,
        "duplicates": len(month.originals),
        "orders": orders,
        "wrong": len(wrong),
    }
    return Figures("streams", seed, figures, wrong, began)
