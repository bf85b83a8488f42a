"""Write plans: a change is a new version with its rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Max

from apps.commissions.models import CommissionPlan, CommissionRule, PlanVersion
from apps.core.actors import Actor
from apps.core.errors import Conflict
from apps.records.services import record_act


class PlanStartTaken(Conflict):
    code = "plan_start_taken"
    message = "The plan already has a version that starts at this moment."


@transaction.atomic
def publish_plan(
    *,
    plan: CommissionPlan,
    rules: Sequence[Mapping[str, Any]],
    starts_at: datetime,
    actor: Actor,
    now: datetime,
    per_order_minor: int = 0,
    minimum_minor: int | None = None,
    maximum_minor: int | None = None,
) -> PlanVersion:
    """Add a version to a plan, with its rules (`name`, `when`, `pay`) in their order. Raises PlanStartTaken.

    The caller has validated the rules; amounts beside them are minor units of the campaign's first currency.
    """
    CommissionPlan.objects.select_for_update().get(pk=plan.pk)
    if plan.versions.filter(starts_at=starts_at).exists():
        raise PlanStartTaken(path="starts_at")
    last = plan.versions.aggregate(last=Max("number"))["last"] or 0
    version = PlanVersion.objects.create(
        advertiser=plan.advertiser,
        plan=plan,
        number=last + 1,
        starts_at=starts_at,
        per_order_minor=per_order_minor,
        minimum_minor=minimum_minor,
        maximum_minor=maximum_minor,
        currency=plan.campaign.currencies[0],
        created_at=now,
    )
    CommissionRule.objects.bulk_create(
        CommissionRule(
            advertiser=plan.advertiser,
            version=version,
            position=position,
            name=rule["name"],
            when=dict(rule.get("when") or {}),
            pay=dict(rule["pay"]),
        )
        for position, rule in enumerate(rules, 1)
    )
    record_act(
        advertiser=plan.advertiser,
        actor=actor,
        verb="publish_plan",
        subject=f"plan {plan} v{version.number}"[:120],
        now=now,
        details={"starts_at": starts_at.isoformat(), "rules": [dict(rule) for rule in rules]},
    )
    return version
