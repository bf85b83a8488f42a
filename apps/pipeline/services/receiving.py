"""Take in what the shop tells: store the fact, then wake the workers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction

from apps.campaigns.models import Campaign
from apps.commissions.models import Decision, DecisionState
from apps.pipeline.bell import settle_bell
from apps.tracking.rules.conversions import ConversionFact
from apps.tracking.services import record_conversion


@dataclass(frozen=True, slots=True)
class Received:
    """A conversion's id, whether this call wrote it, and what has been decided on it."""

    id: UUID
    created: bool
    status: str


@transaction.atomic
def receive_conversion(*, campaign: Campaign, fact: ConversionFact, now: datetime, source: str = "s2s") -> Received:
    """Store a conversion and wake the workers once it is committed. Raises OrderRefConflict."""
    recorded = record_conversion(campaign=campaign, fact=fact, now=now, source=source)
    if recorded.created:
        transaction.on_commit(settle_bell.ring)
        return Received(recorded.id, created=True, status=DecisionState.PENDING)
    state = Decision.objects.filter(conversion_id=recorded.id).values_list("state", flat=True).first()
    return Received(recorded.id, created=False, status=state or DecisionState.PENDING)
