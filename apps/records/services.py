"""Write the paper trail."""

from collections.abc import Mapping
from datetime import datetime

from apps.core.actors import Actor
from apps.identity.models import Advertiser
from apps.records.models import AuditEntry, Document


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


def keep_document(*, advertiser: Advertiser, name: str, media_type: str, content: bytes, now: datetime) -> Document:
    """Keep a file's bytes with their hash."""
    document = Document(advertiser=advertiser, name=name, media_type=media_type, content=content, created_at=now)
    document.save()
    return document
