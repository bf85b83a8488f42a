"""What holds for every journey, basket, policy and plan."""

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from apps.attribution.rules import (
    ADJUSTMENTS,
    COUPON_POLICIES,
    MODELS,
    Adjustment,
    Condition,
    CouponGrant,
    Freeze,
    Policy,
    Sale,
    Touch,
    attribute,
)
from apps.commissions.rules import Item, Order, Pay, Plan, Rule, When, basket, rate, reduce_lines, refund
from tests.attribution.journeys import NOON

PARTNERS = ["blog", "comparison", "voucher", "cashback"]
CHANNELS = ["content", "coupon", "sea"]
percents = st.decimals(0, 100, places=2)


@st.composite
def touches(draw):
    count = draw(st.integers(0, 8))
    return [
        Touch(
            id=f"t{place}",
            kind=draw(st.sampled_from(["CLICK", "CLICK", "SOFT_CLICK", "VIEW", "VISIT", "GOAL"])),
            at=NOON
            - timedelta(seconds=draw(st.integers(-3600, 31 * 86_400) | st.integers(0, 2) | st.just(30 * 86_400))),
            channel=draw(st.sampled_from(CHANNELS)),
            channel_class=draw(st.sampled_from(["PAID", "OWNED", "EARNED"])),
            partner=draw(st.sampled_from([*PARTNERS, None])),
            partner_group=draw(st.sampled_from([None, "gold"])),
            goal=draw(st.sampled_from([None, "CHECKOUT"])),
            refusal=draw(st.sampled_from([None, None, None, "bot"])),
        )
        for place in range(count)
    ]


def some(values):
    return st.frozensets(st.sampled_from(values), max_size=2)


conditions = st.builds(
    Condition,
    channel=some(CHANNELS),
    partner=some(PARTNERS),
    position=some([1, 2]),
    position_from_end=some([1, 2]),
)
adjustments = st.builds(
    Adjustment, when=conditions, do=st.sampled_from(ADJUSTMENTS), factor=st.decimals(0, 9, places=2), percent=percents
)
policies = st.builds(
    Policy,
    model=st.sampled_from(sorted(MODELS)),
    view_window_days=st.sampled_from([0, 7]),
    weights=st.sampled_from([(40, 20, 40), (0, 100, 0), (Decimal("33.3"), Decimal("33.4"), Decimal("33.3"))]),
    two_touches=st.sampled_from(["SHARE_MIDDLE", "NORMALIZE"]),
    levels=st.sampled_from([(), (("content",), ("sea",))]),
    repeats=st.sampled_from(["ALL", "COLLAPSE", "ONCE"]),
    freeze=st.sampled_from([None, Freeze("CHECKOUT", 24)]),
    unpaid=st.sampled_from(["IGNORE", "KEEP", "REDISTRIBUTE"]),
    winner_limit=st.integers(1, 4),
    budget_neutral=st.booleans(),
    adjustments=st.lists(adjustments, max_size=3).map(tuple),
)
grants = st.fixed_dictionaries(
    {
        "x": st.builds(
            CouponGrant,
            partner=st.sampled_from(PARTNERS),
            policy=st.sampled_from(COUPON_POLICIES),
            percent=percents,
            valid_to=st.sampled_from([None, NOON]),
        )
    }
)
items = st.builds(
    Item,
    unit_price=st.integers(0, 20_000),
    quantity=st.integers(1, 5),
    category=st.sampled_from(["A", "B", "DEFAULT"]),
)
rules = st.builds(
    Rule,
    name=st.just("r"),
    pay=st.builds(
        Pay,
        percent=st.none() | percents,
        of=st.sampled_from(["net", "gross"]),
        per_line=st.integers(0, 500),
        per_unit=st.integers(0, 50),
    ),
    when=st.builds(When, category=some(["A", "B"]), amount_from=st.sampled_from([None, 10_000])),
)
plans = st.builds(
    Plan,
    key=st.integers(),
    rules=st.lists(rules, max_size=4).map(tuple),
    per_order=st.integers(0, 500),
    minimum=st.sampled_from([None, 100]),
    maximum=st.sampled_from([None, 2000]),
)


