"""What an order is still worth after refunds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from apps.commissions.rules.changes import reduce_lines
from apps.commissions.rules.orders import Order

WHOLE, AMOUNT, LINES = "WHOLE", "AMOUNT", "LINES"


@dataclass(frozen=True, slots=True)
class RefundFact:
    """A refund: of the whole order, of `amount` (net minor units), or of `lines` as (place from 1, quantity)."""

    ref: str
    kind: str
    occurred_at: datetime
    amount: int = 0
    lines: tuple[tuple[int, int], ...] = ()


def canonical(refunds: Sequence[RefundFact]) -> list[RefundFact]:
    """Return refunds in the one order they are applied in, whatever order they arrived in."""
    return sorted(refunds, key=lambda fact: (fact.occurred_at, fact.ref))


def net_after(order: Order, refunds: Sequence[RefundFact]) -> int:
    """Return what the order is still worth after refunds, in cents and never below zero: what corrections rest on."""
    net, given_back = order.net, 0
    returned: dict[int, int] = {}
    for fact in canonical(refunds):
        if fact.kind == WHOLE:
            return 0
        if fact.kind == AMOUNT:
            given_back += fact.amount
            continue
        for place, quantity in fact.lines:
            returned[place - 1] = returned.get(place - 1, 0) + quantity
        net = reduce_lines(order, quantities_left(order, returned)).net
    return max(0, net - given_back)


def quantities_left(order: Order, returned: Mapping[int, int]) -> dict[int, int]:
    """Return what is left of the lines that had returns, by place from 0; unknown places are left out."""
    return {
        place: max(0, order.lines[place].quantity - quantity)
        for place, quantity in returned.items()
        if 0 <= place < len(order.lines)
    }
