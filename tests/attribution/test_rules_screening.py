"""Which touches count (engine, section 1)."""

from datetime import timedelta, timezone

import pytest

from apps.attribution.rules import Freeze, Policy, Sale, Touch, attribute
from tests.attribution.journeys import NOON, reasons, result, shares, touch


def test_a_click_of_exactly_thirty_days_counts_and_one_second_more_does_not():
    assert reasons([touch("A", days=30, id="t")]) == {"t": None}
    assert reasons([touch("A", days=30, seconds=1, id="t")]) == {"t": "outside_window"}


def test_windows_compare_whole_utc_seconds():
    berlin = timezone(timedelta(hours=1))
    late = Sale(NOON + timedelta(microseconds=900_000))
    click = Touch(id="t", kind="CLICK", at=(NOON - timedelta(days=30)).astimezone(berlin), partner="A")
    assert attribute(late, [click], Policy(model="LAST_CLICK")).reasons == (None,)


def test_views_are_off_by_default_also_in_the_same_second():
    assert reasons([touch("A", kind="VIEW", id="t")]) == {"t": "outside_window"}
    assert reasons([touch("A", kind="VIEW", days=1, id="t")], view_window_days=1) == {"t": None}
    assert reasons([touch("A", kind="VIEW", days=1, seconds=1, id="t")], view_window_days=1) == {"t": "outside_window"}


@pytest.mark.parametrize("kind", ["SOFT_CLICK", "COUPON", "CALL", "STORE", "EXTERNAL", "MANUAL"])
def test_every_kind_but_a_view_obeys_the_click_window(kind):
    assert reasons([touch("A", kind=kind, days=30, id="t")]) == {"t": None}
    assert reasons([touch("A", kind=kind, days=31, id="t")]) == {"t": "outside_window"}


def test_a_channel_window_replaces_the_click_window_for_its_channel_only():
    touches = [
        touch("A", days=8, channel="email", id="a"),
        touch("B", days=8, channel="content", id="b"),
        touch("C", days=1, channel="email", kind="VIEW", id="c"),
    ]
    assert reasons(touches, channel_windows={"email": 7}) == {"a": "outside_window", "b": None, "c": "outside_window"}
    assert reasons([touch("A", id="t")], click_window_days=0) == {"t": None}


def test_a_touch_after_the_conversion_is_shown_and_dropped():
    assert reasons([touch("A", seconds=-1, id="t"), touch("B", id="u")]) == {"u": None, "t": "after_conversion"}


def test_arrival_order_does_not_matter_and_equal_moments_go_by_id():
    early, late = touch("A", id="1"), touch("B", id="2")
    assert shares([early, late]) == shares([late, early]) == {"B": 1}


def freeze_journey(hours):
    return [
        touch("blog", days=3, id="click"),
        touch(kind="GOAL", hours=hours, goal="CHECKOUT", id="cart"),
        touch("extension", hours=hours - 0.5, id="ext"),
    ]


def test_a_checkout_freezes_the_journey():
    frozen = Freeze("CHECKOUT", 24)
    assert shares(freeze_journey(1), freeze=frozen) == {"blog": 1}
    assert reasons(freeze_journey(1), freeze=frozen) == {"click": None, "cart": "goal", "ext": "after_freeze"}
    assert shares(freeze_journey(24), freeze=frozen) == {"blog": 1}
    assert shares(freeze_journey(25), freeze=frozen) == {"extension": 1}
    assert shares(freeze_journey(1)) == {"extension": 1}


def test_the_earliest_goal_that_qualifies_freezes_and_its_own_moment_stays():
    touches = [
        touch("A", hours=5, id="a"),
        touch(kind="GOAL", hours=30, goal="CHECKOUT", id="g0"),
        touch(kind="GOAL", hours=4, goal="CHECKOUT", id="g1"),
        touch("B", hours=4, id="z-same-moment"),
        touch("C", hours=3, id="c"),
        touch(kind="GOAL", hours=2, goal="CHECKOUT", id="g2"),
    ]
    found = reasons(touches, freeze=Freeze("CHECKOUT", 24))
    assert (found["a"], found["z-same-moment"], found["c"]) == (None, None, "after_freeze")
    assert reasons(touches, freeze=Freeze("CART", 24))["c"] is None


