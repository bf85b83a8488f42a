"""Write touches as they come: asynchronous, without the ORM, committed before the visitor is sent on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

from django.db import connections
from psycopg import Error, OperationalError
from psycopg.conninfo import make_conninfo
from psycopg_pool import AsyncConnectionPool

from apps.tracking.rules.clients import UNKNOWN, Client

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


COLUMNS = [field.name for field in fields(TouchFact)]
values_of = attrgetter(*COLUMNS)
# One statement and one transaction for the fact and for what is kept apart from it.
INSERT = (
    f"WITH touch AS (INSERT INTO tracking_touchpoint ({', '.join(COLUMNS)}) "
    f"VALUES ({', '.join(['%s'] * len(COLUMNS))}) ON CONFLICT (id) DO NOTHING RETURNING id, advertiser_id) "
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
    """A pool of connections of one event loop; every write is its own transaction."""

    def __init__(self) -> None:
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
        await self._pool.close()

    async def write(self, touch: TouchFact, client: Client = UNKNOWN) -> bool:
        """Store a touch and return whether it is stored for good; dead connections are replaced, once."""
        try:
            async with asyncio.timeout(PATIENCE):
                try:
                    await self._execute(touch, client)
                except OperationalError:
                    await self._pool.check()  # the next one at hand may have died with it
                    await self._execute(touch, client)
        except (Error, OSError, TimeoutError):
            return False
        return True

    async def answers(self) -> bool:
        """Tell whether the database answers."""
        try:
            async with asyncio.timeout(PATIENCE), self._pool.connection() as connection:
                await connection.execute("SELECT 1")
        except (Error, OSError, TimeoutError):
            return False
        return True

    async def _execute(self, touch: TouchFact, client: Client) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(INSERT, (*values_of(touch), client.user_agent, client.address, client.referrer))
