"""Read a conversion from the fields of a call, into a fact that can be stored or a refusal with its code."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from apps.core.errors import Invalid
from apps.core.money import digits
from apps.tracking.rules.basket import LineFact, read_amount, read_lines, unknown_of_lines, worth_of
from apps.tracking.rules.clicks import read_click
from apps.tracking.rules.fields import InvalidField, MissingField, flag_of, moment_of, text_of, texts_of
from apps.tracking.rules.persons import NOBODY, Identity, read_identity

GOAL = re.compile(r"[A-Z0-9_-]{1,40}")
FIELDS = (
    *("tclid", "order_ref", "goal", "amount", "currency", "discount", "lines", "parts", "coupon", "new_customer"),
    *("occurred_at", "country", "test", "update", "sequence", "sig", "ts"),
    *("customer_id", "email_sha256", "device_id"),
)
AMENDED_LINE = ("unit_price_minor", "quantity", "sku", "category", "shop_category")
LARGEST_SEQUENCE = 2**31 - 1
MOST_CLICKS = 50
MOST_COUPONS = 20
MOST_UNKNOWN, LONGEST_UNKNOWN = 20, 60


class ForgedClick(Invalid):
    code = "forged_click"
    message = "The click id is not one that this campaign gave out, and nothing else says who brought the sale."


class CurrencyNotAccepted(Invalid):
    code = "currency_not_accepted"
    message = "The campaign does not take conversions in this currency."


@dataclass(frozen=True, slots=True)
class Terms:
    """What a campaign takes: its id, its currencies, and the keys its click ids are signed with."""

    campaign_id: int
    currencies: tuple[str, ...]
    click_keys: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ConversionFact:
    """A conversion as the shop tells it; amounts in minor units of `currency`.

    `amount_minor` is after the order discount `discount_minor`, net of VAT and shipping. Without
    `occurred_at` the conversion happened when it was told. `forged_clicks` counts click ids left out, `unknown`
    names fields of the call that nothing is read from. `is_update` allows to amend what was told before, by `sequence`
    or next in turn. `moved_to` is when it happened by this house's clock, where the shop's cannot be right.
    `is_by_click` tells that the call named no order: its first click stands for the number.
    """

    goal: str
    order_ref: str
    amount_minor: int
    currency: str
    discount_minor: int = 0
    occurred_at: datetime | None = None
    click_ids: tuple[UUID, ...] = ()
    coupons: tuple[str, ...] = ()
    lines: tuple[LineFact, ...] = ()
    new_customer: bool | None = None
    country: str = ""
    is_test: bool = False
    forged_clicks: int = 0
    unknown: tuple[str, ...] = ()
    is_update: bool = False
    sequence: int | None = None
    identity: Identity = NOBODY
    moved_to: datetime | None = None
    is_by_click: bool = False

    @property
    def ignored(self) -> list[str]:
        """Return what the answer says was left out of the call."""
        return [*(["forged_click"] if self.forged_clicks else []), *self.unknown]

    @property
    def has_other_parts(self) -> bool:
        """Tell whether the lines, less the discount, come to another amount than was told."""
        return bool(self.lines) and self.amount_minor != worth_of(self.lines, self.discount_minor)

    def content_hash(self, campaign_id: int) -> str:
        """Return what tells an exact repeat from other content: SHA-256 over the campaign and what was sold.

        The customer is compared by keys, which can be erased: a hash that stays must not give away who it was.
        What this house makes of the call is no part of it: the same call later must have the same hash.
        """
        content = {**asdict(self), "campaign_id": campaign_id}
        for name in ("forged_clicks", "unknown", "is_update", "sequence", "identity", "moved_to", "is_by_click"):
            del content[name]
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def as_amendment(self) -> dict[str, object]:
        """Return what replaces the content told before: amounts and lines always, the rest where it is told."""
        content: dict[str, object] = {
            "amount_minor": self.amount_minor,
            "discount_minor": self.discount_minor,
            "lines": [{name: getattr(line, name) for name in AMENDED_LINE} for line in self.lines],
        }
        if self.coupons:
            content["coupons"] = list(self.coupons)
        if self.new_customer is not None:
            content["new_customer"] = self.new_customer
        if self.country:
            content["country"] = self.country
        return content


def read_conversion(fields: Mapping[str, object], *, terms: Terms, now: datetime) -> ConversionFact:
    """Read a conversion's fields; names that nothing is read from are told back in `unknown`.

    Raises MissingField, InvalidField, InvalidTime, InvalidAmount, InvalidCurrency, InvalidLines,
    CurrencyNotAccepted, InvalidEmailHash, and ForgedClick where every click id is forged and there is no coupon either.
    """
    goal = (text_of(fields, "goal", 40) or "SALE").upper()
    if not GOAL.fullmatch(goal):
        raise InvalidField("`goal` is made of letters, digits, - and _.", path="goal")
    tokens = texts_of(fields, "tclid", longest=200, most=MOST_CLICKS)
    read = [read_click(token, terms.campaign_id, terms.click_keys) for token in tokens]
    click_ids = tuple(dict.fromkeys(id_ for id_ in read if id_ is not None))
    coupons = texts_of(fields, "coupon", longest=80, most=MOST_COUPONS)
    if tokens and not click_ids and not coupons:
        raise ForgedClick(path="tclid")
    order_ref = text_of(fields, "order_ref", 120)
    if not order_ref and not click_ids:
        raise MissingField("`order_ref` is needed where no click id stands for the order.", path="order_ref")
    currency = _currency(fields, terms.currencies)
    lines = read_lines(fields, currency)
    discount = _amount(fields, "discount", currency) or 0
    return ConversionFact(
        goal=goal,
        order_ref=order_ref or _first_valid(tokens, read),
        amount_minor=_total(fields, goal, currency, lines, discount),
        currency=currency,
        discount_minor=discount,
        occurred_at=moment_of(fields, "occurred_at", now),
        click_ids=click_ids,
        coupons=coupons,
        lines=lines,
        new_customer=flag_of(fields, "new_customer"),
        country=_country(fields),
        is_test=bool(flag_of(fields, "test")),
        forged_clicks=read.count(None),
        unknown=_unknown(fields),
        is_update=bool(flag_of(fields, "update")),
        sequence=_sequence(fields),
        identity=read_identity(fields),
        is_by_click=not order_ref,
    )


def _sequence(fields: Mapping[str, object]) -> int | None:
    """Return an amendment's place among the amendments of its order, counted from 1 by the shop."""
    text = text_of(fields, "sequence", 10)
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= LARGEST_SEQUENCE):
        raise InvalidField("`sequence` is a whole number from 1 on.", path="sequence")
    if not flag_of(fields, "update"):
        raise InvalidField("A `sequence` is of an update: send `update=1` with it.", path="sequence")
    return int(text)


