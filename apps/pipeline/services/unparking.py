"""Try again what could not be worked out, at somebody's word."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.db import transaction

from apps.core.actors import Actor
from apps.core.retrying import retried
from apps.identity.models import Advertiser
from apps.pipeline.bell import settle_bell
from apps.records.services import record_act
from apps.tracking.waking import unpark_conversions


@retried
@transaction.atomic
def retry_conversions(
    *, advertiser: Advertiser, actor: Actor, now: datetime, conversion_ids: Collection[UUID] | None = None
) -> int:
    """Put parked conversions of an advertiser back among those that wait, all or those named; return how many.

    What fails again is parked again after its tries; asking twice does it once.
    """
    count = unpark_conversions(advertiser=advertiser, conversion_ids=conversion_ids)
    if count:
        named = sorted(map(str, conversion_ids or ()))[:50]
        record_act(
            advertiser=advertiser,
            actor=actor,
            verb="retry_settling",
            subject=f"{count} conversions" if count > 1 else "1 conversion",
            now=now,
            details={"conversions": named},
        )
        transaction.on_commit(settle_bell.ring)
    return count
