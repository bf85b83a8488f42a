"""The days of a conversion's life, concrete from the first settlement."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from typing import NamedTuple

from apps.core.periods import month_end


class Deadlines(NamedTuple):
    """Until when to decide, when it locks, when it is expected to be paid: days in the advertiser's zone."""

    decide_by: date
    locks_on: date
    pays_on: date


LATE = timedelta(days=7)


@lru_cache(maxsize=4096)
def deadlines(
    occurred_on: date, told_on: date | None = None, *, decide_days: int, lock_days: int, pay_days: int
) -> Deadlines:
    """Return the days that follow from the day of the conversion.

    Lock: so many days after the last day of the conversion's month; pay: so many days after the last day of the
    month in which it locks. With 28 and 20: January locks on 28 February and is paid on 20 March, also in a leap year.
    Who tells of a sale more than a week late leaves as much time to decide on it as there always is: the days to
    decide then count from `told_on`, and it does not lock before.
    """
    late = told_on is not None and told_on - occurred_on > LATE
    decide_by = (told_on if late and told_on else occurred_on) + timedelta(days=decide_days)
    locks_on = month_end(occurred_on) + timedelta(days=lock_days)
    if late:
        locks_on = max(locks_on, decide_by)
    return Deadlines(
        decide_by=decide_by,
        locks_on=locks_on,
        pays_on=month_end(locks_on) + timedelta(days=pay_days),
    )
