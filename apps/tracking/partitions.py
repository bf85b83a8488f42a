"""Months of touchpoints: one partition each, made before the first touch needs it (D5).

A month is one of UTC; its partition takes the ids made for its moments. What has no partition falls into
the DEFAULT one, is found there by every query, and moves out when its month is made.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time

from django.db import connection, transaction
from psycopg import sql

from apps.core.errors import Conflict
from apps.core.ids import uuid7_floor
from apps.core.periods import add_months, months_of

TABLE = "tracking_touchpoint"
DEFAULT = f"{TABLE}_default"
AHEAD = 3
LOCK = 7_410_025  # the advisory lock under which partitions are made

PARTITIONS = """
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = to_regclass(%s)
"""


class MonthSetAside(Conflict):
    code = "month_set_aside"
    message = "The month's touchpoints have been detached; attach their table again before adding to it."


def partition_name(month: date) -> str:
    return f"{TABLE}_{month:%Y_%m}"


def partition_names() -> set[str]:
    """Return the names of the partitions there are, the DEFAULT one among them."""
    with connection.cursor() as cursor:
        cursor.execute(PARTITIONS, [TABLE])
        return {name for (name,) in cursor.fetchall()}


def make_partitions(*, first_on: date, last_on: date) -> list[str]:
    """Make the months that the days from `first_on` to `last_on` need; return the names of the new ones.

    May run twice and at the same time. Clicks into other months go on meanwhile: only the DEFAULT
    partition is locked, for as long as rows move out of it. Raises MonthSetAside.
    """
    there = partition_names()
    missing = [month for month in months_of(first_on, last_on) if partition_name(month) not in there]
    return [partition_name(month) for month in missing if make_month(month)]


def make_months_ahead(*, now: datetime) -> list[str]:
    """Make this month's partition and those of the three months ahead; return the names of the new ones."""
    today = now.astimezone(UTC).date()
    return make_partitions(first_on=today, last_on=add_months(today, AHEAD))


def months_ahead(*, now: datetime) -> int:
    """Return how many months after this one have their partition without a gap; -1 where this one has none."""
    month, there = now.astimezone(UTC).date().replace(day=1), partition_names()
    ahead = -1
    while partition_name(add_months(month, ahead + 1)) in there:
        ahead += 1
    return ahead


@transaction.atomic
def make_month(month: date) -> bool:
    """Make one month's partition and move its rows out of DEFAULT; return whether it was missing."""
    name = partition_name(month)
    low, high = (uuid7_floor(datetime.combine(day, time.min, UTC)) for day in (month, add_months(month, 1)))
    parts = {
        "table": sql.Identifier(TABLE),
        "default": sql.Identifier(DEFAULT),
        "new": sql.Identifier(name),
        "trigger": sql.Identifier("touchpoint_append_only"),
        "low": sql.Literal(low),
        "high": sql.Literal(high),
    }
    with connection.cursor() as cursor:

        def run(statement: str) -> None:
            cursor.execute(sql.SQL(statement).format(**parts))

        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        if name in partition_names():
            return False
        cursor.execute("SELECT to_regclass(%s)", [name])
        if cursor.fetchone()[0]:
            raise MonthSetAside(table=name)
        run("CREATE TABLE {new} (LIKE {table} INCLUDING ALL)")
        # Attaching locks DEFAULT in any case; taking the lock first leaves no gap between moving and attaching.
        run("LOCK TABLE {default} IN ACCESS EXCLUSIVE MODE")
        run("SELECT EXISTS (SELECT FROM {default} WHERE id >= {low} AND id < {high})")
        if cursor.fetchone()[0]:
            run("SET LOCAL statement_timeout = 0")
            run("ALTER TABLE {default} DISABLE TRIGGER {trigger}")
            run(
                "WITH moved AS (DELETE FROM {default} WHERE id >= {low} AND id < {high} RETURNING *) "
                "INSERT INTO {new} SELECT * FROM moved"
            )
            run("ALTER TABLE {default} ENABLE TRIGGER {trigger}")
        run("ALTER TABLE {table} ATTACH PARTITION {new} FOR VALUES FROM ({low}) TO ({high})")
    return True
