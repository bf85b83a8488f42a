"""Decide conversions: move the decision, post what it means, write it down, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from django.db import transaction

from apps.commissions.models import (
    Commission,
    ConversionAlreadyDecided,
    Decision,
    DecisionState,
    Reason,
)
from apps.core.actors import SYSTEM, Actor
from apps.core.errors import Conflict, Invalid
from apps.core.periods import day_of
from apps.identity.models import Advertiser
from apps.ledger.services import commission_entry, post_entries
from apps.records.services import record_act
from apps.tracking.models import Conversion, Unsettled

CHUNK = 5_000
PENDING_ONLY = frozenset({DecisionState.PENDING})


class ConversionLocked(Conflict):
    code = "conversion_locked"
    message = "The conversion is locked: its approval can only be corrected, not taken back."


class ReasonNeeded(Invalid):
    code = "reason_needed"
    message = "A rejection needs one of the coded reasons."


@dataclass(frozen=True, slots=True)
class DecisionResult:
    """How many conversions moved, and the ids that could not."""

    moved: int
    refused: tuple[UUID, ...] = ()


def approve_conversions(
    *, advertiser: Advertiser, conversion_ids: Sequence[UUID], actor: Actor, now: datetime, note: str = ""
) -> DecisionResult:
    """Approve pending or held conversions and owe their commissions to the partners.

    Each chunk is one transaction. Rows of another advertiser, decided otherwise already, or with facts still to be
    settled are reported as refused; rows approved before are neither moved nor refused. A single refused conversion
    raises ConversionAlreadyDecided.
    """
    return _in_chunks(advertiser, conversion_ids, DecisionState.APPROVED, "", note, actor, now)


def reject_conversions(
    *, advertiser: Advertiser, conversion_ids: Sequence[UUID], reason: str, actor: Actor, now: datetime, note: str = ""
) -> DecisionResult:
    """Reject conversions; an approval that has not locked yet is taken back by reversing postings.

    Raises ReasonNeeded, ConversionLocked or ConversionAlreadyDecided (the latter two for a single conversion).
    """
    if reason not in Reason.values:
        raise ReasonNeeded(path="reason")
    return _in_chunks(advertiser, conversion_ids, DecisionState.REJECTED, reason, note, actor, now)


def hold_conversions(
    *, advertiser: Advertiser, conversion_ids: Sequence[UUID], actor: Actor, now: datetime, note: str = ""
) -> DecisionResult:
    """Put pending conversions on hold: they do not approve themselves at maturity."""
    return _in_chunks(advertiser, conversion_ids, DecisionState.ON_HOLD, "", note, actor, now)


def release_conversions(
    *, advertiser: Advertiser, conversion_ids: Sequence[UUID], actor: Actor, now: datetime, note: str = ""
) -> DecisionResult:
    """Take conversions off hold again."""
    return _in_chunks(advertiser, conversion_ids, DecisionState.PENDING, "", note, actor, now)


def approve_matured(*, advertiser: Advertiser, now: datetime) -> int:
    """Approve every pending conversion whose day to decide has passed; return how many."""
    today = day_of(now, advertiser.zone)
    moved = 0
    while True:
        due = Decision.objects.for_advertiser(advertiser).filter(
            state=DecisionState.PENDING, decide_by__lt=today, conversion__unsettled__isnull=True
        )
        ids = list(due.order_by("conversion_id").values_list("conversion_id", flat=True)[:CHUNK])
        if not ids:
            return moved
        # What somebody else has decided meanwhile is no fault here: the next look no longer finds it.
        moved += _decide(advertiser, ids, DecisionState.APPROVED, "", "matured", SYSTEM, now, PENDING_ONLY).moved


def _in_chunks(
    advertiser: Advertiser,
    conversion_ids: Sequence[UUID],
    state: DecisionState,
    reason: str,
    note: str,
    actor: Actor,
    now: datetime,
) -> DecisionResult:
    ids = sorted(set(conversion_ids))
    moved = 0
    refused: list[UUID] = []
    for start in range(0, len(ids), CHUNK):
        chunk = _decide(advertiser, ids[start : start + CHUNK], state, reason, note, actor, now)
        moved += chunk.moved
        refused += chunk.refused
    if len(ids) == 1 and refused:
        decision = Decision.objects.for_advertiser(advertiser).filter(conversion_id=ids[0]).first()
        if decision and state == DecisionState.REJECTED and decision.state == DecisionState.APPROVED:
            raise ConversionLocked
        raise ConversionAlreadyDecided
    return DecisionResult(moved, tuple(refused))


@transaction.atomic
def _decide(
    advertiser: Advertiser,
    ids: list[UUID],
    state: DecisionState,
    reason: str,
    note: str,
    actor: Actor,
    now: datetime,
    sources: frozenset[str] = frozenset(DecisionState.values),
) -> DecisionResult:
    """Move those of one chunk that are in `sources`, under their rows' locks, taken in the order of their ids."""
    today = day_of(now, advertiser.zone)
    rows = list(
        Decision.objects.for_advertiser(advertiser)
        .select_for_update()
        .filter(conversion_id__in=ids)
        .order_by("conversion_id")
    )
    already = {row.conversion_id for row in rows if row.state == state}
    unsettled = set(Unsettled.objects.filter(conversion_id__in=ids).values_list("conversion_id", flat=True))
    movable = [
        row
        for row in rows
        if row.state in sources and row.conversion_id not in unsettled and _may_move(row, state, today)
    ]
    refused = set(ids) - already - {row.conversion_id for row in movable}
    if not movable:
        return DecisionResult(0, tuple(sorted(refused)))
    moving = [row.conversion_id for row in movable]
    Decision.objects.filter(conversion_id__in=moving).move(state, reason=reason, note=note[:300], by=str(actor), at=now)
    _post(advertiser, movable, state, today, now)
    record_act(
        advertiser=advertiser,
        actor=actor,
        verb=state.lower(),
        subject=f"{len(moving)} conversions" if len(moving) > 1 else _name_of(moving[0]),
        now=now,
        details={"reason": reason, "note": note, "conversions": [str(id_) for id_ in moving]},
    )
    return DecisionResult(len(moving), tuple(sorted(refused)))


