"""Coupons: codes, their owners, and when they hold."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from apps.campaigns.models import Coupon
from apps.console import display
from apps.console.access import MANAGERS
from apps.console.base import ConsoleAdmin
from apps.console.filters import Filter, campaign_filter, partner_filter
from apps.console.site import site

STATES = [("valid", lazy("Valid now")), ("over", lazy("Over")), ("nobody", lazy("Owned by nobody"))]


def by_state(rows: QuerySet, value: str, request: HttpRequest) -> QuerySet:
    now = timezone.now()
    over = Q(valid_to__lte=now)
    wanted = {"valid": Q(valid_from__lte=now) & ~over, "over": over, "nobody": Q(partner=None)}.get(value)
    return rows.filter(wanted) if wanted else rows.none()


@admin.register(Coupon, site=site)
class CouponAdmin(ConsoleAdmin):
    writers = MANAGERS
    list_display = ["code", "campaign_name", "owner_name", "shown_state", "since", "until", "description"]
    search_fields = ["code", "description"]
    ordering = ["code"]
    fields = [("code", "campaign"), "partner", "description", ("valid_from", "valid_to")]
    filters = [
        Filter("state", by_state, lazy("State"), lambda request: STATES, "select"),
        campaign_filter(),
        partner_filter(),
    ]
    intro = lazy("A code credits its owner where no click counts; the campaign's policy may give it more.")
    empty_title = lazy("No code yet")
    empty_text = lazy("Add one with its owner and dates; upper and lower case are the same.")
    empty_icon = "sell"

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).select_related("campaign", "partner")

    def get_readonly_fields(self, request: HttpRequest, obj: Coupon | None = None) -> list[str]:
        return ["campaign"] if obj else []

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"valid_from": timezone.localtime(), **super().get_changeform_initial_data(request)}

    @admin.display(description=lazy("Campaign"), ordering="campaign__name")
    def campaign_name(self, obj: Coupon) -> str:
        return obj.campaign.name

    @admin.display(description=lazy("Owner"), ordering="partner__name")
    def owner_name(self, obj: Coupon) -> str:
        return obj.partner.name if obj.partner else _("nobody")

    @admin.display(description=lazy("State"))
    def shown_state(self, obj: Coupon) -> str:
        now = timezone.now()
        if obj.valid_to and obj.valid_to <= now:
            return display.badge("ENDED", _("Over"))
        if obj.valid_from > now:
            return display.badge("PENDING", _("Planned"))
        return display.badge("ACTIVE", _("Valid"))

    @admin.display(description=lazy("Valid from"), ordering="valid_from")
    def since(self, obj: Coupon) -> str:
        return display.moment(obj.valid_from)

    @admin.display(description=lazy("Valid until"), ordering="valid_to")
    def until(self, obj: Coupon) -> str:
        return display.moment(obj.valid_to)
