"""Commissions: what a conversion's shares earn under the winners' plans, and what refunds take back. Pure.

`basket(...)` values the lines, `rate(order, attribution, plans)` shares and rounds; `refund` and `corrections` are
for partial changes. Amounts are whole minor units; a plan's results are integers over `plan.scale`.
"""

from apps.commissions.rules.changes import corrections, reduce_lines, refund
from apps.commissions.rules.orders import DEFAULT_CATEGORY, Item, Line, Order, basket
from apps.commissions.rules.plans import BASES, ROLES, Pay, Plan, Rule, When
from apps.commissions.rules.rating import Award, Outcome, Rating, choose_plan, evaluate, rate
from apps.commissions.rules.sharing import share_out

__all__ = [
    "BASES",
    "DEFAULT_CATEGORY",
    "ROLES",
    "Award",
    "Item",
    "Line",
    "Order",
    "Outcome",
    "Pay",
    "Plan",
    "Rating",
    "Rule",
    "When",
    "basket",
    "choose_plan",
    "corrections",
    "evaluate",
    "rate",
    "reduce_lines",
    "refund",
    "share_out",
]
