"""Put conversions back on the work list when something about them has become known."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from apps.campaigns.models import Campaign
from apps.core.ids import uuid7_floor
from apps.core.reading import array_of, read_rows, run_sql
from apps.identity.models import Advertiser
from apps.tracking.models import FirstOfScope, Stirred, Unsettled

# The mark waits for a worker that is just settling the conversion, and comes again once that is done.
MARK = """
INSERT INTO tracking_unsettled (conversion_id, advertiser_id, attempts, last_error, marked_at)
{rows}
ON CONFLICT (conversion_id)
DO UPDATE SET marked_at = EXCLUDED.marked_at, attempts = 0, last_error = '', parked_at = NULL
"""
OF_VISITORS = MARK.format(
    rows="""
    SELECT c.id, c.advertiser_id, 0, '', %s::timestamptz FROM tracking_conversion c
    WHERE c.advertiser_id = %s AND c.visitor = ANY(%s::uuid[]) AND c.occurred_at >= %s
    ORDER BY c.id
    """
)
OF_CONVERSIONS = MARK.format(
    rows="""
    SELECT DISTINCT c.id, c.advertiser_id, 0, '', %s::timestamptz FROM tracking_conversion c
    WHERE c.id = ANY(%s::uuid[]) ORDER BY c.id
    """
)
# Of persons: their own, those that came with a key of theirs, and those that name a click of theirs.
SEEN_WITH = """
SELECT s.conversion_id FROM tracking_identitykey k JOIN tracking_sighting s ON s.key_id = k.id
WHERE k.person_id = ANY(%s::uuid[]) OR k.id = ANY(%s::bigint[])
UNION
SELECT c.id FROM tracking_identitykey k
JOIN tracking_conversion c ON c.visitor = k.value AND c.advertiser_id = k.advertiser_id
WHERE k.person_id = ANY(%s::uuid[]) AND k.kind = 'VISITOR'
"""
CLICKS_OF = """
SELECT t.id FROM tracking_identitykey k
JOIN tracking_touchpoint t ON t.advertiser_id = k.advertiser_id AND t.visitor = k.value AND t.id >= %s
WHERE k.person_id = ANY(%s::uuid[]) AND k.kind = 'VISITOR'
"""
NAMING = """
SELECT id FROM tracking_conversion WHERE advertiser_id = %s AND click_ids <> '{}' AND click_ids && %s::uuid[]
"""
PERSONS_OF = """
SELECT DISTINCT person_id FROM tracking_identitykey
WHERE advertiser_id = %s AND kind = 'VISITOR' AND value = ANY(%s::uuid[]) AND person_id IS NOT NULL
"""
CLICKS_OF_VISITORS = """
SELECT t.id FROM unnest(%s::uuid[]) AS w(visitor)
JOIN tracking_touchpoint t ON t.advertiser_id = %s AND t.visitor = w.visitor AND t.id >= %s
WHERE EXISTS (SELECT 1 FROM tracking_conversion WHERE advertiser_id = %s AND click_ids <> '{}')
"""
# Those judged to repeat a first, and those that are alike and may be judged so just now: these are on the work list.
REPEATING = MARK.format(
    rows="""
    SELECT c.id, c.advertiser_id, 0, '', %s::timestamptz FROM tracking_conversion c
    WHERE c.id IN (
        SELECT d.conversion_id FROM tracking_duplicate d WHERE d.original_id = ANY(%s::uuid[])
        UNION
        SELECT w.conversion_id FROM tracking_conversion f
        JOIN tracking_conversion a ON a.advertiser_id = f.advertiser_id AND a.campaign_id = f.campaign_id
            AND a.click_ids <> '{}' AND a.click_ids && f.click_ids
        JOIN tracking_unsettled w ON w.conversion_id = a.id
        WHERE f.id = ANY(%s::uuid[]) AND a.id <> f.id
        UNION
        SELECT w.conversion_id FROM tracking_sighting f
        JOIN tracking_sighting a ON a.key_id = f.key_id AND a.conversion_id <> f.conversion_id
        JOIN tracking_unsettled w ON w.conversion_id = a.conversion_id
        WHERE f.conversion_id = ANY(%s::uuid[])
    )
    ORDER BY c.id
    """
)
CLICKS_LAST = timedelta(days=366)
NOTE_CLICKS = """
INSERT INTO tracking_awaitedclick (conversion_id, advertiser_id, click_id)
SELECT c.id, c.advertiser_id, k.click_id
FROM tracking_conversion c CROSS JOIN LATERAL unnest(c.click_ids) AS k(click_id)
WHERE c.id = ANY(%s::uuid[])
  AND NOT EXISTS (SELECT 1 FROM tracking_touchpoint t WHERE t.id = k.click_id)
