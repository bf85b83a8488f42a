"""The workflows that are killed and doubled: a small shop's two months, each step safe to do again and at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any
from unittest import mock
from uuid import UUID, uuid4, uuid5

SOLD = datetime(2026, 1, 15, 10, tzinfo=UTC)
TOLD = SOLD + timedelta(days=1)
DECIDED = SOLD + timedelta(days=5)
REFUNDED = SOLD + timedelta(days=20)
CLOSED = datetime(2026, 3, 2, 8, tzinfo=UTC)
DEVICES = [uuid5(UUID(int=0), name) for name in ("laptop", "phone")]
EMAIL = "a" * 64


def make_ground() -> None:
    """Write seven sales of three partners, one of them with lines, waiting to be settled, and two devices' clicks."""
    from apps.identity.models import Advertiser
    from tests import cast

    advertiser = cast.make_advertiser("faults")
    Advertiser.objects.filter(pk=advertiser.pk).update(minimum_payout_minor=0)
    campaign = cast.make_campaign(advertiser, "faults-shop", dedup_scope="CUSTOMER_GOAL")
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
    for visitor, enrollment in zip(DEVICES, enrollments, strict=False):
        cast.make_touch(enrollment, SOLD - timedelta(hours=3), visitor)


def _advertiser():
    from apps.identity.models import Advertiser

    return Advertiser.objects.get(slug="faults")


def _ids(*references: str) -> list[UUID]:
    from apps.tracking.models import Conversion

    return list(Conversion.objects.filter(order_ref__in=references).order_by("pk").values_list("pk", flat=True))


def settle() -> None:
    from apps.pipeline.services.refunding import tell_surpluses
    from apps.pipeline.services.settling import settle_waiting
    from apps.tracking.sweeping import wake_awaited

    wake_awaited(now=REFUNDED, hear=tell_surpluses)
    settle_waiting(now=REFUNDED)


# What is told, by the same calls as at the doors.


def _sell(order_ref: str, amount_minor: int = 100_00, *, now: datetime = TOLD, **fields: Any) -> None:
    from apps.campaigns.models import Campaign
    from apps.pipeline.services.receiving import receive_conversion
    from apps.tracking.rules.conversions import ConversionFact

    fact = ConversionFact("SALE", order_ref, amount_minor, "EUR", **{"occurred_at": SOLD, **fields})
    receive_conversion(campaign=Campaign.objects.get(), fact=fact, now=now, payload={"order_ref": order_ref})


def _give_back(order_ref: str, **fields: str) -> None:
    from apps.pipeline.services.receiving import receive_refund

    told = {"order_ref": order_ref, "refund_ref": f"R-{order_ref}", "occurred_at": DECIDED.isoformat(), **fields}
    receive_refund(advertiser=_advertiser(), fields=told, now=REFUNDED)


def _identify(visitor: UUID, **identity: str) -> None:
    from apps.tracking.identifying import identify_visitor
    from apps.tracking.rules.persons import Identity

    identify_visitor(advertiser=_advertiser(), visitor=visitor, identity=Identity(**identity), now=TOLD)


def tell() -> None:
    """Tell of a basket, of a customer's repeat, of an order by updates alone, and of a refund too early."""
    from apps.tracking.models import Touchpoint
    from apps.tracking.rules.basket import LineFact
    from apps.tracking.rules.persons import Identity

    click = Touchpoint.objects.get(visitor=DEVICES[0])
    lines = (LineFact(20_00, 3, sku="A"), LineFact(40_00, sku="B"))
    _sell("T-1", click_ids=(click.pk,), lines=lines, identity=Identity(customer_id="C-1"))
    _sell("T-2", occurred_at=SOLD + timedelta(days=1), identity=Identity(customer_id="C-1"))
    for sequence in (2, 1):
        _sell("T-3", sequence * 50_00, is_update=True, sequence=sequence)
    _give_back("F-9", whole="1")
    _give_back("F-6", amount="10.00")


def merge() -> None:
    """Find out that a customer's two devices are one person's, whose order is shared anew."""
    _identify(DEVICES[1], email_sha256=EMAIL)
    settle()
    _identify(DEVICES[0], email_sha256=EMAIL)
    settle()


def part() -> None:
    from apps.core.actors import SYSTEM
    from apps.tracking.joining import MergeUndone, undo_merge
    from apps.tracking.models import Merge

    merge = Merge.objects.select_related("advertiser").order_by("pk").first()
    with suppress(MergeUndone):
        if merge is not None:
            undo_merge(merge=merge, actor=SYSTEM, now=DECIDED)
    settle()


# What is decided.


@contextmanager
def small_chunks() -> Iterator[None]:
    """Let jobs take two rows at a time, so that there is something between the chunks."""
    from apps.pipeline.services import deciding_chunks

    small = mock.patch.object(deciding_chunks.Stride.__init__, "__defaults__", (2, False))
    with mock.patch.object(deciding_chunks, "CHUNK", 2), small:
        yield


def _work() -> None:
    from apps.pipeline.services.deciding_chunks import work_on_decisions

    with small_chunks():
        work_on_decisions(now=REFUNDED)


