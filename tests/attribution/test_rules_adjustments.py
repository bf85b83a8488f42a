"""Adjustments and coupons (engine, section 2)."""

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction as F

import pytest

from apps.attribution.rules import Adjustment, Condition, CouponGrant
from tests.attribution.journeys import NOON, reasons, result, shares, touch


def adjustment(do, factor=None, percent=None, **when):
    given = {
        name: value if isinstance(value, Condition) else frozenset(value if isinstance(value, list) else [value])
        for name, value in when.items()
    }
    return Adjustment(Condition(**given), do, factor and Decimal(factor), percent and Decimal(percent))


def path(*channels):
    return [touch(c, days=len(channels) - place - 1, channel=c) for place, c in enumerate(channels)]


def test_multiply_doubles_content():
    touches = [touch(p, days=9 - n, channel=c) for n, (p, c) in enumerate(["Ax", "By", "Cx", "Dx"])]
    found = shares(touches, "LINEAR", adjustments=(adjustment("MULTIPLY", "2", channel="y"),))
    assert found == {"A": F(1, 5), "B": F(2, 5), "C": F(1, 5), "D": F(1, 5)}


def test_guarantee_gives_the_percentage_first_and_then_a_part_of_the_rest():
    found = shares(
        path("content", "comparison", "voucher"),
        "POSITION",
        adjustments=(adjustment("GUARANTEE", percent="50", channel="voucher", position_from_end=1),),
    )
    assert found == {"content": F(1, 5), "comparison": F(1, 10), "voucher": F(7, 10)}


def test_take_all_when_last():
    last = adjustment("TAKE_ALL", channel="cashback", position_from_end=1)
    assert shares(path("content", "comparison", "cashback"), "POSITION", adjustments=(last,)) == {"cashback": 1}
    assert shares(path("cashback", "content"), "LINEAR", adjustments=(last,)) == {
        "cashback": F(1, 2),
        "content": F(1, 2),
    }
    both = adjustment("TAKE_ALL", channel=["a", "c"])
    assert shares(path("a", "b", "c"), "LAST_CLICK", adjustments=(both,)) == {"a": F(1, 2), "c": F(1, 2)}


def test_remove_and_keep_take_touches_out_of_play():
    touches = [touch("A", days=2, channel="x", id="1"), touch("B", days=1, channel="y", id="2"), touch("C", id="3")]
    remove = (adjustment("REMOVE", channel="y"),)
    assert reasons(touches, "LINEAR", adjustments=remove) == {"1": None, "2": "adjustment", "3": None}
    assert shares(touches, "POSITION", adjustments=remove) == {"A": F(1, 2), "C": F(1, 2)}
    assert shares(touches, "POSITION", adjustments=(adjustment("KEEP", channel=["x", "y"]),)) == {
        "A": F(2, 3),
        "B": F(1, 3),
    }
    after = (*remove, adjustment("TAKE_ALL", position=2))
    assert shares(touches, "LINEAR", adjustments=after) == {"C": 1}


def test_multiplying_by_zero_takes_weight_only():
    touches = [touch("A", days=1, channel="x", id="1"), touch("B", id="2")]
    zero = (adjustment("MULTIPLY", "0", channel="x"),)
    assert shares(touches, "LINEAR", adjustments=zero) == {"B": 1}
    assert reasons(touches, "LINEAR", adjustments=zero) == {"1": None, "2": None}


def test_losers_of_a_single_winner_can_be_given_a_part():
    found = shares(path("blog", "voucher"), adjustments=(adjustment("GUARANTEE", percent="25", channel="blog"),))
    assert found == {"blog": F(1, 4), "voucher": F(3, 4)}


@pytest.mark.parametrize(
    "skipped",
    [
        adjustment("REMOVE"),
        adjustment("REMOVE", channel="voucher"),
        adjustment("KEEP", channel="nothing"),
        adjustment("KEEP", channel="blog"),
        adjustment("MULTIPLY", "0", channel="voucher"),
    ],
)
def test_an_adjustment_that_would_leave_nothing_is_skipped_and_flagged(skipped):
    found = result(path("blog", "voucher"), adjustments=(skipped,))
    assert (found.shares, found.flags) == ({"voucher": 1}, ("adjustment_skipped",))
    assert found.reasons == (None, None)


@pytest.mark.parametrize("do", ["MULTIPLY", "REMOVE", "GUARANTEE", "TAKE_ALL"])
def test_an_adjustment_that_nothing_meets_does_nothing(do):
    found = result(path("blog", "voucher"), "LINEAR", adjustments=(adjustment(do, "2", "50", channel="nothing"),))
    assert (found.shares, found.flags) == ({"blog": F(1, 2), "voucher": F(1, 2)}, ())


def test_conditions_hold_together_and_may_ask_the_journey():
    touches = [
        touch("A", days=2, channel="x", device="mobile", partner_group="gold"),
        touch("A", days=1, channel="x", device="desktop", partner_group="gold"),
        touch("B", channel="y", ad_space="s", ad_space_category="cashback"),
    ]
    found = shares(touches, "LINEAR", adjustments=(adjustment("TAKE_ALL", channel="x", device="desktop"),))
    assert found == {"A": 1}
    contains = adjustment("MULTIPLY", "3", channel="y", journey_contains=Condition(device=frozenset({"mobile"})))
    assert shares(touches, "LINEAR", adjustments=(contains,)) == {"A": F(2, 5), "B": F(3, 5)}
    absent = adjustment("MULTIPLY", "3", channel="y", journey_contains=Condition(device=frozenset({"tv"})))
    assert shares(touches, "LINEAR", adjustments=(absent,)) == {"A": F(2, 3), "B": F(1, 3)}


