"""A row of conversions.csv, told as a conversion."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from apps.core.errors import Refusal
from apps.core.ids import uuid7_from
from apps.imports.rules import cells
from apps.imports.rules.cells import RowRefused
from apps.imports.rules.tables import Columns
from apps.imports.rules.touches import LONGEST_ID, visitor_of
from apps.tracking.rules.basket import read_amount
from apps.tracking.rules.conversions import GOAL, ConversionFact
from apps.tracking.rules.persons import LONGEST, NOBODY, Identity, read_email_hash

CONVERSIONS = Columns(
    must=("order_ref", "visitor_id", "occurred_at", "goal", "amount", "currency"),
    may=("discount", "coupon", "customer_new", "country", "device", "customer_id", "email_sha256"),
)
BETWEEN_COUPONS = re.compile(r"[|,]")


class OrderFact(NamedTuple):
    """A conversion as it is stored; the fields but the last are columns of the table."""

    id: UUID
    goal: str
    order_ref: str
    occurred_at: datetime
    amount_minor: int
    discount_minor: int
    currency: str
    visitor: UUID | None
    coupons: list[str]
    new_customer: bool | None
    country: str
    device: str
    content_hash: str
    identity: Identity = NOBODY


def read_conversion(
    row: tuple[str, ...], *, advertiser_id: int, campaign_id: int, currencies: Collection[str], now: datetime
) -> OrderFact:
    """Return what a row says. Raises RowRefused with the codes named here and in `cells`."""
    said = dict(zip(CONVERSIONS.all, row, strict=True))
    order_ref = cells.required(said["order_ref"], "order_ref", 120)
    goal = cells.required(said["goal"], "goal", 40)
    if not GOAL.fullmatch(goal):
        raise RowRefused("goal is made of capitals, digits, - and _.", code="invalid_goal", path="goal")
    at = cells.moment(said["occurred_at"], "occurred_at", now).astimezone(UTC)
    currency = said["currency"]
    if currency not in currencies:
        raise RowRefused("The campaign does not pay in this currency.", code="currency_not_accepted", path="currency")
    visitor_id = cells.plain(said["visitor_id"], "visitor_id", LONGEST_ID)
    fact = OrderFact(
        id=uuid7_from(at, str(advertiser_id), goal, order_ref),
        goal=goal,
        order_ref=order_ref,
        occurred_at=at,
        amount_minor=amount(said["amount"], "amount", currency),
        discount_minor=amount(said["discount"] or "0", "discount", currency),
        currency=currency,
        visitor=visitor_of(advertiser_id, visitor_id) if visitor_id else None,
        coupons=read_coupons(said["coupon"]),
        new_customer=cells.flag(said["customer_new"], "customer_new"),
        country=cells.country(said["country"], "country"),
        device=cells.plain(said["device"], "device", 10),
        content_hash="",
        identity=read_customer(said),
    )
    return fact._replace(content_hash=hash_of(fact, campaign_id))


def read_customer(said: dict[str, str]) -> Identity:
    """Return who bought. Raises RowRefused: invalid_email_sha256 and those of `plain`."""
    try:
        email = read_email_hash(said["email_sha256"])
    except Refusal as refusal:
        raise RowRefused(refusal.message, code=refusal.code, path="email_sha256") from None
    return Identity(cells.plain(said["customer_id"], "customer_id", LONGEST), email)


def amount(value: str, column: str, currency: str) -> int:
    """Return an amount in minor units. Raises RowRefused: invalid_amount."""
    try:
        return read_amount(value, currency, column)
    except Refusal as refusal:
        raise RowRefused(refusal.message, code=refusal.code, path=column) from None


def read_coupons(value: str) -> list[str]:
    """Return the codes of a cell, each once, in its order."""
    codes = [code.strip() for code in BETWEEN_COUPONS.split(value)]
    return [cells.plain(code, "coupon", 80) for code in dict.fromkeys(codes) if code]


def hash_of(fact: OrderFact, campaign_id: int) -> str:
    """Return what tells an exact repeat from other content: the hash of a call's content, visitor and device."""
    told = ConversionFact(
        goal=fact.goal,
        order_ref=fact.order_ref,
        amount_minor=fact.amount_minor,
        currency=fact.currency,
        discount_minor=fact.discount_minor,
        occurred_at=fact.occurred_at,
        coupons=tuple(fact.coupons),
        new_customer=fact.new_customer,
        country=fact.country,
    )
    content = (told.content_hash(campaign_id), str(fact.visitor or ""), fact.device)
    return sha256("\x1f".join(content).encode()).hexdigest()
