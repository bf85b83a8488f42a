"""Read a refund from the fields of a call, into what was told or a refusal with its code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from apps.core.errors import Invalid
from apps.core.money import digits
from apps.tracking.rules.basket import LARGEST_QUANTITY, MOST_LINES, read_amount
from apps.tracking.rules.conversions import GOAL, CurrencyNotAccepted
from apps.tracking.rules.fields import InvalidBody, InvalidField, MissingField, flag_of, moment_of, read_list, text_of

FIELDS = (
    *("order_ref", "goal", "refund_ref", "whole", "amount", "currency", "lines", "reason", "occurred_at"),
    *("campaign", "sig", "ts"),
)
REASONS = (
    *("returned", "cancelled", "not_completed", "other_channel", "terms_breach", "code_misuse", "not_found"),
    *("payment_failed", "suspicious", "duplicate", "test"),
)
"""The coded reasons of decisions, which a refund may name too."""
OWN = "tributary:"
"""What the numbers of this house's own refunds begin with: rejected lines and corrected amounts."""


class InvalidRefund(Invalid):
    code = "invalid_refund"
    message = "A refund is `whole=1`, or has an `amount`, or names its `lines`: one of the three."


class ReservedNumber(Invalid):
    code = "reserved_refund_ref"
    message = f"Numbers that begin with {OWN} are this house's own: give the refund another one."


class InvalidRefundLines(Invalid):
    code = "invalid_lines"
    message = "`lines` is written 2:1|3 (one piece of position 2, all of position 3), or as JSON."


class CurrencyMismatch(Invalid):
    code = "currency_mismatch"
    message = "The order is in another currency."


class UnknownLine(Invalid):
    code = "unknown_line"
    message = "The order has no such position."


class MoreThanSold(Invalid):
    code = "more_than_sold"
    message = "More would be given back than was sold."


@dataclass(frozen=True, slots=True)
class ReturnedLine:
    """Pieces of a position (counted from 1) that came back; None stands for all of it."""

    position: int
    quantity: int | None = None


