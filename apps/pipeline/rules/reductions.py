"""What is left of a conversion's commissions after refunds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from apps.attribution.rules import Attribution
from apps.commissions.rules import Order, Plan, rate, reduce_lines, refund
from apps.commissions.rules.remaining import (
    AMOUNT,
    LINES,
    WHOLE,
    RefundFact,
    canonical,
    net_after,
    quantities_left,
)

__all__ = ["AMOUNT", "LINES", "WHOLE", "RefundFact", "amounts_after", "net_after"]


def amounts_after(
    amounts: Sequence[int],
    ranks: Sequence[int],
    order: Order,
    refunds: Sequence[RefundFact],
    *,
    attribution: Attribution | None = None,
    plans: Mapping[str, Plan] | None = None,
) -> tuple[int, ...]:
    """Return what each winner keeps, in cents: never more than before, nothing negative, a full refund exactly zero.

    `amounts` are the commissions of the order as it was sold, in the order of the winners; `ranks` break ties as in
    rating. Returned lines re-rate the order, which needs `attribution` and `plans`; an amount takes from each winner in
    proportion to what is outstanding, and what amounts took before is taken of the re-rated order too. Refunds beyond
    what is left take what is left.

        100.00 of two equal lines at 8 %: 8.00; 40.00 given back: 4.80; then a line returned: 10.00 are left, 0.80
    """
    left, rated = list(amounts), list(amounts)
    net, given_back = order.net, 0
    returned: dict[int, int] = {}
    for fact in canonical(refunds):
        if fact.kind == WHOLE:
            return (0,) * len(left)
        if fact.kind == AMOUNT:
            takes = refund(left, fact.amount, net - given_back, ranks)
            left = [have - take for have, take in zip(left, takes, strict=True)]
            given_back += fact.amount
            continue
        if attribution is None or plans is None:
            raise ValueError("returned lines are rated again, which needs the attribution and the plans")
        for place, quantity in fact.lines:
            returned[place - 1] = returned.get(place - 1, 0) + quantity
        smaller = reduce_lines(order, quantities_left(order, returned))
        rated = rated_below(rated, smaller, attribution, plans)
        net = smaller.net
        takes = refund(rated, given_back, net, ranks)
        left = [min(have, now - take) for have, now, take in zip(left, rated, takes, strict=True)]
        if net - given_back <= 0:
            return (0,) * len(left)
    return tuple(left)


def rated_below(had: Sequence[int], smaller: Order, attribution: Attribution, plans: Mapping[str, Plan]) -> list[int]:
    """Return what the winners earn on a smaller order; where that would raise one, its old cents cap its exact part."""
    rated = [award.commission for award in rate(smaller, attribution, plans).awards]
    if any(now > before for now, before in zip(rated, had, strict=True)):
        caps = {winner.partner: cents for winner, cents in zip(attribution.winners, had, strict=True)}
        rated = [award.commission for award in rate(smaller, attribution, plans, at_most=caps).awards]
    return [min(now, before) for now, before in zip(rated, had, strict=True)]
