"""Statements: frozen, each with its lines and its place in the chain."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.campaigns.models import Campaign
from apps.console import display
from apps.console.access import access_of
from apps.console.base import FinanceAdmin
from apps.console.filters import Filter, partner_filter, read_day
from apps.console.site import site
from apps.core.periods import add_months
from apps.invoices.models import Settlement
from apps.statements.models import Statement, StatementLine
from apps.statements.selectors import recomputed_hash

SHOWN_LINES = 1_000


def months(request: HttpRequest) -> list[tuple[str, str]]:
    rows = Statement.objects.for_advertiser(access_of(request).advertiser).order_by("-period__startswith")
    found = dict.fromkeys(row.replace(day=1) for row in rows.values_list("period__startswith", flat=True).distinct())
    return [(month.isoformat(), date_format(month, "F Y")) for month in found]


def by_month(rows: QuerySet, value: str, request: HttpRequest) -> QuerySet:
    first = read_day(value)
    if first is None:
        return rows.none()
    return rows.filter(period__startswith__gte=first, period__startswith__lt=add_months(first, 1))


@admin.register(Statement, site=site)
class StatementAdmin(FinanceAdmin):
    list_display = [
        "title",
        "partner_name",
        "line_count",
        "opening",
        "earned",
        "payable",
        "carried",
        "settled",
        "issued",
    ]
    list_display_links = ["title", "partner_name"]
    search_fields = ["partner__name"]
    ordering = ["-place"]
    sortable_by = ["title", "earned", "payable"]
    filters = [Filter("month", by_month, gettext_lazy("Month"), months, "select"), partner_filter()]
    intro = gettext_lazy(
        "Opening and earned make payable and carried. What is below the minimum payout carries forward."
    )
    empty_title = gettext_lazy("No statement yet")
    empty_text = gettext_lazy("Closing a month under Finance makes one for every partner with something due.")
    empty_icon = "account_balance_wallet"

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).select_related("partner")

    def adorn(self, request: HttpRequest, rows: Any) -> None:
        found = Settlement.objects.filter(statement__in=[row.pk for row in rows], reversed_at__isnull=True)
        settled = {row.statement_id: row for row in found.select_related("invoice")}
        for row in rows:
            row.settlement = settled.get(row.pk)

    @admin.display(description=gettext_lazy("Period"), ordering="place")
    def title(self, obj: Statement) -> str:
        return date_format(obj.period.lower, "F Y")

    @admin.display(description=gettext_lazy("Partner"))
    def partner_name(self, obj: Statement) -> str:
        return obj.partner.name

    @admin.display(description=gettext_lazy("Lines"))
    def line_number(self, obj: Statement) -> str:
        return display.count(obj.line_count)

    @admin.display(description=gettext_lazy("Opening"))
    def opening(self, obj: Statement) -> str:
        return display.money(obj.opening_minor, obj.currency)

    @admin.display(description=gettext_lazy("Earned"), ordering="earned_minor")
    def earned(self, obj: Statement) -> str:
        return display.money(obj.earned_minor, obj.currency)

    @admin.display(description=gettext_lazy("Payable"), ordering="payable_minor")
    def payable(self, obj: Statement) -> str:
        return display.money(obj.payable_minor, obj.currency)

    @admin.display(description=gettext_lazy("Carried"))
    def carried(self, obj: Statement) -> str:
        return display.money(obj.carried_minor, obj.currency)

    @admin.display(description=gettext_lazy("Settled"))
    def settled(self, obj: Statement) -> str:
        return settlement_badge(obj, obj.settlement)

    @admin.display(description=gettext_lazy("Issued"))
    def issued(self, obj: Statement) -> str:
        return display.moment(obj.issued_at)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict | None = None
    ) -> HttpResponse:
        statement = self.row(request, object_id)
        lines = list(StatementLine.objects.filter(statement=statement).order_by("occurred_at", "pk")[:SHOWN_LINES])
        campaigns = dict(Campaign.objects.filter(advertiser=statement.advertiser_id).values_list("pk", "name"))
        for line in lines:
            line.campaign_name = campaigns.get(line.campaign_id, "")
        settlement = (
            Settlement.objects.filter(statement=statement, reversed_at__isnull=True).select_related("invoice").first()
        )
        return self.page(
            request,
            "console/statement.html",
            f"{statement.partner} · {date_format(statement.period.lower, 'F Y')}",
            statement=statement,
            last_on=statement.period.upper - timedelta(days=1),
            lines=lines,
            settlement=settlement,
            settled=settlement_badge(statement, settlement),
            verified=recomputed_hash(statement) == statement.sha256,
        )


def settlement_badge(statement: Statement, settlement: Settlement | None) -> str:
    if settlement and settlement.invoice:
        return display.badge("SETTLED", settlement.invoice.number)
    if settlement:
        return display.badge("SETTLED", _("without document"))
    if statement.payable_minor:
        return display.badge("PENDING", _("open"))
    return display.badge("ENDED", _("carried"), icon="redo")
