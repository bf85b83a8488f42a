"""Days of client data: one partition each, made ahead and dropped after 30 days.

What has no partition falls into the DEFAULT one and is deleted from there by its age.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from django.db import OperationalError, connection, transaction
from psycopg import sql

from apps.core.ids import uuid7_floor
from apps.tracking.models import ClientData
from apps.tracking.partitions import PARTITIONS
from apps.tracking.rules.clients import Client

TABLE = "tracking_clientdata"
DEFAULT = f"{TABLE}_default"
AHEAD = 3
KEPT = timedelta(days=30)
LOCK = 7_410_026  # the advisory lock under which days are made and dropped
DAY = timedelta(days=1)


def keep_client_data(
    *, id_: UUID, advertiser_id: int, client: Client | None, payload: Mapping[str, object] | None
) -> None:
    """Keep what a client sent along with a fact, in the fact's own transaction."""
    client = client or Client()
    ClientData.objects.create(
        id=id_,
        advertiser_id=advertiser_id,
        user_agent=client.user_agent,
        address=client.address,
        referrer=client.referrer,
        payload=payload,
    )


def keep_days(*, now: datetime) -> tuple[list[str], list[str]]:
    """Make today's partition and those of three days ahead, drop what is older than 30 days; return both's names.

    May run twice and at the same time. Clicks go on meanwhile: a lock that is not had within a second is left for the
    next time.
    """
    today = now.astimezone(UTC).date()
    oldest = today - KEPT
    made = [name for day in (today + n * DAY for n in range(AHEAD + 1)) if (name := make_day(day))]
    dropped = [name for name in sorted(_names()) if name < day_name(oldest) and drop_day(name)]
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {DEFAULT} WHERE id < %s", [_floor(oldest)])
    return made, dropped


def day_name(day: date) -> str:
    return f"{TABLE}_{day:%Y_%m_%d}"


@transaction.atomic
def make_day(day: date) -> str:
    """Make one day's partition and move its rows out of DEFAULT; return its name, or nothing where it is there."""
    name = day_name(day)
    parts = {
        "table": sql.Identifier(TABLE),
        "default": sql.Identifier(DEFAULT),
        "new": sql.Identifier(name),
        "low": sql.Literal(_floor(day)),
        "high": sql.Literal(_floor(day + DAY)),
    }
    if not _hold() or name in _names():
        return ""
    with connection.cursor() as cursor:
        for statement in (
            "CREATE TABLE {new} (LIKE {table} INCLUDING ALL)",
            "LOCK TABLE {default} IN ACCESS EXCLUSIVE MODE",
            "WITH moved AS (DELETE FROM {default} WHERE id >= {low} AND id < {high} RETURNING *) "
            "INSERT INTO {new} SELECT * FROM moved",
            "ALTER TABLE {table} ATTACH PARTITION {new} FOR VALUES FROM ({low}) TO ({high})",
        ):
            cursor.execute(sql.SQL(statement).format(**parts))
    return name


def drop_day(name: str) -> bool:
    """Drop a partition; return whether it is gone, which it is not where its table is busy for more than a second."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            if not _hold() or name not in _names():
                return False
            cursor.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))
    except OperationalError:
        return False
    return True


def _hold() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '1s'")
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        return bool(cursor.fetchone()[0])


def _names() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(PARTITIONS, [TABLE])
        return {name for (name,) in cursor.fetchall() if name != DEFAULT}


def _floor(day: date) -> UUID:
    return uuid7_floor(datetime.combine(day, time.min, UTC))
