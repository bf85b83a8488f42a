"""The numbered document that settles a statement."""

from __future__ import annotations

import pgtrigger
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.core.guards import asked_once
from apps.identity.models import Advertiser, LegalEntity
from apps.partners.models import Partner
from apps.records.models import Document
from apps.statements.models import Statement


class InvoiceType(models.TextChoices):
    SELF_BILLED = "self_billed_invoice", _("Self-billed invoice")
    SELF_BILLED_CREDIT = "self_billed_credit_note", _("Reversal")


class NumberSeries(models.Model):
    """The counter of a legal entity's documents of a kind in a year: 1, 2, 3 … without a gap."""

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="+")
    legal_entity = models.ForeignKey(LegalEntity, on_delete=models.PROTECT, related_name="number_series")
    kind = models.CharField(_("kind"), max_length=30, choices=InvoiceType)
    year = models.PositiveSmallIntegerField(_("year"))
    last_place = models.PositiveIntegerField(_("last number"), default=0)

    class Meta:
        verbose_name = _("number series")
        verbose_name_plural = _("number series")
        constraints = [models.UniqueConstraint(fields=["legal_entity", "kind", "year"], name="one_number_series")]

    def __str__(self) -> str:
        return f"{self.legal_entity} {self.kind} {self.year}"


class InvoiceQuerySet(models.QuerySet["Invoice"]):
    def for_advertiser(self, advertiser: Advertiser) -> InvoiceQuerySet:
        return self.filter(advertiser=advertiser)


class Invoice(models.Model):
    """An issued document: its content never changes; the PDF is rendered from `content` after the commit."""

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="invoices")
    partner = models.ForeignKey(Partner, on_delete=models.PROTECT, related_name="invoices")
    series = models.ForeignKey(NumberSeries, on_delete=models.PROTECT, related_name="invoices")
    place = models.PositiveIntegerField(_("place in the series"))
    number = models.CharField(_("number"), max_length=40)
    kind = models.CharField(_("kind"), max_length=30, choices=InvoiceType, default=InvoiceType.SELF_BILLED)
    issued_on = models.DateField(_("issued"))
    issued_at = models.DateTimeField(_("issued at"))
    currency = models.CharField(_("currency"), max_length=3)
    net_minor = models.BigIntegerField(_("net"))
    vat_minor = models.BigIntegerField(_("VAT"))
    gross_minor = models.BigIntegerField(_("gross"))
    pay_on = models.DateField(_("pays on"), null=True)
    content = models.JSONField(_("content"))
    document = models.OneToOneField(
        Document, on_delete=models.PROTECT, null=True, related_name="invoice", verbose_name=_("PDF")
    )

    objects = InvoiceQuerySet.as_manager()

    class Meta:
        verbose_name = _("invoice")
        verbose_name_plural = _("invoices")
        ordering = ["-issued_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["series", "place"], name="one_invoice_per_place"),
            models.UniqueConstraint(fields=["advertiser", "number"], name="one_invoice_per_number"),
            models.CheckConstraint(
                condition=models.Q(gross_minor=models.F("net_minor") + models.F("vat_minor")), name="invoice_adds_up"
            ),
            models.CheckConstraint(condition=models.Q(net_minor__gt=0, vat_minor__gte=0), name="invoice_is_positive"),
        ]
        triggers = [
            pgtrigger.ReadOnly(name="content_never_changes", exclude=["document"]),
            pgtrigger.Protect(name="never_deleted", operation=pgtrigger.Delete),
            pgtrigger.Protect(
                name="pdf_never_changes",
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition(
                    "OLD.document_id IS NOT NULL AND OLD.document_id IS DISTINCT FROM NEW.document_id"
                ),
            ),
        ]

    def __str__(self) -> str:
        return self.number


class Settlement(models.Model):
    """A statement that became payable money: by an invoice, or without a document (private persons)."""

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="+")
    statement = models.ForeignKey(Statement, on_delete=models.PROTECT, related_name="settlements")
    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, null=True, related_name="settlements")
    settled_at = models.DateTimeField(_("settled"))
    reversed_at = models.DateTimeField(_("reversed"), null=True)

    class Meta:
        verbose_name = _("settlement")
        verbose_name_plural = _("settlements")
        constraints = [
            models.UniqueConstraint(
                fields=["statement"], condition=models.Q(reversed_at__isnull=True), name="one_live_settlement"
            )
        ]
        triggers = [
            pgtrigger.ReadOnly(name="content_never_changes", exclude=["reversed_at"]),
            pgtrigger.Protect(name="never_deleted", operation=pgtrigger.Delete),
            asked_once(
                "is_of_one_currency",
                """
                IF EXISTS (
                    SELECT 1 FROM new_rows n
                    LEFT JOIN statements_statement s ON s.id = n.statement_id
                    LEFT JOIN invoices_invoice i ON i.id = n.invoice_id
                    WHERE s.advertiser_id IS DISTINCT FROM n.advertiser_id
                       OR n.invoice_id IS NOT NULL AND (i.advertiser_id, i.partner_id, i.currency)
                            IS DISTINCT FROM (s.advertiser_id, s.partner_id, s.currency)
                ) THEN
                    RAISE EXCEPTION 'an invoice settles statements of its own partner and currency'
                        USING ERRCODE = 'foreign_key_violation';
                END IF;
                RETURN NULL;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.statement} → {self.invoice or '–'}"