def hold() -> None:
    """Put everything on hold by a filter, then take it back."""
    from apps.commissions.selections import Selection
    from apps.core.actors import SYSTEM
    from apps.pipeline.services.deciding_jobs import ask_by_filter, undo_job

    call: dict[str, Any] = {"advertiser": _advertiser(), "actor": SYSTEM, "now": REFUNDED}
    asked = ask_by_filter(
        selection=Selection(states=("PENDING",)), state="ON_HOLD", reason="review", key="h", as_of=REFUNDED, **call
    )
    _work()
    undo_job(job_id=asked.job.pk, **call)
    _work()


def decide_list() -> None:
    """Decide by a file: a row each to approve, to hold, to reject a line of, to correct, and one that names nothing."""
    from apps.core.actors import SYSTEM
    from apps.pipeline.services.deciding_jobs import ask_by_list, confirm_job

    rows: list[dict[str, object]] = [
        {"order_ref": "T-1", "decision": "reject", "reason": "returned", "lines": "2"},
        {"order_ref": "T-3", "decision": "approve", "amount": "80.00", "reason": "returned"},
        {"order_ref": "F-6", "decision": "hold", "reason": "review"},
        {"order_ref": "F-5", "decision": "correct", "amount": "90.00", "reason": "returned"},
        {"order_ref": "nowhere", "decision": "approve"},
    ]
    items = [{**row, "row": line} for line, row in enumerate(rows, 2)]
    call: dict[str, Any] = {"advertiser": _advertiser(), "actor": SYSTEM, "now": REFUNDED}
    asked = ask_by_list(items=items, key="file", name="decisions.csv", is_draft=True, **call)
    confirm_job(job_id=asked.job.pk, **call)
    _work()


def approve() -> None:
    from apps.core.actors import SYSTEM
    from apps.pipeline.services.deciding import approve_conversions

    ids = _ids(*(f"F-{number}" for number in range(6)))
    approve_conversions(advertiser=_advertiser(), conversion_ids=ids, actor=SYSTEM, now=DECIDED)


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


def take_back() -> None:
    from apps.core.actors import SYSTEM
    from apps.pipeline.services.deciding import reject_conversions

    reject_conversions(
        advertiser=_advertiser(), conversion_ids=_ids("F-0", "F-1"), reason="cancelled", actor=SYSTEM, now=DECIDED
    )


def refund() -> None:
    """Tell refunds and updates of what is decided, and correct."""
    _give_back("F-2", lines="1:1")
    _give_back("F-3", whole="1")
    _give_back("F-4", amount="25.00")
    _sell("F-5", 150_00, is_update=True, sequence=1, now=REFUNDED)
    _sell("T-1", 140_00, is_update=True, sequence=1, now=REFUNDED)
    settle()


# Claims.

CLAIMS = (("C-1", "MISSING", 60_00), ("F-0", "DECLINED", None), ("F-4", "WRONG", 90_00), ("F-5", "MISSING", 10_00))


def claim() -> None:
    """Report an order that is missing, one wrongly rejected, a wrong amount, and one that is declined."""
    from apps.campaigns.models import Campaign
    from apps.claims.rules import ClaimFact
    from apps.claims.services import report_claim
    from apps.core.actors import SYSTEM
    from apps.partners.models import Partner

    campaign, partner = Campaign.objects.get(), Partner.objects.get(slug="one")
    for order_ref, kind, amount in CLAIMS:
        fact = ClaimFact(campaign.pk, kind, order_ref, SOLD, "EUR", amount, text="I have seen it.")
        report_claim(partner=partner, fact=fact, actor=SYSTEM, now=REFUNDED)


def answer() -> None:
    """Accept all but the last, and approve what came of them."""
    from apps.claims.models import Claim
    from apps.claims.services import ClaimClosed
    from apps.core.actors import SYSTEM
    from apps.pipeline.services.claiming import accept_claim, decline_claim
    from apps.pipeline.services.deciding import approve_conversions

    call: dict[str, Any] = {"advertiser": _advertiser(), "actor": SYSTEM, "now": REFUNDED}
    for id_, order_ref in Claim.objects.order_by("pk").values_list("pk", "order_ref"):
        with suppress(ClaimClosed):
            if order_ref == "F-5":
                decline_claim(claim_id=id_, reason="credited", **call)
            else:
                accept_claim(claim_id=id_, **call)
    approve_conversions(conversion_ids=_ids("C-1", "F-0~2"), **call)


def erase() -> None:
    """Forget the customer; then their order is refunded, and shared as before."""
    from apps.core.actors import SYSTEM
    from apps.pipeline.services.erasing import erase_customer
    from apps.tracking.forgetting import CustomerName

    erase_customer(advertiser=_advertiser(), name=CustomerName(customer_id="C-1"), actor=SYSTEM, now=REFUNDED)
    _give_back("T-1", amount="20.00")
    settle()


# What goes out.


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


WORKFLOWS: dict[str, Callable[[], None]] = {
    "tell": tell,
    "settle": settle,
    "merge": merge,
    "part": part,
    "hold by filter": hold,
    "approve": approve,
    "decide by list": decide_list,
    "take back": take_back,
    "refund": refund,
    "claim": claim,
    "answer claims": answer,
    "erase": erase,
    "statement": state,
    "invoice": invoice,
    "render": render,
    "send": send,
}
CARELESS: dict[str, Callable[[], None]] = {"settle": settle, "approve": approve_carelessly}
EARLIER = {"settle"}  # what only makes the ground of the careless run
