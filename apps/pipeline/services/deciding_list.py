"""Decide what a list says, row by row: each row is done, found unchanged, or refused with its code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.db.models.fields.json import KT

from apps.commissions.models import ConversionAlreadyDecided, Decision, DecisionState
from apps.commissions.moving import LockedDecision, Wish
from apps.core.actors import Actor
from apps.core.errors import Invalid, Refusal
from apps.core.money import Money
from apps.core.periods import day_of
from apps.identity.models import Advertiser
from apps.pipeline.rules.listed import InvalidDecision, Listed, Names, presentable, read_listed
from apps.pipeline.services.deciding import (
    EVERY_STATE,
    REFUSALS,
    ConversionUnsettled,
    NoSuchConversion,
    Wait,
    check_reason,
    decide_wishes,
    may_fall,
    refusal_of,
    waits_of,
)
from apps.pipeline.services.deciding_lines import PartsLeft, correct_amount, parts_left, positions_of, reject_lines
from apps.records.models import JobItem, JobItemOutcome
from apps.tracking.models import Conversion

DONE, UNCHANGED, REFUSED, WAITING = (JobItemOutcome(name) for name in ("DONE", "UNCHANGED", "REFUSED", "WAITING"))


class RepeatedInList(Invalid):
    code = "repeated_in_list"
    message = "The list names the conversion twice; the first row counts."


@dataclass(frozen=True, slots=True)
class Known:
    """A conversion as a list needs it."""

    id: str
    name: str
    currency: str


def read_items(items: Iterable[Mapping[str, Any]]) -> list[tuple[dict[str, Any], Refusal | None]]:
    """Return what each row is kept as, and the refusal of those that cannot be read.

    `row` is a file's line, `broken` says of one why its cells cannot be told apart.
    """
    names = Names()
    read: list[tuple[dict[str, Any], Refusal | None]] = []
    for item in items:
        told = {name: value for name, value in item.items() if name != "row"}
        row = {"row": item["row"]} if "row" in item else {}
        try:
            if "broken" in told:
                raise Invalid(str(told.pop("broken")), code="broken_row")
            listed = read_listed(told)
            # A part that falls away has a reason like a rejection, also where the rest is approved.
            check_reason(DecisionState.REJECTED if listed.is_of_parts else listed.state, listed.reason)
            if names.is_repeated(listed):
                raise RepeatedInList
        except Refusal as refusal:
            read.append(({**presentable(told), **row}, refusal))
        else:
            read.append(({name: value for name, value in asdict(listed).items() if value} | row, None))
    return read


def listed_of(content: Mapping[str, Any]) -> Listed:
    """Return the row that `read_items` kept."""
    values = {name: value for name, value in content.items() if name != "row"}
    values |= {name: tuple(values[name]) for name in ("lines", "skus") if name in values}
    return Listed(**{"state": "", **values})


def resolve(advertiser: Advertiser, rows: Sequence[Listed]) -> dict[str, Known]:
    """Return the conversions that rows name, by the rows' names; those that are not there are missing."""
    own = Conversion.objects.for_advertiser(advertiser)
    found: dict[str, Known] = {}
    fields = ("pk", "goal", "order_ref", "currency")
    ids = [UUID(row.id) for row in rows if row.id]
    for pk, goal, order_ref, currency in own.filter(pk__in=ids).values_list(*fields):
        found[str(pk)] = Known(str(pk), f"{goal} {order_ref}", currency)
    refs = {row.order_ref for row in rows if not row.id}
    for pk, goal, order_ref, currency in own.filter(order_ref__in=refs).values_list(*fields) if refs else ():
        name = f"{goal} {order_ref}"
        found[name] = Known(str(pk), name, currency)
    return found


def _not_found(row: Listed, known: Mapping[str, Known]) -> NoSuchConversion:
    """Return the refusal of a row that names nothing, with the goals under which its order is there."""
    named = (target.name.partition(" ") for target in known.values())
    goals = sorted({goal for goal, _, order_ref in named if order_ref == row.order_ref}) if row.order_ref else []
    if not goals:
        return NoSuchConversion()
    return NoSuchConversion(
        f"There is no {row.goal} of this order; it has goal {', '.join(goals)}: name it in `goal`.", path="goal"
    )


def _named_before(items: Sequence[JobItem], known: Mapping[str, Known]) -> set[str]:
    """Return the conversions that rows of the job before these name, also by their other name; one query.

    Rows that could not be read name nothing; a name told twice is refused when the list is read.
    """
    names = {target.name: target.id for target in known.values()} | {target.id: target.id for target in known.values()}
    if not names:
        return set()
    ids = [target.id for target in known.values()]
    refs = [target.name.partition(" ")[2] for target in known.values()]
    earlier = (
        JobItem.objects.filter(job=items[0].job_id, number__lt=items[0].number)
        .exclude(code=InvalidDecision.code)
        .exclude(content__has_key="decision")
        .annotate(told_id=KT("content__id"), told_ref=KT("content__order_ref"), told_goal=KT("content__goal"))
        .filter(Q(told_id__in=ids) | Q(told_ref__in=refs))
        .values_list("told_id", "told_goal", "told_ref")
    )
    told = (id_ or f"{goal} {order_ref}" for id_, goal, order_ref in earlier)
    return {names[name] for name in told if name in names}


