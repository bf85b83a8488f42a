"""The facts that settling reads, a batch at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from apps.core.reading import array_of, read_rows, run_sql
from apps.tracking.rules.signatures import UNSIGNED


class ConversionRow(NamedTuple):
    """A conversion as settling reads it; ids are text, amounts in minor units."""

    id: str
    advertiser_id: int
    campaign_id: int
    goal: str
    occurred_at: datetime
    amount_minor: int
    discount_minor: int
    currency: str
    coupons: list[str]
    new_customer: bool | None
    country: str
    device: str
    is_test: bool
    visitor: str | None
    click_ids: list[str]
    recorded_at: datetime
    source: str


class LineRow(NamedTuple):
    """A basket position of a conversion, in the order of its places."""

    conversion_id: str
    unit_price_minor: int
    quantity: int
    sku: str
    category: str
    shop_category: str


CLAIM = f"""
SELECT {", ".join(f"c.{name}" for name in ConversionRow._fields)}
FROM tracking_unsettled u JOIN tracking_conversion c ON c.id = u.conversion_id
WHERE u.conversion_id = ANY(%s::uuid[]) AND u.parked_at IS NULL
ORDER BY u.conversion_id
FOR UPDATE OF u SKIP LOCKED
"""
LINES = f"""
SELECT {", ".join(LineRow._fields)} FROM tracking_conversionline
WHERE conversion_id = ANY(%s::uuid[]) ORDER BY conversion_id, position
"""


def claim_conversions(ids: Sequence[UUID | str]) -> list[ConversionRow]:
    """Lock those of the work list's rows that nobody else holds and that are not parked; return their conversions."""
    return [ConversionRow._make(row) for row in read_rows(CLAIM, [array_of(ids)])]


def conversions_by_id(ids: Sequence[UUID | str]) -> list[ConversionRow]:
    """Return conversions by their ids, in the order of these."""
    columns = ", ".join(ConversionRow._fields)
    sql = f"SELECT {columns} FROM tracking_conversion WHERE id = ANY(%s::uuid[]) ORDER BY id"
    return [ConversionRow._make(row) for row in read_rows(sql, [array_of(ids)])]


def lines_of(ids: Sequence[UUID | str]) -> dict[str, list[LineRow]]:
    """Return the lines of conversions, in their order; those without lines are missing."""
    found: dict[str, list[LineRow]] = {}
    for row in read_rows(LINES, [array_of(ids)]):
        found.setdefault(row[0], []).append(LineRow._make(row))
    return found


def take_off_work_list(ids: Sequence[UUID | str]) -> None:
    """Delete the work list's rows of settled conversions, in the transaction that wrote their results."""
    run_sql("DELETE FROM tracking_unsettled WHERE conversion_id = ANY(%s::uuid[])", [array_of(ids)])


class RefundRow(NamedTuple):
    """A refund of a conversion; `lines` is a list of position (from 1) and quantity (None: all of it).

    Amounts are minor units of `currency`, which is empty for the conversion's own.
    """

    conversion_id: str
    refund_ref: str
    kind: str
    amount_minor: int | None
    currency: str
    lines: list[dict[str, int | None]]
    reason: str
    occurred_at: datetime
    recorded_at: datetime

    def is_in(self, currency: str) -> bool:
        """Tell whether a refund is in its order's currency; one told before its sale may not be, and takes nothing."""
        return self.currency in ("", currency)


class AmendmentRow(NamedTuple):
    """The amendment of a conversion that holds: its place is the shop's number and the house's turn behind it."""

    sequence: int
    content: dict[str, object]
    turn: int
    recorded_at: datetime

    @property
    def place(self) -> tuple[int, int]:
        return self.sequence, self.turn


# What nobody signed is not taken where the order was vouched for, by whoever told it first.
TAKEN = f"""(r.is_signed OR COALESCE(
    (SELECT o.source FROM tracking_repeat x JOIN tracking_conversion o ON o.id = x.original_id
     WHERE x.conversion_id = c.id), c.source) = '{UNSIGNED}')"""
