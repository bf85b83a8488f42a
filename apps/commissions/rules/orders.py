"""What was sold: the lines of a conversion, before and after its discount."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from types import MappingProxyType
from typing import NamedTuple

from apps.core.money import apportion

DEFAULT_CATEGORY = "DEFAULT"
NO_FIELDS: Mapping[str, str] = MappingProxyType({})


class Item(NamedTuple):
    """A basket position as the shop sends it; `unit_price` in minor units, without VAT, before the order's discount."""

    unit_price: int
    quantity: int = 1
    sku: str | None = None
    category: str = DEFAULT_CATEGORY
    shop_category: str | None = None


class Line(NamedTuple):
    """A basket position with its value before (`gross`) and after (`net`) discount, in minor units.

    `label` is what receipts call it: the sku, else its place (`#1`).
    """

    label: str
    gross: int
    net: int
    quantity: int = 1
    sku: str | None = None
    category: str = DEFAULT_CATEGORY
    shop_category: str | None = None


class Order(NamedTuple):
    """The conversion as rating sees it. `net` is the sum of its lines' net values.

    `coupons` are the codes sent, whatever their state, as `code_key(code)`; `fields` the advertiser's `p1`..`p20`;
    `on` the day in the advertiser's time zone.
    """

    net: int
    lines: tuple[Line, ...]
    goal: str = "SALE"
    new_customer: bool | None = None
    country: str | None = None
    device: str | None = None
    coupons: frozenset[str] = frozenset()
    fields: Mapping[str, str] = NO_FIELDS
    on: date | None = None
    flags: tuple[str, ...] = ()


def basket(
    amount: int | None, discount: int = 0, items: Sequence[Item] = ()
) -> tuple[tuple[Line, ...], tuple[str, ...]]:
    """Return the valued lines and the flags of a conversion of `amount` (net; None: what the items add up to).

    The discount is spread pro rata over the items by largest remainder (ties: the earlier line), at most what they
    are worth. Without items the conversion is one line. Where items and discount do not add up to the amount, the
    difference becomes a line of the default category and the flag is `parts_mismatch`.

        40.00, 50.00, 12.00 with a discount of 10.00 → net 36.08, 45.10, 10.82
    """
    if not items:
        if amount is None:
            raise ValueError("a conversion has an amount or lines")
        return (Line("#1", amount + discount, amount),), ()
    gross = [item.quantity * item.unit_price for item in items]
    spread = apportion(min(discount, sum(gross)), gross) if discount else [0] * len(gross)
    lines = [
        Line(item.sku or f"#{place}", value, value - less, item.quantity, item.sku, item.category, item.shop_category)
        for place, (item, value, less) in enumerate(zip(items, gross, spread, strict=True), 1)
    ]
    difference = 0 if amount is None else amount - sum(line.net for line in lines)
    if not difference:
        return tuple(lines), ()
    return (*lines, Line(f"#{len(lines) + 1}", difference, difference)), ("parts_mismatch",)
