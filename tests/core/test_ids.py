"""The bounds that journeys are gathered between."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from apps.core.ids import uuid7_floor, uuid7_floors

moments = st.datetimes(datetime(1972, 1, 1), datetime(2200, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))


@given(moments, st.integers(0, 600), st.integers(0, 10_000))
def test_bounds_as_text_are_the_floors(at, days, milliseconds):
    back, on = timedelta(days=days), timedelta(milliseconds=milliseconds)
    assert uuid7_floors(at, back=back, on=on) == (str(uuid7_floor(at - back)), str(uuid7_floor(at + on)))
