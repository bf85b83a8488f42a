"""Decide conversions: move the decision, post what it means, write it down, in one transaction."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from django.db import transaction

from apps.commissions.models import (
    ConversionAlreadyDecided,
    Decision,
    DecisionQuerySet,
    DecisionState,
    HoldReason,
    Move,
    Reason,
)
from apps.commissions.moving import LockedDecision, Wish, lock_for_deciding, move_decisions, owed_by
from apps.commissions.writing import open_decisions, rejected_among
from apps.core.actors import SYSTEM, Actor
from apps.core.errors import Conflict, Invalid, NotFound, Refusal
from apps.core.periods import day_of
from apps.core.reading import DATABASE_AWAY
from apps.core.retrying import retried
from apps.core.statistics import analyze_filled
from apps.identity.models import Advertiser
from apps.ledger.models import Posting, UnstatedPosting
from apps.ledger.services import commission_entry, post_entries
from apps.pipeline.bell import settle_bell
from apps.pipeline.outcomes import decision_row
from apps.records.services import record_act
from apps.tracking.duplicates import repeating_rejected
from apps.tracking.facts import conversions_by_id
from apps.tracking.models import Conversion, Unsettled
from apps.tracking.waking import unpark_conversions, wake_repeats_of

CHUNK = 5_000
NAMED = 50  # so many conversions of a chunk stand in the audit log by id; each one's move stands beside itself
PENDING_ONLY = frozenset({DecisionState.PENDING.value})
EVERY_STATE = frozenset(DecisionState.values)
REASONS_OF: dict[str, tuple[str, ...]] = {
    DecisionState.REJECTED.value: tuple(Reason.values),
    DecisionState.ON_HOLD.value: (*HoldReason.values, Reason.SUSPICIOUS.value),
}
"""The coded reasons of the states that need one, in the order in which they are told."""
logger = logging.getLogger(__name__)


class ConversionLocked(Conflict):
    code = "conversion_locked"
    message = "The conversion is locked: its approval can only be corrected, not taken back."


class ConversionUnsettled(Conflict):
    code = "conversion_unsettled"
    message = (
        "Something about the conversion is still to be worked out; decide it in a moment. Where that fails for good, "
        "its page says why, and it can be tried again."
    )


class NoSuchConversion(NotFound):
    code = "no_such_conversion"
    message = "There is no such conversion."


class ReasonNeeded(Invalid):
    code = "reason_needed"
    message = "A rejection or a hold needs a reason."


class UnknownReason(ReasonNeeded):
    code = "unknown_reason"
    message = "There is no such reason."


REFUSALS: dict[str, type[Refusal]] = {
    kind.code: kind for kind in (ConversionLocked, ConversionUnsettled, NoSuchConversion, ConversionAlreadyDecided)
}


@dataclass(frozen=True, slots=True)
class DecisionResult:
    """How many conversions moved, the ids that could not, and of these the codes that say why."""

    moved: int
    refused: tuple[UUID, ...] = ()
    codes: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Decided:
    """What came of wishes: the ids that moved, those that stood there already, and the codes of those refused."""

    moved: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def approve_conversions(
    *, advertiser: Advertiser, conversion_ids: Sequence[UUID], actor: Actor, now: datetime, note: str = ""
) -> DecisionResult:
    """Approve pending or held conversions and owe their commissions to the partners.

    Each chunk is one transaction. Rows of another advertiser, decided otherwise already, or with facts still to be
    settled are reported as refused; rows approved before are neither moved nor refused. A single refused conversion
    raises NoSuchConversion, ConversionUnsettled or ConversionAlreadyDecided.
    """
    return _in_chunks(advertiser, conversion_ids, DecisionState.APPROVED, "", note, actor, now)


def reject_conversions(
    *, advertiser: Advertiser, conversion_ids: Sequence[UUID], reason: str, actor: Actor, now: datetime, note: str = ""
) -> DecisionResult:
    """Reject conversions; an approval that has not locked yet is taken back by reversing postings.

    Raises ReasonNeeded; for a single conversion also ConversionLocked and what approving raises.
    """
    check_reason(DecisionState.REJECTED, reason)
    return _in_chunks(advertiser, conversion_ids, DecisionState.REJECTED, reason, note, actor, now)


def hold_conversions(
    *,
    advertiser: Advertiser,
    conversion_ids: Sequence[UUID],
    actor: Actor,
    now: datetime,
    reason: str = HoldReason.REVIEW,
    note: str = "",
) -> DecisionResult:
    """Put pending conversions on hold: they do not approve themselves at maturity. Raises ReasonNeeded."""
    check_reason(DecisionState.ON_HOLD, reason)
    return _in_chunks(advertiser, conversion_ids, DecisionState.ON_HOLD, reason, note, actor, now)


def release_conversions(
    *, advertiser: Advertiser, conversion_ids: Sequence[UUID], actor: Actor, now: datetime, note: str = ""
) -> DecisionResult:
    """Take conversions off hold again."""
    return _in_chunks(advertiser, conversion_ids, DecisionState.PENDING, "", note, actor, now)


def approve_matured(*, advertiser: Advertiser, now: datetime) -> int:
    """Approve every pending conversion whose day to decide has passed; return how many.

    Each chunk is a transaction, so that a run cut short goes on with the rest. A row that the database refuses is
    found by halving, logged and passed by; the others mature.
    """
    due = Decision.objects.for_advertiser(advertiser).matured(day_of(now, advertiser.zone))
    moved, size, place = 0, CHUNK, (date.min, UUID(int=0))
    while rows := _due_after(due, place, size):
        try:
            moved += _approve_due(advertiser, [id_ for _, id_ in rows], now)
        except DATABASE_AWAY:
            raise
        except Exception:
            if len(rows) > 1:
                size = len(rows) // 2
                continue
            logger.exception("conversion %s cannot be approved", rows[0][1])
        place, size = rows[-1], min(CHUNK, 2 * size)
    analyze_filled(Decision, Move, Posting, UnstatedPosting, written=moved)
    return moved


@transaction.atomic
def _approve_due(advertiser: Advertiser, ids: Sequence[UUID], now: datetime) -> int:
    """Approve those of a chunk with nothing still to be worked out; return how many.

    What waits is asked for by key and not locked. What somebody else has decided meanwhile is no fault here: the next
    look no longer finds it.
    """
    waiting = set(Unsettled.objects.filter(pk__in=ids).values_list("pk", flat=True))
    wishes = [Wish(str(id_), DecisionState.APPROVED, "", "matured") for id_ in ids if id_ not in waiting]
    if not wishes:
        return 0
    decided = decide_wishes(advertiser, wishes, actor=SYSTEM, now=now, sources=PENDING_ONLY)
    note_decided(advertiser, wishes[0], decided.moved, SYSTEM, now)
    return len(decided.moved)


def _due_after(due: DecisionQuerySet, place: tuple[date, UUID], size: int) -> list[tuple[date, UUID]]:
    """Return days and ids of the next decisions after a place, in the order of the index of awaited ones.

    Walking the ids alone would pass through all that was ever decided.
    """
    day, id_ = place
    rest = due.filter(decide_by__gte=day).exclude(decide_by=day, conversion_id__lte=id_)
    return list(rest.order_by("decide_by", "conversion_id").values_list("decide_by", "conversion_id")[:size])


def check_reason(state: str, reason: str) -> None:
    """Raise ReasonNeeded where a state wants a reason, UnknownReason where it wants another; both name them all."""
    known = REASONS_OF.get(state)
    if known is None or reason in known:
        return
    what = "rejection" if state == DecisionState.REJECTED else "hold"
    if not reason:
        raise ReasonNeeded(f"A {what} needs a reason: {', '.join(known)}.", path="reason")
    raise UnknownReason(f"There is no reason {reason!r} of a {what}; there are: {', '.join(known)}.", path="reason")


def _in_chunks(
    advertiser: Advertiser,
    conversion_ids: Sequence[UUID],
    state: DecisionState,
    reason: str,
    note: str,
    actor: Actor,
    now: datetime,
) -> DecisionResult:
    ids = sorted({str(id_) for id_ in conversion_ids})
    moved = 0
    codes: dict[str, str] = {}
    for start in range(0, len(ids), CHUNK):
        wishes = [Wish(id_, state, reason, note) for id_ in ids[start : start + CHUNK]]
        decided = _decide_chunk(advertiser, wishes, actor, now)
        moved += len(decided.moved)
        codes |= decided.refused
    if len(ids) == 1 and codes:
        raise REFUSALS[codes[ids[0]]]()
    return DecisionResult(moved, tuple(UUID(id_) for id_ in sorted(codes)), codes)


@retried
@transaction.atomic
def _decide_chunk(advertiser: Advertiser, wishes: Sequence[Wish], actor: Actor, now: datetime) -> Decided:
    decided = decide_wishes(advertiser, wishes, actor=actor, now=now)
    note_decided(advertiser, wishes[0], decided.moved, actor, now)
    return decided


def decide_wishes(
    advertiser: Advertiser,
    wishes: Sequence[Wish],
    *,
    actor: Actor,
    now: datetime,
    sources: Collection[str] = EVERY_STATE,
    job_id: int | None = None,
) -> Decided:
    """Move those decisions that are in `sources` and may go where they are wished, and post what it means.

    The locks are taken in the order of the ids, each id once; the caller's transaction holds them.
    """
    today = day_of(now, advertiser.zone)
    ids = [wish.conversion_id for wish in wishes]
    rows = {row.conversion_id: row for row in lock_for_deciding(advertiser.pk, ids)}
    waits = waits_of(advertiser, wishes)
    shareless = [wish.conversion_id for wish in wishes if wish.conversion_id not in rows and may_fall(wish, waits)]
    if shareless:
        _open_shareless(advertiser, shareless)
        rows |= {row.conversion_id: row for row in lock_for_deciding(advertiser.pk, shareless)}
    decided = Decided()
    movable: dict[str, list[Wish]] = defaultdict(list)
    for wish in wishes:
        row = rows.get(wish.conversion_id)
        if row is not None and row.state == wish.state:
            decided.unchanged.append(wish.conversion_id)
        elif code := refusal_of(row, wish, waits, sources, today):
            decided.refused[wish.conversion_id] = code
        else:
            movable[wish.state].append(wish)
    for state, group in movable.items():
        move_decisions(group, state=state, by=str(actor), at=now, job_id=job_id)
        _post(advertiser, [rows[wish.conversion_id] for wish in group], state, today, now)
        decided.moved += [wish.conversion_id for wish in group]
        if state == DecisionState.REJECTED:
            in_vain = [UUID(wish.conversion_id) for wish in group if may_fall(wish, waits)]
            if in_vain:  # nothing is left to be worked out: the next look takes them off the list
                unpark_conversions(advertiser=advertiser, conversion_ids=in_vain)
            wake_repeats_of(advertiser_id=advertiser.pk, rejected=[wish.conversion_id for wish in group])
            transaction.on_commit(settle_bell.ring)
    return decided


class Wait(StrEnum):
    """Why a conversion is on the work list: it waits its turn, or it was tried in vain."""

    TURN = "turn"
    IN_VAIN = "in_vain"


def waits_of(advertiser: Advertiser, wishes: Sequence[Wish]) -> dict[str, Wait]:
    """Return which conversions of an advertiser are still to be worked out for what is wished, and how that stands.

    What repeats a rejected one is about to be judged again, and is approved once it is.
    """
    ids = [wish.conversion_id for wish in wishes]
    rows = Unsettled.objects.filter(advertiser=advertiser, conversion_id__in=ids).values_list(
        "conversion_id", "parked_at"
    )
    found = {str(id_): Wait.TURN if parked_at is None else Wait.IN_VAIN for id_, parked_at in rows}
    approvals = [wish.conversion_id for wish in wishes if wish.state == DecisionState.APPROVED]
    return found | dict.fromkeys(repeating_rejected(approvals, rejected=rejected_among), Wait.TURN)


def may_fall(wish: Wish, waits: Mapping[str, Wait]) -> bool:
    """Tell whether a wish is to reject what was tried in vain: then it owes nothing, whatever it would have come to."""
    return wish.state == DecisionState.REJECTED and waits.get(wish.conversion_id) == Wait.IN_VAIN


def refusal_of(
    row: LockedDecision | None, wish: Wish, waits: Mapping[str, Wait], sources: Collection[str], today: date
) -> str | None:
    """Return why a decision may not go where it is wished, or nothing.

    What cannot be worked out can still be rejected, also where it never had shares or a decision.
    """
    wait = waits.get(wish.conversion_id)
    if row is None:
        return ConversionUnsettled.code if wait else NoSuchConversion.code
    if row.state not in sources or wish.state not in Decision.NEXT[row.state]:
        return ConversionAlreadyDecided.code
    if row.state == DecisionState.APPROVED and row.locks_on <= today:
        return ConversionLocked.code
    if wait is None or may_fall(wish, waits):
        return None
    return ConversionUnsettled.code


def _open_shareless(advertiser: Advertiser, ids: Sequence[str]) -> None:
    """Open the decisions of conversions that never had shares; those that somebody tries again just now are left out.

    Holding their parked rows keeps settling away, which opens a decision itself.
    """
    parked = Unsettled.objects.select_for_update(skip_locked=True, of=("self",)).filter(
        advertiser=advertiser, conversion_id__in=ids, parked_at__isnull=False, conversion__decision__isnull=True
    )
    rows = conversions_by_id(list(parked.order_by("pk").values_list("pk", flat=True)))
    open_decisions([decision_row(row, day_of(row.occurred_at, advertiser.zone), advertiser) for row in rows])


def note_decided(advertiser: Advertiser, wish: Wish, moved: Sequence[str], actor: Actor, now: datetime) -> None:
    """Write an act into the audit log where anything moved: what was wished, how many, and the first of them."""
    if not moved:
        return
    record_act(
        advertiser=advertiser,
        actor=actor,
        verb=wish.state.lower(),
        subject=f"{len(moved)} conversions" if len(moved) > 1 else _name_of(moved[0]),
        now=now,
        details={"reason": wish.reason, "note": wish.note, "conversions": list(moved[:NAMED])},
    )


def _name_of(conversion_id: str) -> str:
    """Return what people call a conversion: its order."""
    order = Conversion.objects.filter(pk=conversion_id).values_list("order_ref", flat=True).get()
    return f"conversion {order}"[:120]


def _post(advertiser: Advertiser, rows: Sequence[LockedDecision], state: str, today: date, now: datetime) -> None:
    """Owe what was approved, or take back what was approved before: each commission once, zero posts nothing."""
    concerned = {row.conversion_id: row for row in rows} if state == DecisionState.APPROVED else {}
    if state == DecisionState.REJECTED:
        concerned = {row.conversion_id: row for row in rows if row.state == DecisionState.APPROVED}
    if not concerned:
        return
    reverse = state == DecisionState.REJECTED
    post_entries(
        advertiser=advertiser,
        entries=[
            commission_entry(
                partner_id=row.partner_id,
                amount_minor=-row.amount_minor if reverse else row.amount_minor,
                currency=row.currency,
                reference=f"commission:{row.id}" + (":reversed" if reverse else ""),
                due_on=max(concerned[row.conversion_id].locks_on, today),
            )
            for row in owed_by(list(concerned))
        ],
        now=now,
    )
