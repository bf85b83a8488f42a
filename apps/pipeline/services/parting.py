"""Part persons who were joined by mistake, and settle anew what is open of them."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from apps.core.actors import Actor
from apps.core.errors import NotFound
from apps.core.retrying import retried
from apps.identity.models import Advertiser
from apps.pipeline.bell import settle_bell
from apps.tracking.joining import undo_merge
from apps.tracking.models import Merge


class UnknownMerge(NotFound):
    code = "unknown_merge"
    message = "There is no such merge."


@retried
@transaction.atomic
def part_persons(*, advertiser: Advertiser, merge_id: int, actor: Actor, now: datetime) -> bool:
    """Undo a merge and wake the workers; return whether the two are apart. Raises UnknownMerge, MergeUndone."""
    merge = Merge.objects.filter(advertiser=advertiser, pk=merge_id).first()
    if merge is None:
        raise UnknownMerge
    transaction.on_commit(settle_bell.ring)
    return undo_merge(merge=merge, actor=actor, now=now)
