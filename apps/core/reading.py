"""The fast way out of a table: plain tuples, times without Django's detour, ids as the text they are."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import InterfaceError, OperationalError, connection
from psycopg import Cursor
from psycopg.types.datetime import TimestamptzLoader
from psycopg.types.string import TextLoader

DATABASE_AWAY = (OperationalError, InterfaceError)
"""The database is away or busy (a lock, a time-out): the same call may succeed later, and no row is to blame."""


def read_rows(sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return a query's rows in the present transaction: aware times in the session's zone, which is UTC, UUIDs as text.

    The text of the query is the caller's own, never input; arrays go in as `array_of` them.
    """
    with _cursor() as cursor:
        cursor.adapters.register_loader("timestamptz", TimestamptzLoader)
        cursor.adapters.register_loader("uuid", TextLoader)
        cursor.execute(sql, parameters, prepare=False)
        return cursor.fetchall()


def run_sql(sql: str, parameters: Sequence[Any]) -> int:
    """Run a statement in the present transaction and return how many rows it touched."""
    with _cursor() as cursor:
        cursor.execute(sql, parameters, prepare=False)
        return cursor.rowcount


def array_of(values: Iterable[object]) -> str:
    """Return numbers or UUIDs as one parameter, for `%s::uuid[]` and the like; the cast refuses everything else."""
    return f"{{{','.join(map(str, values))}}}"


@contextmanager
def _cursor() -> Iterator[Cursor[Any]]:
    """Yield the driver's own cursor, which sends parameters apart from the text; its errors are Django's."""
    connection.ensure_connection()
    with connection.wrap_database_errors, Cursor(connection.connection) as cursor:
        yield cursor