@st.composite
def orders(draw):
    sold = draw(st.lists(items, min_size=1, max_size=4))
    worth = sum(item.quantity * item.unit_price for item in sold)
    discount = draw(st.integers(0, worth))
    amount = draw(st.none() | st.integers(0, 30_000))
    lines, flags = basket(amount, discount, sold)
    return Order(sum(line.net for line in lines), lines, flags=flags)


SALE = Sale(NOON, ("X",))


@given(touches(), policies, grants)
def test_shares_and_the_unpaid_part_sum_to_exactly_one_or_nothing_counts(journey, policy, codes):
    found = attribute(SALE, journey, policy, codes)
    whole = sum(found.shares.values(), Fraction()) + found.unpaid_share
    assert whole == (1 if found.winners or found.unpaid else 0)
    assert all(share > 0 for share in found.shares.values())
    assert sorted(winner.rank for winner in found.winners) == list(range(len(found.winners)))
    assert whole == 1 or "no_eligible_touches" in found.flags


@given(touches(), policies, grants, st.randoms())
def test_the_order_of_arrival_changes_nothing(journey, policy, codes, random):
    shuffled = random.sample(journey, len(journey))
    assert attribute(SALE, shuffled, policy, codes) == attribute(SALE, journey, policy, codes)


@given(touches(), policies.filter(lambda p: not p.adjustments), st.permutations(PARTNERS))
def test_renaming_partners_changes_nothing_but_names(journey, policy, others):
    names = dict(zip(PARTNERS, others, strict=True)) | {None: None}
    renamed = [touch._replace(partner=names[touch.partner]) for touch in journey]
    before, after = attribute(SALE, journey, policy), attribute(SALE, renamed, policy)
    assert {names[partner]: share for partner, share in before.shares.items()} == after.shares
    assert (before.reasons, before.unpaid, before.flags) == (after.reasons, after.unpaid, after.flags)


@given(touches(), policies, grants, orders(), st.lists(plans, min_size=3, max_size=3))
def test_cents_and_revenue_add_up_and_nothing_is_negative(journey, policy, codes, order, chosen):
    found = attribute(SALE, journey, policy, codes)
    assigned = {"default": chosen[0], "partner:blog": chosen[1], "group:gold": chosen[2]}
    rating = rate(order, found, assigned)
    exact = sum(
        Fraction(winner.numerator * award.outcome.result, found.denominator * award.plan.scale)
        for winner, award in zip(found.winners, rating.awards, strict=True)
    )
    assert rating.commission == round(exact)
    for winner, award in zip(found.winners, rating.awards, strict=True):
        part = Fraction(winner.numerator * award.outcome.result, found.denominator * award.plan.scale)
        assert abs(award.commission - part) < 1
        assert award.commission >= 0
    if found.winners or found.unpaid:
        assert sum(award.revenue for award in rating.awards) + rating.unpaid_revenue == order.net


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=6), st.lists(st.integers(1, 5000), max_size=5))
def test_refunds_never_pay_anybody_and_a_full_one_ends_at_zero(outstanding, amounts):
    remaining = sum(amounts) + 1000
    for amount in amounts:
        taken = refund(outstanding, amount, remaining)
        assert all(0 <= cents <= had for cents, had in zip(taken, outstanding, strict=True))
        outstanding = [had - cents for cents, had in zip(taken, outstanding, strict=True)]
        remaining -= amount
    last = refund(outstanding, remaining, remaining)
    assert [had - cents for cents, had in zip(last, outstanding, strict=True)] == [0] * len(outstanding)


@given(touches(), policies, orders(), st.lists(plans, min_size=2, max_size=2), st.data())
@settings(max_examples=200)
def test_a_reduction_raises_nobody(journey, policy, order, chosen, data):
    found = attribute(SALE, journey, policy)
    assigned = {"default": chosen[0], "partner:blog": chosen[1]}
    before = {award.partner: award.commission for award in rate(order, found, assigned).awards}
    places = st.dictionaries(st.integers(0, len(order.lines) - 1), st.integers(0, 4))
    left = reduce_lines(order, data.draw(places))
    after = {award.partner: award.commission for award in rate(left, found, assigned, at_most=before).awards}
    assert all(0 <= after[partner] <= before[partner] for partner in before)
    gone = reduce_lines(order, dict.fromkeys(range(len(order.lines)), 0))
    assert all(award.commission == 0 for award in rate(gone, found, assigned, at_most=before).awards)
