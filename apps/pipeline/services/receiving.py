"""Take in what the shop tells: store the fact, then wake the workers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from apps.campaigns.models import Campaign
from apps.commissions.models import Decision, DecisionState
from apps.core.ids import moment_of
from apps.pipeline.bell import settle_bell
from apps.tracking.rules.conversions import ConversionFact
from apps.tracking.services import record_conversion

SKEW = timedelta(minutes=10)
MILLISECOND = timedelta(milliseconds=1)  # what an id's moment is cut to


@dataclass(frozen=True, slots=True)
class Received:
    """A conversion's id, whether this call wrote it, and what has been decided on it."""

    id: UUID
    created: bool
    status: str


@transaction.atomic
def receive_conversion(*, campaign: Campaign, fact: ConversionFact, now: datetime, source: str = "s2s") -> Received:
    """Store a conversion and wake the workers once it is committed. Raises OrderRefConflict."""
    fact = after_its_clicks(fact, now)
    recorded = record_conversion(campaign=campaign, fact=fact, now=now, source=source)
    if recorded.created:
        transaction.on_commit(settle_bell.ring)
        return Received(recorded.id, created=True, status=DecisionState.PENDING)
    state = Decision.objects.filter(conversion_id=recorded.id).values_list("state", flat=True).first()
    return Received(recorded.id, created=False, status=state or DecisionState.PENDING)


def after_its_clicks(fact: ConversionFact, now: datetime) -> ConversionFact:
    """Return a conversion that does not lie before a click it names.

    Click ids carry the moment of this house's own clock; a shop's clock that has only whole seconds, or is some minutes
    behind, must not put the sale before its click. Beyond ten minutes the shop's word stands.
    """
    told = fact.occurred_at or now
    last = max((moment_of(id_) + MILLISECOND for id_ in fact.click_ids), default=told)
    return replace(fact, occurred_at=last) if told < last <= told + SKEW else fact
