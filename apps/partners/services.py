"""Write relationships between partners and advertisers."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from apps.core.actors import Actor
from apps.partners.models import Partnership, PartnershipState
from apps.records.services import record_act


@transaction.atomic
def decide_partnership(
    *, partnership: Partnership, state: PartnershipState, reason: str, actor: Actor, now: datetime
) -> Partnership:
    """Move a partnership (accept, reject, block, end) under its lock. Raises PartnershipMoveRefused."""
    locked = Partnership.objects.select_for_update().select_related("partner", "advertiser").get(pk=partnership.pk)
    before = locked.state
    locked.move(state, at=now, reason=reason)
    if before != locked.state:
        record_act(
            advertiser=locked.advertiser,
            actor=actor,
            verb=f"partner_{state.lower()}",
            subject=f"partner {locked.partner.slug}"[:120],
            now=now,
            details={"before": before, "reason": reason},
        )
    return locked
