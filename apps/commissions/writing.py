"""Write what conversions earn: commissions, receipts and the open decision, set by set."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple

from apps.commissions.models import Commission, CommissionKind, Decision, DecisionState, Receipt
from apps.core.copying import copy_lines, escaped, escaped_name, next_ids
from apps.core.reading import array_of, read_rows, run_sql

SALE, PENDING = CommissionKind.SALE.value, DecisionState.PENDING.value


class CommissionRow(NamedTuple):
    """A commission to write; the order is the table's columns."""

    advertiser_id: int
    conversion_id: str
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
    """A compact receipt to write; `body` is its JSON, `sha256` the hash of its long form's bytes."""

    advertiser_id: int
    conversion_id: str
    policy_version_id: int
    total_minor: int
    currency: str
    body: str
    sha256: str
    settled_at: datetime


class DecisionRow(NamedTuple):
    """The open decision of a conversion, with its days."""

    advertiser_id: int
    conversion_id: str
    campaign_id: int
    decide_by: date
    locks_on: date
    pays_on: date


def write_commissions(rows: Sequence[CommissionRow]) -> None:
    table = Commission._meta.db_table
    copy_lines(table, ("id", "kind", *CommissionRow._fields), map(commission_line, next_ids(table, len(rows)), rows))


def commission_line(id_: int, row: CommissionRow) -> str:
    advertiser, conversion, campaign, partner, share, amount, currency, plan, rule, payable, reason, at = row
    return (
        f"{id_}\t{SALE}\t{advertiser}\t{conversion}\t{campaign}\t{partner}\t{share}\t{amount}\t"
        f"{escaped_name(currency)}\t{plan}\t{escaped_name(rule)}\t{payable}\t{escaped_name(reason)}\t{at}"
    )


def write_receipts(rows: Sequence[ReceiptRow]) -> None:
    copy_lines(Receipt._meta.db_table, ReceiptRow._fields, map(receipt_line, rows))


def receipt_line(row: ReceiptRow) -> str:
    advertiser, conversion, policy, total, currency, body, sha256, at = row
    return f"{advertiser}\t{conversion}\t{policy}\t{total}\t{escaped_name(currency)}\t{escaped(body)}\t{sha256}\t{at}"


def open_decisions(rows: Sequence[DecisionRow]) -> None:
    """Open the decisions of conversions that have none yet."""
    columns = (*DecisionRow._fields, "state", "reason", "note", "decided_by")
    copy_lines(Decision._meta.db_table, columns, map(decision_line, rows))


def decision_line(row: DecisionRow) -> str:
    advertiser, conversion, campaign, decide_by, locks_on, pays_on = row
    return f"{advertiser}\t{conversion}\t{campaign}\t{decide_by}\t{locks_on}\t{pays_on}\t{PENDING}\t\t\t"


def lock_decisions(conversion_ids: Sequence[str]) -> dict[str, str]:
    """Lock the decisions of conversions, in the order of their ids, and return their states; some have none yet."""
    rows = read_rows(
        f"SELECT conversion_id, state FROM {Decision._meta.db_table} WHERE conversion_id = ANY(%s::uuid[]) "
        "ORDER BY conversion_id FOR UPDATE",
        [array_of(conversion_ids)],
    )
    return {row[0]: row[1] for row in rows}


def receipt_hashes(conversion_ids: Sequence[str]) -> dict[str, str]:
    """Return the hashes of the receipts that are there, by conversion."""
    rows = read_rows(
        f"SELECT conversion_id, sha256 FROM {Receipt._meta.db_table} WHERE conversion_id = ANY(%s::uuid[])",
        [array_of(conversion_ids)],
    )
    return {row[0]: row[1] for row in rows}


def forget_results(conversion_ids: Sequence[str]) -> None:
    """Delete commissions and receipts of undecided conversions; the database refuses it for decided ones."""
    for model in (Commission, Receipt):
        run_sql(f"DELETE FROM {model._meta.db_table} WHERE conversion_id = ANY(%s::uuid[])", [array_of(conversion_ids)])
