"""For whom a plan holds, and from when until when."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.campaigns.models import Campaign, Coupon
from apps.commissions.models import CommissionPlan, PlanAssignment
from apps.commissions.publishing import assign_plan, end_plan_assignment
from apps.console.access import actor_of
from apps.console.campaign_tabs import tabs
from apps.console.forms import MomentInput, PlainForm, StartField
from apps.core.errors import Refusal
from apps.partners.models import AdSpace, Partner, PartnerGroup

WHOLE = ("campaign", gettext_lazy("The whole campaign"))


class TargetForm(PlainForm):
    """One choice over everything a plan may hold for; its value is `kind:id`."""

    wide = ("target",)
    target = forms.ChoiceField(label=gettext_lazy("Holds for"))
    starts_at = StartField()
    ends_at = forms.DateTimeField(
        label=gettext_lazy("Until"),
        required=False,
        widget=MomentInput(),
        help_text=gettext_lazy("Empty: open. Excluded."),
    )
    replace = forms.BooleanField(
        label=gettext_lazy("Take the place of what holds there"),
        required=False,
        help_text=gettext_lazy("The plan that holds there now ends when this one begins."),
    )

    def __init__(self, campaign: Campaign, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rows = targets_of(campaign)
        groups = [(title, [(f"{kind}:{row.pk}", name(row)) for row in rows]) for kind, title, rows, name in self.rows]
        self.fields["target"].choices = [WHOLE, *(group for group in groups if group[1])]

    def found(self) -> Any:
        """Return the chosen row, None for the whole campaign."""
        kind, _, pk = self.cleaned_data["target"].partition(":")
        return next((rows.get(pk=pk) for own, _, rows, _ in self.rows if own == kind), None)


def targets_of(campaign: Campaign) -> list[tuple[str, str, QuerySet, Any]]:
    """Return (kind, title, rows, how a row is called) of what a plan of the campaign may hold for."""
    advertiser = campaign.advertiser
    partners = Partner.objects.filter(partnerships__advertiser=advertiser).order_by("name")
    spaces = AdSpace.objects.filter(enrollments__campaign=campaign).select_related("partner").order_by("partner__name")
    groups = PartnerGroup.objects.filter(advertiser=advertiser).order_by("name")
    coupons = Coupon.objects.filter(campaign=campaign, partner__isnull=False).select_related("partner").order_by("code")
    return [
        ("group", _("Partner groups"), groups, str),
        ("partner", _("Partners"), partners, str),
        ("ad_space", _("Ad spaces"), spaces, lambda row: f"{row.partner} · {row.name}"),
        ("coupon", _("Codes"), coupons, lambda row: f"{row.code} · {row.partner}"),
    ]


def plan_url(campaign: Campaign) -> str:
    return reverse("admin:campaigns_campaign_plan", args=[campaign.pk])


def assign_page(model_admin: Any, request: HttpRequest, campaign: Campaign, plan_id: int) -> HttpResponse:
    model_admin.require(request, model_admin.has_change_permission(request))
    plan = get_object_or_404(CommissionPlan.objects.select_related("campaign"), campaign=campaign, pk=plan_id)
    form = TargetForm(campaign, request.POST or None, initial={"starts_at": timezone.localtime()})
    if request.method == "POST" and form.is_valid():
        try:
            assignment = assign_plan(
                plan=plan,
                target=form.found(),
                starts_at=form.cleaned_data["starts_at"],
                ends_at=form.cleaned_data["ends_at"],
                replace=form.cleaned_data["replace"],
                actor=actor_of(request),
                now=timezone.now(),
            )
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, _("Assigned: %s.") % assignment)
            return HttpResponseRedirect(plan_url(campaign))
    return model_admin.page(
        request,
        "console/form.html",
        _("Who %s holds for") % plan,
        form=form,
        submit=_("Assign"),
        cancel_url=plan_url(campaign),
        lead=_(
            "The most specific plan pays: ad space, then partner, then group, then the campaign. A code's plan wins."
        ),
        campaign=campaign,
        **tabs(campaign.pk, "plan"),
    )


def unassign_page(model_admin: Any, request: HttpRequest, campaign: Campaign, assignment_id: int) -> HttpResponse:
    """End an assignment now; what has not begun is taken away."""
    model_admin.require(request, model_admin.has_change_permission(request))
    assignment = get_object_or_404(PlanAssignment.objects.select_related("plan"), campaign=campaign, pk=assignment_id)
    if request.method == "POST":
        now = timezone.now()
        try:
            end_plan_assignment(assignment=assignment, ends_at=now, actor=actor_of(request), now=now)
        except Refusal as refusal:
            messages.error(request, refusal.message)
        else:
            messages.success(request, _("%s no longer holds.") % assignment)
    return HttpResponseRedirect(plan_url(campaign))
