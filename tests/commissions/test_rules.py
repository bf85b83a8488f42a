"""What shares earn (engine, section 3)."""

from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest

from apps.attribution.rules import CouponGrant
from apps.commissions.rules import (
    Item,
    Order,
    Pay,
    Plan,
    Rule,
    When,
    basket,
    choose_plan,
    corrections,
    evaluate,
    rate,
    reduce_lines,
    refund,
    share_out,
)
from apps.core.errors import Invalid
from tests.attribution.journeys import result, touch


def one_of(*values):
    return frozenset(values)


def percent(value, **when):
    return Rule(f"{value} %", Pay(percent=Decimal(value)), When(**when))


def plan(*rules, key="default", **fixed):
    return Plan(key, rules, **fixed)


def order(amount=None, items=(), discount=0, **facts):
    lines, flags = basket(amount, discount, items)
    return Order(sum(line.net for line in lines), lines, flags=flags, **facts)


def alone(**facts):
    """An attribution with one winner, A."""
    return result([touch("A", **facts)])


def earned(bought, *rules, attribution=None, **fixed):
    """Cents of a single winner."""
    return rate(bought, attribution or alone(), {"default": plan(*rules, **fixed)}).commission


BASKET = (Item(2000, 2, "a", "A"), Item(5000, 1, "b", "B"), Item(400, 3, "c", "C"))


def test_the_first_rule_that_holds_decides():
    new = percent("12", new_customer=True, amount_from=20_000)
    large, rest = percent("10", amount_from=20_000), percent("8")
    assert earned(order(25_000, new_customer=True), new, large, rest) == 3000
    assert earned(order(25_000, new_customer=False), new, large, rest) == 2500
    assert earned(order(19_999, new_customer=True), new, large, rest) == 1600
    assert earned(order(25_000, new_customer=True), large, new, rest) == 2500


def test_bases_per_line_per_unit_and_per_order():
    rules = [percent("5", category=one_of("A")), percent("8", category=one_of("B"))]
    per_unit = Rule("c", Pay(per_unit=50), When(category=one_of("C")))
    per_line = Rule("c", Pay(per_line=50), When(category=one_of("C")))
    assert earned(order(items=BASKET), *rules, per_unit, per_order=200) == 950
    assert earned(order(items=BASKET), *rules, per_line, per_order=200) == 850


def test_a_discount_is_spread_pro_rata_over_the_lines():
    bought = order(items=BASKET, discount=1000)
    assert [line.gross - line.net for line in bought.lines] == [392, 490, 118]
    rules = (percent("5", category=one_of("A")), percent("8", category=one_of("B")))
    outcome = evaluate(plan(*rules), bought, alone().winners[0])
    assert [Fraction(amount, 100) for amount in outcome.amounts] == [Fraction("180.4"), Fraction("360.8"), 0]
    assert (outcome.picks, outcome.beside) == ((0, 1, None), 0)
    assert earned(order(items=BASKET, discount=1000), percent("5", category=one_of("A"))) == 180
    assert earned(order(items=BASKET, discount=1000), percent("8", category=one_of("B"))) == 361


def test_equal_remainders_of_a_discount_go_to_the_earlier_line():
    bought = order(items=(Item(100), Item(100), Item(100)), discount=100)
    assert [line.net for line in bought.lines] == [66, 67, 67]


def test_gross_is_before_the_discount_and_rates_add_up():
    bought = order(9000, discount=1000)
    assert earned(bought, Rule("g", Pay(percent=Decimal(5), of="gross"))) == 500
    assert earned(bought, Rule("n", Pay(percent=Decimal(5), per_line=30, per_unit=7))) == 487


def test_an_unknown_category_falls_to_the_rule_without_conditions():
    assert earned(order(items=(Item(1000, category="?"),)), percent("5", category=one_of("A")), percent("1")) == 10
    assert earned(order(items=(Item(1000, category="?"),)), percent("5", category=one_of("A"))) == 0


