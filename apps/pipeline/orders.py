"""A stored conversion as rating sees it."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from apps.attribution.rules import code_key
from apps.commissions.rules import Item, Order, basket
from apps.core.periods import day_of
from apps.tracking.facts import ConversionRow, LineRow


def order_of(conversion: ConversionRow, lines_sold: Sequence[LineRow], zone: ZoneInfo) -> Order:
    """Return a conversion as rating sees it; its day is the one in the advertiser's zone."""
    items = [
        Item(row.unit_price_minor, row.quantity, row.sku or None, row.category, row.shop_category or None)
        for row in lines_sold
    ]
    lines, flags = basket(conversion.amount_minor, conversion.discount_minor, items)
    return Order(
        net=sum(line.net for line in lines),
        lines=lines,
        goal=conversion.goal,
        new_customer=conversion.new_customer,
        country=conversion.country or None,
        device=conversion.device or None,
        coupons=frozenset(code_key(code) for code in conversion.coupons),
        on=day_of(conversion.occurred_at, zone),
        flags=flags,
    )
