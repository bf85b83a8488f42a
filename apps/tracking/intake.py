"""Write touches as they come: asynchronous, without the ORM, committed before the visitor is sent on."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from operator import attrgetter
from time import monotonic
from typing import Any
from uuid import UUID

from django.db import connections
from psycopg import Error, OperationalError
from psycopg.conninfo import make_conninfo
from psycopg_pool import AsyncConnectionPool

from apps.tracking.rules.clients import UNKNOWN, Client

logger = logging.getLogger(__name__)

CONNECTIONS = 8
# What Django alone understands among the options, and the session's settings, which this pool has its own of.
NOT_THE_DRIVERS = {"assume_role", "isolation_level", "options", "pool", "server_side_binding"}
SESSION = {
    "application_name": "tributary collector",
    "connect_timeout": 3,
    "options": "-c lock_timeout=1s -c statement_timeout=2s",
}
PATIENCE = 2.0
"""Seconds a visitor waits for the database before the redirect goes out without a click id."""
LATE = 1.0
"""Seconds after which a sale may have been settled between a click and its commit."""
MARKS_AT_MOST = 10_000
"""So many marks of late commits are kept for a database that is away."""


@dataclass(frozen=True, slots=True)
class TouchFact:
    """A touch as it is stored; the fields are the table's columns."""

    id: UUID
    advertiser_id: int
    campaign_id: int
    partner_id: int
    ad_space_id: int
    link_id: int
    visitor: UUID
    occurred_at: datetime
    recorded_at: datetime
    kind: str
    channel: str
    channel_class: str
    refusal: str
    device: str
    sub1: str
    sub2: str
    sub3: str
    sub4: str
    sub5: str


Mark = tuple[int, UUID, datetime]  # advertiser, visitor, since
COLUMNS = [field.name for field in fields(TouchFact)]
values_of = attrgetter(*COLUMNS)
# A mark for the sweep: whatever the visitor bought since, and was settled without the click, is looked at again (D21).
MARK = (
    "INSERT INTO tracking_stirred (advertiser_id, visitors, since, persons, keys) "
    "SELECT %s, ARRAY[%s::uuid], %s::timestamptz, '{}', '{}'"
)
# One statement and one transaction for the fact, for what is kept apart from it, and for its mark where it is late:
# by the time that this process had waited before and the database since, so that no two clocks are compared.
INSERT = (
    f"WITH touch AS (INSERT INTO tracking_touchpoint ({', '.join(COLUMNS)}) "
    f"VALUES ({', '.join(['%s'] * len(COLUMNS))}) ON CONFLICT (id) DO NOTHING RETURNING id, advertiser_id), "
    f"late AS ({MARK} WHERE %s + extract(epoch FROM clock_timestamp() - statement_timestamp()) > %s) "
    "INSERT INTO tracking_clientdata (id, advertiser_id, user_agent, address, referrer) "
    "SELECT id, advertiser_id, %s, %s, %s FROM touch"
)


def address_of(server: Mapping[str, Any]) -> dict[str, Any]:
    """Return where the server is, as the driver spells it: what the address says beside the query and in it."""
    address = {"host": server["HOST"], "port": server["PORT"], "user": server["USER"]}
    address |= {"password": server["PASSWORD"], "dbname": server["NAME"]}
    told = {name: value for name, value in server.get("OPTIONS", {}).items() if name not in NOT_THE_DRIVERS}
    return {**{name: value for name, value in address.items() if value}, **told}


class TouchWriter:
    """A pool of connections of one event loop; every write is its own transaction. `seconds` measures the waiting."""

    def __init__(self, seconds: Callable[[], float] = monotonic) -> None:
        self._seconds = seconds
        self._unmarked: deque[Mark] = deque(maxlen=MARKS_AT_MOST)
        self._marking: asyncio.Task[None] | None = None
        self._pool = AsyncConnectionPool(
            make_conninfo("", **{**address_of(connections["default"].settings_dict), **SESSION}),
            kwargs={"autocommit": True},
            min_size=1,
            max_size=CONNECTIONS,
            timeout=PATIENCE,
            open=False,
        )

    async def open(self) -> None:
        await self._pool.open()

    async def close(self) -> None:
        if self._marking is not None:
            await asyncio.wait([self._marking], timeout=PATIENCE)
            self._marking.cancel()
        if self._unmarked:
            logger.error("%d clicks that were stored late leave no mark", len(self._unmarked))
        await self._pool.close()

    async def write(self, touch: TouchFact, client: Client = UNKNOWN) -> bool:
        """Store a touch and return whether it is stored for good; dead connections are replaced, once.

        One that was late leaves a mark with it; where only its commit was, or nobody knows of it, the mark follows.
        """
        began = self._seconds()
        stored = is_marked = False
        try:
            async with asyncio.timeout(PATIENCE):
                try:
                    is_marked = await self._execute(touch, client, began)
                except OperationalError:
                    await self._pool.check()  # the next one at hand may have died with it
                    is_marked = await self._execute(touch, client, began)
                stored = True
        except (Error, OSError, TimeoutError):
            pass
        if not is_marked and self._seconds() - began > LATE:
            self._unmarked.append(_mark_of(touch))
            if self._marking is None or self._marking.done():
                self._marking = asyncio.create_task(self._mark())
        return stored

    async def _mark(self) -> None:
        """Leave the marks of touches that may be stored by now, one task for all, as soon as the database answers."""
        pause = 0.0
        while self._unmarked:
            await asyncio.sleep(pause)
            marks = list(self._unmarked)
            self._unmarked.clear()
            try:
                async with self._pool.connection() as connection, connection.cursor() as cursor:
                    await cursor.executemany(MARK, marks)
            except (Error, OSError):
                self._unmarked.extendleft(reversed(marks))
                pause = min(30.0, 2 * pause + 1)

    async def answers(self) -> bool:
        """Tell whether the database answers."""
        try:
            async with asyncio.timeout(PATIENCE), self._pool.connection() as connection:
                await connection.execute("SELECT 1")
        except (Error, OSError, TimeoutError):
            return False
        return True

    async def _execute(self, touch: TouchFact, client: Client, began: float) -> bool:
        """Store a touch; return whether it surely left a mark, having waited for too long beforehand."""
        async with self._pool.connection() as connection:
            waited = self._seconds() - began
            late = (*_mark_of(touch), waited, LATE)
            told = (client.user_agent, client.address, client.referrer)
            await connection.execute(INSERT, (*values_of(touch), *late, *told))
        return waited > LATE


def _mark_of(touch: TouchFact) -> Mark:
    return touch.advertiser_id, touch.visitor, touch.occurred_at
