"""Rules that can never pay, rules between which order alone decides, and plans without a default."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.attribution.rules import Touch, Winner
from apps.commissions.rules import Line, Order, Pay, Plan, Rule, When, evaluate
from apps.commissions.rules.coverage import can_both_hold, covers, is_impossible, lacks_default, overlaps, unreachable
from tests.attribution.journeys import NOON


def rule(percent, **when):
    sets = {name: frozenset(value) if isinstance(value, list) else value for name, value in when.items()}
    return Rule(f"{percent} %", Pay(Decimal(percent)), When(**sets))


NEW = rule(12, new_customer=True, amount_from=200_00)
LARGE = rule(10, amount_from=200_00)
REST = rule(8)


def test_the_narrower_rule_first_leaves_every_rule_its_lines():
    assert unreachable([NEW, LARGE, REST]) == []
    assert overlaps([NEW, LARGE, REST]) == []


def test_a_rule_behind_a_wider_one_never_pays():
    assert unreachable([LARGE, NEW, REST]) == [(1, 0)]
    assert unreachable([REST, NEW, LARGE]) == [(1, 0), (2, 0)]


@pytest.mark.parametrize(
    ("wide", "narrow", "covered"),
    [
        ({"category": ["A", "B"]}, {"category": ["A"]}, True),
        ({"category": ["A"]}, {"category": ["A", "B"]}, False),
        ({"category": ["A"]}, {}, False),
        ({"coupon": ["x", "y"]}, {"coupon": ["x"]}, True),
        ({"amount_from": 100}, {"amount_from": 100}, True),
        ({"amount_from": 100}, {"amount_from": 99}, False),
        ({"amount_to": 100}, {"amount_to": 101}, False),
        ({"amount_to": 100}, {"amount_from": 50, "amount_to": 80}, True),
        ({"quantity_from": 2}, {"quantity_from": 3}, True),
        ({"new_customer": True}, {"new_customer": False}, False),
        ({"role": ["closer"]}, {"role": ["closer"], "device": ["mobile"]}, True),
        ({"fields": {"p1": frozenset("a")}}, {"fields": {"p1": frozenset("a"), "p2": frozenset("b")}}, True),
        ({"fields": {"p1": frozenset("a")}}, {"fields": {"p2": frozenset("a")}}, False),
    ],
)
def test_what_covers_what(wide, narrow, covered):
    assert covers(rule(1, **wide).when, rule(1, **narrow).when) is covered


def test_a_rule_that_contradicts_itself_is_named_with_itself():
    assert unreachable([rule(5, amount_from=100, amount_to=100), REST]) == [(0, 0)]
    assert unreachable([rule(5, quantity_from=3, quantity_to=2), REST]) == [(0, 0)]


def test_rules_that_cut_across_each_other_are_named_where_they_pay_differently():
    category, new = rule(5, category=["A"]), rule(7, new_customer=True)
    assert overlaps([category, new, REST]) == [(0, 1)]
    assert overlaps([category, rule(5, new_customer=True), REST]) == []
    assert overlaps([rule(5, category=["A"]), rule(7, category=["B"]), REST]) == []
    assert overlaps([rule(5, amount_to=100), rule(7, amount_from=100), REST]) == []
    assert overlaps([rule(5, coupon=["x"]), rule(7, coupon=["y"]), REST]) == [(0, 1)], "an order may carry both codes"


def test_a_plan_without_a_rule_for_everything_else_says_so():
    assert lacks_default([NEW, LARGE]) and lacks_default([])
    assert not lacks_default([NEW, REST, LARGE])


def some(*values):
    return st.frozensets(st.sampled_from(values), max_size=2)


bound = st.none() | st.integers(0, 4)
whens = st.builds(
    When,
    goal=some("SALE", "LEAD"),
    category=some("A", "B"),
    device=some("mobile", "desktop"),
    coupon=some("x", "y"),
    role=some("initiator", "assist", "closer"),
    partner_group=some("gold", "silver"),
    new_customer=st.sampled_from([None, True, False]),
    amount_from=bound,
    amount_to=bound,
    quantity_from=bound,
    quantity_to=bound,
)
rule_lists = st.lists(whens, min_size=1, max_size=6).map(
    lambda found: tuple(Rule(f"#{place}", Pay(Decimal(place + 1)), when) for place, when in enumerate(found))
)
lines = st.lists(
    st.builds(
        Line,
        label=st.just("#1"),
        gross=st.integers(0, 4),
        net=st.integers(0, 4),
        quantity=st.integers(1, 5),
        category=st.sampled_from(["A", "B", "C"]),
    ),
    min_size=1,
    max_size=4,
)
orders = st.builds(
    lambda sold, **facts: Order(net=sum(line.net for line in sold), lines=tuple(sold), **facts),
    sold=lines,
    goal=st.sampled_from(["SALE", "LEAD"]),
    new_customer=st.sampled_from([None, True, False]),
    device=st.sampled_from([None, "mobile", "desktop"]),
    coupons=some("x", "y"),
)
winners = st.builds(
    lambda group, roles, touched: Winner(
        "blog", 1, 0, Touch("t", "CLICK", NOON, partner="blog", partner_group=group) if touched else None, roles
    ),
    group=st.sampled_from([None, "gold", "silver"]),
    roles=st.lists(st.sampled_from(["initiator", "assist", "closer"]), unique=True).map(tuple),
    touched=st.booleans(),
)


@given(rules=rule_lists, order=orders, winner=winners)
@settings(max_examples=600)
def test_a_rule_called_unreachable_is_never_picked(rules, order, winner):
    silent = {place for place, _ in unreachable(rules)}
    assert silent.isdisjoint(evaluate(Plan("default", rules), order, winner).picks)


@given(rules=rule_lists, order=orders, winner=winners)
@settings(max_examples=400)
def test_rules_that_hold_for_one_line_are_covered_or_overlap(rules, order, winner):
    for line in order.lines:
        one = order._replace(lines=(line,))
        holding = [place for place, rule in enumerate(rules) if evaluate(Plan("p", (rule,)), one, winner).picks == (0,)]
        for place in holding:
            assert not is_impossible(rules[place].when)
            assert all(can_both_hold(rules[other].when, rules[place].when) for other in holding)


@given(rules=rule_lists, order=orders, winner=winners)
@settings(max_examples=200)
def test_with_a_default_every_line_meets_a_rule(rules, order, winner):
    if not lacks_default(rules):
        assert None not in evaluate(Plan("default", rules), order, winner).picks
