"""Whether refunds fit into what was sold: the pieces of lines and amounts together never give back more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from apps.commissions.rules import Order, reduce_lines
from apps.commissions.rules.remaining import AMOUNT, LINES, WHOLE, RefundFact, canonical, quantities_left


class Surplus(NamedTuple):
    """What a refund gives back beyond what was left, in minor units; 0 where it names pieces that were back before."""

    ref: str
    left: int
    beyond: int


def surplus_of(order: Order, before: Sequence[RefundFact], told: RefundFact) -> Surplus | None:
    """Return what a refund gives back beyond what others have left of its order, or None where it fits.

    The whole order may come back whatever came back before: then the rest does, but once.

        100.00, of which a line of 60.00 came back: an amount of 40.00 fits, 40.01 is 0.01 beyond
    """
    if any(fact.kind == WHOLE for fact in before):
        return Surplus(told.ref, 0, 0)
    if told.kind == WHOLE:
        return None
    left = _left(order, before)
    beyond = max(0, -_left(order, [*before, told]))
    is_back = told.kind == LINES and _pieces(order, before) == _pieces(order, [*before, told])
    return Surplus(told.ref, max(0, left), beyond) if beyond or is_back else None


def surpluses(order: Order, refunds: Sequence[RefundFact]) -> Iterator[Surplus]:
    """Yield what refunds give back beyond what was left, in the order they are applied in: a function of the set."""
    facts = canonical(refunds)
    for place, fact in enumerate(facts):
        surplus = surplus_of(order, facts[:place], fact)
        if surplus is not None:
            yield surplus


def _left(order: Order, facts: Sequence[RefundFact]) -> int:
    """Return what lines and amounts leave of an order's net, below zero where they give back too much."""
    lines = [fact for fact in facts if fact.kind == LINES]
    net = reduce_lines(order, _pieces(order, facts)).net if lines else order.net
    return net - sum(fact.amount for fact in facts if fact.kind == AMOUNT)


def _pieces(order: Order, facts: Sequence[RefundFact]) -> dict[int, int]:
    """Return the pieces left of each line, by its place from 0."""
    returned = dict.fromkeys(range(len(order.lines)), 0)
    for place, quantity in (line for fact in facts if fact.kind == LINES for line in fact.lines):
        returned[place - 1] = returned.get(place - 1, 0) + quantity
    return quantities_left(order, returned)
