"""The attribution a receipt tells of rates an order as the one it was made from, whatever is sold, amended or left."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from apps.attribution.rules import attribute
from apps.commissions.rules import rate
from apps.pipeline.rules import compact
from apps.pipeline.rules.told import attribution_told
from tests.commissions.test_rules_properties import SALE, grants, orders, plans, policies, touches


@settings(max_examples=200)
@given(touches(), policies, grants, orders(), orders(), plans, plans, st.sampled_from(["partner:blog", "unused"]))
def test_a_receipt_rates_any_order_as_its_journey_does(
    journey, policy, codes, sold, smaller, default, special, assigned
):
    object.__setattr__(default, "key", "default")
    object.__setattr__(special, "key", assigned)
    assigned_plans = {"default": default, assigned: special}
    attribution = attribute(SALE, journey, policy, codes)
    stored = json.loads(json.dumps(compact(attribution, rate(sold, attribution, assigned_plans), sold)))
    by_id = {touch.id: touch for touch in journey}

    told = attribution_told(stored, by_id, budget_neutral=policy.budget_neutral)
    named = {plan.key: plan for plan in assigned_plans.values() if plan.key in {row[4] for row in stored["winners"]}}

    def facts(winners):
        return [(one.partner, one.numerator, one.rank, one.touch, one.roles) for one in winners]

    assert facts(told.winners) == facts(attribution.winners)
    assert (told.unpaid, told.denominator) == (attribution.unpaid, attribution.denominator)
    for order in (sold, smaller):
        assert rate(order, told, named) == rate(order, attribution, assigned_plans)


def test_touches_that_are_gone_leave_shares_and_plans_as_they_are():
    journey = {"touches": [["t1"], ["t2", "soft_click"]], "winners": [["blog", 1, 500, 9000, "partner:blog", [0]]]}
    stored = {**journey, "den": 1, "unpaid": [0, 0], "roles": ["blog", [], "blog", 1, 1]}
    [winner] = attribution_told(stored, {}, budget_neutral=False).winners
    assert (winner.partner, winner.numerator, winner.touch, winner.plan) == ("blog", 1, None, "partner:blog")
    assert winner.roles == ("initiator", "closer")
