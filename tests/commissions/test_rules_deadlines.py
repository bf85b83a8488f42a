"""The days of a conversion: month ends, leap years, zones and the nights when the clocks change."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from apps.commissions.rules.deadlines import deadlines
from apps.core.periods import day_of

USUAL = {"decide_days": 30, "lock_days": 28, "pay_days": 20}


@pytest.mark.parametrize(
    ("occurred_on", "decide_by", "locks_on", "pays_on"),
    [
        # ▸ January locks on 28 February and is paid on 20 March, also in a leap year.
        (date(2026, 1, 1), date(2026, 1, 31), date(2026, 2, 28), date(2026, 3, 20)),
        (date(2026, 1, 31), date(2026, 3, 2), date(2026, 2, 28), date(2026, 3, 20)),
        (date(2028, 1, 1), date(2028, 1, 31), date(2028, 2, 28), date(2028, 3, 20)),
        (date(2028, 1, 31), date(2028, 3, 1), date(2028, 2, 28), date(2028, 3, 20)),
        (date(2028, 2, 29), date(2028, 3, 30), date(2028, 3, 28), date(2028, 4, 20)),
        (date(2026, 2, 28), date(2026, 3, 30), date(2026, 3, 28), date(2026, 4, 20)),
        (date(2100, 2, 28), date(2100, 3, 30), date(2100, 3, 28), date(2100, 4, 20)),
        (date(2026, 12, 31), date(2027, 1, 30), date(2027, 1, 28), date(2027, 2, 20)),
        (date(2026, 11, 30), date(2026, 12, 30), date(2026, 12, 28), date(2027, 1, 20)),
        (date(2026, 4, 30), date(2026, 5, 30), date(2026, 5, 28), date(2026, 6, 20)),
    ],
)
def test_days_follow_from_the_end_of_the_month(occurred_on, decide_by, locks_on, pays_on):
    assert deadlines(occurred_on, **USUAL) == (decide_by, locks_on, pays_on)


def test_a_lock_that_falls_into_the_month_after_next_is_paid_after_that_one():
    """29 days after 31 January is 1 March in a common year and 29 February in a leap year."""
    days = {**USUAL, "lock_days": 29}
    assert deadlines(date(2026, 1, 15), **days)[1:] == (date(2026, 3, 1), date(2026, 4, 20))
    assert deadlines(date(2028, 1, 15), **days)[1:] == (date(2028, 2, 29), date(2028, 3, 20))


def test_no_days_at_all_are_the_month_ends_themselves():
    none = {"decide_days": 0, "lock_days": 0, "pay_days": 0}
    assert deadlines(date(2028, 2, 3), **none) == (date(2028, 2, 3), date(2028, 2, 29), date(2028, 2, 29))


@pytest.mark.parametrize(
    ("moment", "zone", "day"),
    [
        # Berlin, 31 January 23:30 is still January; Auckland is in February by then.
        (datetime(2026, 1, 31, 22, 30, tzinfo=UTC), "Europe/Berlin", date(2026, 1, 31)),
        (datetime(2026, 1, 31, 23, 30, tzinfo=UTC), "Europe/Berlin", date(2026, 2, 1)),
        (datetime(2026, 1, 31, 22, 30, tzinfo=UTC), "Pacific/Auckland", date(2026, 2, 1)),
        (datetime(2026, 2, 1, 4, 59, tzinfo=UTC), "America/New_York", date(2026, 1, 31)),
        # The nights when the clocks change in Berlin: 29 March and 25 October 2026.
        (datetime(2026, 3, 28, 23, 0, tzinfo=UTC), "Europe/Berlin", date(2026, 3, 29)),
        (datetime(2026, 3, 29, 21, 59, tzinfo=UTC), "Europe/Berlin", date(2026, 3, 29)),
        (datetime(2026, 3, 29, 22, 0, tzinfo=UTC), "Europe/Berlin", date(2026, 3, 30)),
        (datetime(2026, 10, 24, 22, 0, tzinfo=UTC), "Europe/Berlin", date(2026, 10, 25)),
        (datetime(2026, 10, 25, 22, 59, tzinfo=UTC), "Europe/Berlin", date(2026, 10, 25)),
        (datetime(2026, 10, 25, 23, 0, tzinfo=UTC), "Europe/Berlin", date(2026, 10, 26)),
        # Half-hour zones, and the day that Samoa left out.
        (datetime(2026, 1, 31, 18, 30, tzinfo=UTC), "Asia/Kolkata", date(2026, 2, 1)),
        (datetime(2011, 12, 30, 10, 0, tzinfo=UTC), "Pacific/Apia", date(2011, 12, 31)),
    ],
)
def test_the_day_of_a_sale_is_the_advertiser_s(moment, zone, day):
    assert day_of(moment, ZoneInfo(zone)) == day


def test_a_sale_at_the_turn_of_the_month_locks_by_the_advertiser_s_month():
    at = datetime(2026, 1, 31, 23, 30, tzinfo=UTC)
    locks = {zone: deadlines(day_of(at, ZoneInfo(zone)), **USUAL).locks_on for zone in ("Europe/Berlin", "UTC")}
    assert locks == {"Europe/Berlin": date(2026, 3, 28), "UTC": date(2026, 2, 28)}


@pytest.mark.parametrize(
    ("told_on", "decide_by", "locks_on", "pays_on"),
    [
        (date(2026, 1, 22), date(2026, 2, 14), date(2026, 2, 28), date(2026, 3, 20)),  # a week: not late yet
        (date(2026, 1, 23), date(2026, 2, 22), date(2026, 2, 28), date(2026, 3, 20)),
        (date(2026, 3, 10), date(2026, 4, 9), date(2026, 4, 9), date(2026, 5, 20)),
    ],
)
def test_who_tells_late_leaves_as_much_time_to_decide(told_on, decide_by, locks_on, pays_on):
    assert deadlines(date(2026, 1, 15), told_on, **USUAL) == (decide_by, locks_on, pays_on)
