"""The stretch of time a page is about, as it stands in the address."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from apps.core.periods import Period, add_months, day_of, month_end
from apps.identity.models import Advertiser

PRESETS = {
    "7d": _("7 days"),
    "30d": _("30 days"),
    "90d": _("90 days"),
    "month": _("This month"),
    "last-month": _("Last month"),
}
DEFAULT = "30d"
LONGEST = timedelta(days=731)


@dataclass(frozen=True, slots=True)
class Range:
    """`first_on` and `last_on` are both included; `before` is as long and ends the day before."""

    preset: str
    first_on: date
    last_on: date
    period: Period
    before: Period
    compares: bool

    @property
    def query(self) -> str:
        if self.preset != "custom":
            return f"range={self.preset}"
        return f"range=custom&from={self.first_on}&to={self.last_on}"


def asked_preset(request: HttpRequest) -> str:
    """Return the range that the address names, sensible or not; days without a name are a range of their own."""
    has_days = "from" in request.GET or "to" in request.GET
    return request.GET.get("range") or ("custom" if has_days else DEFAULT)


def range_of(request: HttpRequest, advertiser: Advertiser, now: datetime) -> Range:
    """Read `range`, `from`, `to` and `compare` of the address; what makes no sense falls back to 30 days."""
    today = day_of(now, advertiser.zone)
    preset = asked_preset(request)
    days = _custom(request, today) if preset == "custom" else _preset(preset, today)
    if days is None:
        preset, days = DEFAULT, _preset(DEFAULT, today)
    first, last = days
    length = (last - first).days + 1
    if preset in {"month", "last-month"}:
        earlier = add_months(first, -1)
        before = Period.days(
            earlier, earlier + (last - first) if preset == "month" else month_end(earlier), advertiser.zone
        )
    else:
        before = Period.days(first - timedelta(days=length), first - timedelta(days=1), advertiser.zone)
    return Range(
        preset, first, last, Period.days(first, last, advertiser.zone), before, request.GET.get("compare") != "0"
    )


def _preset(preset: str, today: date) -> tuple[date, date] | None:
    if preset == "month":
        return today.replace(day=1), today
    if preset == "last-month":
        first = add_months(today.replace(day=1), -1)
        return first, month_end(first)
    lengths = {"7d": 7, "30d": 30, "90d": 90}
    return (today - timedelta(days=lengths[preset] - 1), today) if preset in lengths else None


def _custom(request: HttpRequest, today: date) -> tuple[date, date] | None:
    try:
        first = date.fromisoformat(request.GET.get("from", ""))
        last = min(date.fromisoformat(request.GET.get("to", "")), today)
    except ValueError:
        return None
    return (first, last) if timedelta(0) <= last - first <= LONGEST and first.year > 1999 else None
