"""Work on decisions at scale, chunk by chunk: each chunk and the place it came to are one transaction."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction

from apps.commissions.moving import Wish
from apps.commissions.selections import Selection, first_of, movable, selected, words_before
from apps.core.actors import Actor, ActorKind
from apps.core.periods import day_of
from apps.core.reading import DATABASE_AWAY
from apps.core.retrying import TIMING, sqlstate_of
from apps.identity.models import Advertiser
from apps.pipeline.services.deciding import CHUNK, REFUSALS, decide_wishes
from apps.pipeline.services.deciding_jobs import BY_FILTER, BY_LIST, KINDS
from apps.pipeline.services.deciding_list import decide_items
from apps.records.models import Job, JobItem, JobItemOutcome, JobState
from apps.records.services import record_act

TRIES = 8
LIST_CHUNK = 500
FAILED = "failed"
logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Chunk:
    """What a chunk came to: how many were looked at, moved and refused, and where the next one starts."""

    looked_at: int = 0
    moved: int = 0
    refused: int = 0
    place: str = ""
    items: list[JobItem] = field(default_factory=list)


@dataclass(slots=True)
class Stride:
    """How large a job's next chunk is: halved where the database refuses one, doubled where it goes well."""

    size: int = CHUNK
    is_over: bool = False


def work_on_decisions(*, now: datetime, chunks: int | None = None, only: int | None = None) -> int:
    """Work on the jobs that wait, a chunk of each in turn, until none has anything left; return the chunks done.

    Jobs in other hands are passed by. Safe to run twice, at once, and to be killed anywhere: a chunk is whole or was
    never there. `chunks` bounds how many are done, `only` names a single job.
    """
    jobs = Job.objects.unfinished().filter(kind__in=KINDS, **({"pk": only} if only else {}))
    strides = {pk: Stride() for pk in jobs.order_by("pk").values_list("pk", flat=True)}
    done = 0
    while strides:
        for job_id, stride in list(strides.items()):
            if chunks is not None and done >= chunks:
                return done
            done += _advance(job_id, stride, now)
            if stride.is_over:
                del strides[job_id]
    return done


def _advance(job_id: int, stride: Stride, now: datetime) -> int:
    """Do a chunk of a job; whatever goes wrong is counted against it and never against the others.

    Where a lock was not given in time nobody is to blame: the job is left for the next turn.
    """
    try:
        try:
            looked_at = _take_chunk(job_id, stride.size, now)
        except DATABASE_AWAY:
            raise
        except Exception as error:
            if stride.size > 1:
                stride.size //= 2
                return 0
            logger.exception("job %s passes a row by", job_id)
            if not _pass_by(job_id, f"{type(error).__name__}: {error}", now):
                raise
            return 1
    except Exception as error:
        logger.exception("job %s got no further", job_id)
        if sqlstate_of(error) not in TIMING:
            _count_try(job_id, f"{type(error).__name__}: {error}", now)
        stride.is_over = True
        return 0
    stride.is_over = looked_at is None
    stride.size = min(CHUNK, stride.size * 2)
    return 0 if looked_at is None else 1


@transaction.atomic
def _take_chunk(job_id: int, size: int, now: datetime) -> int | None:
    """Decide the next chunk of a job that nobody else holds; nothing where it is over or in other hands."""
    job = _claim(job_id)
    if job is None:
        return None
    chunk = WORK[job.kind](job, owner_of(job), size, now)
    if chunk.looked_at:
        _keep(job, chunk)
    else:
        _finish(job, now)
    return chunk.looked_at or None


def _claim(job_id: int) -> Job | None:
    return (
        Job.objects.unfinished()
        .select_for_update(skip_locked=True, of=("self",))
        .select_related("advertiser")
        .filter(pk=job_id)
        .first()
    )


def _keep(job: Job, chunk: Chunk) -> None:
    """Store a chunk's place and counts beside its effect."""
    JobItem.objects.bulk_create(chunk.items, batch_size=5_000)
    job.state, job.place, job.attempts, job.error = JobState.RUNNING, chunk.place, 0, ""
    job.done += chunk.looked_at
    job.moved += chunk.moved
    job.refused += chunk.refused
    job.save(update_fields=["state", "place", "attempts", "error", "done", "moved", "refused"])


def _finish(job: Job, now: datetime) -> None:
    job.state, job.finished_at, job.total = JobState.DONE, now, job.done
    job.save(update_fields=["state", "finished_at", "total"])
    record_act(
        advertiser=owner_of(job),
        actor=actor_of(job),
        verb="decided_by_job",
        subject=f"job {job.pk}",
        now=now,
        details={"moved": job.moved, "refused": job.refused},
    )