def test_an_eligibility_reason_found_outside_is_applied_after_window_and_freeze():
    touches = [
        touch("A", days=40, id="old", refusal="bot"),
        touch("B", days=2, id="bot", refusal="bot"),
        touch("C", days=1, id="blocked", refusal="blocked"),
        touch(kind="GOAL", hours=12, goal="CHECKOUT", id="goal"),
        touch("D", hours=1, id="late", refusal="not_enrolled"),
    ]
    assert reasons(touches, freeze=Freeze()) == {
        "old": "outside_window",
        "bot": "bot",
        "blocked": "blocked",
        "goal": "goal",
        "late": "after_freeze",
    }


def test_a_soft_click_does_not_overwrite_a_fresh_click_of_another_partner():
    assert shares([touch("A", hours=23), touch("B", kind="SOFT_CLICK")]) == {"A": 1}
    assert shares([touch("A", hours=30), touch("B", kind="SOFT_CLICK")]) == {"B": 1}
    assert shares([touch("A", hours=24), touch("B", kind="SOFT_CLICK")]) == {"B": 1}
    assert shares([touch("A", hours=23), touch("B", kind="SOFT_CLICK")], soft_click_hours=0) == {"B": 1}
    assert shares([touch("B", hours=2), touch("B", kind="SOFT_CLICK", id="x")]) == {"B": 1}


def test_soft_click_protection_looks_at_clicks_that_are_still_kept_in_the_same_second_or_before():
    soft = touch("B", kind="SOFT_CLICK", hours=1, id="a-soft")
    assert reasons([touch("A", hours=1, id="z-click"), soft])["a-soft"] == "soft_click"
    assert reasons([touch("A", hours=0.5, id="later"), soft])["a-soft"] is None
    assert reasons([touch("A", hours=2, id="bot", refusal="bot"), soft])["a-soft"] is None
    assert reasons([touch("A", hours=2, id="coupon", kind="COUPON"), soft])["a-soft"] is None
    assert reasons([touch(None, hours=2, id="own"), soft])["a-soft"] is None


def test_own_channels_are_shown_and_take_no_part_by_default():
    touches = [touch("A", days=2, id="a"), touch(channel="seo", kind="VISIT", days=1, id="seo")]
    assert reasons(touches) == {"a": None, "seo": "unpaid_channel"}
    assert shares(touches) == {"A": 1}


def test_only_the_latest_two_hundred_touches_before_the_conversion_are_weighed():
    touches = [touch("A", seconds=n, id=f"{300 - n:03}") for n in range(-1, 205)]
    found = reasons(touches, "LINEAR")
    assert [found[f"{300 - n:03}"] for n in (-1, 0, 199, 200, 204)] == [
        "after_conversion",
        None,
        None,
        "too_many",
        "too_many",
    ]


def test_nothing_that_counts_has_no_shares_no_unpaid_part_and_a_flag():
    found = result([touch("A", days=31)])
    assert (found.shares, found.unpaid_share, found.flags) == ({}, 0, ("no_eligible_touches",))
    assert result([]).roles.initiator is None


def test_roles_are_reported_whatever_the_model():
    roles = result([touch("A", days=4), touch("A", days=3), touch("B", days=2), touch("A", days=1)], "LAST_CLICK").roles
    assert (roles.touches, roles.partners, roles.initiator, roles.closer, roles.assists) == (4, 2, "A", "A", ("A", "B"))


def test_a_single_touch_is_initiator_and_closer_or_closer_only():
    assert result([touch("A")]).roles.of("A") == ("initiator", "closer")
    assert result([touch("A")], single_touch_role="CLOSER").roles.of("A") == ("closer",)


def test_an_own_channel_that_takes_part_is_named_in_the_roles_and_not_counted_as_a_partner():
    touches = [touch("A", days=2), touch(channel="sea", days=1), touch("B")]
    roles = result(touches, unpaid="KEEP").roles
    assert (roles.initiator, roles.assists, roles.closer) == ("A", ("channel:sea",), "B")
    assert (roles.touches, roles.partners) == (3, 2)
    assert result(touches).roles.assists == ()