def test_parts_that_do_not_sum_leave_a_line_of_the_default_category():
    bought = order(10_000, items=(Item(4000, 2, "x", "A"),), discount=500)
    assert [(line.label, line.category, line.gross, line.net) for line in bought.lines] == [
        ("x", "A", 8000, 7500),
        ("#2", "DEFAULT", 2500, 2500),
    ]
    assert bought.flags == ("parts_mismatch",)
    less = order(7000, items=(Item(4000, 2, "x", "A"),))
    assert (less.lines[1].net, less.net, less.flags) == (-1000, 7000, ("parts_mismatch",))


def test_a_result_is_never_negative():
    less = order(7000, items=(Item(4000, 2, "x", "A"),))
    assert earned(less, percent("8", category=one_of("DEFAULT")), minimum=100) == 0


def test_minimum_and_maximum_hold_for_the_whole_result_and_zero_stays_zero():
    assert earned(order(1000), percent("5"), minimum=100) == 100
    assert earned(order(100_000), percent("5"), per_order=200, maximum=3000) == 3000
    assert earned(order(1000), minimum=100) == 0
    assert earned(order(1000), percent("0"), per_order=10, minimum=100) == 100


def test_minimum_is_shared_not_given_to_each():
    attribution = result([touch("A", days=1), touch("B")], "LINEAR")
    rating = rate(order(1000), attribution, {"default": plan(percent("1"), minimum=100)})
    assert [award.commission for award in rating.awards] == [50, 50]


def test_three_equal_winners_of_one_hundred():
    attribution = result([touch("A", days=2), touch("B", days=1), touch("C")], "LINEAR")
    rating = rate(order(10_000), attribution, {"default": plan(percent("5"))})
    assert [award.commission for award in rating.awards] == [166, 167, 167]
    assert [award.revenue for award in rating.awards] == [3333, 3333, 3334]
    plans = {f"partner:{p}": plan(percent(rate), key=p) for p, rate in (("A", "5"), ("B", "8"), ("C", "10"))}
    rating = rate(order(10_000), attribution, {"default": plan(), **plans})
    assert [award.commission for award in rating.awards] == [167, 267, 333]
    assert rating.commission == 767


def test_time_decay_on_ten():
    attribution = result([touch("A", days=14), touch("B", days=7), touch("C")], "TIME_DECAY")
    rating = rate(order(1000), attribution, {"default": plan(percent("100"))})
    assert [award.commission for award in rating.awards] == [143, 286, 571]


def test_the_total_is_rounded_once_half_to_even():
    attribution = result([touch("A", days=1), touch("B")], "LINEAR")
    assert earned(order(50), percent("5")) == 2
    assert earned(order(70), percent("5")) == 4
    rating = rate(order(101), attribution, {"default": plan(percent("100"))})
    assert [award.commission for award in rating.awards] == [50, 51]


def test_the_unpaid_part_takes_revenue_and_loses_ties():
    attribution = result([touch("A", days=1), touch(channel="sea")], "LINEAR", unpaid="KEEP")
    rating = rate(order(101), attribution, {"default": plan(percent("100"))})
    assert ([award.revenue for award in rating.awards], rating.unpaid_revenue) == ([51], 50)
    assert rating.commission == 50


def test_nobody_wins_and_nothing_is_earned():
    rating = rate(order(1000), result([]), {"default": plan(percent("5"))})
    assert (rating.awards, rating.commission, rating.unpaid_revenue) == ((), 0, 0)
    unpaid = rate(order(1000), result([touch(channel="sea")], unpaid="KEEP"), {"default": plan(percent("5"))})
    assert (unpaid.awards, unpaid.unpaid_revenue) == ((), 1000)


def test_budget_neutral_shares_what_the_last_click_would_have_cost():
    touches = [touch("A", days=2), touch("B", days=1), touch("C")]
    plans = {"default": plan(percent("5")), "partner:C": plan(percent("10"), key="c")}
    neutral = result(touches, "LINEAR", budget_neutral=True)
    rating = rate(order(10_000), neutral, plans)
    assert [award.commission for award in rating.awards] == [333, 333, 334]
    assert {award.plan.key for award in rating.awards} == {"c"}
    first = result(touches, "FIRST_CLICK", budget_neutral=True)
    assert [(a.partner, a.commission) for a in rate(order(10_000), first, plans).awards] == [("A", 1000)]