@pytest.mark.parametrize(
    ("policy", "owner_touches", "expected"),
    [
        ("ALWAYS", False, {"B": 1}),
        ("IF_INVOLVED", False, {"A": 1}),
        ("IF_INVOLVED", True, {"B": 1}),
        ("IF_WINNER", False, {"A": 1}),
        ("IF_WINNER_STRICT", False, {"A": 1}),
        (None, False, {"A": 1}),
    ],
)
def test_click_by_a_code_of_b(policy, owner_touches, expected):
    touches = [touch("A", hours=1), *([touch("B", days=2)] if owner_touches else [])]
    grants = {"save10": CouponGrant("B", policy)}
    assert shares(touches, coupons=["SAVE10"], grants=grants) == expected


def test_an_expired_or_unknown_code_changes_nothing_and_is_flagged():
    grants = {
        "old": CouponGrant("B", "ALWAYS", valid_to=NOON),
        "new": CouponGrant("B", "ALWAYS", valid_from=NOON + timedelta(seconds=1)),
        "nobody": CouponGrant(None, "ALWAYS"),
    }
    for code, flag in (
        ("OLD", "coupon_expired"),
        ("new", "coupon_expired"),
        ("x", "coupon_unknown"),
        ("nobody", "coupon_unknown"),
    ):
        found = result([touch("A")], coupons=[code], grants=grants)
        assert (found.shares, found.flags) == ({"A": 1}, (flag,))
    exact = {"a": CouponGrant("B", "ALWAYS", valid_from=NOON, valid_to=NOON + timedelta(seconds=1))}
    assert shares([touch("A")], coupons=["A"], grants=exact) == {"B": 1}


@pytest.mark.parametrize("policy", ["ALWAYS", "IF_INVOLVED", "IF_WINNER", "SHARE"])
def test_a_code_without_any_partner_touch_credits_its_owner(policy):
    grants = {"c": CouponGrant("B", policy, Decimal(20))}
    found = result([], coupons=["C"], grants=grants)
    assert (found.shares, found.winners[0].touch, found.flags) == ({"B": 1}, None, ("no_eligible_touches",))
    kept = result([touch(channel="sea")], unpaid="KEEP", coupons=["C"], grants=grants)
    assert (kept.shares, kept.unpaid_share) == ({"B": 1}, 0)


def test_a_strict_code_without_any_partner_touch_credits_nobody():
    strict = {"c": CouponGrant("B", "IF_WINNER_STRICT")}
    assert result([], coupons=["C"], grants=strict).shares == {}


def test_a_code_may_take_a_share_first():
    grants = {"c": CouponGrant("B", "SHARE", Decimal(20))}
    touches = [touch("A", days=2), touch(channel="sea", days=1)]
    found = result(touches, "LINEAR", unpaid="KEEP", coupons=["c"], grants=grants)
    assert (found.shares, found.unpaid_share) == ({"A": F(2, 5), "B": F(1, 5)}, F(2, 5))
    assert [w.partner for w in found.winners] == ["A", "B"]
    assert [w.rank for w in found.winners] == [1, 0]
    both = shares([touch("A", days=2), touch("B", days=1)], "LINEAR", coupons=["c"], grants=grants)
    assert both == {"A": F(2, 5), "B": F(3, 5)}


def test_a_code_takes_the_own_channels_part_too():
    grants = {"c": CouponGrant("B", "ALWAYS")}
    found = result([touch("A", days=2), touch(channel="sea")], "LINEAR", unpaid="KEEP", coupons=["c"], grants=grants)
    assert (found.shares, found.unpaid_share) == ({"B": 1}, 0)


def test_the_first_code_with_an_effect_decides():
    grants = {
        "none": CouponGrant("C", "IF_WINNER"),
        "involved": CouponGrant("C", "IF_INVOLVED"),
        "b": CouponGrant("B", "ALWAYS"),
        "d": CouponGrant("D", "ALWAYS"),
    }
    found = result([touch("A")], coupons=["none", "x", "involved", "b", "d"], grants=grants)
    assert (found.shares, found.flags) == ({"B": 1}, ("coupon_unknown",))


def test_the_campaign_default_holds_where_a_code_says_nothing():
    assert shares([touch("A")], coupons=["c"], grants={"c": CouponGrant("B")}, coupon="ALWAYS") == {"B": 1}
    grants = {"c": CouponGrant("B")}
    found = shares([touch("A")], coupons=["c"], grants=grants, coupon="SHARE", coupon_percent=Decimal(25))
    assert found == {"A": F(3, 4), "B": F(1, 4)}


def test_a_valid_code_names_a_plan_for_its_owner_where_it_has_a_share():
    grants = {"a": CouponGrant("A", "IF_WINNER", plan="vip"), "b": CouponGrant("B", plan="other")}
    (winner,) = result([touch("A")], coupons=["b", "a"], grants=grants).winners
    assert (winner.partner, winner.plan) == ("A", "vip")


def test_last_click_is_named_for_budget_neutral_policies_only():
    touches = [touch("A", days=2), touch("B", days=1), touch(channel="sea")]
    assert result(touches, "FIRST_CLICK").last_click is None
    found = result(touches, "FIRST_CLICK", unpaid="KEEP", budget_neutral=True)
    assert (found.shares, found.last_click.partner) == ({"A": 1}, "B")
    grants = {"c": CouponGrant("C", "ALWAYS")}
    assert result(touches, coupons=["c"], grants=grants, budget_neutral=True).last_click.partner == "C"
