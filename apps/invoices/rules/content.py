"""What a document says, frozen: the PDF and the e-invoice are made from this content and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any

from apps.invoices.rules.parties import Agreement, Party, TaxStatus, document_language
from apps.invoices.rules.vat import VatTreatment, vat_of


class InvoiceKind(StrEnum):
    """The four documents; `type_code` is UNTDID 1001, BT-3 of the e-invoice.

    Amounts of a correction are written positive: its kind says that they are taken back.
    """

    SELF_BILLED = "self_billed_invoice"
    SELF_BILLED_CREDIT = "self_billed_credit_note"
    INVOICE = "invoice"
    CREDIT = "credit_note"

    @property
    def self_billed(self) -> bool:
        return self in {InvoiceKind.SELF_BILLED, InvoiceKind.SELF_BILLED_CREDIT}

    @property
    def is_correction(self) -> bool:
        return self in {InvoiceKind.SELF_BILLED_CREDIT, InvoiceKind.CREDIT}

    @property
    def type_code(self) -> str:
        return {"self_billed_invoice": "389", "self_billed_credit_note": "261", "invoice": "380"}.get(self, "381")


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """A position: a campaign (`text`) in a month (`detail`), how many conversions, and what they earn, net."""

    text: str
    detail: str
    quantity: int
    net_minor: int


@dataclass(frozen=True, slots=True)
class Bank:
    """The account paid to; `iban` in full or masked, printed as it is."""

    holder: str
    iban: str
    bic: str = ""


@dataclass(frozen=True, slots=True)
class Reference:
    """Another document, named by number and day."""

    number: str
    issued_on: date


@dataclass(frozen=True, slots=True)
class Totals:
    net_minor: int
    vat_minor: int
    gross_minor: int


def totals(lines: Sequence[InvoiceLine], rate: Decimal) -> Totals:
    """Add up the lines and put VAT on their sum, rounded once."""
    net = sum(line.net_minor for line in lines)
    vat = vat_of(net, rate)
    return Totals(net, vat, net + vat)


@dataclass(frozen=True, slots=True)
class InvoiceContent:
    """Everything a document prints. Raises ValueError where its amounts do not add up.

    `issuer` writes the document, `recipient` gets it; on a self-billed one the *supplier* is the recipient (the
    partner). `supply_from` and `supply_to` are the first and last day, both included. `pay_on` is the day the
    money moves, `terms` a sentence printed instead. `notes` come last, after those of the treatment and the payment.
    """

    kind: InvoiceKind
    number: str
    issued_on: date
    supply_from: date
    supply_to: date
    currency: str
    issuer: Party
    recipient: Party
    lines: tuple[InvoiceLine, ...]
    treatment: VatTreatment
    totals: Totals
    brand: str = ""
    language: str = "en"
    notes: tuple[str, ...] = ()
    pay_on: date | None = None
    terms: str = ""
    bank: Bank | None = None
    statements: tuple[str, ...] = ()
    agreement: Agreement | None = None
    corrects: Reference | None = None

    def __post_init__(self) -> None:
        if self.totals != totals(self.lines, self.treatment.rate):
            raise ValueError("the totals of a document are those of its lines")
        if self.kind.is_correction and self.corrects is None:
            raise ValueError("a correction names the document it corrects")

    @property
    def supplier(self) -> Party:
        return self.recipient if self.kind.self_billed else self.issuer

    @property
    def customer(self) -> Party:
        return self.issuer if self.kind.self_billed else self.recipient

    @property
    def word(self) -> str:
        return document_word(self.kind, self.issuer, self.recipient, self.language)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types (days as ISO text, the rate as a decimal string) for a JSON column."""
        return {name: _plain(value) for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> InvoiceContent:
        """Read back what `to_json` wrote; the two are inverse."""
        treatment = {**data["treatment"], "rate": Decimal(data["treatment"]["rate"])}
        return cls(
            **{
                **data,
                "kind": InvoiceKind(data["kind"]),
                **{name: _day(data[name]) for name in ("issued_on", "supply_from", "supply_to", "pay_on")},
                "issuer": _party(data["issuer"]),
                "recipient": _party(data["recipient"]),
                "lines": tuple(InvoiceLine(**line) for line in data["lines"]),
                "treatment": VatTreatment(**{**treatment, "notes": tuple(treatment["notes"])}),
                "totals": Totals(**data["totals"]),
                "notes": tuple(data["notes"]),
                "statements": tuple(data["statements"]),
                "bank": Bank(**data["bank"]) if data["bank"] else None,
                "agreement": _dated(Agreement, data["agreement"], "accepted_on"),
                "corrects": _dated(Reference, data["corrects"], "issued_on"),
            }
        )


def document_word(kind: InvoiceKind, issuer: Party, recipient: Party, language: str | None = None) -> str:
    """Return the document's title; between two German parties "Gutschrift" is in it (§ 14 (4) no. 10 UStG)."""
    german = (language or document_language(recipient)) == "de"
    if german:
        return {
            InvoiceKind.SELF_BILLED: "Gutschrift",
            InvoiceKind.SELF_BILLED_CREDIT: "Storno-Gutschrift",
            InvoiceKind.INVOICE: "Rechnung",
            InvoiceKind.CREDIT: "Rechnungskorrektur",
        }[kind]
    word = {
        InvoiceKind.SELF_BILLED: "Self-billed invoice",
        InvoiceKind.SELF_BILLED_CREDIT: "Self-billed credit note",
        InvoiceKind.INVOICE: "Invoice",
        InvoiceKind.CREDIT: "Credit note",
    }[kind]
    if kind.self_billed and issuer.country == recipient.country == "DE":
        word += " (Gutschrift)"
    return word


def mask_iban(iban: str) -> str:
    """Return an IBAN with its first four and last four characters only: `DE89 •••• 3000`."""
    compact = iban.replace(" ", "")
    return f"{compact[:4]} •••• {compact[-4:]}" if len(compact) > 8 else compact


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, StrEnum):
        return value.value
    return str(value) if isinstance(value, Decimal) else value


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _party(data: Mapping[str, Any]) -> Party:
    return Party(**{**data, "lines": tuple(data["lines"]), "status": TaxStatus(data["status"])})


def _dated(kind: type, data: Mapping[str, Any] | None, name: str) -> Any:
    return kind(**{**data, name: date.fromisoformat(data[name])}) if data else None
