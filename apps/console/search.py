"""Find anything by its id, number or name (Ctrl+K)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from unfold.dataclasses import SearchResult

from apps.campaigns.models import Campaign, Coupon
from apps.console.access import access_of
from apps.identity.models import Advertiser
from apps.invoices.models import Invoice
from apps.partners.models import Partnership
from apps.tracking.models import Conversion

if TYPE_CHECKING:
    from apps.console.site import ConsoleSite

EACH = 5


def search(site: ConsoleSite, request: HttpRequest) -> HttpResponse:
    term = request.GET.get("s", "").strip()
    advertiser = access_of(request).advertiser
    if len(term) < 2 or advertiser is None:
        return HttpResponse()
    pages = Paginator(find(advertiser, term), EACH * 5)
    context = {"page_obj": pages, "results": pages.page(1), "page_counter": 0, "execution_time": 0}
    return TemplateResponse(request, "unfold/helpers/command_results.html", context, headers={"HX-Trigger": "search"})


def find(advertiser: Advertiser, term: str) -> list[SearchResult]:
    """Return the first few of each kind whose name or number begins with, or whose id is, the term."""
    try:
        conversions = Conversion.objects.for_advertiser(advertiser).filter(pk=UUID(term))
    except ValueError:
        conversions = Conversion.objects.for_advertiser(advertiser).filter(order_ref=term)
    finds = [
        (conversions, _("Conversion"), "receipt_long"),
        (
            Partnership.objects.for_advertiser(advertiser)
            .filter(partner__name__icontains=term)
            .select_related("partner"),
            _("Partner"),
            "handshake",
        ),
        (Campaign.objects.for_advertiser(advertiser).filter(name__icontains=term), _("Campaign"), "campaign"),
        (Coupon.objects.filter(advertiser=advertiser, code__istartswith=term), _("Coupon"), "sell"),
        (Invoice.objects.for_advertiser(advertiser).filter(number__istartswith=term), _("Invoice"), "description"),
    ]
    return [
        SearchResult(title=title_of(row), description=word, link=address_of(row), icon=icon)
        for rows, word, icon in finds
        for row in rows[:EACH]
    ]


def title_of(row: object) -> str:
    return str(row.partner) if isinstance(row, Partnership) else str(row)


def address_of(row: object) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