ON CONFLICT DO NOTHING
"""


def wake_conversions_of_visitors(
    *, advertiser: Advertiser, visitors: Collection[UUID], since: datetime, now: datetime
) -> int:
    """Mark conversions of visitors from a moment on, where a touch before them was just written; return how many.

    Runs in the transaction that writes the touches. What is stored and settled before that commits sees nothing of it,
    and is marked by the sweep.
    """
    Stirred.objects.create(advertiser=advertiser, visitors=list(visitors), since=since)
    return mark_visitors(advertiser_id=advertiser.pk, visitors=visitors, since=since, now=now)


def wake_conversions_of_persons(
    *, advertiser_id: int, persons: Collection[UUID], keys: Collection[int] = (), now: datetime
) -> int:
    """Mark the conversions of persons who were gathered or parted, and of keys that no longer join; return how many.

    Decided ones stay as they are: settling passes over them. Runs in the transaction that moves the keys; what is
    stored and settled before that commits sees nothing of it, and is marked by the sweep.
    """
    Stirred.objects.create(advertiser_id=advertiser_id, persons=list(persons), keys=list(keys))
    return mark_persons(advertiser_id=advertiser_id, persons=persons, keys=keys, now=now)


def wake_repeats_of(*, advertiser_id: int, rejected: Collection[str]) -> None:
    """Let those conversions be judged again that repeat rejected ones, once the rejection is committed.

    Only the mark is written here, and the sweep does the waking: it finds too what is settled at the same moment by
    somebody who does not see the rejection yet, and holds no decision while it waits for that.
    """
    of_scopes = FirstOfScope.objects.filter(conversion__in=list(rejected))
    firsts = sorted(set(of_scopes.values_list("conversion_id", flat=True)))
    if firsts:
        Stirred.objects.create(advertiser_id=advertiser_id, firsts=firsts)


def mark_repeats(*, firsts: Collection[UUID | str], now: datetime) -> int:
    """Mark the conversions that repeat firsts, or are about to be judged so; return how many."""
    return run_sql(REPEATING, [now, *[array_of(list(firsts))] * 3])


def mark_visitors(*, advertiser_id: int, visitors: Collection[UUID], since: datetime, now: datetime) -> int:
    """Mark the conversions of visitors that are there, from a moment on; return how many.

    These are their own, those that name a click of theirs, and those of whoever is the same person on another device.
    """
    whose = array_of(visitors)
    woken = run_sql(OF_VISITORS, [now, advertiser_id, whose, since])
    clicks = read_rows(CLICKS_OF_VISITORS, [whose, advertiser_id, uuid7_floor(now - CLICKS_LAST), advertiser_id])
    if clicks:
        found = {row[0] for row in read_rows(NAMING, [advertiser_id, array_of(row[0] for row in clicks)])}
        woken += run_sql(OF_CONVERSIONS, [now, array_of(sorted(found))]) if found else 0
    persons = [row[0] for row in read_rows(PERSONS_OF, [advertiser_id, whose])]
    return woken + (mark_persons(advertiser_id=advertiser_id, persons=persons, keys=(), now=now) if persons else 0)


def mark_persons(*, advertiser_id: int, persons: Collection[UUID], keys: Collection[int], now: datetime) -> int:
    """Mark the conversions of persons and of keys that are there; return how many."""
    whose = array_of(persons)
    found = {row[0] for row in read_rows(SEEN_WITH, [whose, array_of(keys), whose])}
    clicks = [row[0] for row in read_rows(CLICKS_OF, [uuid7_floor(now - CLICKS_LAST), whose])]
    if clicks:
        found |= {row[0] for row in read_rows(NAMING, [advertiser_id, array_of(clicks)])}
    return run_sql(OF_CONVERSIONS, [now, array_of(sorted(found))]) if found else 0


def note_awaited_clicks(conversion_ids: Collection[str]) -> None:
    """Remember the click ids that conversions name and that are not there yet; their clicks are looked for later."""
    if conversion_ids:
        run_sql(NOTE_CLICKS, [array_of(list(conversion_ids))])


def unpark_conversions(
    *,
    campaign: Campaign | None = None,
    advertiser: Advertiser | None = None,
    conversion_ids: Collection[UUID] | None = None,
) -> int:
    """Try parked conversions again, of a campaign, of an advertiser or those named; return how many."""
    rows = Unsettled.objects.filter(parked_at__isnull=False)
    if campaign is not None:
        rows = rows.filter(conversion__campaign=campaign)
    if advertiser is not None:
        rows = rows.filter(advertiser=advertiser)
    if conversion_ids is not None:
        rows = rows.filter(pk__in=conversion_ids)
    return rows.update(parked_at=None, attempts=0, last_error="")