def actor_of(job: Job) -> Actor:
    """Return who asked for a job."""
    return Actor(ActorKind(job.actor_kind), job.actor_id, job.actor_name)


def owner_of(job: Job) -> Advertiser:
    """Return whose conversions a job decides on; jobs of nobody's are none of these kinds."""
    assert job.advertiser is not None, "a decision has its advertiser"
    return job.advertiser


def _next_ids(job: Job, size: int, now: datetime) -> Sequence[str]:
    advertiser, as_of = owner_of(job), job.as_of or job.started_at
    meant = selected(advertiser, Selection.of(job.content["selection"]), as_of=as_of)
    today = day_of(now, advertiser.zone)
    return first_of(movable(meant, job.content["state"], today=today), after=job.place, limit=size)


def _by_filter(job: Job, advertiser: Advertiser, size: int, now: datetime) -> Chunk:
    """Decide the next conversions of a filter, in the order of their ids."""
    ids = _next_ids(job, size, now)
    if not ids:
        return Chunk()
    asked = job.content
    before = words_before(ids, asked["state"]) if asked.get("as_before") else {}
    told = (asked["reason"], asked["note"])
    wishes = [Wish(id_, asked["state"], *before.get(id_, told)) for id_ in ids]
    decided = decide_wishes(advertiser, wishes, actor=actor_of(job), now=now, job_id=job.pk)
    items = [
        _refused_item(job, place, id_, code, REFUSALS[code].message)
        for place, (id_, code) in enumerate(sorted(decided.refused.items()), 1)
    ]
    return Chunk(len(ids), len(decided.moved), len(items), ids[-1], items)


def _next_items(job: Job, size: int) -> list[JobItem]:
    return list(job.items.filter(number__gt=int(job.place or 0)).order_by("number")[:size])


def _by_list(job: Job, advertiser: Advertiser, size: int, now: datetime) -> Chunk:
    """Decide the next rows of a list, in their order."""
    items = _next_items(job, min(size, LIST_CHUNK))
    if not items:
        return Chunk()
    waiting = [item for item in items if item.outcome == JobItemOutcome.WAITING]
    decide_items(advertiser, waiting, actor=actor_of(job), now=now, job_id=job.pk)
    JobItem.objects.bulk_update(waiting, ["outcome", "code", "message"], batch_size=1_000)
    outcomes = Counter(item.outcome for item in waiting)
    done, refused = outcomes[JobItemOutcome.DONE], outcomes[JobItemOutcome.REFUSED]
    return Chunk(len(items), done, refused, str(items[-1].number))


WORK: dict[str, Callable[[Job, Advertiser, int, datetime], Chunk]] = {BY_FILTER: _by_filter, BY_LIST: _by_list}


def _refused_item(job: Job, place: int, conversion_id: str, code: str, message: str) -> JobItem:
    return JobItem(
        job=job,
        advertiser=job.advertiser,
        number=job.refused + place,
        content={"id": conversion_id},
        outcome=JobItemOutcome.REFUSED,
        code=code,
        message=message[:300],
    )


@transaction.atomic
def _pass_by(job_id: int, error: str, now: datetime) -> bool:
    """Note a single row that fails, and go on behind it; return whether there was one."""
    job = _claim(job_id)
    if job is None:
        return False
    if job.kind == BY_FILTER and (ids := _next_ids(job, 1, now)):
        _keep(job, Chunk(1, 0, 1, ids[0], [_refused_item(job, 1, ids[0], FAILED, error)]))
        return True
    if job.kind == BY_LIST and (items := _next_items(job, 1)):
        item = items[0]
        item.outcome, item.code, item.message = JobItemOutcome.REFUSED, FAILED, error[:300]
        item.save(update_fields=["outcome", "code", "message"])
        _keep(job, Chunk(1, 0, 1, str(item.number)))
        return True
    return False


@transaction.atomic
def _count_try(job_id: int, error: str, now: datetime) -> None:
    """Count a try without progress against a job; after the last it has failed, and says why."""
    job = _claim(job_id)
    if job is None:
        return
    job.attempts, job.error = job.attempts + 1, error[:1000]
    if job.attempts >= TRIES:
        job.state, job.finished_at = JobState.FAILED, now
    job.save(update_fields=["attempts", "error", "state", "finished_at"])
