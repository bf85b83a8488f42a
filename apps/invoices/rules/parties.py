"""The two companies on a document, and the numbers the tax office knows them by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from stdnum import get_cc_module
from stdnum.eu import vat as eu_vat
from stdnum.exceptions import ValidationError

GERMAN_SPEAKING = frozenset({"DE", "AT"})
# Countries whose addresses have a postcode that may not be left out.
POSTCODE_COUNTRIES = frozenset(
    "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IT LT LU LV MT NL PL PT RO SE SI SK CH LI NO IS GB US CA AU JP".split()
)


class TaxStatus(StrEnum):
    """How the tax office sees a partner: charges VAT, is exempt as a small business, or is no business at all."""

    REGISTERED = "vat_registered"
    SMALL_BUSINESS = "small_business"
    PRIVATE = "private_person"


@dataclass(frozen=True, slots=True)
class Agreement:
    """The accepted agreement to self-billing: which version of its text, and since when."""

    version: str
    accepted_on: date


@dataclass(frozen=True, slots=True)
class Party:
    """A company as a document prints it. `country` is ISO 3166-1 alpha-2; texts that do not apply are empty.

    `language` overrides the language that follows from the country. `reference` is what the other side
    calls this party (a partner number); `directors` stand in a company's footer.
    """

    name: str
    lines: tuple[str, ...]
    postcode: str
    city: str
    country: str
    vat_id: str = ""
    tax_number: str = ""
    email: str = ""
    register: str = ""
    directors: str = ""
    status: TaxStatus = TaxStatus.REGISTERED
    language: str = ""
    reference: str = ""

    @property
    def has_address(self) -> bool:
        """Whether name, street, city, country and, where the country has them, the postcode are there."""
        needed = [self.name, *self.lines[:1], self.city, self.country]
        if self.country in POSTCODE_COUNTRIES:
            needed.append(self.postcode)
        return bool(self.lines) and all(text.strip() for text in needed)


def document_language(party: Party) -> str:
    """Return the language a party reads its documents in: `de` or `en`."""
    if party.language:
        return "de" if party.language.lower().startswith("de") else "en"
    return "de" if party.country in GERMAN_SPEAKING else "en"


def normal_vat_id(vat_id: str, country: str) -> str | None:
    """Return the VAT id in its compact form, or None where its format or check digit contradicts the country.

    Ids of EU countries carry their prefix (`EL` for Greece); elsewhere the country's own rule applies, and a
    country without a known rule accepts any text. Format only: whether the id is alive is for VIES to say.
    """
    try:
        if country in EU_PREFIXES:
            number = eu_vat.validate(vat_id)
            return number if number.startswith(EU_PREFIXES[country]) else None
        module = get_cc_module(country.lower(), "vat")
        if module is None:
            return vat_id.strip()
        bare = module.validate(vat_id)
        return bare if bare.startswith(("CHE", country)) else country + bare
    except ValidationError:
        return None


EU_PREFIXES = {
    **{code: code for code in "AT BE BG CY CZ DE DK EE ES FI FR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split()},
    "GR": "EL",
    "MC": "FR",
}
