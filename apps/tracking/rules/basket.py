"""The basket positions of a call: `lines` as JSON, or `parts` as `CATEGORY:amount|CATEGORY:amount`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from apps.core.errors import Invalid
from apps.core.money import InvalidAmount, Money
from apps.tracking.rules.fields import InvalidBody, read_list, text_of

DEFAULT_CATEGORY = "DEFAULT"
LINE_FIELDS = ("sku", "name", "category", "shop_category", "quantity", "unit_price", "discount")
MOST_LINES = 500
LARGEST_QUANTITY = 1_000_000
LARGEST_MINOR = 10**17
"""Below the database's whole numbers, with room for sums."""


class InvalidLines(Invalid):
    code = "invalid_lines"
    message = "`lines` is a JSON list of positions, each with at least a unit_price."


class InvalidParts(Invalid):
    code = "invalid_parts"
    message = "`parts` is written CATEGORY:11.10|CATEGORY:14.99."


@dataclass(frozen=True, slots=True)
class LineFact:
    """A basket position; `unit_price_minor` is before the order's discount and after the position's own."""

    unit_price_minor: int
    quantity: int = 1
    sku: str = ""
    name: str = ""
    category: str = DEFAULT_CATEGORY
    shop_category: str = ""


def worth_of(lines: Sequence[LineFact], discount: int) -> int:
    """Return what positions come to after the order's discount, in minor units and never below zero."""
    return max(0, sum(line.quantity * line.unit_price_minor for line in lines) - discount)


def read_amount(text: str, currency: str, path: str) -> int:
    """Return a decimal with a point as minor units. Raises InvalidAmount, naming the field; never negative."""
    try:
        minor = Money.parse(text, currency).minor
    except InvalidAmount as refusal:
        raise InvalidAmount(refusal.message, path=path) from None
    if minor < 0:
        raise InvalidAmount("An amount is not negative.", path=path)
    if minor > LARGEST_MINOR:
        raise InvalidAmount("The amount is too large.", path=path)
    return minor


def read_lines(fields: Mapping[str, object], currency: str) -> tuple[LineFact, ...]:
    """Return the positions of a call, none where it names none. Raises InvalidLines, InvalidParts, InvalidAmount."""
    given = fields.get("lines")
    parts = text_of(fields, "parts", 20_000)
    if given in (None, ""):
        return _read_parts(parts, currency) if parts else ()
    if parts:
        raise InvalidLines("Send `lines` or `parts`, not both.", path="parts")
    try:
        items = read_list(given) if isinstance(given, str) else given
    except InvalidBody:
        raise InvalidLines(path="lines") from None
    if not isinstance(items, list) or len(items) > MOST_LINES:
        raise InvalidLines(f"`lines` is a JSON list of at most {MOST_LINES} positions.", path="lines")
    return tuple(line for place, item in enumerate(items) for line in _read_line(item, currency, f"lines[{place}]"))


def unknown_of_lines(fields: Mapping[str, object]) -> list[str]:
    """Return the names within readable `lines` that no position has: `lines[0].price`."""
    given = fields.get("lines")
    items = read_list(given) if isinstance(given, str) and given else given
    return [
        f"lines[{place}].{name}"
        for place, item in enumerate(items if isinstance(items, list) else ())
        for name in item
        if name not in LINE_FIELDS
    ]


def _read_line(item: object, currency: str, path: str) -> list[LineFact]:
    if not isinstance(item, dict):
        raise InvalidLines(path=path)
    where = f"{path}."
    price = text_of(item, "unit_price", 40, where)
    if not price:
        raise InvalidLines("A position needs its unit_price.", path=f"{where}unit_price")
    line = LineFact(
        unit_price_minor=read_amount(price, currency, f"{where}unit_price"),
        quantity=_quantity(item, where),
        sku=text_of(item, "sku", 120, where),
        name=text_of(item, "name", 200, where),
        category=text_of(item, "category", 60, where) or DEFAULT_CATEGORY,
        shop_category=text_of(item, "shop_category", 120, where),
    )
    discount = text_of(item, "discount", 40, where)
    return _discounted(line, read_amount(discount, currency, f"{where}discount"), where) if discount else [line]


def _quantity(item: Mapping[str, object], where: str) -> int:
    text = text_of(item, "quantity", 10, where) or "1"
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= LARGEST_QUANTITY):
        raise InvalidLines("A quantity is a whole number from 1 on.", path=f"{where}quantity")
    return int(text)


def _discounted(line: LineFact, discount: int, where: str) -> list[LineFact]:
    """Return a position after its own discount; where units then differ by a cent, as two positions.

    3 × 10.00 less 1.00 → 2 × 9.67 and 1 × 9.66
    """
    total = line.unit_price_minor * line.quantity - discount
    if total < 0:
        raise InvalidLines("A position's discount is more than it costs.", path=f"{where}discount")
    lower, dearer = divmod(total, line.quantity)
    split = [(dearer, lower + 1), (line.quantity - dearer, lower)]
    return [replace(line, quantity=quantity, unit_price_minor=price) for quantity, price in split if quantity]


def _read_parts(parts: str, currency: str) -> tuple[LineFact, ...]:
    lines = []
    for place, part in enumerate(parts.split("|")):
        category, mark, amount = part.rpartition(":")
        path = f"parts[{place}]"
        if not mark or not category.strip():
            raise InvalidParts(path=path)
        lines.append(
            LineFact(
                unit_price_minor=read_amount(amount.strip(), currency, path),
                category=text_of({"category": category}, "category", 60, f"{path}."),
            )
        )
    if len(lines) > MOST_LINES:
        raise InvalidParts(f"`parts` has at most {MOST_LINES} entries.", path="parts")
    return tuple(lines)
