"""The test bench: a sale, its touches and the rules in, the receipt out; nothing is stored."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.campaigns.models import Campaign
from apps.commissions.rules import DEFAULT_CATEGORY
from apps.console.access import access_of
from apps.console.bench_story import answer_to
from apps.console.fields import EDITOR
from apps.console.samples import EXAMPLE, of_currency
from apps.console.site import site
from apps.identity.models import Advertiser
from apps.partners.models import AdSpace, PartnerGroup, Partnership
from apps.pipeline.documents import campaign_document, document_of
from apps.pipeline.receipts import NotSettled
from apps.pipeline.selectors import ad_space_name
from apps.tracking.models import Conversion

MOST_BYTES = 8_000_000
SUGGESTED = 200
CHANNELS = ["content", "comparison", "coupon", "cashback", "social", "sea", "sea-brand", "seo", "email", "display"]
LEAST = {"rules": [{"name": DEFAULT_CATEGORY.lower(), "when": {}, "pay": {"percent": "0"}}]}


@site.page("bench/", "bench")
def bench(request: HttpRequest) -> HttpResponse:
    """The page, filled from the example, from what a campaign holds now, or from a conversion's facts."""
    advertiser = access_of(request).advertiser
    campaigns = list(Campaign.objects.for_advertiser(advertiser).order_by("name"))
    chosen = conversion = None
    document: dict[str, Any] = EXAMPLE
    if request.GET.get("conversion"):
        conversion = own_conversion(request, request.GET["conversion"])
        document = document_or_404(conversion.pk)
    elif request.GET.get("campaign"):
        chosen = next((row for row in campaigns if str(row.pk) == request.GET["campaign"]), None)
        if chosen is None:
            raise Http404
        document = started_from(chosen)
    return site.render(
        request,
        "console/bench.html",
        _("Test bench"),
        document=document,
        campaigns=campaigns,
        chosen=chosen,
        conversion=conversion,
        suggestions=suggestions(advertiser),
        **EDITOR,
    )


@site.page("bench/explain/", "bench_explain")
def explain(request: HttpRequest) -> HttpResponse:
    """Answer a document with its receipt, or with the code and path of its first fault; both are answers (200)."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    body = request.read(MOST_BYTES + 1)
    if len(body) > MOST_BYTES:
        error = {"code": "too_large", "path": "", "message": _("At most %d bytes at once.") % MOST_BYTES}
        return JsonResponse({"error": error})
    return JsonResponse(answer_to(body, brief=request.GET.get("view") == "brief"))


@site.page("bench/document/<uuid:conversion_id>/", "bench_document")
def document(request: HttpRequest, conversion_id: UUID) -> HttpResponse:
    """The facts of a settled conversion as a document."""
    conversion = own_conversion(request, conversion_id)
    return JsonResponse(document_or_404(conversion.pk))


def own_conversion(request: HttpRequest, name: object) -> Conversion:
    try:
        pk = UUID(str(name))
    except ValueError:
        raise Http404 from None
    rows = Conversion.objects.filter(advertiser=access_of(request).advertiser).select_related("campaign")
    return get_object_or_404(rows, pk=pk)


def document_or_404(conversion_id: UUID) -> dict[str, Any]:
    try:
        return document_of(conversion_id)
    except NotSettled as refusal:
        raise Http404(refusal.message) from None


def started_from(campaign: Campaign) -> dict[str, Any]:
    """Return the example's sale and touches under what a campaign holds now; what it lacks is the least there is."""
    held = campaign_document(campaign, at=timezone.now())
    sale = of_currency(EXAMPLE, campaign.currencies[0])
    return {**sale, "policy": {"model": "LAST_CLICK"}, **held, "plans": {"default": LEAST, **held["plans"]}}


def suggestions(advertiser: Advertiser) -> dict[str, list[str]]:
    """Return known values for the editors' fields, by the name of their list."""
    partners = Partnership.objects.filter(advertiser=advertiser).order_by("partner__slug")
    slugs = list(partners.values_list("partner__slug", flat=True)[:SUGGESTED])
    spaces = AdSpace.objects.filter(partner__partnerships__advertiser=advertiser).order_by("partner__slug", "slug")
    names = [ad_space_name(*pair) for pair in spaces.values_list("partner__slug", "slug")[:SUGGESTED]]
    groups = list(PartnerGroup.objects.filter(advertiser=advertiser).values_list("slug", flat=True).order_by("slug"))
    keys = [f"partner:{slug}" for slug in slugs] + [f"group:{slug}" for slug in groups]
    return {
        "partners": slugs,
        "ad-spaces": names,
        "groups": groups,
        "channels": CHANNELS,
        "devices": ["mobile", "desktop", "tablet"],
        "plan-keys": ["default", *keys, *(f"ad_space:{name}" for name in names)],
    }
