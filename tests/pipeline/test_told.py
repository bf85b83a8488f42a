"""The attribution a receipt tells of rates an order as the one it was made from, whatever is sold, amended or left."""

import json
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from apps.attribution.rules import attribute
from apps.commissions.rules import Pay, Plan, Rule, When, rate
from apps.pipeline.rules import compact
from apps.pipeline.rules.told import as_remembered, attribution_told, rated_as_before, with_plans
from tests.commissions.test_rules_properties import SALE, grants, orders, plans, policies, some, touches


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


standings = st.tuples(
    st.sampled_from([None, "gold", "silver"]),
    st.sampled_from([None, "editorial", "layer"]),
    st.frozensets(st.sampled_from(["new", "old"])),
)
asking = st.builds(
    When,
    partner_group=some(["gold", "silver"]),
    partner_tag=some(["new", "old"]),
    ad_space_category=some(["editorial", "layer"]),
    touch_kind=some(["CLICK", "VIEW"]),
    role=some(["initiator", "closer"]),
    amount_from=st.sampled_from([None, 10_000]),
)


@st.composite
def asking_plans(draw, key):
    percents = st.integers(1, 50).map(Decimal)
    rules = [Rule(f"r{n}", Pay(draw(percents)), draw(asking)) for n in range(draw(st.integers(1, 3)))]
    return Plan(key, (*rules, Rule("rest", Pay(Decimal(5)))))


def standing_as(journey, drawn):
    return [
        touch._replace(partner_group=group, ad_space_category=category, partner_tags=tags)
        for touch, (group, category, tags) in zip(journey, drawn, strict=False)
    ]


@settings(max_examples=200)
@given(
    touches(), policies, grants, orders(), orders(), asking_plans("default"),
    asking_plans("partner:blog") | asking_plans("group:gold"), st.lists(standings, min_size=16, max_size=16),
)  # fmt: skip
def test_groups_tags_and_categories_of_another_day_change_nothing(
    journey, policy, codes, sold, smaller, default, special, drawn
):
    """Neither for corrections, nor for the proof, nor for an open sale that is settled anew by the same journey."""
    then, today = standing_as(journey, drawn[:8]), standing_as(journey, drawn[8:])
    assigned_plans = {"default": default, special.key: special}
    attribution = attribute(SALE, then, policy, codes)
    rating = rate(sold, attribution, assigned_plans)
    by_group = special.key == "group:gold"
    stored = json.loads(json.dumps(compact(attribution, rating, sold, by_group=by_group)))
    named = {key: plan for key, plan in assigned_plans.items() if key in {row[4] for row in stored["winners"]}}

    told = attribution_told(stored, {touch.id: touch for touch in today}, budget_neutral=policy.budget_neutral)
    # No condition of these policies asks of a group: today's journey gives the same winners.
    anew = attribute(SALE, today, policy, codes)
    again = as_remembered(stored, anew) if "asked" in stored else with_plans(stored, anew)

    asks = any(award.plan.asks_standing for award in rating.awards)
    assert ("asked" in stored) == (asks or (by_group and bool(rating.awards)))
    for order in (sold, smaller):
        assert rate(order, told, named) == rate(order, attribution, assigned_plans)
        assert rate(order, again, named) == rate(order, attribution, assigned_plans)
        assert rate(order, rated_as_before(stored, anew), assigned_plans) == rate(order, attribution, assigned_plans)


def test_touches_that_are_gone_leave_shares_and_plans_as_they_are():
    journey = {"touches": [["t1"], ["t2", "soft_click"]], "winners": [["blog", 1, 500, 9000, "partner:blog", [0]]]}
    stored = {**journey, "den": 1, "unpaid": [0, 0], "roles": ["blog", [], "blog", 1, 1]}
    [winner] = attribution_told(stored, {}, budget_neutral=False).winners
    assert (winner.partner, winner.numerator, winner.touch, winner.plan) == ("blog", 1, None, "partner:blog")
    assert winner.roles == ("initiator", "closer")
