"""A new version of a campaign's policy, with a journey beside it that shows how it is shared while one edits."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.attribution.models import AttributionPolicy
from apps.campaigns.models import Campaign
from apps.console import display
from apps.console.access import access_of, actor_of
from apps.console.bench import LEAST, suggestions
from apps.console.bench_story import loaded
from apps.console.campaign_tabs import tabs
from apps.console.fields import EDITOR
from apps.console.plan_editor import VersionForm, refused
from apps.console.samples import journeys
from apps.core.errors import Invalid, Refusal
from apps.pipeline.documents import campaign_document
from apps.pipeline.services.opening import revise_policy
from apps.tracking.models import Conversion

FIRST = {"model": "LAST_CLICK", "repeats": "ONCE"}
LATEST, SHOWN = 60, 6


class NoPolicyDocument(Invalid):
    code = "invalid_type"
    message = "A policy with its settings is expected."


def policy_version_page(model_admin: Any, request: HttpRequest, campaign: Campaign) -> HttpResponse:
    model_admin.require(request, model_admin.has_change_permission(request))
    policy = AttributionPolicy.objects.filter(campaign=campaign).first()
    latest = policy.versions.first() if policy else None
    document: Any = latest.settings if latest else FIRST
    form = VersionForm(request.POST or None, initial={"starts_at": timezone.localtime()})
    fault = None
    if request.method == "POST" and form.is_valid():
        document = form.content()
        try:
            version = publish(campaign, document, form.cleaned_data["starts_at"], request)
        except Refusal as refusal:
            fault = refused(form, refusal, "policy")
        else:
            messages.success(request, _("Version %s is published.") % version.number)
            return HttpResponseRedirect(reverse("admin:campaigns_campaign_attribution", args=[campaign.pk]))
    elif request.method == "POST":
        document = loaded(request.POST.get("document", "")) or document
    return model_admin.page(
        request,
        "console/policy_version.html",
        _("New version of the policy"),
        campaign=campaign,
        form=form,
        document=document,
        fault=fault,
        samples=samples_of(campaign),
        latest=latest_conversions(campaign),
        suggestions=suggestions(access_of(request).advertiser),
        **EDITOR,
        **tabs(campaign.pk, "attribution"),
    )


def publish(campaign: Campaign, document: Any, starts_at: Any, request: HttpRequest) -> Any:
    """Publish a version of the policy. Raises Invalid, its paths beginning with `policy`, and Conflict."""
    if not isinstance(document, dict):
        raise NoPolicyDocument(path="policy")
    settings = {name: value for name, value in document.items() if value is not None}
    return revise_policy(
        campaign=campaign, settings=settings, starts_at=starts_at, actor=actor_of(request), now=timezone.now()
    )


def samples_of(campaign: Campaign) -> list[dict[str, Any]]:
    """Return the sample journeys with the plans that hold now, as documents that lack only the policy."""
    plans = {"default": LEAST, **campaign_document(campaign, at=timezone.now(), codes_at_most=0)["plans"]}
    return [
        {"title": title, "document": {**found, "plans": plans}} for title, found in journeys(campaign.currencies[0])
    ]


def latest_conversions(campaign: Campaign) -> list[dict[str, Any]]:
    """Return the latest settled conversions, those with the longest journeys first."""
    rows = Conversion.objects.filter(campaign=campaign, receipt__isnull=False).select_related("receipt")
    found = sorted(rows.order_by("-occurred_at")[:LATEST], key=lambda row: -len(row.receipt.body["touches"]))
    return [
        {
            "address": reverse("admin:bench_document", args=[row.pk]),
            "title": f"{row.order_ref} · {display.amount(row.amount_minor, row.currency)}",
            "touches": len(row.receipt.body["touches"]),
        }
        for row in found[:SHOWN]
    ]
