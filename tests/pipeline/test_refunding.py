"""Whether refunds fit into what was sold."""

from datetime import UTC, datetime
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from apps.commissions.rules import Item, Order, basket
from apps.pipeline.rules.reductions import AMOUNT, LINES, WHOLE, RefundFact, net_after
from apps.pipeline.rules.refunding import Surplus, surplus_of, surpluses

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def order(*items: tuple[int, int], amount: int | None = None) -> Order:
    lines, flags = basket(amount, 0, [Item(price, quantity) for price, quantity in items])
    return Order(sum(line.net for line in lines), lines, flags=flags)


def fact(ref: str, amount: int = 0, lines: tuple[tuple[int, int], ...] = (), kind: str = "") -> RefundFact:
    return RefundFact(ref, kind or (LINES if lines else AMOUNT), NOON, amount, lines)


HUNDRED = order((20_00, 2), (60_00, 1))
WHOLE_ORDER = fact("w", kind=WHOLE)
stories = st.lists(
    st.one_of(
        st.builds(lambda cents: ("", cents, ()), st.integers(1, 80_00)),
        st.builds(lambda place, pieces: ("", 0, ((place, pieces),)), st.integers(1, 2), st.integers(1, 3)),
        st.just((WHOLE, 0, ())),
    ),
    max_size=5,
)


def test_lines_and_amounts_share_what_was_sold():
    assert surplus_of(HUNDRED, [fact("l", lines=((2, 1),))], fact("a", 40_00)) is None
    assert surplus_of(HUNDRED, [fact("l", lines=((2, 1),))], fact("a", 40_01)) == Surplus("a", 40_00, 1)
    assert surplus_of(HUNDRED, [fact("a", 80_00)], fact("l", lines=((1, 2),))) == Surplus("l", 20_00, 20_00)


def test_the_rest_of_an_order_comes_back_once():
    assert surplus_of(HUNDRED, [fact("a", 80_00)], WHOLE_ORDER) is None
    assert surplus_of(HUNDRED, [WHOLE_ORDER], fact("a", 1)) == Surplus("a", 0, 0)
    assert surplus_of(HUNDRED, [WHOLE_ORDER], fact("v", kind=WHOLE)) == Surplus("v", 0, 0)


def test_all_lines_may_come_back_though_they_cost_more_than_the_order():
    dear = order((60_00, 1), (60_00, 1), amount=100_00)
    assert surplus_of(dear, [fact("r", lines=((1, 1),))], fact("s", lines=((2, 1),))) is None


@given(stories)
def test_what_fits_is_taken_in_full_and_what_does_not_is_named_whatever_came_first(story):
    facts = [fact(f"r{place}", amount, lines, kind) for place, (kind, amount, lines) in enumerate(story)]
    found = list(surpluses(HUNDRED, facts))

    if not found and not any(one.kind == WHOLE for one in facts):
        pieces = {place: sum(n for one in facts for at, n in one.lines if at == place) for place in (1, 2)}
        kept = 20_00 * max(0, 2 - pieces[1]) + 60_00 * max(0, 1 - pieces[2])
        assert net_after(HUNDRED, facts) == kept - sum(one.amount for one in facts) >= 0
    assert all(list(surpluses(HUNDRED, mixed)) == found for mixed in list(permutations(facts))[:24])
