"""What a document between two companies must say: VAT treatment, parties, frozen content."""

from apps.invoices.rules.content import (
    Bank,
    InvoiceContent,
    InvoiceKind,
    InvoiceLine,
    Reference,
    Totals,
    document_word,
    mask_iban,
    totals,
)
from apps.invoices.rules.parties import Agreement, Party, TaxStatus, document_language, normal_vat_id
from apps.invoices.rules.rates import is_member, standard_rate
from apps.invoices.rules.vat import Blocked, VatTreatment, obstacles, vat_of, vat_treatment

__all__ = [
    "Agreement",
    "Bank",
    "Blocked",
    "InvoiceContent",
    "InvoiceKind",
    "InvoiceLine",
    "Party",
    "Reference",
    "TaxStatus",
    "Totals",
    "VatTreatment",
    "document_language",
    "document_word",
    "is_member",
    "mask_iban",
    "normal_vat_id",
    "obstacles",
    "standard_rate",
    "totals",
    "vat_of",
    "vat_treatment",
]
