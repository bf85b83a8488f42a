"""Which plan holds for a partner in its campaigns, by ad space, and what changes soon."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db.models import Q

from apps.attribution.models import PolicyVersion
from apps.attribution.models import version_at as policy_at
from apps.campaigns.models import Coupon, Enrollment
from apps.commissions.models import CommissionRule, PlanAssignment, PlanVersion
from apps.partners.models import Partner


@dataclass(frozen=True, slots=True)
class HeldPlan:
    """A plan version that holds for some of the partner's ad spaces, or with one of its codes.

    `rules` are those that can hold for the partner at all; `coming` is the next version, if one is announced.
    """

    campaign_id: int
    ad_spaces: tuple[str, ...]
    code: str
    version: PlanVersion
    rules: tuple[CommissionRule, ...]
    coming: PlanVersion | None


def plans_of_partner(
    *, partner: Partner, enrollments: Sequence[Enrollment], groups: dict[int, tuple[int, str]], at: datetime
) -> dict[int, list[HeldPlan]]:
    """Return the plans that hold at a moment by campaign: ad space before partner before group before all.

    `enrollments` come with their ad spaces; `groups` gives the partner's group (id, short name) by advertiser.
    Four queries.
    """
    campaigns = {row.campaign_id for row in enrollments}
    codes = dict(Coupon.objects.filter(partner=partner, campaign__in=campaigns).values_list("pk", "code"))
    assignments = list(
        PlanAssignment.objects.filter(campaign__in=campaigns, active__contains=at)
        .filter(
            Q(ad_space__in=[row.ad_space_id for row in enrollments])
            | Q(partner=partner)
            | Q(group__in=[pk for pk, _ in groups.values()])
            | Q(coupon__in=codes)
            | Q(ad_space=None, partner=None, group=None, coupon=None)
        )
        .order_by("pk")
    )
    versions = defaultdict(list)
    plan_ids = {row.plan_id for row in assignments}
    for version in PlanVersion.objects.filter(plan__in=plan_ids).select_related("plan").prefetch_related("rules"):
        versions[version.plan_id].append(version)
    found: dict[int, list[HeldPlan]] = defaultdict(list)
    for enrollment in enrollments:
        row = _nearest(assignments, enrollment)
        if row is None:
            continue
        group = groups.get(enrollment.advertiser_id, (0, ""))[1]
        plan = _held(versions[row.plan_id], enrollment, group, at)
        if plan is None:
            continue
        rows = found[enrollment.campaign_id]
        same = next((i for i, one in enumerate(rows) if (one.version, one.rules) == (plan.version, plan.rules)), None)
        if same is None:
            rows.append(plan)
        else:
            rows[same] = replace(rows[same], ad_spaces=rows[same].ad_spaces + plan.ad_spaces)
    for row in assignments:
        if row.coupon_id:
            enrollment = next(one for one in enrollments if one.campaign_id == row.campaign_id)
            plan = _held(versions[row.plan_id], enrollment, groups.get(row.advertiser_id, (0, ""))[1], at)
            if plan is not None:
                found[row.campaign_id].append(replace(plan, ad_spaces=(), code=codes[row.coupon_id]))
    return found


def _nearest(assignments: Sequence[PlanAssignment], enrollment: Enrollment) -> PlanAssignment | None:
    """Return the assignment that comes first for an enrollment; one bound to a code holds with that code only."""
    rows = [row for row in assignments if row.campaign_id == enrollment.campaign_id and not row.coupon_id]
    for fits in (
        lambda row: row.ad_space_id == enrollment.ad_space_id,
        lambda row: row.partner_id is not None,
        lambda row: row.group_id is not None,
        lambda row: not (row.ad_space_id or row.partner_id or row.group_id),
    ):
        for row in rows:
            if fits(row):
                return row
    return None


def _held(versions: Sequence[PlanVersion], enrollment: Enrollment, group: str, at: datetime) -> HeldPlan | None:
    started = [version for version in versions if version.starts_at <= at]
    if not started:
        return None
    version = max(started, key=lambda one: one.starts_at)
    later = [one for one in versions if one.starts_at > at]
    space = enrollment.ad_space
    return HeldPlan(
        campaign_id=enrollment.campaign_id,
        ad_spaces=(space.name,),
        code="",
        version=version,
        rules=tuple(rule for rule in version.rules.all() if may_hold(rule.when, group=group, category=space.category)),
        coming=min(later, key=lambda one: one.starts_at, default=None),
    )


def may_hold(when: dict[str, Any], *, group: str, category: str) -> bool:
    """Tell whether a rule can ever hold for a partner of a group with an ad space of a category."""
    for name, own in (("partner_group", group), ("ad_space_category", category)):
        wanted = when.get(name)
        if wanted and own not in (wanted if isinstance(wanted, list) else [wanted]):
            return False
    return True


def policies_by_campaign(*, campaign_ids: Sequence[int], at: datetime) -> dict[int, PolicyVersion]:
    """Return the policy version that holds at a moment, by campaign. One query."""
    versions = defaultdict(list)
    for version in PolicyVersion.objects.filter(policy__campaign__in=campaign_ids).select_related("policy"):
        versions[version.policy.campaign_id].append(version)
    found = {campaign_id: policy_at(rows, at) for campaign_id, rows in versions.items()}
    return {campaign_id: version for campaign_id, version in found.items() if version}
