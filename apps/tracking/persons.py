"""Reads of who a conversion's customer is: how many visitors and devices, joined by what, and what joins nobody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from apps.tracking.models import (
    Conversion,
    CustomerStanding,
    IdentityKey,
    KeyKind,
    Merge,
    Sighting,
    Touchpoint,
)


@dataclass(frozen=True, slots=True)
class SharedKey:
    """A key of the conversion that too many have in common."""

    kind: str
    since: datetime


@dataclass(frozen=True, slots=True)
class PersonView:
    """A person without anything personal: counts of keys by kind, and the merges that made it, the latest first."""

    id: UUID | None
    keys: dict[str, int]
    merges: Sequence[Merge]
    shared: Sequence[SharedKey]
    standing: CustomerStanding | None
    is_erased: bool

    @property
    def visitors(self) -> int:
        return self.keys.get(KeyKind.VISITOR, 0)


def person_of(conversion: Conversion) -> PersonView | None:
    """Return the person a conversion is of, or None where only its own visitors are known. At most six queries."""
    sightings = list(Sighting.objects.filter(conversion=conversion).select_related("key"))
    keys = [sighting.key for sighting in sightings if sighting.key is not None]
    if not any(key.person_id for key in keys):
        clicked = Touchpoint.objects.filter(advertiser=conversion.advertiser_id, pk__in=conversion.click_ids)
        visitors = {*clicked.values_list("visitor", flat=True), conversion.visitor} - {None}
        own = IdentityKey.objects.filter(advertiser=conversion.advertiser_id, kind=KeyKind.VISITOR, value__in=visitors)
        keys += own.order_by("pk")
    person = next((key.person_id for key in keys if key.person_id), None)
    standing = CustomerStanding.objects.filter(conversion=conversion).first()
    if not sightings and person is None:
        return None
    kinds = IdentityKey.objects.filter(person=person).values_list("kind", flat=True) if person else ()
    # What a shared or erased key has parted again is no decision to look back on: the key itself is shown.
    told = Merge.objects.exclude(undone_at__isnull=False, undone_by="")
    merges = told.filter(survivor=person).order_by("-at", "-pk") if person else ()
    return PersonView(
        id=person,
        keys=dict(Counter(kinds)),
        merges=list(merges),
        shared=[SharedKey(key.get_kind_display(), key.shared_at) for key in keys if key.shared_at],
        standing=standing,
        is_erased=any(sighting.key is None for sighting in sightings),
    )
