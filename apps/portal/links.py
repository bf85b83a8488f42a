"""Links and codes: build one, find one, see what came through it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from apps.attribution.rules import code_key
from apps.campaigns.models import CampaignState, Coupon, Enrollment, EnrollmentState, TrackingLink
from apps.campaigns.services import make_link
from apps.core.errors import Refusal
from apps.core.money import Money
from apps.core.periods import Period
from apps.insights.partner_links import clicks_by_link, code_uses, conversions_by_link
from apps.partners.models import Partner
from apps.portal.access import actor_of, partner_page, render
from apps.tracking.rules.addresses import allowed_address
from apps.tracking.rules.links import SUB_LENGTH, SUBS

PER_PAGE = 25
RECENT = timedelta(days=30)


def address_of(code: str, params: Mapping[str, str] | None = None) -> str:
    """Return what the partner publishes; `params` are a deep link and sub-ids."""
    address = f"{settings.TRACKING_URL}/c/{code}"
    kept = {name: value for name, value in (params or {}).items() if value}
    return f"{address}?{urlencode(kept)}" if kept else address


@require_http_methods(["GET", "POST"])
@partner_page
def links(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    enrollments = list(
        Enrollment.objects.filter(
            partner=request.partner, state=EnrollmentState.ACTIVE, campaign__state=CampaignState.RUNNING
        )
        .select_related("campaign", "ad_space", "advertiser")
        .prefetch_related("links")
        .order_by("campaign__name", "ad_space__name")
    )
    values, errors = {}, {}
    if request.method == "POST":
        values = {name: request.POST.get(name, "").strip() for name in ("campaign", "url", "name", *SUBS)}
        made, errors = _make(request, enrollments, values, now)
        if made is not None:
            return redirect(f"{reverse('portal:links')}?{urlencode(made)}")
    elif request.GET.get("for", "").isdecimal():
        values = {"campaign": request.GET["for"]}
    period = Period(now - RECENT, now)
    query = request.GET.get("q", "").strip()
    page = _page(request, query, period)
    return render(
        request,
        "portal/links.html",
        as_of=True,
        status=422 if errors else 200,
        campaigns=_choices(enrollments),
        values=values,
        errors=errors,
        created=_created(request.GET, request.partner),
        links=page,
        coupons=_coupons(request.partner, period, now),
        query=query,
    )


def _choices(enrollments: list[Enrollment]) -> list[dict[str, Any]]:
    names = [row.campaign.name for row in enrollments]
    found = []
    for row in enrollments:
        plain = _plain_link(row)
        found.append(
            {
                "id": str(row.pk),
                "name": f"{row.campaign.name} · {row.ad_space.name}"
                if names.count(row.campaign.name) > 1
                else row.campaign.name,
                "base": address_of(plain.code) if plain else "",
            }
        )
    return found


def _plain_link(enrollment: Enrollment) -> TrackingLink | None:
    """Return the link that leads to the start page: any deep link can be put behind it."""
    rows = sorted(enrollment.links.all(), key=lambda row: row.pk)
    return next((row for row in rows if row.is_active and not row.landing_url), None)


def _make(
    request: HttpRequest, enrollments: list[Enrollment], values: dict[str, str], now: datetime
) -> tuple[dict[str, str] | None, dict[str, str]]:
    """Return what names the new address, or what is wrong; a link is written where the partner gave it a name."""
    enrollment = next((row for row in enrollments if str(row.pk) == values["campaign"]), None)
    if enrollment is None:
        return None, {"campaign": _("Choose one of your campaigns.")}
    campaign = enrollment.campaign
    errors = {name: _("At most 500 characters.") for name in SUBS if len(values[name]) > SUB_LENGTH}
    url = values["url"]
    if url and allowed_address(url, landing=campaign.landing_url, hosts=campaign.hosts) is None:
        hosts = ", ".join(campaign.hosts or [campaign.landing_url])
        errors["url"] = _("This page is not in the campaign's shop. Links may lead to: %s") % hosts
    if len(values["name"]) > 120:
        errors["name"] = _("At most 120 characters.")
    if errors:
        return None, errors
    subs = {name: values[name] for name in SUBS if values[name]}
    plain = _plain_link(enrollment)
    if plain is not None and not values["name"]:
        return {"made": plain.code, **({"url": url} if url else {}), **subs}, {}
    try:
        link = make_link(enrollment=enrollment, name=values["name"], landing_url=url, actor=actor_of(request), now=now)
    except Refusal as refusal:
        return None, {"url" if refusal.path == "landing_url" else "campaign": refusal.message}
    return {"made": link.code, **subs}, {}


def _created(params: Mapping[str, str], partner: Partner) -> dict[str, str] | None:
    link = TrackingLink.objects.filter(enrollment__partner=partner, code=params.get("made", "")).first()
    if link is None:
        return None
    return {"address": address_of(link.code, {name: params.get(name, "") for name in ("url", *SUBS)})}


def _page(request: HttpRequest, query: str, period: Period) -> Any:
    rows = TrackingLink.objects.filter(enrollment__partner=request.partner).select_related(
        "enrollment__campaign", "enrollment__ad_space"
    )
    if query:
        rows = rows.filter(
            Q(code__icontains=query)
            | Q(name__icontains=query)
            | Q(landing_url__icontains=query)
            | Q(enrollment__campaign__name__icontains=query)
        )
    page = Paginator(rows.order_by("-created_at", "-pk"), PER_PAGE).get_page(request.GET.get("page"))
    shown = list(page.object_list)
    ids = [link.pk for link in shown]
    clicks = clicks_by_link(partner=request.partner, link_ids=ids, period=period)
    sold = conversions_by_link(partner=request.partner, link_ids=ids, period=period)
    page.object_list = [
        {
            "id": link.pk,
            "address": address_of(link.code),
            "name": link.name,
            "campaign": link.enrollment.campaign.name,
            "ad_space": link.enrollment.ad_space.name,
            "target": link.landing_url,
            "subs": [{"name": name, "value": getattr(link, name)} for name in SUBS[:3] if getattr(link, name)],
            "clicks": clicks.get(link.pk, 0),
            "conversions": sold.get(link.pk, 0),
        }
        for link in shown
    ]
    return page


def _coupons(partner: Partner, period: Period, now: datetime) -> list[dict[str, Any]]:
    uses = code_uses(partner=partner, period=period)
    found = []
    for coupon in Coupon.objects.filter(partner=partner).select_related("campaign__advertiser").order_by("code"):
        use = uses.get((coupon.campaign_id, code_key(coupon.code)))
        ended = coupon.valid_to is not None and coupon.valid_to <= now
        currency = use.currency if use else coupon.campaign.currencies[0]
        found.append(
            {
                "code": coupon.code,
                "campaign": coupon.campaign.name,
                "status": "EXPIRED" if ended else "UPCOMING" if coupon.valid_from > now else "ACTIVE",
                "valid_from": coupon.valid_from,
                "valid_to": coupon.valid_to,
                "terms": coupon.description,
                "uses": use.uses if use else 0,
                "commission": Money(use.commission_minor if use else 0, currency),
            }
        )
    return found
