"""Campaigns: the list, the general part, and a new one in one form."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.campaigns.models import Campaign, CampaignState, EnrollmentState
from apps.campaigns.services import revise_campaign
from apps.console import campaign_pages, display
from apps.console.access import MANAGERS, access_of, actor_of
from apps.console.base import ConsoleAdmin
from apps.console.campaign_tabs import tabs
from apps.console.filters import choice_filter
from apps.console.forms import MomentInput, OwnedForm, PlainForm
from apps.console.ranges import range_of
from apps.console.site import site
from apps.console.words import MODELS
from apps.core.errors import Refusal
from apps.insights.selectors import figures_by_campaign
from apps.pipeline.services.opening import open_campaign


class NewCampaignForm(PlainForm):
    name = forms.CharField(label=gettext_lazy("Name"), max_length=200)
    slug = forms.SlugField(
        label=gettext_lazy("Short name"),
        max_length=80,
        help_text=gettext_lazy("Part of the tracking addresses; never changes."),
    )
    landing_url = forms.URLField(label=gettext_lazy("Landing page"), max_length=2000, assume_scheme="https")
    currency = forms.CharField(label=gettext_lazy("Currency"), max_length=3, min_length=3)
    percent = forms.DecimalField(
        label=gettext_lazy("Commission in per cent"),
        min_value=0,
        max_value=100,
        max_digits=7,
        decimal_places=4,
        help_text=gettext_lazy("Of the net amount of everything; rules can follow later."),
    )
    model = forms.ChoiceField(
        label=gettext_lazy("Who gets the conversion"), choices=[(key, word[0]) for key, word in MODELS.items()]
    )
    starts_at = forms.DateTimeField(label=gettext_lazy("Starts"), widget=MomentInput())


class CampaignForm(OwnedForm):
    """The general part; an end without a date is dated by the service."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "state" in self.fields:
            now = self.instance.state
            reachable = {now, *Campaign.NEXT[now]}
            field = self.fields["state"]
            field.choices = [row for row in CampaignState.choices if row[0] in reachable]
            field.help_text = _(
                "Paused: links still lead to the shop, but no click counts. Ended: for good, from now on."
            )

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or {}
        if cleaned.get("state") == CampaignState.ENDED and not cleaned.get("ends_at"):
            cleaned["ends_at"] = max(timezone.now(), cleaned.get("starts_at") or timezone.now())
        return cleaned


@admin.register(Campaign, site=site)
class CampaignAdmin(ConsoleAdmin):
    form = CampaignForm
    writers = MANAGERS
    list_display = ["title", "shown_state", "partner_count", "clicks", "conversions", "revenue", "commission"]
    list_display_links = ["title"]
    filters = [choice_filter("state", gettext_lazy("State"), CampaignState.choices)]
    search_fields = ["name", "slug"]
    ordering = ["name"]
    fieldsets = [
        (None, {"fields": [("name", "short_name"), "state", "description"]}),
        (gettext_lazy("Where customers land"), {"fields": ["landing_url", "hosts"]}),
        (
            gettext_lazy("Conversions"),
            {"fields": ["currencies", "signature_required", ("dedup_scope", "dedup_days"), ("starts_at", "ends_at")]},
        ),
    ]
    change_form_outer_before_template = "console/campaign_tabs.html"
    empty_title = gettext_lazy("No campaign yet")
    empty_text = gettext_lazy("Open one: name, landing page, commission and who gets the conversion are enough.")
    empty_icon = "campaign"

    def get_queryset(self, request: HttpRequest) -> Any:
        active = Q(enrollments__state=EnrollmentState.ACTIVE)
        partners = Count("enrollments__partner", filter=active, distinct=True)
        return super().get_queryset(request).annotate(partners_active=partners)

    def get_readonly_fields(self, request: HttpRequest, obj: Campaign | None = None) -> list[str]:
        is_over = obj is not None and obj.state == CampaignState.ENDED
        return ["short_name", *(["state", "starts_at", "ends_at"] if is_over else [])]

    @admin.display(description=gettext_lazy("Short name"))
    def short_name(self, obj: Campaign) -> str:
        return display.code(obj.slug)

    def adorn(self, request: HttpRequest, rows: Any) -> None:
        advertiser = access_of(request).advertiser
        period = range_of(request, advertiser, timezone.now()).period
        found = figures_by_campaign(advertiser=advertiser, period=period, campaigns=[row.pk for row in rows])
        for row in rows:
            row.figures = found.get(row.pk)
            row.shown_currency = advertiser.currency

    @admin.display(description=gettext_lazy("Campaign"), ordering="name")
    def title(self, obj: Campaign) -> str:
        return obj.name

    @admin.display(description=gettext_lazy("State"), ordering="state")
    def shown_state(self, obj: Campaign) -> str:
        return display.badge(obj.state, obj.get_state_display())

    @admin.display(description=gettext_lazy("Partners"), ordering="partners_active")
    def partner_count(self, obj: Campaign) -> str:
        return display.count(obj.partners_active)

    @admin.display(description=gettext_lazy("Clicks, 30 days"))
    def clicks(self, obj: Campaign) -> str:
        return display.count(obj.figures.clicks if obj.figures else 0)

    @admin.display(description=gettext_lazy("Conversions, 30 days"))
    def conversions(self, obj: Campaign) -> str:
        return display.count(obj.figures.conversions if obj.figures else 0)

    @admin.display(description=gettext_lazy("Net revenue, 30 days"))
    def revenue(self, obj: Campaign) -> str:
        return display.money(obj.figures.revenue_minor if obj.figures else 0, obj.shown_currency)

    @admin.display(description=gettext_lazy("Commission, 30 days"))
    def commission(self, obj: Campaign) -> str:
        return display.money(obj.figures.commission_minor if obj.figures else 0, obj.shown_currency)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict | None = None) -> HttpResponse:
        self.require(request, self.has_add_permission(request))
        advertiser = access_of(request).advertiser
        first = {"currency": advertiser.currency, "model": "LAST_CLICK", "starts_at": timezone.localtime()}
        form = NewCampaignForm(request.POST or None, initial=first)
        if request.method == "POST" and form.is_valid():
            values = {**form.cleaned_data, "currency": form.cleaned_data["currency"].upper()}
            values["percent"] = f"{values['percent'].normalize():f}"
            try:
                campaign = open_campaign(advertiser=advertiser, actor=actor_of(request), now=timezone.now(), **values)
            except Refusal as refusal:
                form.refuse(refusal)
            else:
                messages.success(request, _("%s is open. Next: enroll partners.") % campaign)
                return HttpResponseRedirect(reverse("admin:campaigns_campaign_partners", args=[campaign.pk]))
        return self.page(
            request,
            "console/form.html",
            _("New campaign"),
            form=form,
            submit=_("Open campaign"),
            cancel_url=self.list_url(),
            lead=_("The campaign starts with one commission rule and one policy; both can be changed later."),
        )

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict | None = None
    ) -> HttpResponse:
        context = {**tabs(self.row(request, object_id).pk, "change"), **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)

    def get_urls(self) -> list:
        return [*campaign_pages.urls(self), *super().get_urls()]

    def revise(self, obj: Campaign, values: dict[str, Any], by: dict[str, Any]) -> Campaign:
        return revise_campaign(campaign=obj, values=values, **by)
