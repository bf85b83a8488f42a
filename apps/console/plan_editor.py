"""A new version of a commission plan: rules in an order, said in words and checked while they are edited."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.campaigns.models import Campaign
from apps.commissions.models import CommissionPlan
from apps.commissions.publishing import create_plan
from apps.console.access import access_of, actor_of
from apps.console.bench import suggestions
from apps.console.bench_story import error, loaded, plan_sentences
from apps.console.campaign_tabs import tabs
from apps.console.fields import EDITOR
from apps.console.forms import PlainForm, StartField
from apps.console.plan_checks import publishable, read_rules, warnings
from apps.core.errors import Invalid, Refusal
from apps.pipeline.parsing import plan_document
from apps.pipeline.services.opening import revise_plan

MOST_BYTES = 1_000_000
FIRST = {"rules": [{"name": "everything", "when": {}, "pay": {"percent": "5"}}]}


class VersionForm(PlainForm):
    """The start of a new version; what the version says is the document beside it."""

    starts_at = StartField()
    document = forms.CharField(widget=forms.HiddenInput, max_length=MOST_BYTES)

    def content(self) -> Any:
        return loaded(self.cleaned_data["document"])


class PlanForm(PlainForm):
    name = forms.CharField(label=gettext_lazy("Name"), max_length=120)


def refused(form: VersionForm, refusal: Refusal, part: str) -> dict[str, str] | None:
    """Show a refusal at its field of the form; one about the document is returned for the editor to show."""
    if not refusal.path.startswith(part) or not isinstance(refusal, Invalid):
        form.refuse(refusal)
        return None
    found = error(refusal)
    form.add_error(None, f"{found['message']} ({found['code']}: {found['path']})")
    return found


def plan_version_page(model_admin: Any, request: HttpRequest, campaign: Campaign, plan_id: int) -> HttpResponse:
    model_admin.require(request, model_admin.has_change_permission(request))
    plan = get_object_or_404(CommissionPlan, campaign=campaign, pk=plan_id)
    latest = plan.versions.prefetch_related("rules").first()
    document: Any = plan_document(latest) if latest else FIRST
    form = VersionForm(request.POST or None, initial={"starts_at": timezone.localtime()})
    fault = None
    if request.method == "POST" and form.is_valid():
        document = form.content()
        try:
            version = revise_plan(
                plan=plan,
                document=publishable(document, campaign.currencies[0]),
                starts_at=form.cleaned_data["starts_at"],
                actor=actor_of(request),
                now=timezone.now(),
            )
        except Refusal as refusal:
            fault = refused(form, refusal, "plan")
        else:
            messages.success(request, _("Version %s is published.") % version.number)
            return HttpResponseRedirect(reverse("admin:campaigns_campaign_plan", args=[campaign.pk]))
    elif request.method == "POST":
        document = loaded(request.POST.get("document", "")) or document
    return model_admin.page(
        request,
        "console/plan_version.html",
        _("New version of %s") % plan,
        campaign=campaign,
        plan=plan,
        form=form,
        document=document,
        fault=fault,
        currency=campaign.currencies[0],
        suggestions=suggestions(access_of(request).advertiser),
        **EDITOR,
        **tabs(campaign.pk, "plan"),
    )


def check_page(model_admin: Any, request: HttpRequest, campaign: Campaign) -> HttpResponse:
    """Answer a draft of a plan with its rules in words and its warnings, or with its first fault. Nothing is stored."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    body = request.read(MOST_BYTES + 1)
    document = loaded(body) if len(body) <= MOST_BYTES else None
    currency = campaign.currencies[0]
    said = plan_sentences(document, "plan", currency) if isinstance(document, dict) else {}
    try:
        plan = read_rules(document, currency)
    except Invalid as refusal:
        return JsonResponse({"error": error(refusal), "said": said})
    html = render_to_string("console/plan_checks.html", {"warnings": warnings(plan.rules), "count": len(plan.rules)})
    return JsonResponse({"html": html, "said": said})


def new_plan_page(model_admin: Any, request: HttpRequest, campaign: Campaign) -> HttpResponse:
    """Add a plan beside the campaign's own; its first version comes next."""
    model_admin.require(request, model_admin.has_change_permission(request))
    form = PlanForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            plan = create_plan(
                campaign=campaign, name=form.cleaned_data["name"], actor=actor_of(request), now=timezone.now()
            )
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, _("The plan is there. Next: what it pays, then for whom."))
            address = reverse("admin:campaigns_campaign_plan_version", args=[campaign.pk, plan.pk])
            return HttpResponseRedirect(address)
    return model_admin.page(
        request,
        "console/form.html",
        _("New plan"),
        form=form,
        submit=_("Add plan"),
        cancel_url=reverse("admin:campaigns_campaign_plan", args=[campaign.pk]),
        lead=_("A second plan pays some partners, groups, ad spaces or codes differently."),
        campaign=campaign,
        **tabs(campaign.pk, "plan"),
    )
