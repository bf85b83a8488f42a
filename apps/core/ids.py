"""Time-ordered ids (UUID version 7, RFC 9562), always made by the application."""

import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from uuid import UUID

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TAIL = (1 << 74) - 1
MILLISECOND = timedelta(milliseconds=1)
FLOOR = "-7000-8000-000000000000"
VERSION_AND_VARIANT = (0x7 << 76) | (0x2 << 62)


def _assemble(at: datetime, tail: int) -> UUID:
    milliseconds = (at - EPOCH) // MILLISECOND
    return UUID(int=(milliseconds << 80) | VERSION_AND_VARIANT | ((tail >> 62) << 64) | (tail & ((1 << 62) - 1)))


def uuid7(at: datetime) -> UUID:
    """Return a new unguessable id that sorts by `at` (aware, millisecond precision)."""
    return _assemble(at, secrets.randbits(74))


def uuid7_from(at: datetime, *names: str) -> UUID:
    """Return the one id that belongs to a moment and some names: the same arguments, the same id."""
    digest = hashlib.sha256("\x1f".join(names).encode()).digest()
    return _assemble(at, int.from_bytes(digest[:10], "big") & TAIL)


def uuid7_floor(at: datetime) -> UUID:
    """Return the smallest id of a moment's millisecond: the bound of a half-open range of ids."""
    return _assemble(at, 0)


def uuid7_floors(at: datetime, *, back: timedelta, on: timedelta) -> tuple[str, str]:
    """Return the bounds so long before and after a moment as `uuid7_floor` finds them, as text; whole milliseconds.

    >>> uuid7_floors(datetime(2026, 1, 1, tzinfo=UTC), back=timedelta(), on=timedelta(milliseconds=1))
    ('019b76da-a800-7000-8000-000000000000', '019b76da-a801-7000-8000-000000000000')
    """
    milliseconds = (at - EPOCH) // MILLISECOND
    low, high = f"{milliseconds - back // MILLISECOND:012x}", f"{milliseconds + on // MILLISECOND:012x}"
    return f"{low[:8]}-{low[8:]}{FLOOR}", f"{high[:8]}-{high[8:]}{FLOOR}"


def moment_of(id_: UUID) -> datetime:
    """Return the moment a time-ordered id was made for, to the millisecond."""
    return EPOCH + timedelta(milliseconds=id_.int >> 80)
