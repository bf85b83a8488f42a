"""Decide many at once: ask for a job, cancel it, undo it. The work itself is `deciding_chunks`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from apps.commissions.models import DecisionState, HoldReason
from apps.commissions.selections import Selection, Weight, movable, selected, weigh
from apps.core.actors import Actor
from apps.core.errors import Conflict, Invalid, NotFound, Refusal
from apps.core.periods import day_of
from apps.core.retrying import retried
from apps.identity.models import Advertiser
from apps.pipeline.bell import decide_bell
from apps.pipeline.services.deciding import check_reason
from apps.pipeline.services.deciding_list import read_items
from apps.records.models import Job, JobItem, JobItemOutcome, JobState
from apps.records.services import record_act

BY_FILTER, BY_LIST = "decide_filter", "decide_list"
KINDS = (BY_FILTER, BY_LIST)
MOST_ITEMS = 40_000
# What takes a move back. An approval goes on to a rejection of its own, with a reason; a rejection stays.
OPPOSITE = {DecisionState.ON_HOLD.value: DecisionState.PENDING.value, DecisionState.PENDING.value: "ON_HOLD"}


UNDO = "undo:{}"


class JobKeyReused(Conflict):
    code = "job_key_reused"
    message = "A job of this key was asked for with other content."


class JobOver(Conflict):
    code = "job_over"
    message = "The job is over; there is nothing left to cancel."


class JobRunning(Conflict):
    code = "job_running"
    message = "The job is not over yet; wait for its end or cancel it, then undo it."


class NotUndoable(Conflict):
    code = "not_undoable"
    message = "Approvals and rejections are not undone; an approval that has not locked can be rejected."


class TooManyItems(Invalid):
    code = "too_many_items"
    message = f"A list has at most {MOST_ITEMS} items."


class NothingAsked(Invalid):
    code = "nothing_asked"
    message = "The list is empty."


class MomentToCome(Invalid):
    code = "moment_to_come"
    message = "A decision holds as of a moment that has passed."


class CountDiffers(Conflict):
    code = "count_differs"
    message = "The filter selects another number of conversions than was expected; nothing is decided."


class NoSuchJob(NotFound):
    code = "no_such_job"
    message = "There is no such job."


@dataclass(frozen=True, slots=True)
class Asked:
    """A job, and whether this call made it (else the same was asked before)."""

    job: Job
    created: bool


def ask_by_filter(
    *,
    advertiser: Advertiser,
    selection: Selection,
    state: str,
    actor: Actor,
    key: str,
    as_of: datetime,
    now: datetime,
    reason: str = "",
    note: str = "",
    as_before: bool = False,
    expected: int | None = None,
) -> Asked:
    """Ask for a decision on all conversions of a filter, as they stood at `as_of`; workers do it in chunks.

    `as_before` gives each the reason and the note that it was last in this state for, where there is one. `expected`
    is how many the caller means to decide. The same key with the same content is the same job. Raises ReasonNeeded,
    UnknownReason, MomentToCome, CountDiffers, JobKeyReused.
    """
    check_reason(state, reason)
    if as_of > now:
        raise MomentToCome(path="as_of")
    content: dict[str, object] = {
        "state": state,
        "reason": reason,
        "note": note[:300],
        "selection": selection.content(),
    } | ({"as_before": True} if as_before else {})
    meant = movable(selected(advertiser, selection, as_of=as_of), state, today=day_of(now, advertiser.zone))
    job = Job(total=meant.count(), as_of=as_of, state=JobState.WAITING)
    # Asked for before, it may be done by now: then its answer is the job, whatever is left of the filter.
    if (
        expected not in (None, job.total)
        and not Job.objects.filter(advertiser=advertiser, kind=BY_FILTER, key=key).exists()
    ):
        raise CountDiffers(f"It would move {job.total:,} conversions, not {expected:,}.", path="expected")
    return _ask(job, BY_FILTER, advertiser, content, actor, key, now)


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a decision by filter would move, what of the filter it would leave out, and the moment it is of."""

    weight: Weight
    left_out: int
    as_of: datetime


def foresee_filter(
    *, advertiser: Advertiser, selection: Selection, state: str, reason: str, as_of: datetime, now: datetime
) -> Foreseen:
    """Return what a decision by filter would come to, and write nothing.

    Raises ReasonNeeded, UnknownReason, MomentToCome.
    """
    check_reason(state, reason)
    if as_of > now:
        raise MomentToCome(path="as_of")
    found = selected(advertiser, selection, as_of=as_of)
    weight = weigh(movable(found, state, today=day_of(now, advertiser.zone)))
    return Foreseen(weight, found.count() - weight.count, as_of)


