"""Calls that name nobody are kept up to a number a minute and source; the rest is counted."""

from __future__ import annotations

import logging
import time

logger = logging.getLogger(__name__)

MINUTE = 60.0
PER_SOURCE = 20
SOURCES = 200


class Flood:
    """A budget of this process that starts anew every minute."""

    def __init__(self) -> None:
        self._kept: dict[str, int] = {}
        self._dropped = 0
        self._since = time.monotonic()

    def lets_in(self, source: str) -> bool:
        """Tell whether one more call of a source may be kept this minute."""
        now = time.monotonic()
        if now - self._since >= MINUTE:
            if self._dropped:
                logger.warning("%d calls that name nobody were not kept", self._dropped)
            self._kept, self._dropped, self._since = {}, 0, now
        count = self._kept.get(source, 0)
        if count >= PER_SOURCE or (not count and len(self._kept) >= SOURCES):
            self._dropped += 1
            return False
        self._kept[source] = count + 1
        return True
