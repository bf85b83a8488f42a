"""Hierarchy, models, repeats (engine, sections 1 and 2)."""

from decimal import Decimal
from fractions import Fraction as F

import pytest

from apps.attribution.rules.weighing import decay
from tests.attribution.journeys import reasons, result, shares, touch

DAY = 86_400


def path(*partners, **facts):
    """A touch per partner, the last one now, a day between them."""
    return [touch(p, days=len(partners) - place - 1, **facts) for place, p in enumerate(partners)]


def test_brand_search_wins_or_stands_a_level_lower():
    content = touch("blog", days=5, channel="content")
    sea = touch(channel="sea-brand", kind="VISIT")
    found = result([content, sea], unpaid="KEEP")
    assert (found.shares, found.unpaid_share) == ({}, 1)
    assert shares([content, sea], unpaid="KEEP", levels=(("content",), ("sea-brand",))) == {"blog": 1}
    old = touch("blog", days=31, channel="content")
    assert result([old, sea], unpaid="KEEP", levels=(("content",), ("sea-brand",))).unpaid_share == 1


def test_a_view_wins_only_where_nothing_but_views_is_left():
    view = touch("B", kind="VIEW", hours=1)
    assert shares([touch("A", days=2, channel_class="EARNED"), view], view_window_days=1) == {"A": 1}
    assert shares([touch("A", hours=3, kind="VIEW"), view], view_window_days=1) == {"B": 1}


def test_channel_classes_are_the_levels_by_default():
    touches = [
        touch("paid", days=3, channel_class="PAID"),
        touch("owned", days=2, channel_class="OWNED"),
        touch("earned", days=1, channel_class="EARNED"),
    ]
    assert shares(touches) == {"paid": 1}
    assert shares(touches[1:]) == {"owned": 1}
    assert shares(touches, "FIRST_CLICK") == {"paid": 1}


def test_a_channel_that_no_level_names_is_on_the_first():
    touches = [touch("A", days=2, channel="new"), touch("B", days=1, channel="low")]
    assert shares(touches, levels=(("content",), ("low",))) == {"A": 1}


def test_an_ad_space_and_its_category_may_stand_on_a_level_of_their_own():
    touches = [touch("A", days=2), touch("B", days=1, ad_space=7, ad_space_category="cashback")]
    assert shares(touches) == {"B": 1}
    assert shares(touches, category_levels={"cashback": 1}) == {"A": 1}
    assert shares(touches, category_levels={"cashback": 1}, ad_space_levels={7: 0}) == {"B": 1}


def test_levels_do_not_touch_shared_models():
    touches = [touch("A", days=2, channel="content"), touch("B", channel="low")]
    assert shares(touches, "LINEAR", levels=(("content",), ("low",))) == {"A": F(1, 2), "B": F(1, 2)}


def test_rule_models_on_search_social_instagram():
    touches = path("yandex", "social", "instagram")
    assert shares(touches, "FIRST_CLICK") == {"yandex": 1}
    assert shares(touches, "LAST_CLICK") == {"instagram": 1}
    assert set(shares(touches, "LINEAR").values()) == {F(1, 3)}
    assert list(shares(touches, "POSITION").values()) == [F(2, 5), F(1, 5), F(2, 5)]


def test_time_decay_halves_per_half_life():
    touches = [touch("A", days=14), touch("B", days=7), touch("C")]
    assert shares(touches, "TIME_DECAY") == {"A": F(1, 7), "B": F(2, 7), "C": F(4, 7)}


def test_time_decay_counts_age_from_the_youngest_touch():
    assert shares([touch("A", days=21), touch("B", days=14)], "TIME_DECAY") == {"A": F(1, 3), "B": F(2, 3)}


@pytest.mark.parametrize(
    ("days", "weight"),
    [(0, 10**9), (7, 500_000_000), (1, 905_723_664), (3.5, 707_106_781), (70, 976_562), (77, 488_281), (300, 1)],
)
def test_decay_is_an_exact_number(days, weight):
    assert decay(int(days * DAY), 7 * DAY, 1) == weight


def test_decay_agrees_with_sixty_digits():
    for seconds in range(0, 40 * DAY, 7919):
        exact = Decimal(10) ** 9 * Decimal(2) ** (-Decimal(seconds) / Decimal(5 * DAY))
        assert decay(seconds, 5 * DAY, 1) == max(1, int(exact.to_integral_value()))


