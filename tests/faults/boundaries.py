"""Kill a workflow before every statement it sends and around every commit, run it again, compare with a clean run."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from unittest import mock
from uuid import uuid4

import psycopg

from tests.faults.books import differences, totals
from tests.faults.children import in_child
from tests.faults.figures import Figures
from tests.faults.servers import TEMPLATE, Servers, use_database

SOLD = datetime(2026, 1, 15, 10, tzinfo=UTC)
DECIDED = SOLD + timedelta(days=5)
REFUNDED = SOLD + timedelta(days=20)
CLOSED = datetime(2026, 3, 2, 8, tzinfo=UTC)
PATIENCE = 3.0  # seconds that the second run may take until the work is done


class Boundaries:
    """Counts what a process sends to the database; at the chosen boundary the process dies."""

    def __init__(self, deadly: int | None = None) -> None:
        self.seen, self.deadly = 0, deadly

    def cross(self) -> None:
        if self.seen == self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        self.seen += 1

    @contextmanager
    def watching(self) -> Iterator[Boundaries]:
        """Watch the driver itself, so that COPY, raw cursors and commits count like Django's own statements."""
        watched = [
            (psycopg.Cursor, "execute", False),
            (psycopg.Cursor, "executemany", False),
            (psycopg.Cursor, "copy", False),
            (psycopg.ServerCursor, "execute", False),
            (psycopg.Connection, "commit", True),
        ]
        originals = [getattr(owner, name) for owner, name, _ in watched]
        for (owner, name, after), original in zip(watched, originals, strict=True):
            setattr(owner, name, self._counted(original, after))
        try:
            yield self
        finally:
            for (owner, name, _), original in zip(watched, originals, strict=True):
                setattr(owner, name, original)

    def _counted(self, original: Callable, after: bool) -> Callable:
        def counted(*args: object, **kwargs: object) -> object:
            self.cross()
            answer = original(*args, **kwargs)
            if after:
                self.cross()
            return answer

        return counted


def make_ground() -> None:
    """Write seven sales of three partners, one of them with lines, waiting to be settled."""
    from apps.identity.models import Advertiser
    from tests import cast

    advertiser = cast.make_advertiser("faults")
    Advertiser.objects.filter(pk=advertiser.pk).update(minimum_payout_minor=0)
    campaign = cast.make_campaign(advertiser, "faults-shop")
    cast.make_policy(campaign, model="LINEAR")
    cast.make_plan(campaign)
    partners = [cast.make_partner(slug) for slug in ("one", "two", "three")]
    for partner in partners:
        cast.make_partner_user(partner)
    enrollments = [cast.join(partner, campaign) for partner in partners]
    lines = [{"unit_price_minor": 30_00, "quantity": 2}, {"unit_price_minor": 40_00, "category": "OTHER"}]
    for number in range(7):
        visitor = uuid4()
        for days, enrollment in enumerate(enrollments[: 1 + number % 3], 1):
            cast.make_touch(enrollment, SOLD - timedelta(days=days), visitor)
        cast.make_conversion(
            campaign, 100_00, SOLD + timedelta(minutes=number), f"F-{number}", visitor, lines if number == 2 else ()
        )


def settle() -> None:
    from apps.pipeline.services.settling import settle_waiting
    from apps.tracking.sweeping import wake_awaited

    wake_awaited(now=REFUNDED)
    settle_waiting(now=REFUNDED)


def _advertiser():
    from apps.identity.models import Advertiser

    return Advertiser.objects.get(slug="faults")


def _ids(*numbers: int) -> list:
    from apps.tracking.models import Conversion

    references = [f"F-{number}" for number in numbers]
    return list(Conversion.objects.filter(order_ref__in=references).order_by("pk").values_list("pk", flat=True))


def approve() -> None:
    from apps.core.actors import SYSTEM
    from apps.pipeline.services.deciding import approve_conversions

    approve_conversions(advertiser=_advertiser(), conversion_ids=_ids(*range(6)), actor=SYSTEM, now=DECIDED)


def take_back() -> None:
    from apps.core.actors import SYSTEM
    from apps.pipeline.services.deciding import reject_conversions

    reject_conversions(
        advertiser=_advertiser(), conversion_ids=_ids(0, 1), reason="cancelled", actor=SYSTEM, now=DECIDED
    )


def refund() -> None:
    """Write refunds and an amendment as the doors do, each in its own transaction, then correct."""
    from apps.tracking.models import Amendment, Refund

    told = [("F-2", "LINES", None, [{"position": 1, "quantity": 1}]), ("F-3", "WHOLE", None, [])]
    told += [("F-4", "AMOUNT", 25_00, []), ("F-9", "WHOLE", None, [])]
    advertiser = _advertiser()
    for order_ref, kind, amount, lines in told:
        Refund.objects.bulk_create(
            [
                Refund(
                    advertiser=advertiser,
                    order_ref=order_ref,
                    refund_ref=f"R-{order_ref}",
                    kind=kind,
                    amount_minor=amount,
                    lines=lines,
                    occurred_at=REFUNDED,
                    recorded_at=REFUNDED,
                    content_hash="",
                )
            ],
            ignore_conflicts=True,
        )
    (id_,) = _ids(5)
    change = Amendment(
        advertiser=advertiser, conversion_id=id_, sequence=1, content={"amount_minor": 150_00}, recorded_at=REFUNDED
    )
    Amendment.objects.bulk_create([change], ignore_conflicts=True)
    settle()


