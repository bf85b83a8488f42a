"""Payouts: what is owed, on which papers it stands, and when it comes."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from babel import dates as babel_dates
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from apps.attribution.models import Share
from apps.campaigns.models import Campaign
from apps.core.money import Money
from apps.core.periods import day_of
from apps.insights.partner_selectors import (
    PartnerAccount,
    accounts_of_partner,
    bookings_of_partner,
    causes_of_postings,
    living_settlements,
    pay_day,
)
from apps.invoices.models import Invoice, InvoiceType
from apps.invoices.services import statement_reference
from apps.partners.models import Partner
from apps.portal.access import partner_page, render
from apps.portal.accounts import balance, blockers
from apps.portal.formats import LOCALES
from apps.statements.models import Statement, StatementLine
from apps.statements.selectors import recomputed_hash

STATEMENTS, INVOICES, ENTRIES, LINES = 12, 24, 20, 100
LIVING = living_settlements("")
KINDS = {
    "SALE": lambda: _("Commission"),
    "CORRECTION": lambda: _("Correction"),
    "REVERSED": lambda: _("Approval taken back"),
    "VAT": lambda: _("VAT of invoice"),
    "PAYOUT": lambda: _("Payout"),
}


@require_GET
@partner_page
def payouts(request: HttpRequest) -> HttpResponse:
    now, partner = timezone.now(), request.partner
    accounts = accounts_of_partner(partner=partner, now=now)
    statements = Statement.objects.filter(partner=partner).select_related("advertiser").prefetch_related(LIVING)
    page = Paginator(statements.order_by("-issued_at", "-pk"), STATEMENTS).get_page(request.GET.get("statements"))
    page.object_list = [_statement(row) for row in page.object_list]
    return render(
        request,
        "portal/payouts.html",
        as_of=True,
        balances=[balance(account) for account in accounts],
        coming=_coming(accounts),
        blockers=blockers(request, day_of(now, timezone.get_current_timezone())),
        statements=page,
        invoices=_invoices(partner),
        entries=_entries(request),
    )


def _coming(accounts: list[PartnerAccount]) -> list[dict[str, Any]]:
    rows = [
        {
            "pays_on": row.pays_on,
            "is_past": row.is_past,
            "advertiser": account.advertiser.name,
            "invoiced": Money(row.invoiced_minor, account.currency),
            "approved": Money(row.approved_minor, account.currency),
            "pending": Money(row.pending_minor, account.currency),
        }
        for account in accounts
        for row in account.coming
    ]
    return sorted(rows, key=lambda row: (row["pays_on"], row["advertiser"]))


def _statement(row: Statement) -> dict[str, Any]:
    def money(minor: int) -> Money:
        return Money(minor, row.currency)

    settlement = next(iter(row.living), None)
    if settlement is not None:
        status = "INVOICED" if settlement.invoice_id else "SETTLED"
    else:
        status = "ISSUED" if row.payable_minor else "CARRIED"
    return {
        "id": row.pk,
        "number": statement_reference(row),
        "advertiser": row.advertiser.name,
        "period": month_of(row),
        "status": status,
        "opening": money(row.opening_minor),
        "earned": money(row.earned_minor),
        "carried": money(row.carried_minor),
        "payable": money(row.payable_minor),
        "pays_on": pay_day(row, day_of(timezone.now(), row.advertiser.zone)) if row.payable_minor else None,
    }


def month_of(row: Statement) -> str:
    """Return a statement's period as people say it: `October 2026`."""
    locale = LOCALES.get((get_language() or "en").split("-")[0], "en_150")
    return capfirst(babel_dates.format_skeleton("yMMMM", row.period.lower, locale=locale))


def _invoices(partner: Partner) -> list[dict[str, Any]]:
    rows = (
        Invoice.objects.filter(partner=partner)
        .select_related("advertiser")
        .defer("content")
        .order_by("-issued_at", "-pk")
    )
    return [
        {
            "id": row.pk,
            "number": row.number,
            "status": "REVERSED" if row.kind == InvoiceType.SELF_BILLED_CREDIT else "ISSUED",
            "issued_on": row.issued_on,
            "pays_on": row.pay_on,
            "advertiser": row.advertiser.name,
            "net": Money(row.net_minor, row.currency),
            "vat": Money(row.vat_minor, row.currency),
            "gross": Money(row.gross_minor, row.currency),
            "pdf_url": reverse("portal:invoice_pdf", args=[row.pk]) if row.document_id else "",
        }
        for row in rows[:INVOICES]
    ]


