"""The fields of a call, read exactly: from a query, a form or JSON into text, never through a float."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

from apps.core.errors import Invalid

MOST_FIELDS = 200
CLOCK_SKEW = timedelta(minutes=5)
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LOST_PLUS = re.compile(r"(T\S+) (\d\d:?\d\d)")
TRUE, FALSE = {"1", "true", "yes"}, {"0", "false", "no"}


class InvalidBody(Invalid):
    code = "invalid_body"
    message = "The call cannot be read: send a query, a form or one JSON object."


class MissingField(Invalid):
    code = "missing_field"
    message = "A field that the call needs is missing."


class InvalidField(Invalid):
    code = "invalid_field"
    message = "A field has a value that it cannot have."


class InvalidTime(Invalid):
    code = "invalid_occurred_at"
    message = "`occurred_at` is a time with its zone (2026-03-10T12:00:00+01:00) that is not in the future."


def read_pairs(text: str) -> list[tuple[str, str]]:
    """Read a query or form body (WHATWG URL-encoded) in its order. Raises InvalidBody for too many fields."""
    try:
        return parse_qsl(text, keep_blank_values=True, errors="replace", max_num_fields=MOST_FIELDS)
    except ValueError:
        raise InvalidBody(f"A call has at most {MOST_FIELDS} fields.") from None


def read_json(body: bytes) -> dict[str, object]:
    """Read a JSON object whose numbers stay the text they were sent as. Raises InvalidBody."""
    content = _load(body)
    if not isinstance(content, dict) or len(content) > MOST_FIELDS:
        raise InvalidBody
    return content


def read_list(text: str) -> list[object]:
    """Read a JSON list that travels within a field, its numbers as the text they were sent as. Raises InvalidBody."""
    content = _load(text)
    if not isinstance(content, list):
        raise InvalidBody
    return content


def gather(pairs: Sequence[tuple[str, str]], body: Mapping[str, object] | None = None) -> dict[str, object]:
    """Return the fields by name; a name that came several times has the list of its values."""
    fields: dict[str, object] = {}
    for name, value in pairs:
        if name not in fields:
            fields[name] = value
        elif isinstance(known := fields[name], list):
            known.append(value)
        else:
            fields[name] = [known, value]
    for name, content in (body or {}).items():
        if name in fields:
            raise InvalidField(f"`{name}` is in the query and in the body.", path=name)
        fields[name] = content
    return fields


def text_of(fields: Mapping[str, object], name: str, longest: int, path: str = "") -> str:
    """Return a field's text without the spaces around it, or an empty text. Raises InvalidField."""
    value = fields.get(name)
    if value is None:
        return ""
    where = f"{path}{name}"
    if isinstance(value, bool) or not isinstance(value, str):
        raise InvalidField(f"`{where}` is one text.", path=where)
    text = value.strip()
    if len(text) > longest:
        raise InvalidField(f"`{where}` has at most {longest} characters.", path=where)
    if any(character < " " or character == "\x7f" or "\ud800" <= character <= "\udfff" for character in text):
        raise InvalidField(f"`{where}` has control characters.", path=where)
    return text


def texts_of(fields: Mapping[str, object], name: str, *, longest: int, most: int) -> tuple[str, ...]:
    """Return the texts of a field that came several times, as a list or with commas; each once, in order."""
    value = fields.get(name)
    values = value if isinstance(value, list) else [value]
    found: dict[str, None] = {}
    for item in values:
        for part in text_of({name: item}, name, (longest + 1) * most).split(","):
            if part.strip():
                found[text_of({name: part}, name, longest)] = None
    if len(found) > most:
        raise InvalidField(f"`{name}` has at most {most} values.", path=name)
    return tuple(found)


def flag_of(fields: Mapping[str, object], name: str) -> bool | None:
    """Return a yes (`1`, `true`, `yes`), a no (`0`, `false`, `no`) or None. Raises InvalidField."""
    value = fields.get(name)
    if isinstance(value, bool):
        return value
    text = value.strip().lower() if isinstance(value, str) else "" if value is None else "?"
    if not text:
        return None
    if text not in TRUE | FALSE:
        raise InvalidField(f"`{name}` is 1 or 0.", path=name)
    return text in TRUE


def moment_of(fields: Mapping[str, object], name: str, now: datetime) -> datetime | None:
    """Return an ISO 8601 time with its zone, at most five minutes ahead. Raises InvalidTime."""
    # A plus sign that nobody encoded arrives as a space.
    text = LOST_PLUS.sub(r"\1+\2", text_of(fields, name, 40))
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None or not EARLIEST <= moment <= now + CLOCK_SKEW:
            raise InvalidTime(path=name)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidTime(path=name) from None


def _load(content: bytes | str) -> object:
    try:
        return json.loads(content, parse_float=str, parse_int=str, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise InvalidBody from None


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")
