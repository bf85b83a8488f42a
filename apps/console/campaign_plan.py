"""A campaign's commission plans in words: what holds, for whom, and which rules never pay."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.campaigns.models import Campaign
from apps.commissions.models import PlanAssignment, PlanVersion
from apps.console import words
from apps.console.campaign_tabs import tabs
from apps.console.plan_checks import warnings
from apps.core.money import Money
from apps.pipeline.parsing import parsed_plan

ASSIGNED = ("ad_space__partner", "partner", "group", "coupon")


def plan_page(model_admin: Any, request: HttpRequest, campaign: Campaign) -> HttpResponse:
    now = timezone.now()
    plans = list(
        campaign.plans.prefetch_related("versions__rules", *(f"assignments__{name}" for name in ASSIGNED)).order_by(
            "pk"
        )
    )
    for plan in plans:
        plan.shown_versions = [described(version) for version in plan.versions.all()]
        started = [entry for entry in plan.shown_versions if entry["version"].starts_at <= now]
        plan.current = started[0] if started else None
        if plan.current:
            found = warnings(parsed_plan(plan.current["version"], "default").rules)
            plan.warnings = [warned for warned in found if warned.is_heavy]
        rows = sorted(plan.assignments.all(), key=lambda row: (row.active.lower is not None, row.active.lower, row.pk))
        plan.shown_for = [assignment(row, now) for row in rows]
    return model_admin.page(
        request,
        "console/campaign_plan.html",
        campaign.name,
        campaign=campaign,
        plans=plans,
        now=now,
        may_change=model_admin.has_change_permission(request),
        **tabs(campaign.pk, "plan"),
    )


def assignment(row: PlanAssignment, now: datetime) -> dict[str, Any]:
    """Return whom a plan holds for, with its dates and how it stands now."""
    start, end = row.active.lower, row.active.upper
    state = "PENDING" if start and start > now else "ENDED" if end and end <= now else "ACTIVE"
    return {
        "row": row,
        "who": assigned_to(row),
        "since": start,
        "until": end,
        "state": state,
        "is_whole": not any((row.ad_space_id, row.partner_id, row.group_id, row.coupon_id)),
        "word": {"PENDING": _("planned"), "ENDED": _("over"), "ACTIVE": _("holds now")}[state],
    }


def assigned_to(row: PlanAssignment) -> str:
    """Say in words what an assignment is about."""
    if row.ad_space:
        return _("ad space %(space)s of %(partner)s") % {"space": row.ad_space.name, "partner": row.ad_space.partner}
    if row.partner:
        return _("partner %s") % row.partner
    if row.group:
        return _("group %s") % row.group
    return _("code %s") % row.coupon if row.coupon else _("the whole campaign")


def described(version: PlanVersion) -> dict[str, Any]:
    def text(minor: int | None) -> str:
        return "" if minor is None else f"{Money(minor, version.currency)} {version.currency}"

    return {
        "version": version,
        "rules": words.plan_rules(version.rules.all(), version.currency),
        "per_order": text(version.per_order_minor) if version.per_order_minor else "",
        "minimum": text(version.minimum_minor),
        "maximum": text(version.maximum_minor),
    }