def _entries(request: HttpRequest) -> Any:
    postings = bookings_of_partner(partner=request.partner)
    page = Paginator(postings, ENTRIES).get_page(request.GET.get("page"))
    shown = list(page.object_list)
    causes = causes_of_postings(partner=request.partner, postings=shown)
    page.object_list = [_entry(row, causes[row.pk]) for row in shown]
    return page


def _entry(row: Any, cause: Any) -> dict[str, Any]:
    url = ""
    if cause.conversion_id:
        url = reverse("portal:conversion", args=[cause.conversion_id])
    elif cause.statement_id:
        url = reverse("portal:statement", args=[cause.statement_id])
    return {
        "booked_on": row.posted_at,
        "text": KINDS[cause.kind]() if cause.kind in KINDS else row.get_purpose_display(),
        "ref": cause.reference,
        "url": url,
        "advertiser": row.advertiser.name,
        "amount": Money(row.signed, row.currency),
        "balance": Money(row.running, row.currency),
    }


@require_GET
@partner_page
def statement(request: HttpRequest, statement_id: int) -> HttpResponse:
    rows = Statement.objects.filter(partner=request.partner).select_related("advertiser").prefetch_related(LIVING)
    row = get_object_or_404(rows, pk=statement_id)
    settlement = next(iter(row.living), None)
    invoice = settlement.invoice if settlement else None
    verifies = request.GET.get("verify") == "1"
    with timezone.override(row.advertiser.zone):
        return render(
            request,
            "portal/statement.html",
            statement={
                **_statement(row),
                "hash": row.sha256,
                "previous_hash": row.previous_sha256,
                "verified": recomputed_hash(row) == row.sha256 if verifies else None,
            },
            lines=_lines(request, row),
            invoice={"number": invoice.number, "pdf_url": reverse("portal:invoice_pdf", args=[invoice.pk])}
            if invoice and invoice.document_id
            else None,
            verify_url=f"{request.path}?verify=1#proof-title",
        )


def _lines(request: HttpRequest, row: Statement) -> Any:
    lines = StatementLine.objects.filter(statement=row).order_by("occurred_at", "pk")
    page = Paginator(lines, LINES).get_page(request.GET.get("page"))
    shown = list(page.object_list)
    campaigns = dict(Campaign.objects.filter(pk__in={line.campaign_id for line in shown}).values_list("pk", "name"))
    shares = {
        share.conversion_id: share
        for share in Share.objects.filter(
            partner=request.partner, conversion_id__in=[line.conversion_id for line in shown]
        )
    }
    page.object_list = [
        {
            "id": line.pk,
            "order_ref": line.order_ref,
            "conversion_id": line.conversion_id,
            "occurred_at": line.occurred_at,
            "kind": _("Commission") if line.amount_minor > 0 else _("Correction"),
            "campaign": campaigns.get(line.campaign_id, ""),
            "share": part_of(shares.get(line.conversion_id)),
            "amount": Money(line.amount_minor, row.currency),
        }
        for line in shown
    ]
    return page


def part_of(share: Share | None) -> Any:
    return Fraction(int(share.numerator), int(share.denominator)) if share else None


@require_GET
@partner_page
def invoice_pdf(request: HttpRequest, invoice_id: int) -> HttpResponse:
    """Send the stored bytes; a document is never rendered again."""
    invoice = get_object_or_404(
        Invoice.objects.filter(partner=request.partner).select_related("document"), pk=invoice_id
    )
    if invoice.document is None:
        raise Http404
    document = invoice.document
    return HttpResponse(
        bytes(document.content),
        content_type=document.media_type,
        headers={"Content-Disposition": f'inline; filename="{document.name}"'},
    )
