"""One conversion with everything that decides it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from apps.attribution.rules import Attribution, CouponGrant, Policy, Sale, Touch, attribute
from apps.commissions.rules import Order, Plan, Rating, rate


class Case(NamedTuple):
    """What both engines need: `grants` by `code_key`, `plans` by `partner:<id>` and so on (see `choose_plan`)."""

    sale: Sale
    touches: Sequence[Touch]
    policy: Policy
    grants: Mapping[str, CouponGrant]
    order: Order
    plans: Mapping[str, Plan]
    currency: str = "EUR"


class Decided(NamedTuple):
    attribution: Attribution
    rating: Rating


def decide(case: Case) -> Decided:
    """Return who the conversion belongs to and what each winner earns. Raises NoPlan."""
    attribution = attribute(case.sale, case.touches, case.policy, case.grants)
    return Decided(attribution, rate(case.order, attribution, case.plans))
