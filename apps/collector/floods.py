"""Refused calls that nobody vouches for are kept up to a number a minute; the rest is counted.

Whoever knows a campaign's public name can send calls that are refused. A call that is signed with the campaign's
secret is always kept; of the others so many of a source and campaign, and so many of a campaign in all.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

MINUTE = 60.0
PER_SOURCE = 20
PER_CAMPAIGN = 100


@dataclass(frozen=True, slots=True)
class LeftOut:
    """How many calls of a minute were not kept; without a campaign those that name nobody."""

    advertiser_id: int | None
    campaign_id: int | None
    since: datetime
    count: int


class Flood:
    """A budget of this process that starts anew every minute; its threads share it."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._over: list[LeftOut] = []
        self._begin()

    def lets_in(self, source: str, *, advertiser_id: int | None = None, campaign_id: int | None = None) -> bool:
        """Tell whether one more call of a source may be kept this minute; one that may not is counted."""
        with self._lock:
            self._turn()
            if self._kept[campaign_id, source] < PER_SOURCE and self._in_all[campaign_id] < PER_CAMPAIGN:
                self._kept[campaign_id, source] += 1
                self._in_all[campaign_id] += 1
                return True
            self._dropped[advertiser_id, campaign_id] += 1
            return False

    def take_left_out(self, *, everything: bool = False) -> list[LeftOut]:
        """Return, once, what was left out in the minutes that are over; `everything` ends the present one."""
        with self._lock:
            self._turn(now=everything)
            found, self._over = self._over, []
            return found

    def _turn(self, *, now: bool = False) -> None:
        if now or time.monotonic() - self._begun >= MINUTE:
            self._over += [LeftOut(*owner, self._since, count) for owner, count in self._dropped.items()]
            self._begin()

    def _begin(self) -> None:
        self._begun, self._since = time.monotonic(), self._clock()
        self._kept: Counter[tuple[int | None, str]] = Counter()
        self._in_all: Counter[int | None] = Counter()
        self._dropped: Counter[tuple[int | None, int | None]] = Counter()