def approve_carelessly() -> None:
    """Approve, but commit before the postings are written: what a kill then does must be found."""
    from django.db import connection

    from apps.pipeline.services import deciding

    post = deciding._post

    def commit_first(*arguments: object) -> None:
        connection.connection.commit()
        post(*arguments)  # type: ignore[arg-type]

    with mock.patch.object(deciding, "_post", commit_first):
        approve()


def state() -> None:
    from apps.core.actors import SYSTEM
    from apps.pipeline.services.closing import close_month

    close_month(advertiser=_advertiser(), month=date(2026, 2, 1), actor=SYSTEM, now=CLOSED)


def invoice() -> None:
    from apps.core.actors import SYSTEM
    from apps.pipeline.services.closing import issue_invoices

    issue_invoices(advertiser=_advertiser(), actor=SYSTEM, now=CLOSED)


def render() -> None:
    from apps.pipeline.services.closing import render_missing

    render_missing(now=CLOSED)


def send() -> None:
    """Deliver what waits, and days later what a killed worker had claimed."""
    from apps.messages.services import deliver_waiting

    for days in (0, 2):
        deliver_waiting(clock=lambda days=days: CLOSED + timedelta(days=days))


WORKFLOWS = {
    "settle": settle,
    "approve": approve,
    "take back": take_back,
    "refund": refund,
    "statement": state,
    "invoice": invoice,
    "render": render,
    "send": send,
}


CARELESS = {"settle": settle, "approve": approve_carelessly}
EARLIER = {"settle"}  # what only makes the ground of the careless run


def clean_run(database: str, work: Callable[[], None]) -> tuple[dict, int]:
    """Do the work to its end in a child; return the books after it and how many boundaries it crossed."""

    def run() -> tuple[dict, int]:
        use_database(database)
        with Boundaries().watching() as boundaries:
            work()
        return totals(exact=True), boundaries.seen

    books, seen = in_child(run).result  # type: ignore[misc]
    return books, seen


def killed_run(database: str, work: Callable[[], None], deadly: int) -> bool:
    """Do the work in a child that dies at a boundary; return whether it did."""

    def run() -> None:
        use_database(database)
        with Boundaries(deadly).watching():
            work()

    return in_child(run).signal == signal.SIGKILL


def run_again(database: str, work: Callable[[], None], expected: dict) -> list[str]:
    """Do the work again, as a sweep would until nothing waits; return what then differs, and what the books say."""

    def run() -> list[str]:
        from apps.pipeline.books import check_books

        use_database(database)
        until = time.monotonic() + PATIENCE
        while True:
            work()
            found = differences(expected, totals(exact=True))
            if not found or time.monotonic() > until:
                return found + [str(difference) for difference in check_books()]
            time.sleep(0.05)

    return in_child(run).result  # type: ignore[return-value]


def kill_at_boundaries(
    servers: Servers, *, count: int | None, seed: int, workflows: Mapping[str, Callable[[], None]] = WORKFLOWS
) -> Figures:
    """Kill each workflow at its boundaries, all of them or a sample of `count`, and compare with the clean run."""
    began = time.monotonic()
    before = servers.copy(TEMPLATE, "boundaries_0")

    def ground() -> None:
        use_database(before)
        make_ground()

    in_child(ground)
    states, clean, places = [before], [], []
    for number, (name, work) in enumerate(workflows.items(), 1):
        after = servers.copy(states[-1], f"boundaries_{number}")
        books, crossed = clean_run(after, work)
        clean.append(books)
        places += [(number - 1, name, place) for place in range(crossed)]
        states.append(after)
    print(f"{len(places)} boundaries in {len(workflows)} workflows", flush=True)
    places = [place for place in places if place[1] not in EARLIER or workflows is not CARELESS]
    chosen = places if count is None else sorted(random.Random(seed).sample(places, min(count, len(places))))
    wrong, died = [], 0
    for number, name, place in chosen:
        victim = servers.copy(states[number], "boundaries_victim")
        died += killed_run(victim, workflows[name], place)
        wrong += [f"{name}, killed at {place}: {text}" for text in run_again(victim, workflows[name], clean[number])]
    for database in [*states, "boundaries_victim"]:
        servers.drop(database)
    figures = {"boundaries": len(places), "killed": died, "wrong": len(wrong)}
    return Figures("boundaries", seed, figures, wrong + ["a run survived"] * (died < len(chosen)), began)
