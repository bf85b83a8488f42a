"""Write plans: a change is a new version with its rules; and for whom each plan holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.db.models import Max, QuerySet

from apps.campaigns.models import Campaign, Coupon
from apps.commissions.models import CommissionPlan, CommissionRule, PlanAssignment, PlanVersion
from apps.core.actors import Actor
from apps.core.errors import Conflict, Invalid
from apps.partners.models import AdSpace, Partner, PartnerGroup
from apps.records.services import record_act

Target = AdSpace | Partner | PartnerGroup | Coupon


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


class PlanNameTaken(Conflict):
    code = "plan_name_taken"
    message = "The campaign already has a plan of this name."


@transaction.atomic
def create_plan(*, campaign: Campaign, name: str, actor: Actor, now: datetime) -> CommissionPlan:
    """Add a plan to a campaign; it pays once it has a version and is assigned. Raises PlanNameTaken."""
    try:
        with transaction.atomic():
            plan = CommissionPlan.objects.create(advertiser=campaign.advertiser, campaign=campaign, name=name)
    except IntegrityError:
        raise PlanNameTaken(path="name") from None
    record_act(advertiser=campaign.advertiser, actor=actor, verb="create_plan", subject=f"plan {plan}"[:120], now=now)
    return plan


class PlanTargetTaken(Conflict):
    code = "plan_target_taken"
    message = "Another plan holds there at that time; end it first."


class ForeignPlanTarget(Invalid):
    code = "foreign_plan_target"
    message = "This has no part in the campaign."


class CampaignNeedsPlan(Conflict):
    code = "campaign_needs_plan"
    message = "The whole campaign always has a plan: let another take its place instead of ending it."


class PlanPeriodEmpty(Invalid):
    code = "plan_period_empty"
    message = "The plan must end after it starts."


@transaction.atomic
def assign_plan(
    *,
    plan: CommissionPlan,
    target: Target | None,
    starts_at: datetime,
    ends_at: datetime | None,
    actor: Actor,
    now: datetime,
    replace: bool = False,
) -> PlanAssignment:
    """Let a plan hold for an ad space, a partner, a group or a code (None: the whole campaign), end excluded.

    The database refuses two plans for one thing at any instant; with `replace` what holds there ends at `starts_at`,
    and what was planned for later is taken away. Raises PlanTargetTaken, ForeignPlanTarget, PlanPeriodEmpty,
    CampaignNeedsPlan.
    """
    if ends_at is not None and ends_at <= starts_at:
        raise PlanPeriodEmpty(path="ends_at")
    if ends_at is not None and target is None:
        raise CampaignNeedsPlan(path="ends_at")
    if not belongs(target, plan.campaign):
        raise ForeignPlanTarget(path="target")
    named = named_target(target)
    active = DateTimeTZRange(starts_at, ends_at)
    if replace:
        make_room(plan.campaign, named, active, actor, now)
    try:
        with transaction.atomic():
            assignment = PlanAssignment.objects.create(
                advertiser=plan.advertiser, campaign=plan.campaign, plan=plan, active=active, **named
            )
    except IntegrityError:
        held = assigned(plan.campaign, named, active).first()
        message = f"The plan {held.plan} holds there at that time; end it first." if held else None
        raise PlanTargetTaken(message, path="target") from None
    trace(assignment, "assign_plan", actor, now)
    return assignment


@transaction.atomic
def end_plan_assignment(*, assignment: PlanAssignment, ends_at: datetime, actor: Actor, now: datetime) -> None:
    """End an assignment; one that has not begun is taken away.

    Raises PlanPeriodEmpty for an end in the past, CampaignNeedsPlan for that of the whole campaign.
    """
    row = PlanAssignment.objects.select_for_update(of=("self",)).get(pk=assignment.pk)
    if not any((row.ad_space_id, row.partner_id, row.group_id, row.coupon_id)):
        raise CampaignNeedsPlan
    if ends_at < now or (row.active.upper and row.active.upper <= ends_at):
        raise PlanPeriodEmpty("An assignment ends now or later, before it would end by itself.", path="ends_at")
    cut(row, ends_at, actor, now)


def make_room(
    campaign: Campaign, named: Mapping[str, Target], active: DateTimeTZRange, actor: Actor, now: datetime
) -> None:
    """End what holds for the same thing in a period at its beginning."""
    for row in assigned(campaign, named, active).select_for_update(of=("self",)).order_by("pk"):
        cut(row, active.lower, actor, now)


def assigned(campaign: Campaign, named: Mapping[str, Target], active: DateTimeTZRange) -> QuerySet[PlanAssignment]:
    """Return what is assigned to the same thing within a period."""
    whom = {name: named.get(name) for name in ("ad_space", "partner", "group", "coupon")}
    return PlanAssignment.objects.filter(campaign=campaign, active__overlap=active, **whom)


def cut(row: PlanAssignment, ends_at: datetime, actor: Actor, now: datetime) -> None:
    """End an assignment, or take it away where it would not have begun."""
    if row.active.lower and row.active.lower >= ends_at:
        trace(row, "take_plan_away", actor, now)
        row.delete()
        return
    row.active = DateTimeTZRange(row.active.lower, ends_at)
    row.save(update_fields=["active"])
    trace(row, "end_plan", actor, now)


def named_target(target: Target | None) -> dict[str, Target]:
    names = {AdSpace: "ad_space", Partner: "partner", PartnerGroup: "group", Coupon: "coupon"}
    return {} if target is None else {names[type(target)]: target}


def belongs(target: Target | None, campaign: Campaign) -> bool:
    """Tell whether a plan of the campaign may be assigned to this."""
    if isinstance(target, Coupon):
        return target.campaign_id == campaign.pk
    if isinstance(target, PartnerGroup):
        return target.advertiser_id == campaign.advertiser_id
    if isinstance(target, AdSpace | Partner):
        partner_id = target.partner_id if isinstance(target, AdSpace) else target.pk
        return campaign.advertiser.partnerships.filter(partner_id=partner_id).exists()
    return True


def trace(assignment: PlanAssignment, verb: str, actor: Actor, now: datetime) -> None:
    start, end = assignment.active.lower, assignment.active.upper
    record_act(
        advertiser=assignment.advertiser,
        actor=actor,
        verb=verb,
        subject=f"plan {assignment}"[:120],
        now=now,
        details={"from": start.isoformat() if start else None, "until": end.isoformat() if end else None},
    )
