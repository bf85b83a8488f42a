"""The VAT table: payer × partner × status → treatment, as dated data that a tax adviser can correct.

Engineering notes, not tax advice. Commissions are services between businesses, so the place of supply is where
the payer (the recipient of the service) is established: Article 44 of Directive 2006/112/EC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from apps.invoices.rules.parties import TaxStatus

ALWAYS = date(2010, 1, 1)  # Directive 2008/8/EC: place of supply of services
REGISTERED, SMALL_BUSINESS = TaxStatus.REGISTERED, TaxStatus.SMALL_BUSINESS


@dataclass(frozen=True, slots=True)
class VatRow:
    """One line of the table.

    `payer` is a country code, `EU`, `OUTSIDE` or `*`; `payee` also `SAME` (as the payer) or `OTHER_EU`.
    `needs` names the numbers without which the document may not be issued, `prints` those it shows.
    The first row that fits on the day applies, so later-dated and narrower rows stand above.
    """

    code: str
    valid_from: date
    payer: str
    payee: str
    status: TaxStatus
    category: str  # UNTDID 5305: S standard, E exempt, AE reverse charge, O outside the scope
    exemption: str = ""  # VATEX code, BT-121
    needs: tuple[str, ...] = ()
    prints: tuple[str, ...] = ("payee_vat_id", "payee_tax_number", "payer_vat_id")
    notes: tuple[str, ...] = ()


BOTH_IDS = ("payee_vat_id", "payer_vat_id")

ROWS: tuple[VatRow, ...] = (
    VatRow("domestic_de", ALWAYS, "DE", "DE", REGISTERED, "S", needs=("payee_tax_id",)),
    VatRow(
        "small_business_de",
        date(2025, 1, 1),
        "DE",
        "DE",
        SMALL_BUSINESS,
        "E",
        needs=("payee_tax_id",),
        notes=("small_business_de_2025",),
    ),
    VatRow(
        "small_business_de",
        ALWAYS,
        "DE",
        "DE",
        SMALL_BUSINESS,
        "E",
        needs=("payee_tax_id",),
        notes=("small_business_de",),
    ),
    VatRow(
        "small_business_at",
        ALWAYS,
        "AT",
        "AT",
        SMALL_BUSINESS,
        "E",
        needs=("payee_tax_id",),
        notes=("small_business_at",),
    ),
    VatRow(
        "small_business_fr",
        ALWAYS,
        "FR",
        "FR",
        SMALL_BUSINESS,
        "E",
        "VATEX-FR-FRANCHISE",
        needs=("payee_tax_id",),
        notes=("small_business_fr",),
    ),
    VatRow("domestic_eu", ALWAYS, "EU", "SAME", REGISTERED, "S", needs=("payee_vat_id",)),
    VatRow(
        "small_business_eu",
        ALWAYS,
        "EU",
        "SAME",
        SMALL_BUSINESS,
        "E",
        needs=("payee_tax_id",),
        notes=("small_business_eu",),
    ),
    # Article 214 (1) (e): a small business needs a VAT id too before it serves businesses of other member states.
    VatRow(
        "reverse_charge_eu",
        ALWAYS,
        "EU",
        "OTHER_EU",
        REGISTERED,
        "AE",
        "VATEX-EU-AE",
        needs=BOTH_IDS,
        prints=BOTH_IDS,
        notes=("reverse_charge",),
    ),
    VatRow(
        "reverse_charge_eu",
        ALWAYS,
        "EU",
        "OTHER_EU",
        SMALL_BUSINESS,
        "AE",
        "VATEX-EU-AE",
        needs=BOTH_IDS,
        prints=BOTH_IDS,
        notes=("reverse_charge",),
    ),
    VatRow(
        "reverse_charge_outside",
        ALWAYS,
        "EU",
        "OUTSIDE",
        REGISTERED,
        "AE",
        "VATEX-EU-AE",
        needs=("payee_tax_id", "payer_vat_id"),
        notes=("reverse_charge",),
    ),
    VatRow(
        "reverse_charge_outside",
        ALWAYS,
        "EU",
        "OUTSIDE",
        SMALL_BUSINESS,
        "AE",
        "VATEX-EU-AE",
        needs=("payee_tax_id", "payer_vat_id"),
        notes=("reverse_charge",),
    ),
    VatRow("no_vat_us", ALWAYS, "US", "US", REGISTERED, "O", "VATEX-EU-O"),
    VatRow("no_vat_us", ALWAYS, "US", "US", SMALL_BUSINESS, "O", "VATEX-EU-O"),
    VatRow("domestic_outside", ALWAYS, "OUTSIDE", "SAME", REGISTERED, "S", needs=("payee_tax_id",)),
    VatRow("unregistered_outside", ALWAYS, "OUTSIDE", "SAME", SMALL_BUSINESS, "O", "VATEX-EU-O", notes=("no_vat",)),
    VatRow("not_taxable_here", ALWAYS, "OUTSIDE", "*", REGISTERED, "O", "VATEX-EU-O", notes=("not_taxable",)),
    VatRow("not_taxable_here", ALWAYS, "OUTSIDE", "*", SMALL_BUSINESS, "O", "VATEX-EU-O", notes=("not_taxable",)),
)

# Each note in both languages of the documents; the German legal term stays in the English one where a German
# payer's auditor looks for it.
NOTES: dict[str, dict[str, str]] = {
    "small_business_de_2025": {
        "de": "Steuerfreie Leistung eines Kleinunternehmers nach § 19 UStG; es wird keine Umsatzsteuer ausgewiesen.",
        "en": "Exempt supply by a small business under § 19 UStG (Kleinunternehmer); no VAT is shown.",
    },
    "small_business_de": {
        "de": "Gemäß § 19 Abs. 1 UStG (Kleinunternehmer) wird keine Umsatzsteuer erhoben.",
        "en": "No VAT is charged under § 19 (1) UStG (Kleinunternehmer).",
    },
    "small_business_at": {
        "de": "Umsatzsteuerfrei nach § 6 Abs. 1 Z 27 UStG (Kleinunternehmer).",
        "en": "Exempt from VAT under § 6 (1) 27 of the Austrian VAT Act (Kleinunternehmer).",
    },
    "small_business_fr": {
        "de": "TVA non applicable, art. 293 B du CGI.",
        "en": "TVA non applicable, art. 293 B du CGI.",
    },
    "small_business_eu": {
        "de": "Steuerbefreit nach der Kleinunternehmerregelung, Art. 284 der Richtlinie 2006/112/EG.",
        "en": "Exempt under the scheme for small enterprises, Article 284 of Directive 2006/112/EC.",
    },
    "reverse_charge": {
        "de": "Steuerschuldnerschaft des Leistungsempfängers (Reverse Charge, Art. 196 der Richtlinie 2006/112/EG).",
        "en": "Reverse charge: VAT is accounted for by the recipient, Article 196 of Directive 2006/112/EC"
        " (Steuerschuldnerschaft des Leistungsempfängers).",
    },
    "not_taxable": {
        "de": "Nicht steuerbar: Der Ort der Leistung liegt im Land des Leistungsempfängers.",
        "en": "Outside the scope of VAT: the place of supply is the recipient's country.",
    },
    "no_vat": {
        "de": "Es wird keine Umsatzsteuer ausgewiesen; der Leistende ist nicht registriert.",
        "en": "No VAT is charged; the supplier is not registered for VAT.",
    },
}
