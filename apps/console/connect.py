"""Connect: API keys and the calls that were refused."""

from __future__ import annotations

import json

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.campaigns.models import Campaign
from apps.console import display
from apps.console.access import OWNERS, access_of, actor_of, may
from apps.console.base import ReadOnlyAdmin
from apps.console.filters import Filter, campaign_filter, moment_filters
from apps.console.forms import PlainForm
from apps.console.site import site
from apps.identity.models import AdvertiserKey, Scope
from apps.pipeline.services.staffing import make_key, revoke_key
from apps.tracking.models import RejectedEvent

# What a key may call first, by its scope: the method, the address and a body.
FIRST_CALLS = {
    Scope.CAMPAIGNS_READ: ("GET", "api:campaign-list", None),
    Scope.CONVERSIONS_READ: ("GET", "api:conversion-list", None),
    Scope.PARTNERS_READ: ("GET", "api:partnership-list", None),
    Scope.FINANCE_READ: ("GET", "api:statement-list", None),
    Scope.CONVERSIONS_WRITE: ("POST", "api:conversion-list", {"order_ref": "A-1001", "amount": "100.00", "test": True}),
}


def use_of(key: AdvertiserKey, plain: str) -> dict[str, str]:
    """Return what the page of a new key shows: the key, its header and a call that it may make."""
    header = f"Authorization: Bearer {plain}"
    found = next(
        (call for scope, call in FIRST_CALLS.items() if scope in key.scopes), ("GET", "api:campaign-list", None)
    )
    method, name, body = found
    lines = [f"curl -X {method} '{settings.PUBLIC_URL}{reverse(name)}'", f"-H '{header}'"]
    if body:
        campaign = Campaign.objects.for_advertiser(key.advertiser).order_by("pk").first()
        told = {"campaign": campaign.slug if campaign else "CAMPAIGN", **body}
        lines += ["-H 'Content-Type: application/json'", f"-d '{json.dumps(told)}'"]
    return {"plain": plain, "header": header, "example": " \\\n  ".join(lines), "docs_url": reverse("api:docs")}


class KeyForm(PlainForm):
    name = forms.CharField(label=gettext_lazy("Name"), max_length=50, help_text=gettext_lazy("Which machine uses it."))
    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("What it may do"), choices=Scope.choices, widget=forms.CheckboxSelectMultiple
    )


@admin.register(AdvertiserKey, site=site)
class KeyAdmin(ReadOnlyAdmin):
    writers = OWNERS
    list_display = ["name", "shown_prefix", "shown_scopes", "state", "used", "made"]
    list_display_links = None
    search_fields = ["name", "prefix"]
    ordering = ["revoked", "-created"]
    actions = ["revoke"]
    intro = gettext_lazy("A key is shown once, when it is made; only its hash is kept. Revoked keys stay listed.")
    empty_title = gettext_lazy("No key yet")
    empty_text = gettext_lazy("Make one for the shop's server: it sends conversions and reads what became of them.")
    empty_icon = "key"

    @admin.display(description=gettext_lazy("Begins with"))
    def shown_prefix(self, obj: AdvertiserKey) -> str:
        return display.code(f"{obj.prefix}.…")

    @admin.display(description=gettext_lazy("May"))
    def shown_scopes(self, obj: AdvertiserKey) -> str:
        words = dict(Scope.choices)
        return ", ".join(str(words.get(scope, scope)) for scope in obj.scopes)

    @admin.display(description=gettext_lazy("State"))
    def state(self, obj: AdvertiserKey) -> str:
        if obj.revoked:
            return display.badge("REJECTED", _("Revoked"))
        return display.badge("ENDED", _("Expired")) if obj.has_expired else display.badge("ACTIVE", _("Active"))

    @admin.display(description=gettext_lazy("Last used"), ordering="last_used_at")
    def used(self, obj: AdvertiserKey) -> str:
        return display.moment(obj.last_used_at) if obj.last_used_at else _("never")

    @admin.display(description=gettext_lazy("Made"), ordering="created")
    def made(self, obj: AdvertiserKey) -> str:
        return display.moment(obj.created)

    @admin.action(description=gettext_lazy("Revoke"))
    def revoke(self, request: HttpRequest, queryset: QuerySet) -> None:
        self.require(request, may(request, self.writers))
        for key in queryset.filter(revoked=False):
            revoke_key(key=key, actor=actor_of(request), now=timezone.now())
        messages.success(request, _("The keys no longer work."))

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict | None = None) -> HttpResponse:
        self.require(request, self.has_add_permission(request))
        form = KeyForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            key, plain = make_key(
                advertiser=access_of(request).advertiser,
                actor=actor_of(request),
                now=timezone.now(),
                **form.cleaned_data,
            )
            return self.page(request, "console/new_key.html", _("Your new key"), key=key, **use_of(key, plain))
        return self.page(
            request, "console/form.html", _("New API key"), form=form, submit=_("Make key"), cancel_url=self.list_url()
        )

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict | None = None
    ) -> HttpResponse:
        self.row(request, object_id)
        return HttpResponseRedirect(self.list_url())


def codes(request: HttpRequest) -> list[tuple[str, str]]:
    rows = RejectedEvent.objects.filter(advertiser=access_of(request).advertiser).order_by("code")
    return [(code, code) for code in rows.values_list("code", flat=True).distinct()]


@admin.register(RejectedEvent, site=site)
class RejectedEventAdmin(ReadOnlyAdmin):
    plural = gettext_lazy("Refused calls")
    list_display = ["when", "shown_code", "order", "message", "campaign_name", "door"]
    list_display_links = ["when"]
    search_fields = ["code", "message", "payload__order_ref"]
    search_help_text = gettext_lazy("Find an order number, a code or a word of the message")
    ordering = ["-at"]
    sortable_by = ["when"]
    filters = [
        Filter("code", lambda rows, value, request: rows.filter(code=value), gettext_lazy("Code"), codes, "select"),
        campaign_filter(),
        *moment_filters("at"),
    ]
    intro = gettext_lazy(
        "Calls that could not become a fact, kept for 30 days with code and payload; of a flood the rest is counted."
    )
    empty_title = gettext_lazy("No call was refused")
    empty_text = gettext_lazy("When the shop sends something that cannot be stored, it is listed here with its code.")
    empty_icon = "verified"

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).select_related("campaign")

    @admin.display(description=gettext_lazy("When"), ordering="at")
    def when(self, obj: RejectedEvent) -> str:
        return display.moment(obj.at)

    @admin.display(description=gettext_lazy("Code"))
    def shown_code(self, obj: RejectedEvent) -> str:
        return display.code(obj.code)

    @admin.display(description=gettext_lazy("Order"))
    def order(self, obj: RejectedEvent) -> str:
        told = obj.payload.get("order_ref") if isinstance(obj.payload, dict) else None
        return display.number(told) if isinstance(told, str) and told else display.DASH

    @admin.display(description=gettext_lazy("Campaign"))
    def campaign_name(self, obj: RejectedEvent) -> str:
        return obj.campaign.name if obj.campaign else display.DASH

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict | None = None
    ) -> HttpResponse:
        event = self.row(request, object_id)
        payload = json.dumps(event.payload, indent=2, ensure_ascii=False, sort_keys=True)
        return self.page(request, "console/rejected_event.html", event.code, event=event, payload=payload)