REFUND = "r.refund_ref, r.kind, r.amount_minor, r.currency, r.lines, r.reason, r.occurred_at, r.recorded_at"
# An order told a second time has the refunds and amendments of the first time too. A refund counts once, whichever of
# its numbers it was told by and how often: what somebody signed goes first.
REFUNDS = f"""
SELECT id, refund_ref, kind, amount_minor, currency, lines, reason, occurred_at, recorded_at FROM (
    SELECT DISTINCT ON (id, refund_ref) * FROM (
        SELECT c.id, r.is_signed, r.order_ref, {REFUND}
        FROM tracking_conversion c
        JOIN tracking_refund r ON r.advertiser_id = c.advertiser_id AND r.goal = c.goal AND r.order_ref = c.order_ref
        WHERE c.id = ANY(%s::uuid[]) AND {TAKEN}
        UNION ALL
        SELECT p.conversion_id, r.is_signed, r.order_ref, {REFUND}
        FROM tracking_repeat p JOIN tracking_conversion c ON c.id = p.original_id
        JOIN tracking_refund r ON r.advertiser_id = c.advertiser_id AND r.goal = c.goal AND r.order_ref = c.order_ref
        WHERE p.conversion_id = ANY(%s::uuid[]) AND {TAKEN}
    ) told ORDER BY id, refund_ref, is_signed DESC, order_ref
) once ORDER BY 1, 8, 2
"""
# Amendments of such an order all stand at its first time.
OF_ORDERS = """
SELECT conversion_id, sequence, content, turn, recorded_at
FROM tracking_amendment WHERE conversion_id = ANY(%s::uuid[])
UNION ALL
SELECT p.conversion_id, a.sequence, a.content, a.turn, a.recorded_at
FROM tracking_repeat p JOIN tracking_amendment a ON a.conversion_id = p.original_id
WHERE p.conversion_id = ANY(%s::uuid[])
"""
AMENDMENTS = f"""
SELECT DISTINCT ON (conversion_id) * FROM ({OF_ORDERS}) told ORDER BY conversion_id, sequence DESC, turn DESC
"""


def refunds_of(ids: Sequence[UUID | str]) -> dict[str, list[RefundRow]]:
    """Return the refunds of conversions that count, in the order they happened; those without any are missing."""
    found: dict[str, list[RefundRow]] = {}
    for row in read_rows(REFUNDS, [array_of(ids)] * 2):
        refund = RefundRow._make(row)
        found.setdefault(row[0], []).append(refund._replace(lines=json.loads(row[5])))  # the driver leaves JSON as text
    return found


def amendments_of(ids: Sequence[UUID | str]) -> dict[str, AmendmentRow]:
    """Return the last amendment of conversions by its place; most have none."""
    return {row[0]: _amendment(row) for row in read_rows(AMENDMENTS, [array_of(ids)] * 2)}


def amendments_at(places: Mapping[str, tuple[int, int]]) -> dict[str, AmendmentRow]:
    """Return the amendments of conversions at places that are named by conversion; without one nothing is asked."""
    rows = read_rows(OF_ORDERS, [array_of(places)] * 2) if places else []
    return {row[0]: _amendment(row) for row in rows if (row[1], row[3]) == places[row[0]]}


def _amendment(row: tuple) -> AmendmentRow:
    return AmendmentRow(row[1], json.loads(row[2]), row[3], row[4])


def amended(
    row: ConversionRow, lines: Sequence[LineRow], content: dict[str, object]
) -> tuple[ConversionRow, Sequence[LineRow]]:
    """Return a conversion and its lines as an amendment tells them; what it does not name stays."""
    fields = {name: value for name, value in content.items() if name in ConversionRow._fields}
    told = content.get("lines")
    if isinstance(told, list):
        lines = [LineRow(row.id, **line) for line in told]
    return row._replace(**fields), lines
