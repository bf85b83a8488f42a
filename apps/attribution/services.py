"""Write policies: a change is a new version."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Max

from apps.attribution.models import AttributionPolicy, PolicyVersion
from apps.core.actors import Actor
from apps.core.errors import Conflict
from apps.records.services import record_act


class PolicyStartTaken(Conflict):
    code = "policy_start_taken"
    message = "The policy already has a version that starts at this moment."


@transaction.atomic
def publish_policy(
    *, policy: AttributionPolicy, settings: Mapping[str, Any], starts_at: datetime, actor: Actor, now: datetime
) -> PolicyVersion:
    """Add a version to a policy; the caller has validated the settings. Raises PolicyStartTaken.

    Conversions from `starts_at` on follow it; those before keep the version that was theirs.
    """
    AttributionPolicy.objects.select_for_update().get(pk=policy.pk)
    if policy.versions.filter(starts_at=starts_at).exists():
        raise PolicyStartTaken(path="starts_at")
    last = policy.versions.aggregate(last=Max("number"))["last"] or 0
    version = PolicyVersion.objects.create(
        advertiser=policy.advertiser,
        policy=policy,
        number=last + 1,
        starts_at=starts_at,
        settings=dict(settings),
        created_at=now,
    )
    record_act(
        advertiser=policy.advertiser,
        actor=actor,
        verb="publish_policy",
        subject=f"policy {policy} v{version.number}"[:120],
        now=now,
        details={"starts_at": starts_at.isoformat(), "settings": version.settings},
    )
    return version
