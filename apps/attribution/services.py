"""Write policies: a change is a new version."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Max

from apps.attribution.models import AttributionPolicy, CouponPolicy, CouponRule, PolicyVersion
from apps.campaigns.models import Coupon
from apps.core.actors import Actor
from apps.core.errors import Conflict, Invalid
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


class CouponRuleStartTaken(Conflict):
    code = "coupon_rule_start_taken"
    message = "The code already has a rule that starts at this moment."


class InvalidCouponRule(Invalid):
    code = "invalid_coupon_rule"
    message = "SHARE needs a percentage above 0 and up to 100; the other rules have none."


@transaction.atomic
def publish_coupon_rule(
    *, coupon: Coupon, policy: str, percent: Decimal | None, starts_at: datetime, actor: Actor, now: datetime
) -> CouponRule:
    """Say what a code changes from `starts_at` on, instead of the campaign's policy.

    Raises InvalidCouponRule, CouponRuleStartTaken.
    """
    shares = policy == CouponPolicy.SHARE
    if policy not in CouponPolicy.values or shares != (percent is not None) or (percent and not 0 < percent <= 100):
        raise InvalidCouponRule(path="percent")
    Coupon.objects.select_for_update().get(pk=coupon.pk)
    if coupon.rules.filter(starts_at=starts_at).exists():
        raise CouponRuleStartTaken(path="starts_at")
    rule = CouponRule.objects.create(
        advertiser=coupon.advertiser, coupon=coupon, starts_at=starts_at, policy=policy, percent=percent, created_at=now
    )
    record_act(
        advertiser=coupon.advertiser,
        actor=actor,
        verb="publish_coupon_rule",
        subject=f"coupon {coupon.code}"[:120],
        now=now,
        details={"policy": policy, "percent": str(percent) if percent else None, "starts_at": starts_at.isoformat()},
    )
    return rule
