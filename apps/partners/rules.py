"""Where money goes: bank accounts in their normal form."""

from __future__ import annotations

from schwifty import BIC, IBAN
from schwifty.exceptions import SchwiftyException


def normal_iban(text: str) -> str | None:
    """Return an IBAN without blanks, or None where length, form or check digits are wrong (ISO 13616).

    >>> normal_iban("de89 3704 0044 0532 0130 00")
    'DE89370400440532013000'
    """
    try:
        return str(IBAN("".join(text.split()).upper()))
    except SchwiftyException:
        return None


def normal_bic(text: str) -> str | None:
    """Return a BIC in capitals, or None where it has not the form of one (ISO 9362).

    >>> normal_bic("cobadeffxxx")
    'COBADEFFXXX'
    """
    try:
        return str(BIC("".join(text.split()).upper()))
    except SchwiftyException:
        return None
