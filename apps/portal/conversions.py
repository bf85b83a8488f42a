"""Conversions: every sale the partner had a part in, what it earns and when."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.paginator import Page, Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from apps.campaigns.models import Campaign
from apps.commissions.models import Commission, DecisionState
from apps.core.money import Money
from apps.insights.partner_conversions import (
    PartnerConversion,
    StateTotal,
    changes_of,
    commissions_of_partner,
    conversion_rows,
    totals_by_state,
)
from apps.insights.revenue import Difference
from apps.portal.access import partner_page, render
from apps.portal.ranges import range_of
from apps.portal.stories import corrections_of, receipt_of, steps_of

PER_PAGE = 50
STATES = (DecisionState.PENDING, DecisionState.ON_HOLD, DecisionState.APPROVED, DecisionState.REJECTED)


@require_GET
@partner_page
def conversions(request: HttpRequest) -> HttpResponse:
    now, partner, params = timezone.now(), request.partner, request.GET
    chosen = range_of(params, now)
    filters = {
        "status": params.get("status", "") if params.get("status") in STATES else "",
        "campaign": params.get("campaign", "") if params.get("campaign", "").isdecimal() else "",
        "q": params.get("q", "").strip()[:120],
    }
    rows = commissions_of_partner(
        partner=partner,
        period=chosen.period,
        campaign_id=int(filters["campaign"][:15]) if filters["campaign"] else None,
        text=filters["q"],
    )
    since = changes_of(rows, partner=partner)
    totals = totals_by_state(rows, since)
    if filters["status"]:
        rows = rows.filter(conversion__decision__state=filters["status"])
    count = sum(row.count for row in totals if filters["status"] in ("", row.state))
    return render(
        request,
        "portal/conversions.html",
        as_of=True,
        period=chosen,
        filters=filters,
        statuses=_statuses(totals),
        campaigns=list(
            Campaign.objects.filter(enrollments__partner=partner).distinct().order_by("name").values("id", "name")
        ),
        totals=_sum(totals, filters["status"]),
        conversions=_page(rows, count, request, now, since),
        claim_url=reverse("portal:claims"),
    )


class KnownCount(Paginator):
    """A paginator whose count is known already."""

    known = 0

    @property
    def count(self) -> int:
        return self.known


def _page(rows: Any, count: int, request: HttpRequest, now: Any, since: list[Difference]) -> Page:
    paginator = KnownCount(rows, PER_PAGE)
    paginator.known = count
    page = paginator.get_page(request.GET.get("page"))
    page.object_list = conversion_rows(page.object_list, partner=request.partner, now=now, since=since)
    return page


def _statuses(totals: list[StateTotal]) -> list[dict[str, Any]]:
    found = [{"code": "", "word": _("All"), "count": sum(row.count for row in totals)}]
    for state in STATES:
        count = sum(row.count for row in totals if row.state == state)
        found.append({"code": str(state), "word": state.label, "count": count})
    return found


def _sum(totals: list[StateTotal], state: str) -> dict[str, Money] | None:
    """Return the sums of what is filtered: rejected ones only where they are asked for; none across currencies."""
    rows = [row for row in totals if row.state == state or (not state and row.state != DecisionState.REJECTED)]
    currencies = {row.currency for row in rows}
    if len(currencies) != 1:
        return None
    [currency] = currencies
    return {
        "commission": Money(sum(row.commission_minor for row in rows), currency),
        "revenue": Money(sum(row.revenue_minor for row in rows), currency),
    }


def claim_address(row: PartnerConversion, campaign: str) -> str:
    """Return where a partner objects to a conversion; a test pays nobody, whatever one says."""
    if row.status == "TEST":
        return ""
    return f"{reverse('portal:claim_new')}?{urlencode({'campaign': campaign, 'order': row.order_ref})}"


@require_GET
@partner_page
def conversion(request: HttpRequest, conversion_id: UUID) -> HttpResponse:
    now, partner = timezone.now(), request.partner
    found = (
        Commission.objects.filter(partner=partner, conversion_id=conversion_id, kind="SALE")
        .select_related("conversion__decision", "conversion__receipt", "campaign", "advertiser")
        .select_related("share__policy_version__policy", "plan_version__plan")
        .first()
    )
    if found is None:
        raise Http404
    with timezone.override(found.advertiser.zone):
        [row] = conversion_rows([found], partner=partner, now=now)
        receipt = receipt_of(row, partner)
        return render(
            request,
            "portal/conversion.html",
            conversion=row,
            receipt=receipt,
            steps=steps_of(row, receipt, partner),
            corrections=corrections_of(row, partner),
            claim_url=claim_address(row, found.campaign.slug),
        )
