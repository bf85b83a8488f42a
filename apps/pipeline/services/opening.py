"""Open a campaign, and change what it pays and how it shares: validated first, then published as a version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange

from apps.attribution.models import AttributionPolicy, PolicyVersion
from apps.attribution.rules import Policy
from apps.attribution.services import publish_policy
from apps.campaigns.models import Campaign
from apps.campaigns.services import create_campaign
from apps.commissions.models import CommissionPlan, PlanAssignment, PlanVersion
from apps.commissions.publishing import publish_plan
from apps.core.actors import Actor
from apps.core.errors import Invalid
from apps.core.money import Money
from apps.identity.models import Advertiser
from apps.journeys.selectors import LOOK_BACK
from apps.pipeline.rules.document import Context, read_plan, read_policy
from apps.tracking.waking import unpark_conversions

DEFAULT_NAME = "Standard"


class WindowTooLong(Invalid):
    code = "window_too_long"
    message = f"Journeys look back {LOOK_BACK.days} days; a longer window could not hold."


def refuse_long_windows(policy: Policy) -> None:
    """Refuse what journeys could not keep. Raises WindowTooLong."""
    windows = {"click_window_days": policy.click_window_days, "view_window_days": policy.view_window_days}
    windows |= {f"channel_windows.{name}": days for name, days in policy.channel_windows.items()}
    for name, days in windows.items():
        if days >= LOOK_BACK.days:
            raise WindowTooLong(path=f"policy.{name}")


@transaction.atomic
def open_campaign(
    *,
    advertiser: Advertiser,
    name: str,
    slug: str,
    landing_url: str,
    currency: str,
    percent: str,
    model: str,
    starts_at: datetime,
    actor: Actor,
    now: datetime,
) -> Campaign:
    """Open a campaign that pays `percent` (a decimal string) of everything and shares by `model`.

    Repeated clicks of a partner count once (`ONCE`), because counting every click pays for clicking.
    Raises SlugTaken, Invalid.
    """
    campaign = create_campaign(
        advertiser=advertiser,
        name=name,
        slug=slug,
        landing_url=landing_url,
        currencies=[currency],
        starts_at=starts_at,
        actor=actor,
        now=now,
    )
    plan = CommissionPlan.objects.create(advertiser=advertiser, campaign=campaign, name=DEFAULT_NAME)
    PlanAssignment.objects.create(
        advertiser=advertiser, campaign=campaign, plan=plan, active=DateTimeTZRange(starts_at, None)
    )
    rules = [{"name": "everything", "when": {}, "pay": {"percent": percent}}]
    revise_plan(plan=plan, document={"rules": rules}, starts_at=starts_at, actor=actor, now=now)
    revise_policy(
        campaign=campaign, settings={"model": model, "repeats": "ONCE"}, starts_at=starts_at, actor=actor, now=now
    )
    return campaign


@transaction.atomic
def revise_policy(
    *, campaign: Campaign, settings: Mapping[str, Any], starts_at: datetime, actor: Actor, now: datetime
) -> PolicyVersion:
    """Publish a version of a campaign's policy that the engine can read.

    Conversions that were parked for want of it are tried again. Raises Fault and WindowTooLong (Invalid),
    PolicyStartTaken.
    """
    refuse_long_windows(read_policy(dict(settings), "policy"))
    policy, _ = AttributionPolicy.objects.get_or_create(
        campaign=campaign, defaults={"advertiser": campaign.advertiser, "name": DEFAULT_NAME}
    )
    version = publish_policy(policy=policy, settings=settings, starts_at=starts_at, actor=actor, now=now)
    unpark_conversions(campaign=campaign)
    return version


@transaction.atomic
def revise_plan(
    *, plan: CommissionPlan, document: Mapping[str, Any], starts_at: datetime, actor: Actor, now: datetime
) -> PlanVersion:
    """Publish a plan version from a plan in the test bench's format. Raises Fault (Invalid), PlanStartTaken."""
    currency = plan.campaign.currencies[0]
    read_plan(dict(document), "plan", "default", Context(currency, None, frozenset(), frozenset()))

    def minor(name: str) -> int | None:
        value = document.get(name)
        return None if value is None else Money.parse(value, currency).minor

    rules: Sequence[Mapping[str, Any]] = document["rules"]
    version = publish_plan(
        plan=plan,
        rules=rules,
        per_order_minor=minor("per_order") or 0,
        minimum_minor=minor("minimum"),
        maximum_minor=minor("maximum"),
        starts_at=starts_at,
        actor=actor,
        now=now,
    )
    unpark_conversions(campaign=plan.campaign)
    return version