def _unknown(fields: Mapping[str, object]) -> tuple[str, ...]:
    """Return the first names that nothing is read from, shortened and without what cannot be printed."""
    names = [*(name for name in fields if name not in FIELDS), *unknown_of_lines(fields)]
    return tuple(
        "".join(letter if letter.isprintable() else "?" for letter in name[:LONGEST_UNKNOWN])
        for name in names[:MOST_UNKNOWN]
    )


def _first_valid(tokens: Sequence[str], read: Sequence[UUID | None]) -> str:
    return next(token for token, id_ in zip(tokens, read, strict=True) if id_ is not None)


def _currency(fields: Mapping[str, object], accepted: Sequence[str]) -> str:
    """Return the call's currency, or the campaign's where it has only one."""
    currency = text_of(fields, "currency", 3)
    if not currency:
        if len(accepted) != 1:
            raise MissingField(f"`currency` is needed: {', '.join(accepted)}.", path="currency")
        return accepted[0]
    digits(currency)
    if currency not in accepted:
        raise CurrencyNotAccepted(f"The campaign takes {', '.join(accepted)}.", path="currency")
    return currency


def _amount(fields: Mapping[str, object], name: str, currency: str) -> int | None:
    text = text_of(fields, name, 40)
    return read_amount(text, currency, name) if text else None


def _total(fields: Mapping[str, object], goal: str, currency: str, lines: Sequence[LineFact], discount: int) -> int:
    """Return the amount sent, else what the lines come to; a sale has one of the two, other goals may have none."""
    amount = _amount(fields, "amount", currency)
    if amount is not None:
        return amount
    if lines:
        return worth_of(lines, discount)
    if goal == "SALE":
        raise MissingField("A sale has an `amount`, `lines` or `parts`.", path="amount")
    return 0


def _country(fields: Mapping[str, object]) -> str:
    country = text_of(fields, "country", 2).upper()
    if country and not (len(country) == 2 and country.isascii() and country.isalpha()):
        raise InvalidField("`country` is an ISO 3166 code of two letters.", path="country")
    return country