def test_the_most_specific_plan_is_chosen():
    plans = {name: plan(key=name) for name in ("default", "group:gold", "partner:A", "ad_space:7", "vip")}
    (winner,) = alone(partner_group="gold", ad_space=7).winners

    def chosen(*names, who=winner):
        return choose_plan(who, {name: plans[name] for name in names}).key

    assert chosen("default", "group:gold", "partner:A", "ad_space:7") == "ad_space:7"
    assert chosen("default", "group:gold", "partner:A") == "partner:A"
    assert chosen("default", "group:gold") == "group:gold"
    assert chosen("default") == "default"
    assert chosen("default", "ad_space:7", "vip", who=winner._replace(plan="vip")) == "vip"


def test_an_owner_by_code_alone_has_the_partners_plan_else_the_default():
    plans = {name: plan(key=name) for name in ("default", "group:gold", "partner:A", "ad_space:7")}
    (winner,) = result([], coupons=["c"], grants={"c": CouponGrant("A")}).winners
    assert choose_plan(winner, plans).key == "partner:A"
    assert choose_plan(winner._replace(partner="B"), plans).key == "default"


def test_a_special_plan_is_found_also_where_it_is_the_only_one_kept():
    """A receipt keeps the plans of its winners only; corrections rate again by these."""
    (winner,) = alone(partner_group="gold", ad_space=7).winners
    assert choose_plan(winner, {"partner:A": plan(key="partner:A")}).key == "partner:A"


def test_without_any_plan_rating_is_refused():
    with pytest.raises(Invalid) as refusal:
        rate(order(1000), alone(), {})
    assert refusal.value.code == "no_plan"


def test_a_rule_asks_the_winners_last_kept_touch_whatever_its_weight():
    touches = [touch("A", days=2, partner_group="gold"), touch("A", days=1, kind="CALL", partner_group="silver")]
    attribution = result(touches, "FIRST_CLICK")
    rules = [percent("5", partner_group=one_of("gold")), percent("7", touch_kind=one_of("CALL"))]
    assert earned(order(1000), *rules, attribution=attribution) == 70


def test_a_rule_may_ask_for_any_role_the_winner_has():
    touches = [touch("A", days=3), touch("B", days=2), touch("A")]
    assert earned(order(1000), percent("5", role=one_of("initiator")), attribution=result(touches)) == 50
    assert earned(order(1000), percent("5", role=one_of("assist")), attribution=result(touches)) == 0


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ({"goal": one_of("SALE", "LEAD")}, True),
        ({"goal": one_of("LEAD")}, False),
        ({"country": one_of("DE")}, True),
        ({"country": one_of("AT")}, False),
        ({"device": one_of("mobile")}, True),
        ({"device": one_of("tv")}, False),
        ({"coupon": one_of("save10")}, True),
        ({"coupon": one_of("other")}, False),
        ({"sku": one_of("s")}, True),
        ({"sku": one_of("t")}, False),
        ({"shop_category": one_of("laptops")}, True),
        ({"shop_category": one_of("phones")}, False),
        ({"quantity_from": 2}, True),
        ({"quantity_from": 3}, False),
        ({"quantity_to": 2}, True),
        ({"quantity_to": 1}, False),
        ({"amount_from": 2000}, True),
        ({"amount_from": 2001}, False),
        ({"amount_to": 2001}, True),
        ({"amount_to": 2000}, False),
        ({"new_customer": True}, False),
        ({"new_customer": False}, False),
        ({"ad_space_category": one_of("editorial")}, True),
        ({"ad_space_category": one_of("cashback")}, False),
        ({"partner_tag": one_of("tested")}, True),
        ({"partner_tag": one_of("other")}, False),
        ({"weekday": one_of(1)}, True),
        ({"weekday": one_of(2)}, False),
        ({"first_on": date(2026, 3, 10), "last_on": date(2026, 3, 10)}, True),
        ({"first_on": date(2026, 3, 11)}, False),
        ({"last_on": date(2026, 3, 9)}, False),
        ({"fields": {"p1": one_of("x")}}, True),
        ({"fields": {"p1": one_of("y")}}, False),
        ({"fields": {"p2": one_of("x")}}, False),
        ({"goal": one_of("SALE"), "country": one_of("AT")}, False),
    ],
)
def test_each_condition(when, holds):
    bought = order(
        items=(Item(1000, 2, "s", "A", "laptops"),),
        country="DE",
        device="mobile",
        coupons=one_of("save10"),
        on=date(2026, 3, 10),
        fields={"p1": "x"},
    )
    attribution = alone(ad_space_category="editorial", partner_tags=one_of("tested"))
    assert bool(earned(bought, percent("5", **when), attribution=attribution)) is holds


