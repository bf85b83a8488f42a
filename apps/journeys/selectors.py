"""Gather the touches that came before conversions: set-based, one query for a whole batch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from apps.core.ids import uuid7_floors
from apps.core.reading import array_of, read_rows
from apps.tracking.facts import ConversionRow

# How far back a journey looks, and how many touches it takes; the rules mark what is over the limit.
LOOK_BACK = timedelta(days=366)
LOOK_ON = timedelta(milliseconds=1)
TOUCHES_AT_MOST = 201


class Candidate(NamedTuple):
    """A touch that may count for a conversion; everything the rules ask of it, by database ids."""

    id: str
    at: datetime
    kind: str
    channel: str
    channel_class: str
    device: str
    goal: str
    refusal: str
    campaign_id: int | None
    partner_id: int | None
    ad_space_id: int | None


FACTS = "id, occurred_at, kind, channel, channel_class, device, goal, refusal, campaign_id, partner_id, ad_space_id"
GATHER = f"""
SELECT w.place, t.*
FROM unnest(%s::int[], %s::bigint[], %s::uuid[], %s::uuid[], %s::uuid[]) AS w(place, advertiser_id, visitor, low, high)
CROSS JOIN LATERAL (
    SELECT {FACTS}
    FROM tracking_touchpoint
    WHERE advertiser_id = w.advertiser_id AND visitor = w.visitor AND id >= w.low AND id < w.high
    ORDER BY id DESC
    LIMIT %s
) t
"""
CLICKED = """
SELECT k.place, t.visitor
FROM unnest(%s::int[], %s::bigint[], %s::uuid[]) AS k(place, advertiser_id, click_id)
JOIN tracking_touchpoint t ON t.id = k.click_id AND t.advertiser_id = k.advertiser_id
"""
STATED = """
SELECT w.place, s.visitor
FROM unnest(%s::int[], %s::uuid[]) AS w(place, conversion_id)
JOIN tracking_statedtouch s ON s.conversion_id = w.conversion_id
UNION ALL
SELECT w.place, s.visitor
FROM unnest(%s::int[], %s::uuid[]) AS w(place, conversion_id)
JOIN tracking_repeat p ON p.conversion_id = w.conversion_id
JOIN tracking_statedtouch s ON s.conversion_id = p.original_id
"""
ARE_KEYS = "SELECT EXISTS (SELECT 1 FROM tracking_identitykey WHERE advertiser_id = ANY(%s::bigint[]))"
# The other visitors of a visitor's person, and all visitors of the person whose key a conversion came with.
SAME_PERSONS = """
SELECT w.place, m.value
FROM unnest(%s::int[], %s::bigint[], %s::uuid[]) AS w(place, advertiser_id, visitor)
JOIN tracking_identitykey k ON k.advertiser_id = w.advertiser_id AND k.kind = 'VISITOR' AND k.value = w.visitor
JOIN tracking_identitykey m ON m.person_id = k.person_id AND m.kind = 'VISITOR'
UNION
SELECT w.place, m.value
FROM unnest(%s::int[], %s::uuid[]) AS w(place, conversion_id)
JOIN tracking_sighting s ON s.conversion_id = w.conversion_id
JOIN tracking_identitykey k ON k.id = s.key_id
JOIN tracking_identitykey m ON m.person_id = k.person_id AND m.kind = 'VISITOR'
"""


def gather_candidates(conversions: Sequence[ConversionRow]) -> list[list[Candidate]]:
    """Return the candidate touches of each conversion, in any order; one without touches has an empty list.

    Touches after the conversion are left out, but for those of its own millisecond.
    """
    places, visitors = _visitors(conversions)
    asked = [conversions[place] for place in places]
    bounds = [uuid7_floors(row.occurred_at, back=LOOK_BACK, on=LOOK_ON) for row in asked]
    wanted = (
        array_of(places),
        array_of([row.advertiser_id for row in asked]),
        array_of(visitors),
        array_of([low for low, _ in bounds]),
        array_of([high for _, high in bounds]),
        TOUCHES_AT_MOST,
    )
    found: list[list[Candidate]] = [[] for _ in conversions]
    new = tuple.__new__
    for row in read_rows(GATHER, wanted):
        found[row[0]].append(new(Candidate, row[1:]))
    return found


def _visitors(conversions: Sequence[ConversionRow]) -> tuple[list[int], list[str]]:
    """Return places of conversions and their visitors, each pair once.

    These are its own visitor, those of the clicks it names, of stated touches, and all others that are the same person.
    """
    own = [(place, row.visitor) for place, row in enumerate(conversions) if row.visitor is not None]
    clicks = [(place, row, click) for place, row in enumerate(conversions) for click in row.click_ids]
    if clicks:
        places, rows, ids = zip(*clicks, strict=True)
        asked = (array_of(places), array_of([row.advertiser_id for row in rows]), array_of(ids))
        own += [(place, visitor) for place, visitor in read_rows(CLICKED, asked)]
    every = (array_of(list(range(len(conversions)))), array_of([row.id for row in conversions]))
    own += [(place, visitor) for place, visitor in read_rows(STATED, every * 2)]
    pairs = dict.fromkeys(own)
    pairs |= dict.fromkeys(_of_their_persons(conversions, list(pairs)))
    return [place for place, _ in pairs], [visitor for _, visitor in pairs]


def _of_their_persons(conversions: Sequence[ConversionRow], pairs: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    """Return places and the visitors of their conversions' persons; of advertisers without keys nothing is asked."""
    advertisers = {row.advertiser_id for row in conversions}
    if not advertisers or not read_rows(ARE_KEYS, [array_of(advertisers)])[0][0]:
        return []
    asked = (
        array_of(place for place, _ in pairs),
        array_of(conversions[place].advertiser_id for place, _ in pairs),
        array_of(visitor for _, visitor in pairs),
        array_of(range(len(conversions))),
        array_of(row.id for row in conversions),
    )
    return [(place, visitor) for place, visitor in read_rows(SAME_PERSONS, asked)]


def candidates_by_id(advertiser_id: int, ids: Sequence[UUID | str]) -> dict[str, Candidate]:
    """Return touches by their ids, as an old receipt names them; dropped ones are missing."""
    rows = read_rows(
        f"SELECT {FACTS} FROM tracking_touchpoint WHERE advertiser_id = %s AND id = ANY(%s::uuid[])",
        [advertiser_id, array_of(ids)],
    )
    return {row[0]: Candidate._make(row) for row in rows}


def candidates_of(named: Mapping[int, Collection[str]]) -> dict[tuple[int, str], Candidate]:
    """Return touches that are named by advertiser, by advertiser and id, in one query; dropped ones are missing."""
    ids = {id_ for own in named.values() for id_ in own}
    rows = read_rows(
        f"SELECT advertiser_id, {FACTS} FROM tracking_touchpoint "
        "WHERE id = ANY(%s::uuid[]) AND advertiser_id = ANY(%s::bigint[])",
        [array_of(ids), array_of(named)],
    )
    return {(row[0], row[1]): Candidate._make(row[1:]) for row in rows}
