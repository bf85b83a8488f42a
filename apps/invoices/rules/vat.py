"""Which VAT a commission carries, or why no document may be issued."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from apps.invoices.rules.parties import Agreement, Party, TaxStatus, document_language, normal_vat_id
from apps.invoices.rules.rates import is_member, standard_rate
from apps.invoices.rules.table import NOTES, ROWS, VatRow

MESSAGES = {
    "statement_only": "A private person gets a statement, not an invoice.",
    "agreement_missing": "The agreement to self-billing has not been accepted by the day of supply.",
    "address_incomplete": "Name, street, postcode, city and country are needed.",
    "vat_id_missing": "A VAT id is needed.",
    "vat_id_invalid": "The VAT id does not have the form of its country.",
    "tax_id_missing": "A VAT id or a tax number is needed.",
    "treatment_unknown": "No VAT rule is on file for these two countries on that day.",
}


@dataclass(frozen=True, slots=True)
class VatTreatment:
    """How VAT applies. `rate` is in per cent; `notes` are printed as they are, in the document's language.

    `code` names the row of the table that decided; `exemption` is the VATEX code of the e-invoice. The ids are
    in compact form and empty where the document does not show them.
    """

    code: str
    category: str
    rate: Decimal
    exemption: str = ""
    notes: tuple[str, ...] = ()
    payee_vat_id: str = ""
    payee_tax_number: str = ""
    payer_vat_id: str = ""


@dataclass(frozen=True, slots=True)
class Blocked:
    """Why no document may be issued. `side` says who can mend it: `payee` (the partner) or `payer`."""

    code: str
    message: str
    side: str = "payee"


def vat_treatment(
    payer: Party, payee: Party, on: date, *, agreement: Agreement | None = None, self_billed: bool = True
) -> VatTreatment | Blocked:
    """Decide the VAT of what `payer` owes `payee` for a service of the day `on` (the last of its period).

    With a German payer at 19 %: DE registered → S 19 %; DE small business → E; FR with a valid id → AE with both
    ids; FR without → Blocked("vat_id_missing"); CH or UK business → AE; private person → Blocked("statement_only").
    `self_billed=False` is for invoices the payee writes itself (fees), which need no agreement.
    """
    blocked = obstacles(payer, payee, on, agreement=agreement, self_billed=self_billed)
    row = find_row(payer, payee, on)
    if blocked or row is None:
        return blocked[0]
    rate = standard_rate(payer.country, on) if row.category == "S" else Decimal(0)
    ids = {
        "payee_vat_id": normal_vat_id(payee.vat_id, payee.country) or "",
        "payer_vat_id": normal_vat_id(payer.vat_id, payer.country) or "",
        "payee_tax_number": payee.tax_number.strip(),
    }
    language = document_language(payee if self_billed else payer)
    return VatTreatment(
        code=row.code,
        category=row.category,
        rate=rate if rate is not None else Decimal(0),
        exemption=row.exemption,
        notes=tuple(NOTES[note][language] for note in row.notes),
        **{name: ids[name] for name in row.prints},
    )


def obstacles(
    payer: Party, payee: Party, on: date, *, agreement: Agreement | None = None, self_billed: bool = True
) -> tuple[Blocked, ...]:
    """Return everything that stands between a partner and its document, in the order to mend it (the traffic light)."""
    if payee.status is TaxStatus.PRIVATE:
        return (Blocked("statement_only", MESSAGES["statement_only"]),)
    return tuple(_obstacles(payer, payee, on, agreement if self_billed else Agreement("", on)))


def _obstacles(payer: Party, payee: Party, on: date, agreement: Agreement | None) -> Iterator[Blocked]:
    if agreement is None or agreement.accepted_on > on:
        yield Blocked("agreement_missing", MESSAGES["agreement_missing"])
    for party, side in ((payee, "payee"), (payer, "payer")):
        if not party.has_address:
            yield Blocked("address_incomplete", MESSAGES["address_incomplete"], side)
    row = find_row(payer, payee, on)
    if row is None or (row.category == "S" and standard_rate(payer.country, on) is None):
        yield Blocked("treatment_unknown", MESSAGES["treatment_unknown"], "payer")
        return
    for party, side in ((payee, "payee"), (payer, "payer")):
        given = party.vat_id.strip()
        if not given and f"{side}_vat_id" in row.needs:
            yield Blocked("vat_id_missing", MESSAGES["vat_id_missing"], side)
        elif not (given or party.tax_number.strip()) and f"{side}_tax_id" in row.needs:
            yield Blocked("tax_id_missing", MESSAGES["tax_id_missing"], side)
        elif given and normal_vat_id(given, party.country) is None:
            yield Blocked("vat_id_invalid", MESSAGES["vat_id_invalid"], side)


def find_row(payer: Party, payee: Party, on: date) -> VatRow | None:
    """Return the row of the table that applies to two parties on a day."""
    payer_zones = {"*", payer.country, "EU" if is_member(payer.country, on) else "OUTSIDE"}
    payee_zones = {"*", payee.country}
    if payee.country == payer.country:
        payee_zones.add("SAME")
    else:
        payee_zones.add("OTHER_EU" if is_member(payee.country, on) else "OUTSIDE")
    for row in ROWS:
        fits = row.payer in payer_zones and row.payee in payee_zones and row.status is payee.status
        if fits and row.valid_from <= on:
            return row
    return None


def vat_of(net_minor: int, rate: Decimal) -> int:
    """Return the VAT in minor units on a net amount at a rate in per cent.

    Rounded once, on the document's total and not per line, a half away from zero as invoices do (commercial
    rounding; the house's half-even is for commissions): 0.50 at 19 % is 0.095, so 0.10. A negative amount is the
    mirror of the positive one, so that a reversal cancels exactly.
    """
    if net_minor < 0:
        return -vat_of(-net_minor, rate)
    return int(Fraction(net_minor) * Fraction(rate) / 100 + Fraction(1, 2))
