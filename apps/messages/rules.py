"""When a delivery that failed is tried again."""

from __future__ import annotations

from datetime import timedelta

MOST_ATTEMPTS = 8
WAITS = (5, 30, 120, 600, 3_600, 4 * 3_600, 12 * 3_600, 24 * 3_600)
"""Seconds after each attempt, as long as it is not known to have succeeded."""
JITTER = 0.2
LEASE = 60
"""Seconds for which one worker has a message to itself: longer than any delivery may take."""


def wait_after(attempts: int, chance: float) -> timedelta:
    """Return how long to wait after so many attempts; `chance` (0 to 1) spreads it by a fifth to either side.

    After the first attempt 4 to 6 seconds, after the eighth 19 to 29 hours.
    """
    seconds = WAITS[min(attempts, len(WAITS)) - 1]
    return timedelta(seconds=seconds * (1 + JITTER * (2 * chance - 1)))


def leased_for(attempts: int, chance: float) -> timedelta:
    """Return how long a message that was just claimed is left alone: the lease, or the wait where that is longer."""
    return max(timedelta(seconds=LEASE), wait_after(attempts, chance))