def decide_items(advertiser: Advertiser, items: Sequence[JobItem], *, actor: Actor, now: datetime, job_id: int) -> None:
    """Decide the rows of a list in the caller's transaction, and note on each what came of it.

    Parts go first, each under a savepoint of its own: they take the work list's rows before the decisions, as settling
    does. The plain decisions follow as one set.
    """
    rows = {item.pk: listed_of(item.content) for item in items}
    known = resolve(advertiser, list(rows.values()))
    taken = _named_before(items, known)
    plain: list[tuple[JobItem, Wish]] = []
    for item in items:
        row = rows[item.pk]
        target = known.get(row.name)
        if target is None:
            _note(item, REFUSED, _not_found(row, known))
        elif target.id in taken:
            _note(item, REFUSED, RepeatedInList())
        else:
            taken.add(target.id)
            if row.is_of_parts:
                _decide_part(advertiser, item, row, target, actor, now)
            if not row.is_of_parts or (row.state == DecisionState.APPROVED and item.outcome != REFUSED):
                plain.append((item, Wish(target.id, row.state, row.reason, row.note)))
    decided = decide_wishes(advertiser, [wish for _, wish in plain], actor=actor, now=now, job_id=job_id)
    moved = set(decided.moved)
    for item, wish in plain:
        code = decided.refused.get(wish.conversion_id)
        if code:
            _note(item, REFUSED, REFUSALS[code]())
        elif wish.conversion_id in moved or item.outcome != DONE:
            _note(item, DONE if wish.conversion_id in moved else UNCHANGED)


def _decide_part(
    advertiser: Advertiser, item: JobItem, row: Listed, target: Known, actor: Actor, now: datetime
) -> None:
    call: dict[str, Any] = {"advertiser": advertiser, "conversion_id": UUID(target.id), "actor": actor, "now": now}
    call |= {"reason": row.reason, "note": row.note}
    verb: Callable[..., Any] = correct_amount if row.amount else reject_lines
    try:
        with transaction.atomic():
            if row.amount:
                call["amount_minor"] = Money.parse(row.amount, target.currency).minor
            else:
                call["positions"] = [*row.lines, *(positions_of(UUID(target.id), row.skus) if row.skus else ())]
            _note(item, DONE if verb(**call).changed else UNCHANGED)
    except Refusal as refusal:
        _note(item, REFUSED, refusal)


def _note(item: JobItem, outcome: JobItemOutcome, refusal: Refusal | None = None) -> None:
    item.outcome = outcome
    item.code, item.message = (refusal.code[:60], refusal.message[:300]) if refusal else ("", "")


def foresee(advertiser: Advertiser, items: Sequence[JobItem], *, now: datetime) -> None:
    """Note on each waiting row, without storing it, what applying it now would come to.

    Six queries, and four more where rows are of parts. Whether commissions can be worked out without a part shows
    when it is applied.
    """
    rows = {item.pk: listed_of(item.content) for item in items if item.outcome == WAITING}
    known = resolve(advertiser, list(rows.values()))
    ids = [target.id for target in known.values()]
    decisions = {
        str(id_): LockedDecision(str(id_), state, locks_on)
        for id_, state, locks_on in Decision.objects.for_advertiser(advertiser)
        .filter(pk__in=map(UUID, ids))
        .values_list("pk", "state", "locks_on")
    }
    wishes = {
        target.id: Wish(target.id, row.state) for row in rows.values() if (target := known.get(row.name)) is not None
    }
    waits = waits_of(advertiser, list(wishes.values()))
    today = day_of(now, advertiser.zone)
    waiting = [item for item in items if item.pk in rows]
    taken = _named_before(waiting, known)
    of_parts = [known[row.name].id for row in rows.values() if row.is_of_parts and row.name in known]
    left = parts_left(of_parts)
    for item in waiting:
        row, target = rows[item.pk], known.get(rows[item.pk].name)
        if target is None:
            _note(item, REFUSED, _not_found(row, known))
            continue
        if target.id in taken:
            _note(item, REFUSED, RepeatedInList())
            continue
        taken.add(target.id)
        decision = decisions.get(target.id)
        try:
            part = row.is_of_parts and _would_change(row, target, decision, left[target.id])
            plain = row.state and not (row.lines or row.skus) and _would_move(wishes[target.id], decision, waits, today)
        except Refusal as refusal:
            _note(item, REFUSED, refusal)
        else:
            _note(item, DONE if part or plain else UNCHANGED)


def _would_change(row: Listed, target: Known, decision: LockedDecision | None, left: PartsLeft) -> bool:
    if decision is None:
        raise ConversionUnsettled
    if decision.state == DecisionState.REJECTED:
        raise ConversionAlreadyDecided
    amount_minor = Money.parse(row.amount, target.currency).minor if row.amount else 0
    return left.would_change(lines=row.lines, skus=row.skus, amount_minor=amount_minor)


def _would_move(wish: Wish, decision: LockedDecision | None, waits: Mapping[str, Wait], today: date) -> bool:
    if decision is not None and decision.state == wish.state:
        return False
    if decision is None and may_fall(wish, waits):
        return True
    if code := refusal_of(decision, wish, waits, EVERY_STATE, today):
        raise REFUSALS[code]
    return True
