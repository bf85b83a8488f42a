"""Read single cells; what cannot be read is refused with a code."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime

from apps.core.errors import Invalid

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
UNREADABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
SURROGATE = re.compile(r"[\ud800-\udfff]")
SLUG = re.compile(r"[-a-zA-Z0-9_]+")
COUNTRY = re.compile(r"[A-Z]{2}")
FLAGS = {"": None, "yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
LONGEST_KEPT = 200


class RowRefused(Invalid):
    """A row that cannot become a fact; `path` names the column."""

    code = "row_refused"


@dataclass(frozen=True, slots=True)
class Refused:
    """A refused row as it is shown and kept."""

    line: int
    code: str
    message: str
    content: dict[str, str]


def plain(value: str, column: str, longest: int) -> str:
    """Return a cell that the database can hold. Raises RowRefused: too_long, not_utf8, control_character."""
    if len(value) > longest:
        raise RowRefused(f"{column} is longer than {longest} characters.", code="too_long", path=column)
    if not value.isprintable() and UNREADABLE.search(value):
        if SURROGATE.search(value):
            raise RowRefused(f"{column} is not UTF-8.", code="not_utf8", path=column)
        raise RowRefused(f"{column} holds a control character.", code="control_character", path=column)
    return value


def required(value: str, column: str, longest: int) -> str:
    """Return a cell that must say something. Raises RowRefused: missing_field and those of `plain`."""
    if not value:
        raise RowRefused(f"{column} is empty.", code="missing_field", path=column)
    return plain(value, column, longest)


def slug(value: str, column: str, longest: int) -> str:
    """Return a short name. Raises RowRefused: missing_field, too_long, invalid_short_name."""
    if not SLUG.fullmatch(required(value, column, longest)):
        raise RowRefused(f"{column} may hold letters, digits, - and _ only.", code="invalid_short_name", path=column)
    return value


def choice(value: str, column: str, choices: Collection[str], code: str) -> str:
    """Return a cell that is one of `choices`. Raises RowRefused with the given code."""
    if value not in choices:
        raise RowRefused(f"{column} is none of {', '.join(sorted(choices))}.", code=code, path=column)
    return value


def country(value: str, column: str) -> str:
    """Return a country or nothing. Raises RowRefused: invalid_country."""
    if value and not COUNTRY.fullmatch(value):
        raise RowRefused(f"{column} is not two capital letters of ISO 3166.", code="invalid_country", path=column)
    return value


def flag(value: str, column: str) -> bool | None:
    """Return yes, no, or None where nothing is said. Raises RowRefused: invalid_flag."""
    if value.lower() not in FLAGS:
        raise RowRefused(f"{column} is neither yes nor no.", code="invalid_flag", path=column)
    return FLAGS[value.lower()]


def day(value: str, column: str) -> date | None:
    """Return a day or nothing. Raises RowRefused: invalid_day."""
    try:
        return date.fromisoformat(value) if value else None
    except ValueError:
        raise RowRefused(f"{column} is not a day such as 2025-01-31.", code="invalid_day", path=column) from None


def moment(value: str, column: str, now: datetime) -> datetime:
    """Return a moment with its zone. Raises RowRefused: invalid_occurred_at."""
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        raise RowRefused(
            f"{column} is not a moment such as 2025-03-01T12:00:00Z.", code="invalid_occurred_at", path=column
        ) from None
    if at.tzinfo is None:
        raise RowRefused(f"{column} does not name its time zone.", code="invalid_occurred_at", path=column)
    if not EARLIEST <= at <= now:
        raise RowRefused(
            f"{column} lies before {EARLIEST:%Y} or in the future.", code="invalid_occurred_at", path=column
        )
    return at


def shown(cells: dict[str, str]) -> dict[str, str]:
    """Return a row's content such that it can be stored and shown: bounded, without NUL or broken bytes."""
    return {
        name[:LONGEST_KEPT]: value[:LONGEST_KEPT].encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
        for name, value in cells.items()
    }
