"""Partial changes: refunds of an amount, cancelled lines, changed quantities."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from apps.commissions.rules.orders import Line, Order
from apps.core.money import apportion


def refund(outstanding: Sequence[int], refunded: int, remaining: int, ranks: Sequence[int] | None = None) -> list[int]:
    """Return the cents to take from each winner for a refund of `refunded` out of `remaining` (both net, minor units).

    What is taken in all is the outstanding total times the refunded part, rounded half to even; it is taken in
    proportion to the outstanding cents by largest remainder (ties: the lower rank), never more than is there. A refund
    of all that remains takes everything.

        5, 5, 1 outstanding, 1 of 11 refunded → take 1, 0, 0
    """
    total = sum(outstanding)
    if refunded <= 0 or not total:
        return [0] * len(outstanding)
    if refunded >= remaining:
        return list(outstanding)
    taken, over = divmod(total * refunded, remaining)
    if 2 * over > remaining or (2 * over == remaining and taken % 2):
        taken += 1
    return apportion(taken, outstanding, ranks)


def corrections(before: Mapping[Hashable, int], after: Mapping[Hashable, int]) -> dict[Hashable, int]:
    """Return the signed difference for each partner whose amount changes."""
    partners = dict.fromkeys([*before, *after])
    changes = {partner: after.get(partner, 0) - before.get(partner, 0) for partner in partners}
    return {partner: change for partner, change in changes.items() if change}


def reduce_lines(order: Order, quantities: Mapping[int, int]) -> Order:
    """Return the order with smaller quantities for some lines, by their place in it (from 0); 0 cancels the line.

    A line keeps the discount it had, in proportion to what is left of it. Quantities above the old one change nothing.
    Reduce the order as it was first sold by all that has happened since; then `rate` it with `at_most` what is
    outstanding, so that nobody is raised.
    """
    reduced_lines = [reduced(line, quantities.get(place)) for place, line in enumerate(order.lines)]
    lines = tuple(line for line in reduced_lines if line is not None)
    return order._replace(lines=lines, net=max(0, sum(line.net for line in lines)))


def reduced(line: Line, quantity: int | None) -> Line | None:
    if quantity is None or quantity >= line.quantity:
        return line
    if quantity <= 0:
        return None
    gross, net = (apportion(value, [quantity, line.quantity - quantity])[0] for value in (line.gross, line.net))
    return line._replace(quantity=quantity, gross=gross, net=net)
