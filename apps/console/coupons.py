"""Coupons: codes, their owners, and when they hold."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.attribution.models import CouponPolicy
from apps.attribution.services import publish_coupon_rule
from apps.campaigns.models import Coupon
from apps.campaigns.services import add_coupon, revise_coupon
from apps.console import display, words
from apps.console.access import MANAGERS, actor_of
from apps.console.base import ConsoleAdmin
from apps.console.filters import Filter, campaign_filter, partner_filter
from apps.console.forms import PlainForm, StartField
from apps.console.site import site
from apps.core.errors import Refusal
from apps.identity.models import Advertiser

STATES = [
    ("valid", gettext_lazy("Valid now")),
    ("over", gettext_lazy("Over")),
    ("nobody", gettext_lazy("Owned by nobody")),
]


def by_state(rows: QuerySet, value: str, request: HttpRequest) -> QuerySet:
    now = timezone.now()
    over = Q(valid_to__lte=now)
    wanted = {"valid": Q(valid_from__lte=now) & ~over, "over": over, "nobody": Q(partner=None)}.get(value)
    return rows.filter(wanted) if wanted else rows.none()


class RuleForm(PlainForm):
    """What the code changes from a moment on, instead of what the campaign's policy says of codes."""

    wide = ("policy",)
    policy = forms.ChoiceField(label=gettext_lazy("Rule"), choices=list(words.COUPONS.items()))
    percent = forms.DecimalField(
        label=gettext_lazy("Per cent"),
        min_value=0,
        max_value=100,
        max_digits=7,
        decimal_places=4,
        required=False,
        help_text=gettext_lazy("Only where the owner first gets a fixed part."),
    )
    starts_at = StartField()

    def clean(self) -> dict[str, Any]:
        values = super().clean()
        shares = values.get("policy") == CouponPolicy.SHARE
        if shares and not values.get("percent") and "percent" not in self.errors:
            self.add_error("percent", _("Say how many per cent the owner first gets."))
        if not shares and values.get("percent") is not None:
            self.add_error("percent", _("This rule has no percentage; leave it empty."))
        return values


@admin.register(Coupon, site=site)
class CouponAdmin(ConsoleAdmin):
    writers = MANAGERS
    list_display = ["code", "campaign_name", "owner_name", "shown_state", "since", "until", "description"]
    search_fields = ["code", "description"]
    ordering = ["code"]
    fields = [("code", "campaign"), "partner", "description", ("valid_from", "valid_to")]
    filters = [
        Filter("state", by_state, gettext_lazy("State"), lambda request: STATES, "select"),
        campaign_filter(),
        partner_filter(),
    ]
    intro = gettext_lazy("A code credits its owner where no click counts; the campaign's policy may give it more.")
    empty_title = gettext_lazy("No code yet")
    empty_text = gettext_lazy("Add one with its owner and dates; upper and lower case are the same.")
    empty_icon = "sell"

    change_form_outer_after_template = "console/coupon_rules.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).select_related("campaign", "partner")

    def get_readonly_fields(self, request: HttpRequest, obj: Coupon | None = None) -> list[str]:
        return ["campaign"] if obj else []

    def add(self, advertiser: Advertiser, values: dict[str, Any], by: dict[str, Any]) -> Coupon:
        return add_coupon(advertiser=advertiser, values=values, **by)

    def revise(self, obj: Coupon, values: dict[str, Any], by: dict[str, Any]) -> Coupon:
        return revise_coupon(coupon=obj, values=values, **by)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"valid_from": timezone.localtime(), **super().get_changeform_initial_data(request)}

    def get_urls(self) -> list:
        own = path("<int:object_id>/rule/", self.admin_site.admin_view(self.rule_view), name="campaigns_coupon_rule")
        return [own, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict | None = None
    ) -> HttpResponse:
        coupon = self.row(request, object_id)
        now = timezone.now()
        rules = list(coupon.rules.order_by("-starts_at"))
        current = next((rule for rule in rules if rule.starts_at <= now), None)
        shown = [
            {"rule": rule, "said": words.coupon_rule(rule.policy, rule.percent), "is_now": rule == current}
            for rule in rules
        ]
        context = {
            "coupon": coupon,
            "coupon_rules": shown,
            "rule_holds": current is not None,
            "now": now,
            "may_change": self.has_change_permission(request),
        }
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    def rule_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Publish a version of the code's rule; those before stay as they were."""
        coupon = self.row(request, object_id)
        self.require(request, self.has_change_permission(request))
        back = reverse("admin:campaigns_coupon_change", args=[coupon.pk])
        latest = coupon.rules.first()
        first = {"policy": latest.policy, "percent": latest.percent} if latest else {"policy": CouponPolicy.IF_WINNER}
        form = RuleForm(request.POST or None, initial={**first, "starts_at": timezone.localtime()})
        if request.method == "POST" and form.is_valid():
            try:
                publish_coupon_rule(coupon=coupon, actor=actor_of(request), now=timezone.now(), **form.cleaned_data)
            except Refusal as refusal:
                form.refuse(refusal)
            else:
                messages.success(request, _("The rule of %s is published.") % coupon.code)
                return HttpResponseRedirect(back)
        return self.page(
            request,
            "console/form.html",
            _("New rule of %s") % coupon.code,
            form=form,
            submit=_("Publish rule"),
            cancel_url=back,
            lead=_("The rule takes the place of what the campaign's policy says of codes, for this code alone."),
        )

    @admin.display(description=gettext_lazy("Campaign"), ordering="campaign__name")
    def campaign_name(self, obj: Coupon) -> str:
        return obj.campaign.name

    @admin.display(description=gettext_lazy("Owner"), ordering="partner__name")
    def owner_name(self, obj: Coupon) -> str:
        return obj.partner.name if obj.partner else _("nobody")

    @admin.display(description=gettext_lazy("State"))
    def shown_state(self, obj: Coupon) -> str:
        now = timezone.now()
        if obj.valid_to and obj.valid_to <= now:
            return display.badge("ENDED", _("Over"))
        if obj.valid_from > now:
            return display.badge("PENDING", _("Planned"))
        return display.badge("ACTIVE", _("Valid"))

    @admin.display(description=gettext_lazy("Valid from"), ordering="valid_from")
    def since(self, obj: Coupon) -> str:
        return display.moment(obj.valid_from)

    @admin.display(description=gettext_lazy("Valid until"), ordering="valid_to")
    def until(self, obj: Coupon) -> str:
        return display.moment(obj.valid_to)