@dataclass(frozen=True, slots=True)
class ToldRefund:
    """A refund as the shop tells it; `amount_minor` is net of VAT in minor units of `currency`.

    Neither an amount nor lines: the whole order. Without `occurred_at` it happened when it was told. `currency` is
    empty where nothing depends on it.
    """

    goal: str
    order_ref: str
    refund_ref: str
    amount_minor: int | None = None
    currency: str = ""
    lines: tuple[ReturnedLine, ...] = ()
    reason: str = "returned"
    occurred_at: datetime | None = None

    @property
    def content_hash(self) -> str:
        """Return what tells an exact repeat from other content: SHA-256 over every field."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), default=str)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Sold:
    """What is known of the order: its amount and quantities by position, and what other refunds gave back of them."""

    currency: str
    amount_minor: int
    quantities: Sequence[int]
    given_back_minor: int = 0
    returned: Mapping[int, int] | None = None
    is_whole_back: bool = False


def read_order_name(fields: Mapping[str, object]) -> tuple[str, str]:
    """Return the goal and the order number that a call is about. Raises InvalidField, MissingField."""
    goal = (text_of(fields, "goal", 40) or "SALE").upper()
    if not GOAL.fullmatch(goal):
        raise InvalidField("`goal` is made of letters, digits, - and _.", path="goal")
    order_ref = text_of(fields, "order_ref", 120)
    if not order_ref:
        raise MissingField("`order_ref` names the order.", path="order_ref")
    return goal, order_ref


def read_refund(
    fields: Mapping[str, object], *, sold_in: str | None, currencies: Sequence[str], now: datetime
) -> ToldRefund:
    """Read a refund; `sold_in` is the currency of the order where it is known, else `currencies` are what may be told.

    A name that nothing is read from is refused, so that a slip of the pen never gives back a whole order.
    Raises InvalidField, MissingField, ReservedNumber, InvalidRefund, InvalidAmount, InvalidRefundLines, InvalidTime,
    InvalidCurrency, CurrencyMismatch, CurrencyNotAccepted.
    """
    for name in fields:
        if name not in FIELDS:
            shown = "".join(letter if letter.isprintable() else "?" for letter in name[:60])
            raise InvalidField(f"A refund has no `{shown}`.", path=shown)
    goal, order_ref = read_order_name(fields)
    refund_ref = text_of(fields, "refund_ref", 120)
    if not refund_ref:
        raise MissingField("`refund_ref` is the refund's own number, so that it counts once.", path="refund_ref")
    if refund_ref.lower().startswith(OWN):
        raise ReservedNumber(path="refund_ref")
    amount, lines = text_of(fields, "amount", 40), _read_lines(fields.get("lines"))
    if [bool(flag_of(fields, "whole")), bool(amount), bool(lines)].count(True) != 1:
        raise InvalidRefund
    currency = _currency(fields, sold_in, currencies) if amount or fields.get("currency") else ""
    amount_minor = read_amount(amount, currency, "amount") if amount else None
    if amount_minor == 0:
        raise InvalidRefund("A refund of nothing is none.", path="amount")
    reason = text_of(fields, "reason", 20) or "returned"
    if reason not in REASONS:
        raise InvalidField(f"`reason` is one of {', '.join(REASONS)}.", path="reason")
    return ToldRefund(
        goal, order_ref, refund_ref, amount_minor, currency, lines, reason, moment_of(fields, "occurred_at", now)
    )


def check_against_sale(refund: ToldRefund, sold: Sold) -> None:
    """Refuse what the order cannot have given back. Raises UnknownLine, MoreThanSold.

    The whole order may come back whatever came back before: then the rest does, but once.
    """
    if sold.is_whole_back:
        path = "lines" if refund.lines else "whole" if refund.amount_minor is None else "amount"
        raise MoreThanSold("The whole order was given back before; nothing of it is left.", path=path)
    if refund.amount_minor is not None and sold.given_back_minor + refund.amount_minor > sold.amount_minor:
        raise MoreThanSold("More is given back than the order cost.", path="amount")
    returned = sold.returned or {}
    for line in refund.lines:
        if line.position > len(sold.quantities):
            raise UnknownLine(f"The order has no position {line.position}.", path="lines")
        pieces = sold.quantities[line.position - 1]
        back = returned.get(line.position, 0)
        if line.quantity is not None and back + line.quantity > pieces:
            message = f"Position {line.position}: {pieces} sold, {back} given back before, {line.quantity} told now."
            raise MoreThanSold(message, path="lines")


def _currency(fields: Mapping[str, object], sold_in: str | None, accepted: Sequence[str]) -> str:
    currency = text_of(fields, "currency", 3)
    if sold_in is not None:
        if currency and currency != sold_in:
            raise CurrencyMismatch(f"The order is in {sold_in}.", path="currency")
        return sold_in
    if not currency:
        if len(accepted) != 1:
            raise MissingField("`currency` is needed as long as the order is not known.", path="currency")
        return accepted[0]
    digits(currency)
    if currency not in accepted:
        raise CurrencyNotAccepted(f"Accepted are {', '.join(accepted)}.", path="currency")
    return currency


def _read_lines(given: object) -> tuple[ReturnedLine, ...]:
    if given in (None, ""):
        return ()
    if isinstance(given, str) and not given.lstrip().startswith("["):
        parts: list[object] = [_short(part) for part in given.split("|")]
    else:
        try:
            items = read_list(given) if isinstance(given, str) else given
        except InvalidBody:
            raise InvalidRefundLines(path="lines") from None
        if not isinstance(items, list):
            raise InvalidRefundLines(path="lines")
        parts = items
    if not 0 < len(parts) <= MOST_LINES:
        raise InvalidRefundLines(f"`lines` has 1 to {MOST_LINES} positions.", path="lines")
    lines = tuple(_read_line(part, f"lines[{place}]") for place, part in enumerate(parts))
    if len({line.position for line in lines}) < len(lines):
        raise InvalidRefundLines("A position is named twice.", path="lines")
    return lines


def _short(part: str) -> dict[str, object]:
    position, mark, quantity = part.partition(":")
    return {"position": position, "quantity": quantity} if mark else {"position": position}


def _read_line(item: object, path: str) -> ReturnedLine:
    if not isinstance(item, dict) or set(item) - {"position", "quantity"}:
        raise InvalidRefundLines(path=path)
    position = _whole(item, "position", MOST_LINES * 2, path)
    return ReturnedLine(position, _whole(item, "quantity", LARGEST_QUANTITY, path) if "quantity" in item else None)


def _whole(item: Mapping[str, object], name: str, most: int, path: str) -> int:
    text = text_of(item, name, 10, f"{path}.")
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
        raise InvalidRefundLines(f"`{name}` is a whole number from 1 on.", path=f"{path}.{name}")
    return int(text)
