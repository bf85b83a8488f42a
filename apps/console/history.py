"""What changed on a row, when and by whom, from the events the database keeps of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Model
from pghistory.models import Events

from apps.identity.models import User

WORDS = {"insert": "added", "update": "changed", "delete": "deleted"}
SHOWN = 100


@dataclass(frozen=True, slots=True)
class Change:
    at: datetime
    who: str
    verb: str
    fields: tuple[tuple[str, object, object], ...]


def changes_of(obj: Model) -> list[Change]:
    """Return the latest changes of a row, newest first."""
    events = list(Events.objects.tracks(obj).order_by("-pgh_created_at", "-pgh_id")[:SHOWN])
    ids = {(event.pgh_context or {}).get("user") for event in events} - {None}
    names = {user.pk: str(user) for user in User.objects.filter(pk__in=ids)} if ids else {}
    return [
        Change(
            at=event.pgh_created_at,
            who=names.get((event.pgh_context or {}).get("user"), "Tributary"),
            verb=WORDS.get(event.pgh_label, event.pgh_label),
            fields=tuple((field, old, new) for field, (old, new) in (event.pgh_diff or {}).items()),
        )
        for event in events
    ]
