"""Read a listed decision: a row of a file or an item of a call, into what is wished or a refusal with its code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from apps.core.errors import Invalid
from apps.tracking.rules.presenting import without_addresses

FIELDS = ("id", "order_ref", "goal", "decision", "reason", "note", "lines", "skus", "amount")
STATES = {"approve": "APPROVED", "reject": "REJECTED", "hold": "ON_HOLD", "release": "PENDING", "correct": ""}
SEPARATORS = re.compile(r"[|;, ]+")
MOST_PARTS = 500


class UnknownField(Invalid):
    code = "unknown_field"
    message = "There is no such field."


class InvalidDecision(Invalid):
    code = "invalid_decision"
    message = "`decision` is approve, reject, hold, release or correct."


class NoConversionNamed(Invalid):
    code = "no_conversion_named"
    message = "`order_ref` or `id` names the conversion."


class InvalidText(Invalid):
    code = "invalid_text"
    message = "A text is too long or has characters that no text has."


class InvalidParts(Invalid):
    code = "invalid_lines"
    message = "`lines` are positions from 1, as in 2|3, and go with reject; `amount` goes with correct or approve."


@dataclass(frozen=True, slots=True)
class Listed:
    """A decision on one conversion, named by id or by order number and goal; `state` is empty for a mere correction."""

    state: str
    id: str = ""
    order_ref: str = ""
    goal: str = "SALE"
    reason: str = ""
    note: str = ""
    lines: tuple[int, ...] = ()
    skus: tuple[str, ...] = ()
    amount: str = ""

    @property
    def name(self) -> str:
        return self.id or f"{self.goal} {self.order_ref}"

    @property
    def is_of_parts(self) -> bool:
        return bool(self.lines or self.skus or self.amount)


@dataclass(slots=True)
class Names:
    """The conversions that a list has named so far."""

    seen: set[str] = field(default_factory=set)

    def is_repeated(self, listed: Listed) -> bool:
        repeated = listed.name in self.seen
        self.seen.add(listed.name)
        return repeated


def read_listed(item: Mapping[str, object]) -> Listed:
    """Read a listed decision. Raises UnknownField, InvalidDecision, NoConversionNamed, InvalidText, InvalidParts."""
    for name in item:
        if name not in FIELDS:
            raise UnknownField(f"There is no field {name[:40]!r}; there are {', '.join(FIELDS)}.", path=name[:40])
    decision = _text(item, "decision", 10).lower()
    if decision not in STATES:
        raise InvalidDecision(path="decision")
    listed = Listed(
        state=STATES[decision],
        id=_id(item),
        order_ref=_text(item, "order_ref", 120),
        goal=(_text(item, "goal", 40) or "SALE").upper(),
        reason=_text(item, "reason", 20).lower(),
        note=_text(item, "note", 300),
        lines=_positions(item),
        skus=tuple(_parts(item, "skus", r"[|;]+")),
        amount=_text(item, "amount", 20),
    )
    if not listed.id and not listed.order_ref:
        raise NoConversionNamed(path="order_ref")
    if (listed.lines or listed.skus) and (decision != "reject" or listed.amount):
        raise InvalidParts(path="lines")
    if (decision == "correct") != bool(listed.amount) and not (decision == "approve" and listed.amount):
        raise InvalidParts(path="amount")
    return listed


def _text(item: Mapping[str, object], name: str, longest: int) -> str:
    value = item.get(name)
    if value is None:
        return ""
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else None
    if text is None or len(text) > longest or not storable(text):
        raise InvalidText(f"`{name}` is a text of at most {longest} characters.", path=name)
    return text


def _id(item: Mapping[str, object]) -> str:
    text = _text(item, "id", 40)
    try:
        return str(UUID(text)) if text else ""
    except ValueError:
        raise InvalidText("`id` is the conversion's id.", path="id") from None


def _parts(item: Mapping[str, object], name: str, separators: str) -> list[str]:
    value = item.get(name)
    if value is None:
        return []
    told = value if isinstance(value, list) else re.split(separators, str(value))
    parts = [str(part).strip() for part in told if isinstance(part, str | int) and str(part).strip()]
    if len(parts) > MOST_PARTS or not all(len(part) <= 120 and storable(part) for part in parts):
        raise InvalidParts(path=name)
    return parts


def _positions(item: Mapping[str, object]) -> tuple[int, ...]:
    parts = _parts(item, "lines", SEPARATORS.pattern)
    if not all(part.isascii() and part.isdigit() and len(part) < 5 and int(part) for part in parts):
        raise InvalidParts(path="lines")
    return tuple(sorted({int(part) for part in parts}))


def storable(text: str) -> bool:
    """Tell whether PostgreSQL takes a text: no NUL, no halves of surrogate pairs."""
    return "\x00" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def presentable(item: Mapping[str, object]) -> dict[str, str]:
    """Return a refused row as it can be kept and shown: the known fields that hold plain values, cut short."""
    shown = {name: item[name] for name in FIELDS if name in item}
    return {name: without_addresses(str(value)[:120]) if _is_plain(value) else "…" for name, value in shown.items()}


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int) or (
        isinstance(value, list) and all(isinstance(part, str | int) for part in value)
    )