def ask_by_list(
    *,
    advertiser: Advertiser,
    items: Sequence[Mapping[str, Any]],
    actor: Actor,
    key: str,
    now: datetime,
    is_draft: bool = False,
    name: str = "",
) -> Asked:
    """Ask for decisions on listed conversions, each its own; rows that cannot be read are refused at once.

    A draft waits for `confirm_job`. The same key with the same list is the same job. Raises NothingAsked, TooManyItems,
    JobKeyReused.
    """
    if not items:
        raise NothingAsked(path="items")
    if len(items) > MOST_ITEMS:
        raise TooManyItems(path="items")
    read = read_items(items)
    told = json.dumps([content for content, _ in read], sort_keys=True).encode()
    content: dict[str, object] = {"items": len(items), "sha256": hashlib.sha256(told).hexdigest(), "name": name[:200]}
    refused = sum(refusal is not None for _, refusal in read)
    state = JobState.DRAFT if is_draft else JobState.WAITING
    with transaction.atomic():
        job = Job(total=len(items), refused=refused, as_of=now, state=state)
        asked = _ask(job, BY_LIST, advertiser, content, actor, key, now)
        if asked.created:
            rows = (_item(asked.job, advertiser, number, *one) for number, one in enumerate(read, 1))
            JobItem.objects.bulk_create(rows, batch_size=5_000)
    return asked


def _item(job: Job, advertiser: Advertiser, number: int, content: dict[str, Any], refusal: Refusal | None) -> JobItem:
    item = JobItem(job=job, advertiser=advertiser, number=number, content=content)
    if refusal is not None:
        item.outcome, item.code, item.message = JobItemOutcome.REFUSED, refusal.code[:60], refusal.message[:300]
    return item


@retried
@transaction.atomic
def confirm_job(*, advertiser: Advertiser, job_id: int, actor: Actor, now: datetime) -> Job:
    """Let a draft be worked on; one that is confirmed already stays so. Raises NoSuchJob."""
    job = Job.objects.for_advertiser(advertiser).select_for_update().filter(pk=job_id, kind=BY_LIST).first()
    if job is None:
        raise NoSuchJob
    if job.state == JobState.DRAFT:
        job.state, job.started_at = JobState.WAITING, now
        job.save(update_fields=["state", "started_at"])
        record_act(advertiser=advertiser, actor=actor, verb="confirmed", subject=f"job {job.pk}", now=now)
        transaction.on_commit(decide_bell.ring)
    return job


def _ask(
    job: Job, kind: str, advertiser: Advertiser, content: dict[str, object], actor: Actor, key: str, now: datetime
) -> Asked:
    """Write a job down, or find the one its key names; whoever asks at the same time waits and finds it."""
    job.advertiser, job.kind, job.key, job.content = advertiser, kind, key, content
    job.started_at = now
    job.actor_kind, job.actor_id, job.actor_name = actor.kind, actor.id[:64], actor.name[:200]
    try:
        with transaction.atomic():
            job.save(force_insert=True)
            record_act(
                advertiser=advertiser,
                actor=actor,
                verb="asked_for_decisions",
                subject=f"job {job.pk}",
                now=now,
                details={**content, "count": job.total},
            )
            transaction.on_commit(decide_bell.ring)
    except IntegrityError:
        known = Job.objects.get(advertiser=advertiser, kind=kind, key=key)
        if known.content != content:
            raise JobKeyReused(path="key") from None
        return Asked(known, created=False)
    return Asked(job, created=True)


@retried
@transaction.atomic
def cancel_job(*, advertiser: Advertiser, job_id: int, actor: Actor, now: datetime) -> Job:
    """Stop a job after the chunk it is at; what it has decided stays decided. Raises NoSuchJob, JobOver."""
    job = Job.objects.for_advertiser(advertiser).select_for_update().filter(pk=job_id, kind__in=KINDS).first()
    if job is None:
        raise NoSuchJob
    if job.is_over:
        raise JobOver
    job.state, job.finished_at = JobState.CANCELLED, now
    job.save(update_fields=["state", "finished_at"])
    record_act(advertiser=advertiser, actor=actor, verb="cancelled", subject=f"job {job.pk}", now=now)
    return job


def undo_job(*, advertiser: Advertiser, job_id: int, actor: Actor, now: datetime) -> Asked:
    """Ask for the way back of what a job has put on hold or taken off it, as far as nobody has moved it since.

    What is held again is held for its old reason. Raises NoSuchJob, NotUndoable, JobRunning. Undoing twice is one job.
    """
    job = Job.objects.for_advertiser(advertiser).filter(pk=job_id, kind=BY_FILTER).first()
    if job is None:
        raise NoSuchJob
    state = job.content["state"]
    if state not in OPPOSITE:
        raise NotUndoable
    if not job.is_over:
        raise JobRunning
    back = OPPOSITE[state]
    return ask_by_filter(
        advertiser=advertiser,
        selection=Selection(states=(state,), job_id=job.pk),
        state=back,
        reason=HoldReason.REVIEW if back == DecisionState.ON_HOLD else "",
        as_before=back == DecisionState.ON_HOLD,
        actor=actor,
        key=UNDO.format(job.pk),
        as_of=job.finished_at or now,
        now=now,
    )


def is_undoing(job: Job) -> bool:
    """Tell whether a job takes back what another did."""
    return undone_by_job(job) is not None


def undone_by_job(job: Job) -> int | None:
    """Return the job that this one takes back, where it takes back one."""
    prefix = UNDO.format("")
    return int(job.key.removeprefix(prefix)) if job.key.startswith(prefix) else None


def job_that_undoes(job: Job) -> int | None:
    """Return the job that takes back what a job did, where it was asked for."""
    undoing = Job.objects.filter(advertiser=job.advertiser_id, kind=BY_FILTER, key=UNDO.format(job.pk))
    return undoing.values_list("pk", flat=True).first()
