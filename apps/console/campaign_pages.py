"""The parts of a campaign beside its fields: each an address of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.contrib import messages
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.campaigns.models import Campaign, Coupon, Enrollment, EnrollmentState, TrackingLink
from apps.campaigns.services import end_enrollment, enroll_ad_space, make_link
from apps.console.access import access_of, actor_of
from apps.console.campaign_holds import holds_page
from apps.console.campaign_plan import plan_page
from apps.console.campaign_policy import policy_page
from apps.console.campaign_tabs import tabs
from apps.console.campaign_tracking import secret_page, tracking_page
from apps.console.forms import PlainForm
from apps.console.plan_assignments import assign_page, unassign_page
from apps.console.plan_editor import check_page, new_plan_page, plan_version_page
from apps.console.policy_editor import policy_version_page
from apps.console.ranges import range_of
from apps.core.errors import Refusal
from apps.insights.selectors import figures_by_partner
from apps.partners.models import AdSpace, PartnershipState


def urls(model_admin: Any) -> list:
    """Return the addresses of the parts; each view gets the scoped campaign, or nobody gets anything."""

    def view(function: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        def answer(request: HttpRequest, object_id: str, **names: Any) -> HttpResponse:
            return function(model_admin, request, model_admin.row(request, object_id), **names)

        return model_admin.admin_site.admin_view(answer)

    pages = [
        ("plan/", "plan", plan_page),
        ("plan/add/", "new_plan", new_plan_page),
        ("plan/check/", "check_plan", check_page),
        ("plan/<int:plan_id>/new/", "plan_version", plan_version_page),
        ("plan/<int:plan_id>/assign/", "assign_plan", assign_page),
        ("plan/assignments/<int:assignment_id>/end/", "unassign_plan", unassign_page),
        ("attribution/", "attribution", policy_page),
        ("attribution/new/", "policy_version", policy_version_page),
        ("holds/", "holds", holds_page),
        ("partners/", "partners", partners_page),
        ("partners/<int:enrollment_id>/end/", "end_enrollment", end_page),
        ("partners/<int:enrollment_id>/link/", "make_link", link_page),
        ("coupons/", "coupons", coupons_page),
        ("tracking/", "tracking", tracking_page),
        ("tracking/secret/", "secret", secret_page),
    ]
    return [
        path(f"<int:object_id>/{address}", view(function), name=f"campaigns_campaign_{name}")
        for address, name, function in pages
    ]


class EnrollForm(PlainForm):
    ad_space = forms.ModelChoiceField(
        AdSpace.objects.none(),
        label=gettext_lazy("Ad space"),
        empty_label=gettext_lazy("Choose an ad space of an active partner"),
    )

    def __init__(self, campaign: Campaign, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["ad_space"]
        field.queryset = (
            AdSpace.objects.filter(
                partner__partnerships__advertiser=campaign.advertiser_id,
                partner__partnerships__state=PartnershipState.ACTIVE,
            )
            .exclude(enrollments__in=Enrollment.objects.filter(campaign=campaign, state=EnrollmentState.ACTIVE))
            .select_related("partner")
            .order_by("partner__name", "name")
        )
        field.label_from_instance = lambda ad_space: f"{ad_space.partner} · {ad_space.name}"


class LinkForm(PlainForm):
    name = forms.CharField(label=gettext_lazy("Name"), max_length=120, required=False)
    landing_url = forms.URLField(
        label=gettext_lazy("Deep link"),
        max_length=2000,
        required=False,
        assume_scheme="https",
        help_text=gettext_lazy("Empty: the campaign's landing page."),
    )


def partners_page(model_admin: Any, request: HttpRequest, campaign: Campaign) -> HttpResponse:
    may_change = model_admin.has_change_permission(request)
    form = EnrollForm(campaign, request.POST or None)
    if request.method == "POST":
        model_admin.require(request, may_change)
        if form.is_valid():
            try:
                enroll_ad_space(
                    campaign=campaign,
                    ad_space=form.cleaned_data["ad_space"],
                    actor=actor_of(request),
                    now=timezone.now(),
                )
            except Refusal as refusal:
                form.refuse(refusal)
            else:
                messages.success(request, _("The ad space is enrolled and has its first link."))
                return HttpResponseRedirect(request.path)
    enrollments = list(
        Enrollment.objects.filter(campaign=campaign)
        .select_related("partner", "ad_space")
        .annotate(link_count=Count("links"))
        .order_by("state", "partner__name", "ad_space__name")
    )
    links: dict[int, list[TrackingLink]] = {}
    for link in TrackingLink.objects.filter(enrollment__campaign=campaign, is_active=True).order_by("created_at"):
        link.address = f"{settings.TRACKING_URL}/c/{link.code}"
        links.setdefault(link.enrollment_id, []).append(link)
    figures = month_of_partners(request, campaign)
    for enrollment in enrollments:
        enrollment.shown_links = links.get(enrollment.pk, [])
        enrollment.figures = figures.get(enrollment.partner_id)
    return model_admin.page(
        request,
        "console/campaign_partners.html",
        campaign.name,
        campaign=campaign,
        enrollments=enrollments,
        form=form,
        may_change=may_change,
        partnerships=partnership_ids(campaign),
        **tabs(campaign.pk, "partners"),
    )


def month_of_partners(request: HttpRequest, campaign: Campaign) -> dict:
    advertiser = access_of(request).advertiser
    period = range_of(request, advertiser, timezone.now()).period
    return figures_by_partner(advertiser=advertiser, period=period, campaign=campaign)


def partnership_ids(campaign: Campaign) -> dict[int, int]:
    return dict(campaign.advertiser.partnerships.values_list("partner_id", "pk"))


def enrollment_of(campaign: Campaign, enrollment_id: int) -> Enrollment:
    return get_object_or_404(
        Enrollment.objects.select_related("campaign", "ad_space"), campaign=campaign, pk=enrollment_id
    )


def end_page(model_admin: Any, request: HttpRequest, campaign: Campaign, enrollment_id: int) -> HttpResponse:
    model_admin.require(request, model_admin.has_change_permission(request))
    enrollment = enrollment_of(campaign, enrollment_id)
    if request.method == "POST":
        end_enrollment(enrollment=enrollment, actor=actor_of(request), now=timezone.now())
        messages.success(request, _("%s no longer takes part.") % enrollment.ad_space)
    return HttpResponseRedirect(reverse("admin:campaigns_campaign_partners", args=[campaign.pk]))


def link_page(model_admin: Any, request: HttpRequest, campaign: Campaign, enrollment_id: int) -> HttpResponse:
    model_admin.require(request, model_admin.has_change_permission(request))
    enrollment = enrollment_of(campaign, enrollment_id)
    back = reverse("admin:campaigns_campaign_partners", args=[campaign.pk])
    form = LinkForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            make_link(enrollment=enrollment, actor=actor_of(request), now=timezone.now(), **form.cleaned_data)
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, _("The link is ready to copy."))
            return HttpResponseRedirect(back)
    title = _("New link for %s") % enrollment.ad_space
    return model_admin.page(
        request, "console/form.html", title, form=form, submit=_("Make link"), cancel_url=back, campaign=campaign
    )


def coupons_page(model_admin: Any, request: HttpRequest, campaign: Campaign) -> HttpResponse:
    coupons = Coupon.objects.filter(campaign=campaign).select_related("partner").order_by("code")
    add = f"{reverse('admin:campaigns_coupon_add')}?{urlencode({'campaign': campaign.pk})}"
    return model_admin.page(
        request,
        "console/campaign_coupons.html",
        campaign.name,
        campaign=campaign,
        coupons=coupons,
        add_url=add,
        now=timezone.now(),
        may_change=model_admin.has_change_permission(request),
        **tabs(campaign.pk, "coupons"),
    )
