"""Half-open stretches of time, as people of one time zone see their days and months."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """From `start` (inclusive) to `end` (exclusive), both aware."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("a period needs aware moments")
        if self.start >= self.end:
            raise ValueError("a period ends after it starts")

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end

    @classmethod
    def days(cls, first: date, last: date, zone: ZoneInfo) -> Period:
        """From the first moment of `first` to the end of `last`, both days included."""
        return cls(start_of(first, zone), start_of(last + timedelta(days=1), zone))

    @classmethod
    def month(cls, year: int, month: int, zone: ZoneInfo) -> Period:
        first = date(year, month, 1)
        return cls(start_of(first, zone), start_of(add_months(first, 1), zone))

    @property
    def first_on(self) -> date:
        return self.start.date()

    @property
    def last_on(self) -> date:
        return (self.end - timedelta(microseconds=1)).date()


def start_of(day: date, zone: ZoneInfo) -> datetime:
    """Return the first moment of a day in a zone (daylight saving respected)."""
    return datetime.combine(day, time.min, tzinfo=zone)


def day_of(moment: datetime, zone: ZoneInfo) -> date:
    return moment.astimezone(zone).date()


def add_months(day: date, months: int) -> date:
    """Return the same day so many months later, or the last day of a shorter month."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, month_length(year, month + 1)))


def month_length(year: int, month: int) -> int:
    following = date(year + month // 12, month % 12 + 1, 1)
    return (following - timedelta(days=1)).day


def month_end(day: date) -> date:
    """Return the last day of the month a day lies in."""
    return day.replace(day=month_length(day.year, day.month))


def months_of(first: date, last: date) -> Iterator[date]:
    """Yield the first day of every month touched by the days from `first` to `last`."""
    month = first.replace(day=1)
    while month <= last:
        yield month
        month = add_months(month, 1)
