"""Write shares: all rows of a conversion in one statement, so that the database can check their sum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from apps.attribution.models import Share
from apps.core.copying import copy_rows, next_ids
from apps.core.reading import run_sql

TABLE = Share._meta.db_table


class ShareRow(NamedTuple):
    """A share to write; the order is the table's columns. No partner: the part nobody is paid for."""

    advertiser_id: int
    conversion_id: UUID
    partner_id: int | None
    numerator: int
    denominator: int
    revenue_minor: int
    currency: str
    policy_version_id: int
    touch_id: str | None
    ad_space_id: int | None


def write_shares(rows: Sequence[ShareRow]) -> list[int]:
    """Write the shares of whole conversions and return their ids in the same order."""
    ids = next_ids(TABLE, len(rows))
    copy_rows(TABLE, ("id", *ShareRow._fields), ((id_, *row) for id_, row in zip(ids, rows, strict=True)))
    return ids


def forget_shares(conversion_ids: Sequence[UUID]) -> None:
    """Delete the shares of undecided conversions; the database refuses it for decided ones."""
    run_sql(f"DELETE FROM {TABLE} WHERE conversion_id = ANY(%s)", [list(conversion_ids)])
