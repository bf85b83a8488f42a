"""Refunds: nobody is raised, nothing turns negative, the whole is exactly zero, arrival order does not matter."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.attribution.rules import Policy, Sale, Touch, attribute
from apps.commissions.rules import Item, Order, Pay, Plan, Rule, basket, rate
from apps.commissions.rules.remaining import net_after
from apps.pipeline.rules.reductions import AMOUNT, LINES, WHOLE, RefundFact, amounts_after

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
PLANS = {"default": Plan(key="default", rules=(Rule("all", Pay(percent=Decimal(5))),))}


def sold(items, partners=("a", "b", "c")):
    lines, flags = basket(None, 0, items)
    order = Order(net=sum(line.net for line in lines), lines=lines, flags=flags)
    touches = [Touch(p, "CLICK", NOON - timedelta(days=9 - n), partner=p) for n, p in enumerate(partners)]
    attribution = attribute(Sale(NOON), touches, Policy(model="LINEAR"))
    rating = rate(order, attribution, PLANS)
    return order, attribution, [award.commission for award in rating.awards], [w.rank for w in attribution.winners]


def after(case, refunds):
    order, attribution, amounts, ranks = case
    return amounts_after(amounts, ranks, order, refunds, attribution=attribution, plans=PLANS)


def fact(ref, kind, hours=0, **values):
    return RefundFact(ref, kind, NOON + timedelta(hours=hours), **values)


def test_a_whole_refund_takes_everything():
    assert after(sold([Item(100_00)]), [fact("r", WHOLE)]) == (0, 0, 0)


def test_an_amount_takes_in_proportion_to_what_is_outstanding():
    order = sold([Item(100_00)])[0]
    assert amounts_after([5, 5, 1], [2, 1, 0], order, [fact("r", AMOUNT, amount=9_09)]) == (5, 4, 1)


def test_a_returned_line_is_rated_again():
    case = sold([Item(100_00), Item(50_00, 2)], partners=("a",))
    assert case[2] == [10_00]
    assert after(case, [fact("r", LINES, lines=((2, 1),))]) == (7_50,)
    assert after(case, [fact("r", LINES, lines=((1, 1), (2, 2)))]) == (0,)


def test_an_amount_given_back_counts_also_after_a_line_is_returned():
    case = sold([Item(50_00), Item(50_00)], partners=("a",))
    amount, line = fact("r1", AMOUNT, 1, amount=40_00), fact("r2", LINES, 2, lines=((1, 1),))
    assert after(case, [amount]) == (3_00,)
    assert after(case, [amount, line]) == (50,)
    assert after(case, [fact("r2", LINES, 0, lines=((1, 1),)), amount]) == (50,)
    assert after(case, [fact("r1", AMOUNT, 1, amount=50_00), line]) == (0,)


def test_what_an_amount_took_is_not_taken_twice_with_a_line():
    case = sold([Item(99_00), Item(1_00)], partners=("a",))
    facts = [fact("r1", AMOUNT, 1, amount=10_00), fact("r2", LINES, 2, lines=((2, 1),))]
    assert after(case, facts) == (4_45,)


def test_lines_the_order_does_not_have_change_nothing():
    case = sold([Item(100_00)])
    assert after(case, [fact("r", LINES, lines=((7, 1),))]) == tuple(case[2])


refunds = st.lists(
    st.one_of(
        st.builds(lambda h, a: ("AMOUNT", h, a), st.integers(0, 9), st.integers(1, 60_00)),
        st.builds(lambda h, p, q: ("LINES", h, (p, q)), st.integers(0, 9), st.integers(1, 4), st.integers(1, 3)),
    ),
    min_size=1, max_size=4,
)  # fmt: skip
items = st.lists(st.builds(Item, st.integers(1, 99_99), st.integers(1, 3)), min_size=1, max_size=3)


@given(items=items, drawn=refunds, people=st.integers(1, 4))
def test_no_refund_raises_anybody_and_the_order_of_arrival_changes_nothing(items, drawn, people):
    case = sold(items, tuple("abcd"[:people]))
    facts = [
        fact(f"r{n}", kind, hours, **({"amount": x} if kind == AMOUNT else {"lines": (x,)}))
        for n, (kind, hours, x) in enumerate(drawn)
    ]
    result = after(case, facts)
    assert {after(case, list(order)) for order in permutations(facts)} == {result}
    steps = [tuple(case[2])]
    for n in range(1, len(facts) + 1):
        steps.append(after(case, sorted(facts, key=lambda f: (f.occurred_at, f.ref))[:n]))
    for before, now in pairwise(steps):
        assert all(0 <= small <= big for small, big in zip(now, before, strict=True))


@given(items=items, drawn=refunds)
def test_one_partner_keeps_its_percent_of_what_is_left(items, drawn):
    case = sold(items, ("a",))
    facts = [
        fact(f"r{n}", kind, hours, **({"amount": x} if kind == AMOUNT else {"lines": (x,)}))
        for n, (kind, hours, x) in enumerate(drawn)
    ]
    exact = Decimal(net_after(case[0], facts)) * 5 / 100
    assert abs(after(case, facts)[0] - exact) <= len(facts) + 1


@given(items=items, parts=st.lists(st.integers(1, 40_00), max_size=3))
def test_refunds_that_add_up_to_all_leave_exactly_nothing(items, parts):
    case = sold(items)
    rest = max(1, case[0].net - sum(parts))
    facts = [fact(f"r{n}", AMOUNT, n, amount=amount) for n, amount in enumerate([*parts, rest])]
    assert after(case, facts) == (0,) * len(case[2])


def test_returned_lines_without_an_attribution_are_refused():
    order, _, amounts, ranks = sold([Item(100_00)])
    with pytest.raises(ValueError, match="rated again"):
        amounts_after(amounts, ranks, order, [fact("r", LINES, lines=((1, 1),))])
