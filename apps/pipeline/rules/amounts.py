"""Amounts, shares and rates as a receipt writes them."""

from __future__ import annotations

from decimal import Decimal
from math import gcd

from apps.commissions.rules.plans import Rule


def rate_text(rule: Rule, places: int) -> str:
    """Return a rule's rate in words: `5 %`, `5 % of gross`, `0.50 per unit`, or several joined by ` + `."""
    pay = rule.pay
    parts = []
    if pay.percent is not None:
        parts.append(f"{trimmed(f'{pay.percent:f}')} %" + (f" of {pay.of}" if pay.of != "net" else ""))
    for amount, unit in ((pay.per_line, "line"), (pay.per_unit, "unit")):
        if amount:
            parts.append(f"{fixed_text(amount, places)} per {unit}")
    return " + ".join(parts) or "0"


def fixed_text(amount: int | Decimal, places: int) -> str:
    """Return minor units, perhaps broken ones, in major units."""
    return major(amount, places) if isinstance(amount, int) else f"{amount.scaleb(-places):f}"


def major(minor: int, places: int) -> str:
    """Return minor units as a plain decimal string: 338 of EUR is `3.38`."""
    if places == 2 and minor >= 0:
        return f"{minor // 100}.{minor % 100:02}"
    if places == 0:
        return str(minor)
    whole, part = divmod(abs(minor), 10**places)
    return f"{'-' if minor < 0 else ''}{whole}.{part:0{places}}"


def plain(value: int, places: int) -> str:
    """Return value / 10^places without trailing zeros."""
    whole, part = divmod(value, 10**places)
    return trimmed(major(value, places)) if part else str(whole)


def trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def fraction(numerator: int, denominator: int) -> str:
    """Return a share in lowest terms: `3/4`, `1`, `0`."""
    common = gcd(numerator, denominator)
    below = denominator // common
    return f"{numerator // common}/{below}" if below != 1 else str(numerator // common)
