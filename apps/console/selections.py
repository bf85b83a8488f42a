"""What a list's filters in the address mean for a decision on all of it."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, timedelta
from uuid import UUID

from django.http import HttpRequest
from django.utils import timezone

from apps.commissions.models import DecisionState
from apps.commissions.selections import Selection
from apps.console.access import access_of
from apps.console.conversion_lists import REASONS
from apps.console.filters import read_day
from apps.core.periods import day_of, start_of

FILTERS = ("state", "locks_before", "moved_by", "campaign", "partner", "reason", "goal", "coupon", "from", "to", "q")
AWAITED = (DecisionState.PENDING.value, DecisionState.ON_HOLD.value)
STATES: dict[str, tuple[str, ...]] = {
    "": (),
    "open": (DecisionState.PENDING.value,),
    "hold": (DecisionState.ON_HOLD.value,),
    "approved": (DecisionState.APPROVED.value,),
    "rejected": (DecisionState.REJECTED.value,),
    "late": AWAITED,
    "awaiting": AWAITED,
    "live": (*AWAITED, DecisionState.APPROVED.value),
    "test": (),
}
EARNING = ("open", "hold", "late", "awaiting", "live")  # without what pays nobody, tests and duplicates


def selection_of(request: HttpRequest) -> Selection | None:
    """Return what the address selects, or None where it selects nothing that can be decided."""
    told = {name: request.GET.get(name, "").replace("\x00", "").strip() for name in FILTERS}
    zone = access_of(request).advertiser.zone
    if told["state"] not in STATES:
        return None
    days: dict[str, date] = {}
    for name in ("locks_before", "from", "to"):
        day = read_day(told[name]) if told[name] else None
        if day is not None:
            days[name] = day
        elif told[name] and name == "locks_before":
            return None
    numbers: dict[str, int] = {}
    if told["reason"] and told["reason"] not in REASONS:
        return None
    for name in ("campaign", "partner", "moved_by"):
        if told[name]:
            if not told[name].isdecimal() or len(told[name]) > 18:
                return None
            numbers[name] = int(told[name])
    ids: tuple[str, ...] = ()
    with suppress(ValueError):
        ids = (str(UUID(told["q"])),)
    is_test = {"test": True, **dict.fromkeys(EARNING, False)}.get(told["state"])
    return Selection(
        states=STATES[told["state"]],
        campaign_id=numbers.get("campaign"),
        partner_id=numbers.get("partner"),
        moved_by=numbers.get("moved_by"),
        reason=told["reason"],
        goal=told["goal"][:40].upper(),
        coupon=told["coupon"][:80],
        order="" if ids else told["q"][:120],
        since=start_of(days["from"], zone) if "from" in days else None,
        until=start_of(days["to"] + timedelta(days=1), zone) if "to" in days else None,
        locks_until=days["locks_before"] - timedelta(days=1) if "locks_before" in days else None,
        due_until=day_of(timezone.now(), zone) if told["state"] == "late" else None,
        is_test=is_test,
        is_duplicate=False if told["state"] in EARNING else None,
        ids=ids,
    )