def test_broken_cents_of_a_plan_are_exact():
    per_unit = Rule("r", Pay(per_unit=Decimal("0.25"), percent=Decimal("0.125")))
    assert earned(order(items=(Item(1000, 10),)), per_unit) == round(2.5 + 12.5)


def test_share_out_hands_cents_to_the_largest_remainders():
    assert share_out([500, 500, 500], 3, [2, 1, 0]) == [166, 167, 167]
    assert share_out([10, 4], 4, [0, 1]) == [3, 1]
    assert share_out([2, 2], 4, [0, 1]) == [1, 0]
    assert share_out([9, 9], 3, [0, 1], at_most=[2, 9]) == [2, 3]


# Partial changes


def test_a_refund_takes_in_proportion_to_what_is_outstanding():
    assert refund([5, 5, 1], 1, 11) == [1, 0, 0]
    assert refund([5, 5, 1], 1, 11, ranks=[2, 1, 0]) == [0, 1, 0]
    assert refund([338, 180], 9000, 9000) == [338, 180]
    assert refund([338, 180], 12_000, 9000) == [338, 180]
    assert refund([338, 180], 4500, 9000) == [169, 90]
    assert refund([0, 0], 10, 100) == [0, 0]
    assert refund([338, 180], 0, 9000) == [0, 0]


def test_a_re_rated_conversion_raises_nobody():
    attribution = result([touch("A", days=2), touch("B", days=1), touch("C")], "LINEAR")
    weighted = attribution._replace(
        denominator=14,
        winners=tuple(w._replace(numerator=n) for w, n in zip(attribution.winners, (6, 6, 2), strict=True)),
    )
    plans = {"default": plan(percent("100"))}
    assert [a.commission for a in rate(order(10), weighted, plans).awards] == [4, 4, 2]
    before = {"A": 5, "B": 5, "C": 1}
    again = rate(order(10), weighted, plans, at_most=before)
    assert [a.commission for a in again.awards] == [4, 5, 1]
    assert corrections(before, {a.partner: a.commission for a in again.awards}) == {"A": -1}


def test_a_better_rate_on_a_smaller_order_raises_nobody():
    plans = {"default": plan(percent("5", amount_from=5000), percent("20"))}
    whole = rate(order(6000), alone(), plans)
    smaller = rate(order(4000), alone(), plans, at_most={"A": whole.commission})
    assert (whole.commission, smaller.commission) == (300, 300)


def test_the_second_of_three_lines_is_rejected():
    bought = order(items=BASKET, discount=1000)
    left = reduce_lines(bought, {1: 0})
    assert [line.label for line in left.lines] == ["a", "c"]
    assert left.net == 3608 + 1082
    plans = {"default": plan(percent("10"))}
    whole = rate(bought, alone(), plans)
    again = rate(left, alone(), plans, at_most={"A": whole.commission})
    assert (whole.commission, again.commission) == (920, 469)


def test_a_smaller_quantity_keeps_its_part_of_the_discount():
    bought = order(items=(Item(1000, 4, "a"), Item(1000, 1, "b")), discount=500)
    left = reduce_lines(bought, {0: 1, 1: 9})
    assert [(line.quantity, line.gross, line.net) for line in left.lines] == [(1, 1000, 900), (1, 1000, 900)]


def test_cancelling_every_line_ends_at_exactly_zero():
    bought = order(items=BASKET)
    nothing = reduce_lines(bought, {0: 0, 1: 0, 2: 0})
    rating = rate(nothing, alone(), {"default": plan(percent("5"), per_order=200, minimum=100)}, at_most={"A": 900})
    assert (nothing.net, rating.commission) == (0, 0)
