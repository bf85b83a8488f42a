"""Partners: applications, the list, and one partner's page; moves are made by one verb."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.console import display
from apps.console.access import FINANCE, MANAGERS, access_of, actor_of, may
from apps.console.base import ConsoleAdmin
from apps.console.filters import Filter, choice_filter, number
from apps.console.forms import PlainForm
from apps.console.history import changes_of
from apps.console.onboarding import Onboarding
from apps.console.partner_view import partner_view
from apps.console.ranges import range_of
from apps.console.site import site
from apps.core.errors import Refusal
from apps.identity.models import Advertiser
from apps.insights.selectors import figures_by_partner
from apps.partners.models import PartnerGroup, PartnerKind, Partnership, PartnershipState
from apps.partners.services import (
    add_partner_group,
    decide_partnership,
    is_in_care,
    rename_partner_group,
    revise_partnership,
)

TABS = {
    "": gettext_lazy("All"),
    "APPLIED": gettext_lazy("Applications"),
    "ACTIVE": gettext_lazy("Active"),
    "REJECTED": gettext_lazy("Rejected"),
    "BLOCKED": gettext_lazy("Blocked"),
}
MOVES = {
    "approve": PartnershipState.ACTIVE,
    "reject": PartnershipState.REJECTED,
    "block": PartnershipState.BLOCKED,
    "end": PartnershipState.ENDED,
}


MONEY = ["minimum_payout_minor", "self_billing_version", "self_billing_on"]
RELATIONSHIP = ["group", "notes"]


class MoveForm(PlainForm):
    reason = forms.CharField(
        label=gettext_lazy("Reason"), max_length=300, help_text=gettext_lazy("The partner sees it.")
    )


def groups(request: HttpRequest) -> list[tuple[str, str]]:
    rows = PartnerGroup.objects.filter(advertiser=access_of(request).advertiser).order_by("name")
    return list(rows.values_list("pk", "name"))


def by_state(rows: QuerySet, value: str, request: HttpRequest) -> QuerySet:
    return rows.filter(state=value) if value in PartnershipState.values else rows.none()


@admin.register(Partnership, site=site)
class PartnershipAdmin(Onboarding, ConsoleAdmin):
    writers = MANAGERS
    plural = gettext_lazy("Partners")
    list_display = ["name", "kind", "shown_state", "group_name", "clicks", "conversions", "revenue", "commission"]
    list_display_links = ["name"]
    search_fields = ["partner__name", "partner__slug", "partner__website"]
    ordering = ["partner__name"]
    sortable_by = ["name", "shown_state"]
    filters = [
        Filter("state", by_state),
        choice_filter("partner__kind", gettext_lazy("Kind"), PartnerKind.choices),
        Filter(
            "group", lambda rows, value, request: number(rows, "group", value), gettext_lazy("Group"), groups, "select"
        ),
    ]
    actions = ["approve"]
    fields = [*RELATIONSHIP[:1], *MONEY, *RELATIONSHIP[1:]]
    empty_title = gettext_lazy("No partner yet")
    empty_text = gettext_lazy("Add the partners you have agreed with; each gets links for its ad spaces.")
    empty_icon = "handshake"

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).select_related("partner", "group")

    def has_change_permission(self, request: HttpRequest, obj: Partnership | None = None) -> bool:
        return may(request, MANAGERS | FINANCE)

    def get_readonly_fields(self, request: HttpRequest, obj: Partnership | None = None) -> list[str]:
        """What makes invoices possible is finance's, the relationship is the managers'."""
        return [*([] if may(request, FINANCE) else MONEY), *([] if may(request, MANAGERS) else RELATIONSHIP)]

    def tabs(self, request: HttpRequest) -> list[dict]:
        counts = dict(
            Partnership.objects.for_advertiser(access_of(request).advertiser)
            .values_list("state")
            .annotate(n=Count("pk"))
            .order_by()
        )
        now = request.GET.get("state", "")
        return [
            {
                "title": title,
                "link": f"?state={key}" if key else "?",
                "on": key == now,
                "count": counts.get(key, 0) if key else sum(counts.values()),
            }
            for key, title in TABS.items()
        ]

    def adorn(self, request: HttpRequest, rows: Any) -> None:
        advertiser = access_of(request).advertiser
        period = range_of(request, advertiser, timezone.now()).period
        found = figures_by_partner(advertiser=advertiser, period=period, partners=[row.partner_id for row in rows])
        for row in rows:
            row.figures, row.shown_currency = found.get(row.partner_id), advertiser.currency

    @admin.display(description=gettext_lazy("Partner"), ordering="partner__name")
    def name(self, obj: Partnership) -> str:
        return obj.partner.name

    @admin.display(description=gettext_lazy("Kind"))
    def kind(self, obj: Partnership) -> str:
        return obj.partner.get_kind_display()

    @admin.display(description=gettext_lazy("State"), ordering="state")
    def shown_state(self, obj: Partnership) -> str:
        return display.badge(obj.state, obj.get_state_display())

    @admin.display(description=gettext_lazy("Group"))
    def group_name(self, obj: Partnership) -> str:
        return obj.group.name if obj.group else display.DASH

    @admin.display(description=gettext_lazy("Clicks, 30 days"))
    def clicks(self, obj: Partnership) -> str:
        return display.count(obj.figures.clicks if obj.figures else 0)

    @admin.display(description=gettext_lazy("Conversions, 30 days"))
    def conversions(self, obj: Partnership) -> str:
        return display.count(obj.figures.conversions if obj.figures else 0)

    @admin.display(description=gettext_lazy("Net revenue, 30 days"))
    def revenue(self, obj: Partnership) -> str:
        return display.money(obj.figures.revenue_minor if obj.figures else 0, obj.shown_currency)

    @admin.display(description=gettext_lazy("Commission, 30 days"))
    def commission(self, obj: Partnership) -> str:
        return display.money(obj.figures.commission_minor if obj.figures else 0, obj.shown_currency)

    @admin.action(description=gettext_lazy("Approve applications"))
    def approve(self, request: HttpRequest, queryset: QuerySet) -> None:
        self.require(request, may(request, self.writers))
        done = 0
        for partnership in queryset.filter(state=PartnershipState.APPLIED):
            done += self.move(request, partnership, PartnershipState.ACTIVE, "")
        messages.success(request, _("%d partners are active now.") % done)

    def move(self, request: HttpRequest, partnership: Partnership, state: PartnershipState, reason: str) -> bool:
        try:
            decide_partnership(
                partnership=partnership, state=state, reason=reason, actor=actor_of(request), now=timezone.now()
            )
        except Refusal as refusal:
            messages.error(request, refusal.message)
            return False
        return True

    def get_urls(self) -> list:
        view = self.admin_site.admin_view
        return [
            path("<int:object_id>/edit/", view(self.edit_view), name="partners_partnership_edit"),
            path("<int:object_id>/move/<slug:verb>/", view(self.move_view), name="partners_partnership_move"),
            *self.onboarding_urls(),
            *super().get_urls(),
        ]

    def edit_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """The fields an advertiser may write about a partner."""
        return super().change_view(request, str(object_id))

    def revise(self, obj: Partnership, values: dict[str, Any], by: dict[str, Any]) -> Partnership:
        return revise_partnership(partnership=obj, values=values, **by)

    def response_change(self, request: HttpRequest, obj: Partnership) -> HttpResponse:
        messages.success(request, _("Saved."))
        return HttpResponseRedirect(reverse("admin:partners_partnership_change", args=[obj.pk]))

    def move_view(self, request: HttpRequest, object_id: int, verb: str) -> HttpResponse:
        self.require(request, may(request, self.writers) and verb in MOVES)
        partnership = self.row(request, object_id)
        back = reverse("admin:partners_partnership_change", args=[partnership.pk])
        state = MOVES[verb]
        if state == PartnershipState.ACTIVE:
            if request.method == "POST" and self.move(request, partnership, state, ""):
                messages.success(request, _("%s is active now. Next: enroll an ad space.") % partnership.partner)
            return HttpResponseRedirect(back)
        form = MoveForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            if self.move(request, partnership, state, form.cleaned_data["reason"]):
                messages.success(
                    request, _("%(partner)s: %(state)s.") % {"partner": partnership.partner, "state": state.label}
                )
            return HttpResponseRedirect(back)
        leads = {
            "reject": _("The partner may apply again."),
            "block": _("Touches of a blocked partner no longer count, and it may not apply again."),
            "end": _("The partnership ends now; what was earned stays owed."),
        }
        words = {"reject": _("Reject"), "block": _("Block"), "end": _("End partnership")}
        return self.page(
            request,
            "console/form.html",
            f"{words[verb]}: {partnership.partner}",
            form=form,
            submit=words[verb],
            cancel_url=back,
            lead=leads[verb],
        )

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict | None = None
    ) -> HttpResponse:
        partnership = self.row(request, object_id)
        now = timezone.now()
        span = range_of(request, access_of(request).advertiser, now)
        return self.page(
            request,
            "console/partner.html",
            partnership.partner.name,
            partnership=partnership,
            view=partner_view(partnership, span.period, now),
            span=span,
            changes=changes_of(partnership)[:10],
            may_change=may(request, self.writers),
            may_edit=self.has_change_permission(request),
            may_fill=may(request, FINANCE),
            in_care=is_in_care(partnership=partnership),
            may_see_money=may(request, FINANCE | MANAGERS),
            moves=[verb for verb, state in MOVES.items() if state in Partnership.NEXT[partnership.state]],
        )


@admin.register(PartnerGroup, site=site)
class PartnerGroupAdmin(ConsoleAdmin):
    writers = MANAGERS
    can_delete = False
    list_display = ["name", "slug", "partner_count"]
    fields = ["name", "slug"]
    prepopulated_fields = {"slug": ["name"]}
    ordering = ["name"]
    empty_title = gettext_lazy("No group yet")
    empty_text = gettext_lazy("Groups (gold, strategic, …) let a plan pay some partners differently.")
    empty_icon = "workspaces"

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).annotate(members=Count("partnerships"))

    def add(self, advertiser: Advertiser, values: dict[str, Any], by: dict[str, Any]) -> PartnerGroup:
        return add_partner_group(advertiser=advertiser, **values, **by)

    def revise(self, obj: PartnerGroup, values: dict[str, Any], by: dict[str, Any]) -> PartnerGroup:
        return rename_partner_group(group=obj, **values, **by) if values else obj

    def get_readonly_fields(self, request: HttpRequest, obj: PartnerGroup | None = None) -> list[str]:
        return ["slug"] if obj else []

    def get_prepopulated_fields(self, request: HttpRequest, obj: PartnerGroup | None = None) -> dict:
        return {} if obj else self.prepopulated_fields

    @admin.display(description=gettext_lazy("Partners"), ordering="members")
    def partner_count(self, obj: PartnerGroup) -> str:
        return display.count(obj.members)
