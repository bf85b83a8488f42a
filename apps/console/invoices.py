"""Invoices: numbered, frozen, with their PDF."""

from __future__ import annotations

from typing import Any

from csp.decorators import csp
from django.contrib import admin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.clickjacking import xframe_options_sameorigin

from apps.console import display
from apps.console.base import FinanceAdmin
from apps.console.filters import partner_filter
from apps.console.site import site
from apps.invoices.models import Invoice, Settlement
from apps.pipeline.services.closing import RENDERING, rendering_key
from apps.records.models import Document, Job, JobState

# A PDF shown inside the console's own page, and nowhere else.
PDF_CSP = {
    "default-src": ["'none'"],
    "frame-ancestors": ["'self'"],
    "style-src": ["'unsafe-inline'"],
    "object-src": ["'self'"],
}


@admin.register(Invoice, site=site)
class InvoiceAdmin(FinanceAdmin):
    list_display = ["number", "partner_name", "issued", "net", "vat", "gross", "pays", "pdf"]
    list_display_links = ["number"]
    search_fields = ["number", "partner__name"]
    ordering = ["-issued_at", "-pk"]
    sortable_by = ["issued", "gross"]
    filters = [partner_filter()]
    intro = gettext_lazy("Self-billed: issued in the partner's name, numbered without gaps, never changed.")
    empty_title = gettext_lazy("No invoice yet")
    empty_text = gettext_lazy("After a month is closed, issue its invoices under “Close a month”.")
    empty_icon = "description"

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).select_related("partner").defer("content")

    @admin.display(description=gettext_lazy("Partner"))
    def partner_name(self, obj: Invoice) -> str:
        return obj.partner.name

    @admin.display(description=gettext_lazy("Issued"), ordering="issued_on")
    def issued(self, obj: Invoice) -> str:
        return display.day(obj.issued_on)

    @admin.display(description=gettext_lazy("Net"))
    def net(self, obj: Invoice) -> str:
        return display.money(obj.net_minor, obj.currency)

    @admin.display(description=gettext_lazy("VAT"))
    def vat(self, obj: Invoice) -> str:
        return display.money(obj.vat_minor, obj.currency)

    @admin.display(description=gettext_lazy("Gross"), ordering="gross_minor")
    def gross(self, obj: Invoice) -> str:
        return display.money(obj.gross_minor, obj.currency)

    @admin.display(description=gettext_lazy("Pays on"))
    def pays(self, obj: Invoice) -> str:
        return display.day(obj.pay_on)

    def adorn(self, request: HttpRequest, rows: Any) -> None:
        failures = failures_of([row.pk for row in rows if row.document_id is None])
        for row in rows:
            row.failure = failures.get(rendering_key(row.pk), "")

    @admin.display(description=gettext_lazy("PDF"))
    def pdf(self, obj: Invoice) -> str:
        if obj.document_id:
            return display.badge("APPROVED", _("ready"))
        return display.badge("PARKED", _("could not be made")) if obj.failure else display.badge("NEW", _("being made"))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict | None = None
    ) -> HttpResponse:
        invoice = self.row(request, object_id)
        document = Document.objects.filter(pk=invoice.document_id).defer("content").first()
        covered = Settlement.objects.filter(invoice=invoice).select_related("statement").order_by("statement__place")
        return self.page(
            request,
            "console/invoice.html",
            invoice.number,
            invoice=invoice,
            content=invoice.content,
            treatment=invoice.content.get("treatment") or {},
            document=document,
            failure="" if document else failures_of([invoice.pk]).get(rendering_key(invoice.pk), ""),
            covered=[row.statement for row in covered],
        )

    def get_urls(self) -> list:
        view = csp(PDF_CSP)(xframe_options_sameorigin(self.admin_site.admin_view(self.pdf_view)))
        return [path("<int:object_id>/pdf/", view, name="invoices_invoice_pdf"), *super().get_urls()]

    def pdf_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        invoice = self.row(request, object_id)
        if invoice.document is None:
            raise Http404
        how = "attachment" if "download" in request.GET else "inline"
        headers: dict[str, Any] = {"Content-Disposition": f'{how}; filename="{invoice.document.name}"'}
        return HttpResponse(bytes(invoice.document.content), content_type=invoice.document.media_type, headers=headers)


def failures_of(invoice_ids: list[int]) -> dict[str, str]:
    """Return why PDFs could not be made, by the key of their job."""
    keys = [rendering_key(invoice_id) for invoice_id in invoice_ids]
    failed = Job.objects.filter(kind=RENDERING, key__in=keys, state=JobState.FAILED)
    return dict(failed.values_list("key", "error")) if keys else {}
