"""The first page: how it goes, and what is coming."""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from apps.core.money import Money, round_half_even
from apps.core.periods import Period, day_of
from apps.insights.partner_conversions import commissions_of_partner, conversion_rows
from apps.insights.partner_links import best_link
from apps.insights.partner_selectors import accounts_of_partner
from apps.insights.selectors import Day, Figures, figures, trend_by_day
from apps.portal.access import partner_page, render
from apps.portal.accounts import balance, blockers
from apps.portal.formats import day
from apps.portal.links import address_of
from apps.portal.ranges import Range, range_of

LATEST = 8


@require_GET
@partner_page
def overview(request: HttpRequest) -> HttpResponse:
    now, partner = timezone.now(), request.partner
    chosen = range_of(request.GET, now)
    current, before = (figures(partner=partner, period=period) for period in (chosen.period, chosen.before))
    days = trend_by_day(partner=partner, period=chosen.period, currency=current.currency, since=current.since)
    # Changes of another currency than the one shown are not in `before`; they are looked up where it differs.
    known = before.since if before.currency == current.currency else None
    past = trend_by_day(partner=partner, period=chosen.before, currency=current.currency, since=known)
    latest = commissions_of_partner(partner=partner)[:LATEST]
    return render(
        request,
        "portal/overview.html",
        as_of=True,
        period=chosen,
        notices=_notices(request, current, now),
        link=_link_card(request, chosen.period),
        kpis=_kpis(chosen, current, before, days),
        trend=_trend(days, past, current.currency),
        trend_label=_("Commission by day"),
        balances=[balance(account) for account in accounts_of_partner(partner=partner, now=now)],
        conversions=conversion_rows(latest, partner=partner, now=now),
    )


def _notices(request: HttpRequest, current: Figures, now: datetime) -> list[dict[str, Any]]:
    found = blockers(request, day_of(now, timezone.get_current_timezone()))
    for row in request.partnerships:
        if row.state == "APPLIED":
            text = _("Your application at %s is under review.") % row.advertiser.name
            found.append({"text": text, "tone": "info", "icon": "clock"})
    if current.other_currencies:
        text = _("These figures are in %(currency)s; there are sales in %(others)s as well.") % {
            "currency": current.currency,
            "others": ", ".join(current.other_currencies),
        }
        found.append({"text": text, "tone": "info", "icon": "info"})
    return found


def _link_card(request: HttpRequest, period: Period) -> dict[str, str] | None:
    link = best_link(partner=request.partner, period=period)
    if link is None:
        return None
    name = link.enrollment.campaign.name
    return {"campaign": f"{name} · {link.name}" if link.name else name, "address": address_of(link.code)}


def _kpis(chosen: Range, current: Figures, before: Figures, days: list[Day]) -> list[dict[str, Any]]:
    conversions = f"{reverse('portal:conversions')}?{chosen.query}"

    def money(minor: int) -> Money:
        return Money(minor, current.currency)

    def card(label: str, value: Any, previous: Any, *, trend: list[int], **more: Any) -> dict[str, Any]:
        plain = [Fraction(one.minor if isinstance(one, Money) else one) for one in (value, previous)]
        change = (plain[0] - plain[1]) / plain[1] if plain[1] else None
        line = trend if any(trend) else None
        return {"label": label, "value": value, "previous": previous, "change": change, "trend": line, **more}

    return [
        card(
            _("Clicks"), current.clicks, before.clicks, url=reverse("portal:links"), trend=[one.clicks for one in days]
        ),
        card(
            _("Conversions"),
            current.conversions,
            before.conversions,
            url=conversions,
            trend=[one.conversions for one in days],
        ),
        card(
            _("Earned per click"),
            money(_per_click(current)),
            money(_per_click(before)),
            trend=[one.commission_minor // one.clicks if one.clicks else 0 for one in days],
        ),
        card(
            _("Commission"),
            money(current.commission_minor),
            money(before.commission_minor),
            url=conversions,
            trend=[one.commission_minor for one in days],
        ),
    ]


def _per_click(row: Figures) -> int:
    return round_half_even(Fraction(row.commission_minor, row.clicks)) if row.clicks else 0


def _trend(days: list[Day], past: list[Day], currency: str) -> list[dict[str, Any]]:
    if not any(one.commission_minor for one in [*days, *past]):
        return []
    earlier = [one.commission_minor for one in past] + [0] * len(days)
    return [
        {
            "label": day(one.on),
            "value": Money(one.commission_minor, currency),
            "previous": Money(earlier[place], currency),
        }
        for place, one in enumerate(days)
    ]
