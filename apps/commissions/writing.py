"""Write what conversions earn: commissions, receipts and the open decision, set by set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from psycopg.types.json import Jsonb

from apps.commissions.models import Commission, CommissionKind, Decision, DecisionState, Receipt
from apps.core.copying import copy_rows, next_ids
from apps.core.reading import read_rows, run_sql


class CommissionRow(NamedTuple):
    """A commission to write; the order is the table's columns."""

    advertiser_id: int
    conversion_id: UUID
    campaign_id: int
    partner_id: int
    share_id: int
    amount_minor: int
    currency: str
    plan_version_id: int
    rule_name: str
    payable: bool
    payable_reason: str
    occurred_at: datetime


class ReceiptRow(NamedTuple):
    """A compact receipt to write; `sha256` is the hash of its long form's bytes."""

    advertiser_id: int
    conversion_id: UUID
    policy_version_id: int
    total_minor: int
    currency: str
    body: Mapping[str, object]
    sha256: str
    settled_at: datetime


class DecisionRow(NamedTuple):
    """The open decision of a conversion, with its days."""

    advertiser_id: int
    conversion_id: UUID
    campaign_id: int
    decide_by: date
    locks_on: date
    pays_on: date


def write_commissions(rows: Sequence[CommissionRow]) -> None:
    table = Commission._meta.db_table
    ids = next_ids(table, len(rows))
    columns = ("id", "kind", *CommissionRow._fields)
    copy_rows(table, columns, ((id_, CommissionKind.SALE.value, *row) for id_, row in zip(ids, rows, strict=True)))


def write_receipts(rows: Sequence[ReceiptRow]) -> None:
    copy_rows(Receipt._meta.db_table, ReceiptRow._fields, ((*row[:5], Jsonb(row.body), *row[6:]) for row in rows))


def open_decisions(rows: Sequence[DecisionRow]) -> None:
    """Open the decisions of conversions that have none yet."""
    columns = (*DecisionRow._fields, "state", "reason", "note", "decided_by")
    copy_rows(Decision._meta.db_table, columns, ((*row, DecisionState.PENDING.value, "", "", "") for row in rows))


def lock_decisions(conversion_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Lock the decisions of conversions, in the order of their ids, and return their states; some have none yet."""
    rows = read_rows(
        f"SELECT conversion_id, state FROM {Decision._meta.db_table} WHERE conversion_id = ANY(%s) "
        "ORDER BY conversion_id FOR UPDATE",
        [list(conversion_ids)],
    )
    return {row[0]: row[1] for row in rows}


def receipt_hashes(conversion_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Return the hashes of the receipts that are there, by conversion."""
    rows = read_rows(
        f"SELECT conversion_id, sha256 FROM {Receipt._meta.db_table} WHERE conversion_id = ANY(%s)",
        [list(conversion_ids)],
    )
    return {row[0]: row[1] for row in rows}


def forget_results(conversion_ids: Sequence[UUID]) -> None:
    """Delete commissions and receipts of undecided conversions; the database refuses it for decided ones."""
    for model in (Commission, Receipt):
        run_sql(f"DELETE FROM {model._meta.db_table} WHERE conversion_id = ANY(%s)", [list(conversion_ids)])
