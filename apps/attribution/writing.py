"""Write shares: all rows of a conversion in one statement, so that the database can check their sum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from apps.attribution.models import Share
from apps.core.copying import NULL, copy_lines, escaped_name, next_ids
from apps.core.reading import array_of, run_sql

TABLE = Share._meta.db_table


class ShareRow(NamedTuple):
    """A share to write; the order is the table's columns. No partner: the part nobody is paid for."""

    advertiser_id: int
    conversion_id: str
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
    copy_lines(TABLE, ("id", *ShareRow._fields), map(share_line, ids, rows))
    return ids


def share_line(id_: int, row: ShareRow) -> str:
    advertiser, conversion, partner, numerator, denominator, revenue, currency, policy, touch, ad_space = row
    return (
        f"{id_}\t{advertiser}\t{conversion}\t{NULL if partner is None else partner}\t{numerator}\t{denominator}\t"
        f"{revenue}\t{escaped_name(currency)}\t{policy}\t{touch or NULL}\t{NULL if ad_space is None else ad_space}"
    )


def forget_shares(conversion_ids: Sequence[str]) -> None:
    """Delete the shares of undecided conversions; the database refuses it for decided ones."""
    run_sql(f"DELETE FROM {TABLE} WHERE conversion_id = ANY(%s::uuid[])", [array_of(conversion_ids)])