def test_position_weights_by_number_of_touches():
    assert shares(path("A"), "POSITION") == {"A": 1}
    assert shares(path("A", "B"), "POSITION") == {"A": F(1, 2), "B": F(1, 2)}
    assert list(shares(path("A", "B", "C", "D"), "POSITION").values()) == [F(2, 5), F(1, 10), F(1, 10), F(2, 5)]
    weights = (Decimal(50), Decimal(20), Decimal("30"))
    assert shares(path("A", "B"), "POSITION", weights=weights) == {"A": F(3, 5), "B": F(2, 5)}
    assert shares(path("A", "B"), "POSITION", weights=weights, two_touches="NORMALIZE") == {"A": F(5, 8), "B": F(3, 8)}


def test_roles_weigh_distinct_partners():
    assert shares(path("A", "B", "C"), "ROLES") == {"A": F(2, 5), "B": F(1, 5), "C": F(2, 5)}
    assert shares(path("A", "B", "A"), "ROLES") == {"A": F(4, 5), "B": F(1, 5)}
    assert shares(path("A", "A", "B"), "ROLES") == {"A": F(1, 2), "B": F(1, 2)}
    assert shares(path("A", "A"), "ROLES") == {"A": 1}
    assert shares(path("A", "B", "C", "B", "D"), "ROLES") == {"A": F(2, 5), "B": F(1, 10), "C": F(1, 10), "D": F(2, 5)}
    assert shares(path("A", None, "B"), "ROLES", unpaid="KEEP") == {"A": F(2, 5), "B": F(2, 5)}


def test_clicking_often_pays_under_all_and_nothing_under_once():
    honest = path("A", "B", "C")
    often = path("A", "A", "A", "B", "C")
    assert shares(often, "LINEAR")["A"] == F(3, 5)
    assert shares(often, "LINEAR", repeats="ONCE") == shares(honest, "LINEAR")
    assert shares(often, "LINEAR", repeats="COLLAPSE") == shares(honest, "LINEAR")


def test_repeats_name_what_they_drop():
    touches = [touch("A", days=3, id="1"), touch("A", days=2, id="2"), touch("B", days=1, id="3"), touch("A", id="4")]
    assert reasons(touches, "LINEAR", repeats="COLLAPSE") == {"1": "repeat", "2": None, "3": None, "4": None}
    assert reasons(touches, "LINEAR", repeats="ONCE") == {"1": "repeat", "2": "repeat", "3": None, "4": None}
    assert reasons(touches, "FIRST_CLICK", repeats="ONCE") == {"1": None, "2": "repeat", "3": None, "4": "repeat"}


def test_own_channels_repeat_like_partners():
    touches = path("A", None, None, None)
    assert result(touches, "LINEAR", unpaid="KEEP", repeats="ONCE").unpaid_share == F(1, 2)
    assert result(touches, "LINEAR", unpaid="KEEP", repeats="COLLAPSE").unpaid_share == F(1, 2)


@pytest.mark.parametrize("repeats", ["ALL", "COLLAPSE", "ONCE"])
def test_coming_back_on_a_lower_level_loses_nothing(repeats):
    touches = [
        touch("B", days=3, channel="content"),
        touch("A", days=2, channel="content"),
        touch("A", days=1, channel="low"),
    ]
    assert shares(touches, levels=(("content",), ("low",)), repeats=repeats) == {"A": 1}


def test_unpaid_touches_are_kept_or_redistributed():
    touches = path("A", None, "B", None)
    kept = result(touches, "LINEAR", unpaid="KEEP")
    assert (kept.shares, kept.unpaid_share) == ({"A": F(1, 4), "B": F(1, 4)}, F(1, 2))
    spread = result(touches, "LINEAR", unpaid="REDISTRIBUTE")
    assert (spread.shares, spread.unpaid_share) == ({"A": F(1, 2), "B": F(1, 2)}, 0)
    alone = result(touches, "LAST_CLICK", unpaid="REDISTRIBUTE")
    assert (alone.shares, alone.unpaid_share) == ({}, 1)


def test_the_winner_limit_keeps_the_largest_and_the_paid_part_whole():
    touches = path("A", "B", "B", "C", None)
    found = result(touches, "LINEAR", unpaid="KEEP", winner_limit=2)
    assert (found.shares, found.unpaid_share) == ({"B": F(8, 15), "C": F(4, 15)}, F(1, 5))
    assert shares(touches, "LINEAR", winner_limit=1) == {"B": 1}


def test_winners_stand_as_their_touches_first_appear_and_rank_from_the_conversion():
    found = result(path("A", "B", "A"), "LINEAR")
    assert [(w.partner, w.rank, w.touch.id) for w in found.winners] == [
        ("A", 0, found.journey[2].id),
        ("B", 1, found.journey[1].id),
    ]
