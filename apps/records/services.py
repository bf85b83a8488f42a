"""Write the paper trail."""

from collections.abc import Mapping
from datetime import datetime

from django.db.models import Model

from apps.core.actors import Actor
from apps.identity.models import Advertiser
from apps.records.models import AuditEntry, Document, Job, JobState


def record_act(
    *,
    advertiser: Advertiser | None,
    actor: Actor,
    verb: str,
    subject: str,
    now: datetime,
    details: Mapping[str, object] | None = None,
) -> AuditEntry:
    """Write down an act in the transaction of the act itself."""
    return AuditEntry.objects.create(
        advertiser=advertiser,
        at=now,
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_name=actor.name[:200],
        verb=verb,
        subject=subject,
        details=dict(details or {}),
    )


def write_fields(
    *,
    row: Model,
    values: Mapping[str, object],
    advertiser: Advertiser,
    actor: Actor,
    verb: str,
    subject: str,
    now: datetime,
) -> list[str]:
    """Write those fields of a locked row that differ, and the act with them; where none does, nothing is written."""
    changed = sorted(name for name, value in values.items() if getattr(row, name) != value)
    if changed:
        for name in changed:
            setattr(row, name, values[name])
        row.save(update_fields=changed)
        record_act(
            advertiser=advertiser,
            actor=actor,
            verb=verb,
            subject=subject[:120],
            now=now,
            details={"id": str(row.pk), "fields": changed},
        )
    return changed


def fail_job(*, advertiser: Advertiser, kind: str, key: str, error: str, now: datetime) -> Job:
    """Write down that work failed, over how it went before; the caller holds the lock of what it is about."""
    outcome = {"state": JobState.FAILED, "error": error[:1000], "finished_at": now}
    job, _ = Job.objects.update_or_create(
        advertiser=advertiser, kind=kind, key=key, defaults=outcome, create_defaults={**outcome, "started_at": now}
    )
    return job


def mend_job(*, advertiser: Advertiser, kind: str, key: str, now: datetime) -> None:
    """Write down that work which failed before is done now; work that never failed leaves no row."""
    failed = Job.objects.filter(advertiser=advertiser, kind=kind, key=key, state=JobState.FAILED)
    failed.update(state=JobState.DONE, error="", finished_at=now)


def keep_document(*, advertiser: Advertiser, name: str, media_type: str, content: bytes, now: datetime) -> Document:
    """Keep a file's bytes with their hash."""
    document = Document(advertiser=advertiser, name=name, media_type=media_type, content=content, created_at=now)
    document.save()
    return document
