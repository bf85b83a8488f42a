"""Campaigns: what the partner promotes, and what each sale pays it."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from apps.campaigns.models import CampaignState, Enrollment, EnrollmentState
from apps.console import words
from apps.core.money import Money
from apps.insights.partner_rates import HeldPlan, plans_of_partner, policies_by_campaign
from apps.portal.access import partner_page, render
from apps.portal.formats import day, money


@require_GET
@partner_page
def campaigns(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    enrollments = list(
        Enrollment.objects.filter(partner=request.partner)
        .exclude(campaign__state=CampaignState.DRAFT)
        .select_related("campaign__advertiser", "ad_space")
        .prefetch_related("periods")
        .order_by("campaign__name", "pk")
    )
    groups = {row.advertiser_id: (row.group.pk, row.group.slug) for row in request.partnerships if row.group}
    plans = plans_of_partner(partner=request.partner, enrollments=enrollments, groups=groups, at=now)
    policies = policies_by_campaign(campaign_ids=list({row.campaign_id for row in enrollments}), at=now)
    by_campaign: dict[int, list[Enrollment]] = defaultdict(list)
    for row in enrollments:
        by_campaign[row.campaign_id].append(row)
    partnerships = {row.advertiser_id: row for row in request.partnerships}
    return render(
        request,
        "portal/campaigns.html",
        joined=[
            {
                **_campaign(rows, partnerships.get(rows[0].advertiser_id)),
                **_rates(plans.get(campaign_id, [])),
                "sharing": _sharing(policies.get(campaign_id)),
            }
            for campaign_id, rows in by_campaign.items()
        ],
        open=[],
    )


def _campaign(rows: list[Enrollment], partnership: Any) -> dict[str, Any]:
    campaign, advertiser = rows[0].campaign, rows[0].campaign.advertiser
    active = [row for row in rows if row.state == EnrollmentState.ACTIVE]
    status = "ACTIVE" if active else rows[0].state
    if campaign.state != CampaignState.RUNNING:
        status = campaign.state
    elif partnership is not None and partnership.state != "ACTIVE":
        status = partnership.state
    starts = [period.active.lower for row in rows for period in row.periods.all() if period.active.lower]
    least = partnership.minimum_payout_minor if partnership else None
    least = advertiser.minimum_payout_minor if least is None else least
    return {
        "id": campaign.pk,
        "name": campaign.name,
        "advertiser": advertiser.name,
        "description": campaign.description,
        "status": status,
        "since": min(starts, default=None),
        "ad_spaces": [row.ad_space.name for row in active or rows],
        "link_url": f"{reverse('portal:links')}?for={active[0].pk}" if active and status == "ACTIVE" else "",
        "promises": [
            {"label": _("Decided within"), "value": _("%d days") % advertiser.decide_days},
            {"label": _("Locked after the month's end"), "value": _("%d days") % advertiser.lock_days},
            {"label": _("Paid after the month it locks"), "value": _("%d days") % advertiser.pay_days},
            {"label": _("Minimum payout"), "value": money(Money(least, advertiser.currency))},
        ],
    }


def _rates(plans: list[HeldPlan]) -> dict[str, Any]:
    """Return the rules as rows in the order in which they are tried; each plan of several says where it holds."""
    rows: list[dict[str, Any]] = []
    coming, names = [], []
    for plan in plans:
        version = plan.version
        names.append(_("plan %(name)s, version %(number)d") % {"name": version.plan.name, "number": version.number})
        place = ", ".join(plan.ad_spaces)
        note = _("with your code %s") % plan.code if plan.code else _("on %s") % place if len(plans) > 1 else ""
        currency = plan.version.currency
        for rule in plan.rules:
            when = {
                name: value for name, value in rule.when.items() if name not in ("partner_group", "ad_space_category")
            }
            said = words.condition(when, currency)
            rows.append({"when": said[:1].upper() + said[1:], "rate": words.pay(rule.pay, currency), "note": note})
        for label, minor in (
            (_("Every order, beside the above"), plan.version.per_order_minor or None),
            (_("At least per order"), plan.version.minimum_minor),
            (_("At most per order"), plan.version.maximum_minor),
        ):
            if minor is not None:
                rows.append({"when": label, "rate": money(Money(minor, currency)), "note": note})
        if plan.coming is not None:
            coming.append(_("New rates hold from %s.") % day(plan.coming.starts_at))
    said = ", ".join(dict.fromkeys(names))
    return {"rates": rows, "coming": " ".join(dict.fromkeys(coming)), "plan": said[:1].upper() + said[1:]}


def _sharing(version: Any) -> str:
    model = words.MODELS.get(version.settings.get("model", "")) if version else None
    return f"{model[0]}: {model[1]}." if model else ""
