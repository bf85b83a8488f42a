"""What the address says about time, and what it is compared with."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from django.http import QueryDict
from django.utils import timezone

from apps.portal.ranges import range_of

NOW = datetime(2026, 5, 31, 22, 30, tzinfo=UTC)  # 1 June in Berlin


def days(text: str) -> tuple:
    with timezone.override(ZoneInfo("Europe/Berlin")):
        found = range_of(QueryDict(text), NOW)
    return (found.code, found.start, found.end, found.before.first_on, found.before.last_on)


@pytest.mark.parametrize(
    ("text", "code", "start", "end", "before", "until"),
    [
        ("", "30d", (5, 3), (6, 1), (4, 3), (5, 2)),
        ("range=7d", "7d", (5, 26), (6, 1), (5, 19), (5, 25)),
        ("range=month", "month", (6, 1), (6, 1), (5, 1), (5, 1)),
        ("range=last_month", "last_month", (5, 1), (5, 31), (4, 1), (4, 30)),
        ("range=quarter", "quarter", (4, 1), (6, 1), (1, 1), (3, 1)),
        ("from=2026-03-01&to=2026-03-10", "", (3, 1), (3, 10), (2, 19), (2, 28)),
        ("from=2026-05-30&to=2030-01-01", "", (5, 30), (6, 1), (5, 27), (5, 29)),
        ("from=2026-05-30&to=2026-05-01", "30d", (5, 3), (6, 1), (4, 3), (5, 2)),
        ("from=1900-01-01&to=2026-05-01", "30d", (5, 3), (6, 1), (4, 3), (5, 2)),
    ],
)
def test_the_address_names_days_of_the_zone(text, code, start, end, before, until):
    assert days(text) == (code, *(date(2026, *one) for one in (start, end, before, until)))


def test_a_year_is_compared_with_the_same_days_of_the_last():
    assert days("range=year")[1:] == (date(2026, 1, 1), date(2026, 6, 1), date(2025, 1, 1), date(2025, 6, 1))
