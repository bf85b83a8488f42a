"""A row of partners.csv, told as a partner with an ad space."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from stdnum import iban as iban_number
from stdnum.eu import vat
from stdnum.exceptions import ValidationError

from apps.imports.rules import cells
from apps.imports.rules.cells import RowRefused
from apps.imports.rules.tables import Columns

PARTNERS = Columns(
    must=("partner", "name", "country", "ad_space"),
    may=(
        "ad_space_category",
        "kind",
        "tax_status",
        "legal_name",
        "address",
        "postcode",
        "city",
        "vat_id",
        "tax_number",
        "iban",
        "self_billing_on",
        "self_billing_version",
    ),
)


@dataclass(frozen=True, slots=True)
class TaxFact:
    status: str
    legal_name: str
    address: str
    postcode: str
    city: str
    vat_id: str
    tax_number: str


@dataclass(frozen=True, slots=True)
class PartnerFact:
    """A partner, one of its ad spaces, and what finance needs to know where the file says it."""

    partner: str
    name: str
    country: str
    ad_space: str
    ad_space_category: str
    kind: str
    tax: TaxFact | None
    holder: str
    iban: str
    self_billing_on: date | None
    self_billing_version: str


def read_partner(row: tuple[str, ...], *, kinds: Collection[str], tax_statuses: Collection[str]) -> PartnerFact:
    """Return what a row says. Raises RowRefused with the codes named here and in `cells`."""
    said = dict(zip(PARTNERS.all, row, strict=True))
    agreed_on = cells.day(said["self_billing_on"], "self_billing_on")
    return PartnerFact(
        partner=cells.slug(said["partner"], "partner", 80),
        name=cells.required(said["name"], "name", 200),
        country=cells.country(cells.required(said["country"], "country", 2), "country"),
        ad_space=cells.slug(said["ad_space"], "ad_space", 80),
        ad_space_category=cells.slug(said["ad_space_category"] or "editorial", "ad_space_category", 60),
        kind=cells.choice(said["kind"] or "CONTENT", "kind", kinds, "invalid_kind"),
        tax=read_tax(said, tax_statuses),
        holder=said["legal_name"][:140],
        iban=read_iban(said),
        self_billing_on=agreed_on,
        self_billing_version=cells.plain(said["self_billing_version"], "self_billing_version", 20) or "1"
        if agreed_on
        else "",
    )


def read_tax(said: dict[str, str], statuses: Collection[str]) -> TaxFact | None:
    """Return the tax profile, or None without a status. Raises RowRefused: invalid_tax_status, invalid_vat_id."""
    if not said["tax_status"]:
        return None
    number = said["vat_id"].replace(" ", "")
    if number and number[:2].lower() in vat.MEMBER_STATES and not vat.is_valid(number):
        raise RowRefused("vat_id is not a VAT number of its country.", code="invalid_vat_id", path="vat_id")
    return TaxFact(
        status=cells.choice(said["tax_status"], "tax_status", statuses, "invalid_tax_status"),
        legal_name=cells.required(said["legal_name"], "legal_name", 200),
        address=cells.plain(said["address"], "address", 200),
        postcode=cells.plain(said["postcode"], "postcode", 20),
        city=cells.plain(said["city"], "city", 100),
        vat_id=cells.plain(number, "vat_id", 20),
        tax_number=cells.plain(said["tax_number"], "tax_number", 40),
    )


def read_iban(said: dict[str, str]) -> str:
    """Return the account without blanks, or nothing. Raises RowRefused: invalid_iban, missing_field."""
    if not said["iban"]:
        return ""
    cells.required(said["legal_name"], "legal_name", 200)
    try:
        return iban_number.validate(said["iban"], check_country=False)
    except ValidationError:
        raise RowRefused("iban is not a valid account number.", code="invalid_iban", path="iban") from None
