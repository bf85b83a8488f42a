"""Touches as they were recorded: the rows behind every number of clicks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.campaigns.models import Campaign
from apps.console import display, words
from apps.console.access import access_of
from apps.console.base import ReadOnlyAdmin
from apps.console.filters import Filter, campaign_filter, choice_filter, partner_filter, read_day
from apps.console.site import site
from apps.core.ids import uuid7_floor
from apps.core.periods import start_of
from apps.partners.models import Partner
from apps.tracking.models import TouchKind, Touchpoint
from apps.tracking.rules.links import SUBS

SHOWN_DAYS = 30


def since(rows: QuerySet, value: str, request: HttpRequest) -> QuerySet:
    day = read_day(value)
    return rows.filter(id__gte=uuid7_floor(start_of(day, access_of(request).advertiser.zone))) if day else rows


def until(rows: QuerySet, value: str, request: HttpRequest) -> QuerySet:
    day = read_day(value)
    if day is None:
        return rows
    return rows.filter(id__lt=uuid7_floor(start_of(day + timedelta(days=1), access_of(request).advertiser.zone)))


def by_counting(rows: QuerySet, value: str, request: HttpRequest) -> QuerySet:
    return {"yes": rows.filter(refusal=""), "no": rows.exclude(refusal="")}.get(value, rows.none())


@admin.register(Touchpoint, site=site)
class TouchpointAdmin(ReadOnlyAdmin):
    plural = gettext_lazy("Touches")
    list_display = ["happened", "shown_kind", "partner", "campaign", "channel", "device", "subs", "counts"]
    list_display_links = None
    ordering = ["-id"]
    sortable_by = ()
    filters = [
        campaign_filter("campaign_id"),
        partner_filter("partner_id"),
        choice_filter("kind", gettext_lazy("Kind"), TouchKind.choices),
        Filter(
            "valid",
            by_counting,
            gettext_lazy("Counts"),
            lambda request: [("yes", gettext_lazy("Yes")), ("no", gettext_lazy("No"))],
            "select",
        ),
        Filter("from", since, gettext_lazy("From"), kind="date"),
        Filter("to", until, gettext_lazy("To"), kind="date"),
    ]
    intro = gettext_lazy("Clicks and other touches, of the last 30 days unless a day is chosen.")
    empty_title = gettext_lazy("No touch in this range")
    empty_text = gettext_lazy(
        "Clicks on partners' links appear here at once. Choose an earlier day to look further back."
    )
    empty_icon = "ads_click"

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        rows = super().get_queryset(request)
        if read_day(request.GET.get("from", "")):
            return rows
        return rows.filter(id__gte=uuid7_floor(timezone.now() - timedelta(days=SHOWN_DAYS)))

    def adorn(self, request: HttpRequest, rows: Any) -> None:
        partners = Partner.objects.filter(pk__in={row.partner_id for row in rows} - {None})
        campaigns = Campaign.objects.filter(pk__in={row.campaign_id for row in rows} - {None})
        names = dict(partners.values_list("pk", "name")), dict(campaigns.values_list("pk", "name"))
        for row in rows:
            row.partner_name, row.campaign_name = names[0].get(row.partner_id), names[1].get(row.campaign_id)

    @admin.display(description=gettext_lazy("Time"))
    def happened(self, obj: Touchpoint) -> str:
        return display.moment(obj.occurred_at)

    @admin.display(description=gettext_lazy("Kind"))
    def shown_kind(self, obj: Touchpoint) -> str:
        return obj.get_kind_display()

    @admin.display(description=gettext_lazy("Partner"))
    def partner(self, obj: Touchpoint) -> str:
        return obj.partner_name or display.DASH

    @admin.display(description=gettext_lazy("Campaign"))
    def campaign(self, obj: Touchpoint) -> str:
        return obj.campaign_name or display.DASH

    @admin.display(description=gettext_lazy("Sub-ids"))
    def subs(self, obj: Touchpoint) -> str:
        """Show what the partner tells its placements apart by."""
        given = [(name, getattr(obj, name)) for name in SUBS if getattr(obj, name)]
        return format_html_join(" ", '<span title="{}">{}</span>', given) or display.DASH

    @admin.display(description=gettext_lazy("Counts"))
    def counts(self, obj: Touchpoint) -> str:
        if obj.refusal:
            return display.badge("REJECTED", words.reason(obj.refusal))
        return display.badge("APPROVED", _("yes"))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict | None = None
    ) -> HttpResponse:
        self.row(request, object_id)
        return HttpResponseRedirect(self.list_url())
