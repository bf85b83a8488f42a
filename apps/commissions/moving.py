"""Move decisions, set by set: lock them in the order of their ids, then one statement for all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple

from apps.commissions.models import Commission, Decision, DecisionState
from apps.core.reading import array_of, read_rows, run_sql

TABLE = Decision._meta.db_table
LOCK = f"""
SELECT conversion_id, state, locks_on FROM {TABLE}
WHERE advertiser_id = %s AND conversion_id = ANY(%s::uuid[])
ORDER BY conversion_id FOR UPDATE
"""
MOVE = f"""
UPDATE {TABLE} d SET state = %s, reason = w.reason, note = w.note, decided_by = %s, decided_at = %s, moved_at = %s,
    job_id = %s
FROM unnest(%s::uuid[], %s::text[], %s::text[]) AS w(conversion_id, reason, note)
WHERE d.conversion_id = w.conversion_id
"""
OWED = f"""
SELECT id, conversion_id, partner_id, amount_minor, currency FROM {Commission._meta.db_table}
WHERE conversion_id = ANY(%s::uuid[]) AND payable AND amount_minor <> 0 ORDER BY id
"""


class LockedDecision(NamedTuple):
    """A decision under its row's lock; the id is text."""

    conversion_id: str
    state: str
    locks_on: date


class Wish(NamedTuple):
    """Where somebody wants a decision to go, and why."""

    conversion_id: str
    state: str
    reason: str = ""
    note: str = ""


class OwedRow(NamedTuple):
    """A payable commission of a conversion, signed, in minor units."""

    id: int
    conversion_id: str
    partner_id: int
    amount_minor: int
    currency: str


def lock_for_deciding(advertiser_id: int, conversion_ids: Sequence[str]) -> list[LockedDecision]:
    """Lock an advertiser's decisions in the order of their ids; those that are not there are missing."""
    return [LockedDecision._make(row) for row in read_rows(LOCK, [advertiser_id, array_of(conversion_ids)])]


def move_decisions(wishes: Sequence[Wish], *, state: str, by: str, at: datetime, job_id: int | None) -> int:
    """Move locked decisions to one state, each with its own reason and note; the database writes the moves down."""
    decided_at = None if state == DecisionState.PENDING else at
    ids = array_of([wish.conversion_id for wish in wishes])
    reasons, notes = [wish.reason for wish in wishes], [wish.note[:300] for wish in wishes]
    return run_sql(MOVE, [state, by[:200], decided_at, at, job_id, ids, reasons, notes])


def owed_by(conversion_ids: Sequence[str]) -> list[OwedRow]:
    """Return the payable commissions of conversions, corrections too; zeros are left out."""
    return [OwedRow._make(row) for row in read_rows(OWED, [array_of(conversion_ids)])]
