"""The rows of a job of decisions: what each was told, what it would come to and how much it is, what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.utils.translation import gettext as _

from apps.commissions.models import Move
from apps.console.amounts import amounts_of
from apps.console.job_words import DOINGS, REASONS
from apps.core.money import Money
from apps.identity.models import Advertiser
from apps.pipeline.services.deciding_jobs import BY_FILTER
from apps.pipeline.services.deciding_list import foresee
from apps.records.models import Job, JobItem, JobItemOutcome
from apps.tracking.models import Conversion

FORESEEN = 2_000
HEADING = ("row", "order_ref", "goal", "id", "decision", "reason", "note", "outcome", "code", "message")
VERBS = {"APPROVED": "approve", "REJECTED": "reject", "ON_HOLD": "hold", "PENDING": "release", "": "correct"}


@dataclass(slots=True)
class Preview:
    """What applying a draft would do now: its first rows, how many are done and refused, and what the done come to.

    Sums are what orders and commissions are now, by currency. `is_whole` tells that no rows are behind those seen.
    """

    items: list[Any]
    done: int
    refused: int
    unchanged: int
    is_whole: bool
    amounts: list[Money] = field(default_factory=list)
    commissions: list[Money] = field(default_factory=list)

    @property
    def is_doable(self) -> bool:
        return self.done > 0 or not self.is_whole


def preview_of(advertiser: Advertiser, job: Job, *, now: datetime) -> Preview:
    """Return what a draft would do, with each row's amount and commission. Twenty queries at most."""
    items = list(job.items.order_by("number")[:FORESEEN])
    foresee(advertiser, items, now=now)
    # A row that is foreseen as done is noted so without being stored.
    name_rows(advertiser, items)
    ids = {item.page for item in items if item.page}
    rows = Conversion.objects.for_advertiser(advertiser).filter(pk__in=ids)
    amounts = amounts_of(rows.select_related("decision", "duplicate__original"))
    sums: tuple[Counter[str], Counter[str]] = Counter(), Counter()
    for item in items:
        item.amounts = amounts.get(UUID(item.page)) if item.page else None
        if item.amounts and item.outcome == JobItemOutcome.DONE:
            sums[0][item.amounts.currency] += item.amounts.worth.left_minor
            sums[1][item.amounts.currency] += item.amounts.left_minor or 0
    outcomes = Counter(item.outcome for item in items)
    return Preview(
        items=items,
        done=outcomes[JobItemOutcome.DONE],
        refused=outcomes[JobItemOutcome.REFUSED],
        unchanged=outcomes[JobItemOutcome.UNCHANGED],
        is_whole=job.total <= len(items),
        amounts=[Money(minor, currency) for currency, minor in sorted(sums[0].items())],
        commissions=[Money(minor, currency) for currency, minor in sorted(sums[1].items())],
    )


def name_rows(advertiser: Advertiser, items: Sequence[Any]) -> None:
    """Add to rows the order they name, its conversion's id and what is said of it. One query."""
    named = [id_ for item in items if (id_ := _uuid(item.content.get("id", "")))]
    refs = {str(item.content["order_ref"]) for item in items if item.content.get("order_ref")}
    known = list(
        Conversion.objects.for_advertiser(advertiser)
        .filter(Q(pk__in=named) | Q(order_ref__in=refs))
        .values_list("pk", "goal", "order_ref")
    )
    orders = {str(pk): order for pk, _goal, order in known}
    ids = {(goal, order): str(pk) for pk, goal, order in known}
    for item in items:
        told, ref = item.content.get("id", ""), item.content.get("order_ref", "")
        item.order = ref or orders.get(told, "")
        item.page = told if told in orders else ids.get((item.content.get("goal") or "SALE", ref), "")
        item.said = said(item.content)


def said(content: dict[str, Any]) -> str:
    """Return a row of a list in words: what is decided, and why."""
    state = content.get("state")
    words = [str(DOINGS[state])] if state in DOINGS else [_("Correct")] if "amount" in content else []
    verbs = {verb: str(DOINGS[state]) for state, verb in VERBS.items() if state} | {"correct": _("Correct")}
    if "decision" in content:
        told = str(content["decision"]).strip().lower()
        words = [verbs[told]] if told in verbs else []
    passed_by = ("id", "order_ref", "row", "state", *(["decision"] if words else []))
    for name, value in content.items():
        if name in passed_by or (name, value) == ("goal", "SALE"):
            continue
        shown = ", ".join(map(str, value)) if isinstance(value, list) else value
        if name == "reason":
            words.append(str(REASONS.get(str(value), value)))
            continue
        words.append(f"{name} {shown}")
    return " · ".join(words)


def _uuid(text: str) -> UUID | None:
    """Return the id that a text is, or None: refused rows keep what they were told."""
    try:
        return UUID(text)
    except ValueError:
        return None


def results_of(job: Job) -> Iterator[tuple[object, ...]]:
    """Return what came of each row, as `HEADING` names it: of a filter what it moved, then what was refused."""
    items = job.items.order_by("number").iterator(chunk_size=2_000)
    if job.kind != BY_FILTER:
        return map(_result, items)
    moved = Move.objects.filter(advertiser=job.advertiser_id, job=job.pk).order_by("pk")
    columns = ("conversion__order_ref", "conversion__goal", "conversion_id", "state", "reason", "note")
    done = (
        ("", order, goal, id_, VERBS.get(state, state), reason, note, JobItemOutcome.DONE.value, "", "")
        for order, goal, id_, state, reason, note in moved.values_list(*columns).iterator(chunk_size=2_000)
    )
    return chain(done, map(_result, items))


def _result(item: JobItem) -> tuple[object, ...]:
    told = item.content
    return (
        told.get("row", item.number),
        told.get("order_ref", ""),
        told.get("goal", ""),
        told.get("id", ""),
        told.get("decision") or VERBS.get(told.get("state", ""), ""),
        told.get("reason", ""),
        told.get("note", ""),
        item.outcome,
        item.code,
        item.message,
    )
