"""What each share of a conversion earns."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

from apps.attribution.rules import Attribution, Winner
from apps.commissions.rules.orders import Order
from apps.commissions.rules.plans import Plan, Ready
from apps.commissions.rules.sharing import share_out
from apps.core.errors import Invalid

DEFAULT_PLAN = "default"


class NoPlan(Invalid):
    """A winner for whom no plan is assigned, not even a default."""

    code = "no_plan"
    message = "There is no commission plan for this partner, and no default plan."


class Outcome(NamedTuple):
    """A plan's result on the whole conversion, before sharing, over the plan's scale.

    `picks` are the places of the rules that decided the lines (None: none did); `amounts` what the lines earn;
    `beside` what `per_order`, minimum and maximum add or take. Lines and `beside` add up to `result`.
    """

    picks: tuple[int | None, ...]
    amounts: tuple[int, ...]
    beside: int
    result: int


class Award(NamedTuple):
    """What a winner gets: cents of commission, and its part of the revenue."""

    partner: Hashable
    commission: int
    revenue: int
    plan: Plan
    outcome: Outcome


class Rating(NamedTuple):
    """The awards, in the order of the winners. Revenues and `unpaid_revenue` add up to the order's net amount."""

    awards: tuple[Award, ...]
    unpaid_revenue: int

    @property
    def commission(self) -> int:
        return sum(award.commission for award in self.awards)


def choose_plan(winner: Winner, plans: Mapping[str, Plan]) -> Plan:
    """Return the most specific plan: its code's, ad space, partner, group, default.

    `plans` holds those valid when the conversion occurred, as `ad_space:<id>`, `partner:<id>`, `group:<id>`,
    `default`, and under the keys that codes name. Ad space and group are those of the winner's last kept touch.
    Raises NoPlan.
    """
    if winner.plan is not None and winner.plan in plans:
        return plans[winner.plan]  # type: ignore[index]
    if len(plans) > 1 or DEFAULT_PLAN not in plans:
        touch = winner.touch
        names = [f"partner:{winner.partner}"]
        if touch is not None:
            if touch.ad_space is not None:
                names.insert(0, f"ad_space:{touch.ad_space}")
            if touch.partner_group is not None:
                names.append(f"group:{touch.partner_group}")
        for name in names:
            if name in plans:
                return plans[name]
    plan = plans.get(DEFAULT_PLAN)
    if plan is None:
        raise NoPlan
    return plan


def evaluate(plan: Plan, order: Order, winner: Winner) -> Outcome:
    """Return a plan's result on the whole conversion for one winner.

    An order without lines (all cancelled) earns nothing, also not per order.
    """
    lines = order.lines
    applicable = reachable(plan, order, winner)
    picks: list[int | None] = []
    amounts: list[int] = []
    for line in lines:
        for place, rule in applicable:
            for check in rule.line:
                if not check(line):
                    break
            else:
                picks.append(place)
                amounts.append(rule.base(line) * rule.rate + rule.per_line + rule.per_unit * line.quantity)
                break
        else:
            picks.append(None)
            amounts.append(0)
    earned = sum(amounts)
    result = plan.total(earned) if lines else 0
    return Outcome(tuple(picks), tuple(amounts), result - earned, result)


def reachable(plan: Plan, order: Order, winner: Winner) -> list[tuple[int, Ready]]:
    """Return the rules that a line of this order may meet, in order, with their places."""
    found = []
    for place, rule in enumerate(plan.ready):
        for check in rule.order:
            if not check(order):
                break
        else:
            for check in rule.winner:
                if not check(winner):
                    break
            else:
                found.append((place, rule))
                if not rule.line:
                    break
    return found


def rate(
    order: Order,
    attribution: Attribution,
    plans: Mapping[str, Plan],
    *,
    at_most: Mapping[Hashable, int] | None = None,
) -> Rating:
    """Return what each winner of a conversion earns.

    Each winner's exact commission is its share of its own plan's result on the whole conversion; under a
    budget-neutral policy (`attribution.last_click` is set) its share of what the last-click winner's plan costs.
    `at_most` are the cents each partner had before a reduction (missing: 0): nobody is raised above them.
    Raises NoPlan.
    """
    winners, whole, unpaid = attribution.winners, attribution.denominator, attribution.unpaid
    if not winners:
        return Rating((), order.net if unpaid else 0)
    chosen = rated_plans(order, attribution, plans)
    scales = [plan.scale for plan, _ in chosen]
    scale = max(scales)  # powers of ten: the largest is their common multiple
    exact = [
        winner.numerator * outcome.result * (scale // plan.scale)
        for winner, (plan, outcome) in zip(winners, chosen, strict=True)
    ]
    ranks = [winner.rank for winner in winners]
    caps = None if at_most is None else [at_most.get(winner.partner, 0) for winner in winners]
    cents = share_out(exact, whole * scale, ranks, caps)
    if len(winners) == 1 and not unpaid:
        revenues = [order.net, 0]
    else:
        parts = [order.net * winner.numerator for winner in winners]
        revenues = share_out([*parts, order.net * unpaid], whole, [*ranks, len(winners)])
    return Rating(
        tuple(
            [
                Award(winner.partner, commission, revenue, plan, outcome)
                for winner, commission, revenue, (plan, outcome) in zip(winners, cents, revenues, chosen, strict=False)
            ]
        ),
        revenues[-1],
    )


def rated_plans(order: Order, attribution: Attribution, plans: Mapping[str, Plan]) -> Sequence[tuple[Plan, Outcome]]:
    """Return for each winner the plan that sets its exact commission, and that plan's outcome."""
    if attribution.last_click is not None:
        plan = choose_plan(attribution.last_click, plans)
        return [(plan, evaluate(plan, order, attribution.last_click))] * len(attribution.winners)
    chosen = []
    shared: dict[int, Outcome] = {}
    for winner in attribution.winners:
        plan = choose_plan(winner, plans)
        outcome = shared.get(id(plan))
        if outcome is None or plan.asks_winner:
            outcome = shared[id(plan)] = evaluate(plan, order, winner)
        chosen.append((plan, outcome))
    return chosen
