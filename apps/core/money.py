"""Money in whole minor units, and the one way to divide it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cache

from apps.core.errors import Invalid

# ISO 4217 currencies whose minor unit is not two digits.
DIGITS = {
    **dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
    **dict.fromkeys("CLF UYW".split(), 4),
}
PLAIN = re.compile(r"-?[0-9]+(\.[0-9]+)?")
MOST_DIGITS, MOST_DECIMALS = 13, 4


class InvalidAmount(Invalid):
    code = "invalid_amount"
    message = "An amount is digits with at most one decimal point, without grouping."


class InvalidCurrency(Invalid):
    code = "invalid_currency"
    message = "A currency is an ISO 4217 code of three capital letters."


class MixedCurrencies(Invalid):
    code = "mixed_currencies"
    message = "Amounts of different currencies cannot be added."


@cache
def digits(currency: str) -> int:
    """Return the number of decimals of an ISO 4217 currency (JPY 0, EUR 2, KWD 3). Raises InvalidCurrency."""
    if len(currency) != 3 or not currency.isascii() or not currency.isalpha() or not currency.isupper():
        raise InvalidCurrency
    return DIGITS.get(currency, 2)


@dataclass(frozen=True, slots=True)
class Money:
    """An exact amount: `minor` whole units of the currency's smallest coin (cents for EUR)."""

    minor: int
    currency: str

    @classmethod
    def parse(cls, text: str, currency: str) -> Money:
        """Read a decimal string with a point (`1083.29`). Raises InvalidAmount, InvalidCurrency."""
        places = digits(currency)
        if not isinstance(text, str) or not PLAIN.fullmatch(text):
            raise InvalidAmount
        whole, _, rest = text.lstrip("-").partition(".")
        if len(whole) > MOST_DIGITS:
            raise InvalidAmount(f"The amount is too large: it has more than {MOST_DIGITS} digits before the point.")
        if len(rest) > MOST_DECIMALS:
            raise InvalidAmount(f"{currency} has {places} decimals.")
        scaled = Decimal(text).scaleb(places)
        if scaled != scaled.to_integral_value():
            raise InvalidAmount(f"{currency} has {places} decimals.")
        return cls(int(scaled), currency)

    @property
    def decimal(self) -> Decimal:
        return Decimal(self.minor).scaleb(-digits(self.currency))

    def __str__(self) -> str:
        """The plain decimal string of the APIs: `1083.29`, without the currency."""
        return f"{self.decimal:f}"

    def _same(self, other: Money) -> None:
        if self.currency != other.currency:
            raise MixedCurrencies

    def __add__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.minor + other.minor, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.minor - other.minor, self.currency)

    def __neg__(self) -> Money:
        return Money(-self.minor, self.currency)

    def __bool__(self) -> bool:
        return self.minor != 0


def round_half_even(value: Fraction) -> int:
    """Return the whole number nearest to an exact value; a half goes to the even neighbour."""
    return round(value)


def apportion(total: int, weights: Sequence[Fraction | int], ranks: Sequence[int] | None = None) -> list[int]:
    """Divide `total` whole units by `weights`, losing none: largest remainder.

    Each part is first rounded down; what is left goes, a unit each, to the largest remainders,
    equal remainders to the lower rank (default: the earlier place). Weights are not negative and
    not all zero unless the total is zero; a negative total is divided as the mirror of the positive one.

    >>> apportion(500, [1, 1, 1], ranks=[2, 1, 0])
    [166, 167, 167]
    """
    if total < 0:
        return [-part for part in apportion(-total, weights, ranks)]
    whole = sum(weights)
    if not whole:
        if total:
            raise ValueError("an amount cannot be divided by weights that are all zero")
        return [0] * len(weights)
    exact = [divmod(weight * total, whole) for weight in weights]
    parts = [int(quotient) for quotient, _ in exact]
    order = ranks if ranks is not None else range(len(weights))
    for place in sorted(range(len(weights)), key=lambda i: (-exact[i][1], order[i]))[: total - sum(parts)]:
        parts[place] += 1
    return parts
