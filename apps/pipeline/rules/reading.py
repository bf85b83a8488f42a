"""Strict readers of JSON values: each returns what it read, or raises Fault with a stable code and the path.

Codes: `unknown_field`, `missing_field`, `invalid_type`, `invalid_text`, `invalid_choice`, `invalid_amount`,
`invalid_number`, `out_of_range`, `invalid_currency`, `invalid_time`, `naive_time`, `duplicate_id`, `unknown_plan`,
`too_deep`. Objects are read in document order, so the first fault raised is the first in the document; a missing field
stands at the end of its object. `null` means the same as leaving a field out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from apps.core.errors import Invalid
from apps.core.money import Money, digits

Reader = Callable[[Any, str], Any]

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(?P<zone>Z|[+-]\d\d(:?\d\d)?)?", re.ASCII)
DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
DECIMAL = re.compile(r"\d{1,9}(\.\d{1,9})?", re.ASCII)
UNFIT = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
LONGEST = 200
MOST = 10**9


class Fault(Invalid):
    """The document cannot be read; `code` and `path` say what is wrong and where."""

    message = "The document is not valid."


def fault(code: str, path: str, message: str | None = None) -> Fault:
    return Fault(message, code=code, path=path)


def join(path: str, key: object) -> str:
    """Return the path of a field; what UTF-8 cannot write in a key is escaped."""
    name = str(key).encode("utf-8", "backslashreplace").decode()
    return f"{path}.{name}" if path else name


def record(value: Any, path: str, fields: Mapping[str, Reader], required: Collection[str] = ()) -> dict[str, Any]:
    """Read an object with known fields; what is null is left out."""
    if type(value) is not dict:
        raise fault("invalid_type", path, "An object is expected.")
    found = {}
    for key, inner in value.items():
        if key not in fields:
            raise fault("unknown_field", join(path, key), "There is no such field.")
        if inner is not None:
            found[key] = fields[key](inner, join(path, key))
        elif key in required:
            raise missing(join(path, key))
    for key in required:
        if key not in found:
            raise missing(join(path, key))
    return found


def missing(path: str) -> Fault:
    return fault("missing_field", path, "This field is required.")


def array(value: Any, path: str, read: Reader, most: int = 10_000) -> list[Any]:
    if type(value) is not list:
        raise fault("invalid_type", path, "A list is expected.")
    if len(value) > most:
        raise fault("out_of_range", path, f"A list of at most {most} is expected.")
    return [read(inner, f"{path}[{place}]") for place, inner in enumerate(value)]


def array_of(read: Reader, most: int = 10_000) -> Reader:
    return lambda value, path: array(value, path, read, most)


def table(value: Any, path: str, read: Reader) -> dict[str, Any]:
    """Read an object whose keys are names of the caller's own."""
    if type(value) is not dict:
        raise fault("invalid_type", path, "An object is expected.")
    return {text(key, join(path, key)): read(inner, join(path, key)) for key, inner in value.items()}


def text(value: Any, path: str) -> str:
    if type(value) is not str:
        raise fault("invalid_type", path, "A string is expected.")
    if not value or len(value) > LONGEST or UNFIT.search(value):
        raise fault("invalid_text", path, f"A text has 1 to {LONGEST} characters, none of them control characters.")
    return value


def flag(value: Any, path: str) -> bool:
    if type(value) is not bool:
        raise fault("invalid_type", path, "true or false is expected.")
    return value


def choice(*allowed: str) -> Reader:
    def read(value: Any, path: str) -> str:
        if type(value) is not str:
            raise fault("invalid_type", path, "A string is expected.")
        if value not in allowed:
            raise fault("invalid_choice", path, f"One of {', '.join(allowed)} is expected.")
        return value

    return read


def whole(least: int, most: int = MOST) -> Reader:
    def read(value: Any, path: str) -> int:
        if type(value) is not int:
            raise fault("invalid_type", path, "A whole number is expected.")
        if not least <= value <= most:
            raise fault("out_of_range", path, f"A whole number from {least} to {most} is expected.")
        return value

    return read


def decimal(most: int = MOST, *, above_zero: bool = False) -> Reader:
    """Read a decimal string that is not an amount: a percentage, a weight, a factor."""

    def read(value: Any, path: str) -> Decimal:
        if type(value) is not str or not DECIMAL.fullmatch(value):
            raise fault("invalid_number", path, "A decimal string with a point is expected, without sign.")
        number = Decimal(value)
        if number > most or (above_zero and not number):
            raise fault("out_of_range", path, f"A number {'above' if above_zero else 'from'} 0 to {most} is expected.")
        return number

    return read


def amount_in(currency: str) -> Reader:
    """Read an amount that is not negative into minor units."""

    def read(value: Any, path: str) -> int:
        try:
            minor = Money.parse(value, currency).minor
        except Invalid as refusal:
            raise fault("invalid_amount", path, refusal.message) from None
        if not value.isascii() or minor < 0 or value.startswith("-"):
            raise fault("invalid_amount", path, "An amount here is not negative.")
        return minor

    return read


def currency_code(value: Any, path: str) -> str:
    if type(value) is not str:
        raise fault("invalid_type", path, "A string is expected.")
    try:
        digits(value)
    except Invalid as refusal:
        raise fault("invalid_currency", path, refusal.message) from None
    return value


def moment(value: Any, path: str) -> datetime:
    """Read an ISO 8601 time with its zone, as UTC."""
    found = TIME.fullmatch(value) if type(value) is str else None
    if found is None:
        if type(value) is str and DAY.fullmatch(value):
            raise fault("naive_time", path, "A time with its zone is expected.")
        raise fault("invalid_time", path, "An ISO 8601 time is expected, such as 2026-03-10T12:00:00Z.")
    try:
        at = datetime.fromisoformat(value)
        if found["zone"] is None:
            raise fault("naive_time", path, "A time has its zone: Z or an offset.")
        return at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise fault("invalid_time", path, "There is no such time.") from None


def one_or_more(read: Reader) -> Reader:
    """Read one value or a list of them into a set; an empty list asks nothing."""

    def read_set(value: Any, path: str) -> frozenset[Any]:
        return frozenset(array(value, path, read) if type(value) is list else [read(value, path)])

    return read_set
