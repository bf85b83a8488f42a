"""Gather the touches that came before conversions: set-based, one query for a whole batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from apps.core.ids import uuid7_floor
from apps.core.reading import read_rows

# How far back a journey looks, and how many touches it takes; the rules mark what is over the limit.
LOOK_BACK = timedelta(days=366)
TOUCHES_AT_MOST = 201


class Candidate(NamedTuple):
    """A touch that may count for a conversion; everything the rules ask of it, by database ids."""

    id: UUID
    kind: str
    at: datetime
    channel: str
    channel_class: str
    device: str
    goal: str
    refusal: str
    campaign_id: int | None
    partner_id: int | None
    ad_space_id: int | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """The conversion a journey is asked for."""

    id: UUID
    occurred_at: datetime


# A conversion's visitors are its own and those of the clicks it names.
GATHER = """
WITH asked AS (
    SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[]) AS a(conversion_id, low, high)
), who AS (
    SELECT a.conversion_id, a.low, a.high, c.advertiser_id, c.visitor
    FROM asked a JOIN tracking_conversion c ON c.id = a.conversion_id
    WHERE c.visitor IS NOT NULL
    UNION
    SELECT a.conversion_id, a.low, a.high, c.advertiser_id, t.visitor
    FROM asked a
    JOIN tracking_conversion c ON c.id = a.conversion_id
    CROSS JOIN LATERAL unnest(c.click_ids) AS k(click_id)
    JOIN tracking_touchpoint t ON t.id = k.click_id AND t.advertiser_id = c.advertiser_id
)
SELECT w.conversion_id, t.*
FROM who w CROSS JOIN LATERAL (
    SELECT id, kind, occurred_at, channel, channel_class, device, goal, refusal, campaign_id, partner_id, ad_space_id
    FROM tracking_touchpoint
    WHERE advertiser_id = w.advertiser_id AND visitor = w.visitor AND id >= w.low AND id < w.high
    ORDER BY id DESC
    LIMIT %s
) t
"""


def gather_candidates(conversions: Sequence[Wanted]) -> dict[UUID, list[Candidate]]:
    """Return each conversion's candidate touches, in any order; a conversion without touches has an empty list.

    Touches after the conversion are left out, but for those of its own millisecond.
    """
    found: dict[UUID, list[Candidate]] = {conversion.id: [] for conversion in conversions}
    ids = list(found)
    lows = [uuid7_floor(conversion.occurred_at - LOOK_BACK) for conversion in conversions]
    highs = [uuid7_floor(conversion.occurred_at + timedelta(milliseconds=1)) for conversion in conversions]
    for row in read_rows(GATHER, [ids, lows, highs, TOUCHES_AT_MOST]):
        found[row[0]].append(Candidate(*row[1:]))
    return found


def candidates_by_id(advertiser_id: int, ids: Sequence[UUID]) -> dict[UUID, Candidate]:
    """Return touches by their ids, as an old receipt names them; dropped ones are missing."""
    rows = read_rows(
        "SELECT id, kind, occurred_at, channel, channel_class, device, goal, refusal, campaign_id, partner_id, "
        "ad_space_id FROM tracking_touchpoint WHERE advertiser_id = %s AND id = ANY(%s)",
        [advertiser_id, list(ids)],
    )
    return {row[0]: Candidate(*row) for row in rows}