def _name_of(conversion_id: UUID) -> str:
    """Return what people call a conversion: its order."""
    order = Conversion.objects.filter(pk=conversion_id).values_list("order_ref", flat=True).get()
    return f"conversion {order}"[:120]


def _may_move(row: Decision, state: DecisionState, today: date) -> bool:
    if state not in Decision.NEXT[row.state]:
        return False
    return not (row.state == DecisionState.APPROVED and row.locks_on <= today)


def _post(advertiser: Advertiser, rows: Sequence[Decision], state: DecisionState, today: date, now: datetime) -> None:
    """Owe what was approved, or take back what was approved before: each commission once, zero posts nothing."""
    taken_back = {row.conversion_id for row in rows if row.state == DecisionState.APPROVED}
    concerned = {row.conversion_id: row for row in rows} if state == DecisionState.APPROVED else {}
    if state == DecisionState.REJECTED:
        concerned = {row.conversion_id: row for row in rows if row.conversion_id in taken_back}
    if not concerned:
        return
    commissions = Commission.objects.filter(conversion_id__in=list(concerned), payable=True).exclude(amount_minor=0)
    reverse = state == DecisionState.REJECTED
    post_entries(
        advertiser=advertiser,
        entries=[
            commission_entry(
                partner_id=row.partner_id,
                amount_minor=-row.amount_minor if reverse else row.amount_minor,
                currency=row.currency,
                reference=f"commission:{row.pk}" + (":reversed" if reverse else ""),
                due_on=max(concerned[row.conversion_id].locks_on, today),
            )
            for row in commissions.order_by("pk")
        ],
        now=now,
    )
