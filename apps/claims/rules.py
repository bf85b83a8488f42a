"""Read a claim from what a partner wrote, in a form or in a row of a file, and the files that show it."""

from __future__ import annotations

import csv
import hashlib
import io
import re
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
MOST_EVIDENCE = 5
MOST_EVIDENCE_BYTES = 5 * 1024 * 1024
# What a file begins with, and the endings that its name may have; the first of them is added where it has none.
ENDINGS = {
    "image/png": ("png",),
    "image/jpeg": ("jpg", "jpeg"),
    "image/webp": ("webp",),
    "application/pdf": ("pdf",),
    "message/rfc822": ("eml",),
    "text/plain": ("txt",),
}
MAIL = re.compile(rb"(?:[!-9;-~]++:[^\n]*+\n(?:[ \t][^\n]*+\n)*+)++(?:\n|\Z)")
MAIL_HAS = re.compile(rb"^(?:from|received|return-path|date):", re.IGNORECASE | re.MULTILINE)
UNWRITTEN = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f\x7f]")


class UnknownClaimCampaign(Invalid):
    code = "unknown_campaign"
    message = "You have no such campaign."


class UnknownClick(Invalid):
    code = "unknown_click"
    message = "This is no click id of the campaign."


class UnreadableFile(Invalid):
    code = "file_unreadable"
    message = "The file cannot be read: UTF-8 text with commas or semicolons, its first row naming the columns."


class EvidenceEmpty(Invalid):
    code = "empty"
    message = "There is no file, or it is empty."


class EvidenceTooLarge(Invalid):
    code = "too_large"
    message = "A file has at most 5 MB."


class EvidenceTypeUnknown(Invalid):
    code = "unknown_type"
    message = "Files are PNG, JPEG, WebP, PDF, plain text or EML, told by their content."


class TooMuchEvidence(Invalid):
    code = "too_many"
    message = "A claim has at most 5 files."


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


@dataclass(frozen=True, slots=True)
class EvidenceFact:
    """A file as it can be stored."""

    name: str
    media_type: str
    content: bytes
    sha256: str


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


def read_evidence(name: str, content: bytes) -> EvidenceFact:
    """Read a file; its type is what its bytes say, whatever its name or its sender do.

    Raises EvidenceEmpty, EvidenceTooLarge, EvidenceTypeUnknown.
    """
    if not content.strip():
        raise EvidenceEmpty(path="evidence")
    if len(content) > MOST_EVIDENCE_BYTES:
        raise EvidenceTooLarge(path="evidence")
    media_type = media_type_of(content)
    if media_type is None:
        raise EvidenceTypeUnknown(path="evidence")
    return EvidenceFact(clean_name(name, media_type), media_type, content, hashlib.sha256(content).hexdigest())


def media_type_of(content: bytes) -> str | None:
    """Return the type of a file's bytes; None of what is not taken, markup among it.

    Text is UTF-8 without control characters. Mail begins with header lines; its body may be of any 8-bit charset.
    """
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "image/webp"
    if content.startswith(b"%PDF-"):
        return "application/pdf"
    text = content.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
    if UNWRITTEN.search(text) or text.lstrip().startswith(b"<"):
        return None
    head = MAIL.match(text)
    if head and MAIL_HAS.search(head[0]):
        return "message/rfc822"
    try:
        text.decode()
    except UnicodeDecodeError:
        return None
    return "text/plain"


def clean_name(name: str, media_type: str) -> str:
    """Return a file's name without folders and signs that mislead, of at most 120 characters, ending as its type."""
    name = re.split(r"[/\\]", name)[-1]
    name = "".join("_" if sign in '<>:"|?*;%' else sign for sign in name if sign.isprintable()).strip(" .")
    stem, dot, ending = name.rpartition(".")
    if not dot or ending.lower() not in ENDINGS[media_type]:
        stem, ending = name, ENDINGS[media_type][0]
    return f"{stem.strip(' .')[:110] or 'file'}.{ending.lower()}"
