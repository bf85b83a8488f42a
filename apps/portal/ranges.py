"""The stretch of time a page is about, as it stands in the address."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.http import QueryDict
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from apps.core.periods import Period, add_months, day_of, month_end
from apps.portal.formats import day

PRESETS = {
    "7d": _("Last 7 days"),
    "30d": _("Last 30 days"),
    "month": _("This month"),
    "last_month": _("Last month"),
    "quarter": _("This quarter"),
    "year": _("This year"),
}
DEFAULT = "30d"
MONTHS = {"month": 1, "quarter": 3, "year": 12}
LONGEST = timedelta(days=731)


@dataclass(frozen=True, slots=True)
class Range:
    """`start` and `end` are days, both included; `before` is what it is compared with."""

    code: str
    label: str
    start: date
    end: date
    period: Period
    before: Period

    @property
    def query(self) -> str:
        if self.code:
            return urlencode({"range": self.code})
        return urlencode({"from": self.start.isoformat(), "to": self.end.isoformat()})


def range_of(params: QueryDict, now: datetime) -> Range:
    """Read `range`, or `from` and `to`, of the address in the active time zone; nonsense means 30 days."""
    zone = timezone.get_current_timezone()
    today = day_of(now, zone)
    code, days = params.get("range", DEFAULT), _custom(params, today)
    if days is not None:
        code, label = "", f"{day(days[0])} – {day(days[1])}"
    else:
        code = code if code in PRESETS else DEFAULT
        label, days = str(PRESETS[code]), _preset(code, today)
    first, last = days
    if code == "last_month":
        earlier = (add_months(first, -1), first - timedelta(days=1))
    elif code in MONTHS:
        earlier = (add_months(first, -MONTHS[code]), add_months(last, -MONTHS[code]))
    else:
        length = last - first + timedelta(days=1)
        earlier = (first - length, last - length)
    return Range(code, label, first, last, Period.days(first, last, zone), Period.days(*earlier, zone))


def _preset(code: str, today: date) -> tuple[date, date]:
    first = today.replace(day=1)
    if code == "last_month":
        first = add_months(first, -1)
        return first, month_end(first)
    if code == "quarter":
        first = first.replace(month=(today.month - 1) // 3 * 3 + 1)
    elif code == "year":
        first = first.replace(month=1)
    elif code != "month":
        first = today - timedelta(days=6 if code == "7d" else 29)
    return first, today


def _custom(params: QueryDict, today: date) -> tuple[date, date] | None:
    try:
        first = date.fromisoformat(params.get("from", ""))
        last = min(date.fromisoformat(params.get("to") or today.isoformat()), today)
    except ValueError:
        return None
    return (first, last) if timedelta(0) <= last - first <= LONGEST and first.year > 1999 else None
