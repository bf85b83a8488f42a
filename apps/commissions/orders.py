"""Stored conversions and refunds as rating sees them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID
from zoneinfo import ZoneInfo

from apps.attribution.rules import code_key
from apps.commissions.rules import Item, Order, basket
from apps.commissions.rules.remaining import RefundFact
from apps.core.periods import day_of
from apps.tracking.facts import ConversionRow, LineRow, RefundRow, amended, amendments_of, conversions_by_id, lines_of
from apps.tracking.rules.basket import LARGEST_QUANTITY


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


def as_told_last(id_: UUID | str) -> tuple[ConversionRow, Sequence[LineRow]]:
    """Return a conversion that is there and its lines as the last amendment tells them."""
    row, lines = conversions_by_id([id_])[0], lines_of([id_]).get(str(id_), [])
    newest = amendments_of([id_]).get(str(id_))
    return amended(row, lines, newest.content) if newest else (row, lines)


def refund_facts(refunds: Iterable[RefundRow], order: ConversionRow, lines_sold: Sequence[LineRow]) -> list[RefundFact]:
    """Return the refunds of an order as the rules see them: those in its currency, of the positions that it has.

    What was told before its sale may be neither, and takes nothing. A line without a quantity comes back as a whole.
    """
    return [
        RefundFact(
            ref=row.refund_ref,
            kind=row.kind,
            occurred_at=row.occurred_at,
            amount=row.amount_minor or 0,
            lines=tuple(
                (position, line["quantity"] or LARGEST_QUANTITY)
                for line in row.lines
                if 1 <= (position := line["position"] or 0) <= len(lines_sold)
            ),
        )
        for row in refunds
        if row.is_in(order.currency)
    ]
