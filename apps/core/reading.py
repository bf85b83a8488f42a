"""The fast way out of a table: plain tuples, times without Django's detour."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import connection
from psycopg import Cursor
from psycopg.types.datetime import TimestamptzLoader


def read_rows(sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return a query's rows in the present transaction; aware times are in the session's zone, which is UTC.

    Arrays go in as lists with `= ANY(%s)`; the text is the caller's own, never input.
    """
    with _cursor() as cursor:
        cursor.adapters.register_loader("timestamptz", TimestamptzLoader)
        cursor.execute(sql, parameters, prepare=False)
        return cursor.fetchall()


def run_sql(sql: str, parameters: Sequence[Any]) -> int:
    """Run a statement in the present transaction and return how many rows it touched."""
    with _cursor() as cursor:
        cursor.execute(sql, parameters, prepare=False)
        return cursor.rowcount


@contextmanager
def _cursor() -> Iterator[Cursor[Any]]:
    """Yield the driver's own cursor, which sends parameters apart from the text; its errors are Django's."""
    connection.ensure_connection()
    with connection.wrap_database_errors, Cursor(connection.connection) as cursor:
        yield cursor
