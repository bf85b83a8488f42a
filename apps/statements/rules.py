"""What a statement carries forward, pays and proves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any


@dataclass(frozen=True, slots=True)
class Balance:
    """What becomes of a partner's money at a period's end, in minor units; `carried_minor` may be negative."""

    payable_minor: int
    carried_minor: int


def balance(opening_minor: int, earned_minor: int, minimum_minor: int) -> Balance:
    """Pay all of what is there once it reaches the minimum, else carry it; a negative sum is carried, never collected.

    With a minimum of 50.00:

    | month | opening | earned | payable | carried |
    | --- | --- | --- | --- | --- |
    | Jan | 0 | 30.00 | 0 | 30.00 |
    | Feb | 30.00 | 5.00 | 0 | 35.00 |
    | Mar | 35.00 | 40.00 | 75.00 | 0 |
    | Apr | 0 | −20.00 | 0 | −20.00 |
    | May | −20.00 | 60.00 | 0 | 40.00 |
    | Jun | 40.00 | 15.00 | 55.00 | 0 |

    Raises ValueError for a negative minimum.
    """
    if minimum_minor < 0:
        raise ValueError("a minimum payout is not negative")
    total = opening_minor + earned_minor
    return Balance(total, 0) if total > 0 and total >= minimum_minor else Balance(0, total)


def statement_hash(content: Mapping[str, Any], previous_hash: str = "") -> str:
    """Return the SHA-256, in hex, of a statement's canonical content and the hash of the one before.

    Canonical is JSON with sorted keys, no blanks and UTF-8 (as RFC 8785 for texts and whole numbers); floats are
    refused, because their text differs between systems.
    """
    _refuse_floats(content)
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(f"{previous_hash}\n{text}".encode()).hexdigest()


def _refuse_floats(value: Any) -> None:
    if isinstance(value, float):
        raise TypeError("a statement has no floats")
    for item in value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ():
        _refuse_floats(item)


@dataclass(frozen=True, slots=True)
class StatementLine:
    """A commission as the partner sees it: day of the sale, order reference, campaign, amount in minor units.

    `note` says what is special (`Correction`, `Assist 2 of 3`), else is empty.
    """

    occurred_on: date
    order_ref: str
    campaign: str
    amount_minor: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class StatementContent:
    """A statement as it is frozen and printed. Names are for people; `number` is the statement's public reference.

    `first_on` and `last_on` are both included. Raises ValueError where the amounts do not add up.
    """

    number: str
    issued_on: date
    first_on: date
    last_on: date
    currency: str
    advertiser: str
    partner: str
    partner_lines: tuple[str, ...]
    lines: tuple[StatementLine, ...]
    opening_minor: int
    payable_minor: int
    carried_minor: int
    minimum_minor: int
    language: str = "en"
    brand: str = ""
    pays_on: date | None = None
    content_hash: str = ""
    previous_hash: str = ""

    def __post_init__(self) -> None:
        if self.opening_minor + self.earned_minor != self.payable_minor + self.carried_minor:
            raise ValueError("opening balance and earnings are what is paid and carried")

    @property
    def earned_minor(self) -> int:
        return sum(line.amount_minor for line in self.lines)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types for a JSON column and for `statement_hash`."""
        return {name: _plain(value) for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> StatementContent:
        """Read back what `to_json` wrote; the two are inverse."""
        lines = (StatementLine(**{**line, "occurred_on": _day(line["occurred_on"])}) for line in data["lines"])
        return cls(
            **{
                **data,
                **{name: _day(data[name]) for name in ("issued_on", "first_on", "last_on", "pays_on")},
                "partner_lines": tuple(data["partner_lines"]),
                "lines": tuple(lines),
            }
        )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
