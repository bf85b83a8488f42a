"""Write what conversions earn: commissions, receipts and the open decision, set by set."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime
from itertools import repeat
from typing import Any, NamedTuple

from apps.commissions.models import Commission, CommissionKind, Decision, DecisionState, Receipt, Superseded
from apps.core.copying import copy_lines, escaped, escaped_name
from apps.core.reading import array_of, read_rows, run_sql

SALE, PENDING = CommissionKind.SALE.value, DecisionState.PENDING.value

KEEP = f"""
INSERT INTO {Superseded._meta.db_table}
    (advertiser_id, conversion_id, settled_at, replaced_at, total_minor, currency, sha256, earned)
SELECT r.advertiser_id, r.conversion_id, r.settled_at, %s, r.total_minor, r.currency, r.sha256, COALESCE((
    SELECT jsonb_agg(
        jsonb_strip_nulls(jsonb_build_object(
            'partner', p.slug, 'kind', m.kind, 'amount_minor', m.amount_minor, 'unpaid', NULLIF(m.payable_reason, ''),
            'share', CASE WHEN m.kind = '{SALE}' THEN s.numerator || '/' || s.denominator END,
            'reason', NULLIF(m.reason, ''), 'recorded_at', m.recorded_at
        )) ORDER BY m.id
    )
    FROM {Commission._meta.db_table} m JOIN partners_partner p ON p.id = m.partner_id
    LEFT JOIN attribution_share s ON s.id = m.share_id
    WHERE m.conversion_id = r.conversion_id
), '[]')
FROM {Receipt._meta.db_table} r WHERE r.conversion_id = ANY(%s::uuid[]) ORDER BY r.conversion_id
"""


class CommissionRow(NamedTuple):
    """A commission to write; the order is the table's columns, `occurred_at` its moment as text."""

    advertiser_id: int
    conversion_id: str
    campaign_id: int
    partner_id: int
    amount_minor: int
    currency: str
    plan_version_id: int
    rule_name: str
    payable: bool
    payable_reason: str
    occurred_at: str


class ReceiptRow(NamedTuple):
    """A compact receipt to write; `body` is its JSON, `sha256` the hash of its long form's bytes."""

    advertiser_id: int
    conversion_id: str
    policy_version_id: int
    total_minor: int
    currency: str
    body: str
    sha256: str


class DecisionRow(NamedTuple):
    """The open decision of a conversion, with its days."""

    advertiser_id: int
    conversion_id: str
    campaign_id: int
    decide_by: date
    locks_on: date
    pays_on: date


def write_commissions(rows: Sequence[CommissionRow], share_ids: Sequence[int]) -> None:
    """Write commissions, each with the id of its share."""
    columns = ("kind", "share_id", *CommissionRow._fields)
    copy_lines(Commission._meta.db_table, columns, map(commission_line, share_ids, rows))


def commission_line(share_id: int, row: CommissionRow) -> str:
    advertiser, conversion, campaign, partner, amount, currency, plan, rule, payable, reason, at = row
    return (
        f"{SALE}\t{share_id}\t{advertiser}\t{conversion}\t{campaign}\t{partner}\t{amount}\t"
        f"{escaped_name(currency)}\t{plan}\t{escaped_name(rule)}\t{payable}\t{escaped_name(reason)}\t{at}"
    )


def write_receipts(rows: Sequence[ReceiptRow], *, settled_at: datetime) -> None:
    columns = (*ReceiptRow._fields, "settled_at")
    copy_lines(Receipt._meta.db_table, columns, map(receipt_line, rows, repeat(str(settled_at))))


def receipt_line(row: ReceiptRow, at: str) -> str:
    advertiser, conversion, policy, total, currency, body, sha256 = row
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


def rejected_among(conversion_ids: Collection[str]) -> set[str]:
    """Return those of some conversions that are rejected."""
    rows = read_rows(
        f"SELECT conversion_id FROM {Decision._meta.db_table} WHERE conversion_id = ANY(%s::uuid[]) AND state = %s",
        [array_of(conversion_ids), DecisionState.REJECTED.value],
    )
    return {row[0] for row in rows}


def receipt_hashes(conversion_ids: Sequence[str]) -> dict[str, tuple[str, bool]]:
    """Return the hashes of the receipts that are there, and whether what is earned is unpaid as a duplicate's."""
    if not conversion_ids:
        return {}
    rows = read_rows(
        f"""
        SELECT r.conversion_id, r.sha256, EXISTS (
            SELECT 1 FROM {Commission._meta.db_table} m
            WHERE m.conversion_id = r.conversion_id AND m.kind = '{SALE}' AND m.payable_reason = 'duplicate'
        )
        FROM {Receipt._meta.db_table} r WHERE r.conversion_id = ANY(%s::uuid[])
        """,
        [array_of(conversion_ids)],
    )
    return {row[0]: (row[1], row[2]) for row in rows}


def receipt_touches(conversion_ids: Sequence[str]) -> dict[str, list[str]]:
    """Return the ids of the touches that the receipts of conversions tell of; those without a receipt are missing."""
    bodies = Receipt.objects.filter(pk__in=conversion_ids).values_list("pk", "body__touches")
    return {str(id_): [touch[0] for touch in touches or ()] for id_, touches in bodies}


def remembering_receipts(conversion_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the compact receipts of conversions that remember what may be asked again; most do not."""
    if not conversion_ids:
        return {}
    receipts = Receipt.objects.filter(pk__in=conversion_ids, body__has_key="asked")
    return {str(id_): body for id_, body in receipts.values_list("pk", "body")}


def supersede_results(conversion_ids: Sequence[str], *, now: datetime) -> None:
    """Keep what undecided conversions came to, before others take its place, and take it away.

    Commissions and receipts are deleted; the database refuses it for decided conversions.
    """
    run_sql(KEEP, [now, array_of(conversion_ids)])
    for model in (Commission, Receipt):
        run_sql(f"DELETE FROM {model._meta.db_table} WHERE conversion_id = ANY(%s::uuid[])", [array_of(conversion_ids)])
