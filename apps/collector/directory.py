"""The links this process knows: asked of the database once, trusted for a few seconds."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from django.db import Error

from apps.collector.threads import DatabaseThreads
from apps.tracking.rules.links import LinkTarget
from apps.tracking.selectors import link_target

FRESH = 3.0
"""Seconds after which a change in the console reaches every process."""
PATIENCE = 2.0
"""Seconds that a visitor waits for the database to say where a link leads."""
MOST_LINKS = 100_000


@dataclass(slots=True)
class Entry:
    target: LinkTarget | None
    loaded: float


class Directory:
    """A dictionary of links that survives a database that is away: then what was known last is used."""

    def __init__(self, threads: DatabaseThreads) -> None:
        self._threads = threads
        self._entries: dict[str, Entry] = {}
        self._loading: dict[str, asyncio.Task[LinkTarget | None]] = {}

    async def find(self, code: str) -> LinkTarget | None:
        """Return a link's target, None for an unknown link. Raises Error, TimeoutError where nobody can say."""
        entry = self._entries.get(code)
        if entry and time.monotonic() - entry.loaded < FRESH:
            return entry.target
        task = self._loading.get(code)
        if task is None:
            task = self._loading[code] = asyncio.create_task(self._load(code))
            task.add_done_callback(lambda _: self._loading.pop(code, None))
        try:
            return await asyncio.shield(task)
        except (Error, TimeoutError):
            if entry is None:
                raise
            return entry.target

    async def _load(self, code: str) -> LinkTarget | None:
        target = await self._threads.run(PATIENCE, link_target, code)
        self._entries.pop(code, None)
        if len(self._entries) >= MOST_LINKS:
            self._entries.pop(next(iter(self._entries)))
        self._entries[code] = Entry(target, time.monotonic())
        return target
