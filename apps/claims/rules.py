"""Read a claim from what a partner wrote, in a form or in a row of a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from apps.core.errors import Invalid
from apps.tracking.rules.basket import read_amount
from apps.tracking.rules.clicks import read_click
from apps.tracking.rules.conversions import GOAL
from apps.tracking.rules.fields import InvalidField, MissingField, text_of

COLUMNS = ("campaign", "kind", "order_ref", "occurred_at", "amount", "currency", "click", "coupon", "goal", "text")
NEEDED = ("campaign", "order_ref", "occurred_at")
MOST_ROWS = 500
KINDS = ("MISSING", "WRONG", "DECLINED")
LONGEST_AGO = timedelta(days=730)


class UnknownClaimCampaign(Invalid):
    code = "unknown_campaign"
    message = "You have no such campaign."


class UnknownClick(Invalid):
    code = "unknown_click"
    message = "This is no click id of the campaign."


class UnreadableFile(Invalid):
    code = "file_unreadable"
    message = "The file cannot be read: UTF-8 text with commas or semicolons, its first row naming the columns."


@dataclass(frozen=True, slots=True)
class Joined:
    """A campaign that a partner is in, as far as a claim needs it."""

    id: int
    names: tuple[str, ...]
    currencies: tuple[str, ...]
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class ClaimFact:
    """A claim as it can be stored; `amount_minor` in minor units of `currency`, None where the partner knows none."""

    campaign_id: int
    kind: str
    order_ref: str
    occurred_at: datetime
    currency: str
    amount_minor: int | None = None
    click_id: UUID | None = None
    coupon: str = ""
    goal: str = "SALE"
    text: str = ""


def read_claim(
    fields: Mapping[str, object], *, joined: Sequence[Joined], click_keys: Sequence[bytes], now: datetime
) -> ClaimFact:
    """Read a claim; times without a zone are the advertiser's own.

    Raises UnknownClaimCampaign, UnknownClick, MissingField, InvalidField, InvalidAmount.
    """
    name = text_of(fields, "campaign", 200)
    campaign = next((one for one in joined if name.casefold() in one.names), None)
    if campaign is None:
        raise UnknownClaimCampaign(path="campaign")
    kind = (text_of(fields, "kind", 10) or "MISSING").upper()
    if kind not in KINDS:
        raise InvalidField(f"It is one of {', '.join(KINDS)}.", path="kind")
    order_ref = text_of(fields, "order_ref", 120)
    if not order_ref:
        raise MissingField("The order number is needed.", path="order_ref")
    goal = (text_of(fields, "goal", 40) or "SALE").upper()
    if not GOAL.fullmatch(goal):
        raise InvalidField("A goal is made of letters, digits, - and _.", path="goal")
    currency = text_of(fields, "currency", 3).upper() or campaign.currencies[0]
    if currency not in campaign.currencies:
        raise InvalidField(f"The campaign takes {', '.join(campaign.currencies)}.", path="currency")
    amount = text_of(fields, "amount", 40)
    if not amount and kind != "DECLINED":
        raise MissingField("The amount is needed, net of VAT.", path="amount")
    token = text_of(fields, "click", 200)
    click_id = read_click(token, campaign.id, click_keys) if token else None
    if token and click_id is None:
        raise UnknownClick(path="click")
    return ClaimFact(
        campaign_id=campaign.id,
        kind=kind,
        order_ref=order_ref,
        occurred_at=_moment(fields, campaign.zone, now),
        currency=currency,
        amount_minor=read_amount(amount, currency, "amount") if amount else None,
        click_id=click_id,
        coupon=text_of(fields, "coupon", 80),
        goal=goal,
        text=_story(fields),
    )


def read_table(text: str) -> list[dict[str, object]]:
    """Return the rows of a file by column. Raises UnreadableFile."""
    text = text.lstrip("\ufeff")
    header = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text), delimiter=";" if header.count(";") > header.count(",") else ",")
    try:
        rows = [row for row in reader if any(cell.strip() for cell in row)]
    except csv.Error:
        raise UnreadableFile from None
    columns = [cell.strip().lower() for cell in rows[0]] if rows else []
    if set(columns) - set(COLUMNS) or len(set(columns)) < len(columns) or set(NEEDED) - set(columns):
        raise UnreadableFile(f"Columns are {', '.join(COLUMNS)}; needed are {', '.join(NEEDED)}.")
    if not 1 < len(rows) <= MOST_ROWS + 1:
        raise UnreadableFile(f"A file has 1 to {MOST_ROWS} rows below its column names.")
    return [dict(zip(columns, row, strict=False)) for row in rows[1:]]


def _moment(fields: Mapping[str, object], zone: ZoneInfo, now: datetime) -> datetime:
    text = text_of(fields, "occurred_at", 40)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidField("Write the time as 2026-03-10 12:00.", path="occurred_at") from None
    moment = (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    if not now - LONGEST_AGO <= moment <= now:
        raise InvalidField("The time lies in the past, at most two years ago.", path="occurred_at")
    return moment


def _story(fields: Mapping[str, object]) -> str:
    """Return what happened in the partner's words; unlike other fields it may have several lines."""
    value = fields.get("text") or ""
    if not isinstance(value, str) or len(value) > 2000:
        raise InvalidField("At most 2,000 characters.", path="text")
    return "\n".join("".join(c for c in line if c.isprintable()) for line in value.strip().splitlines())
