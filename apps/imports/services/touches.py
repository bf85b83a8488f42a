"""Store touchpoints by COPY: what is there already stays, and is compared with what came."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import connection

from apps.campaigns.models import Campaign
from apps.imports.rules.cells import RowRefused
from apps.imports.rules.tables import Batch, refuse
from apps.imports.rules.touches import TOUCHES, TouchFact
from apps.imports.services.runs import Stored
from apps.tracking.waking import wake_conversions_of_visitors

STAGE = """
    CREATE TEMPORARY TABLE IF NOT EXISTS staged_touch (
        place int, id uuid, partner_id bigint, ad_space_id bigint, visitor uuid, occurred_at timestamptz,
        kind text, channel text, channel_class text, goal text, country text, device text
    ) ON COMMIT DROP;
    TRUNCATE staged_touch
"""
COPY = "COPY staged_touch FROM STDIN"
INSERT = """
    INSERT INTO tracking_touchpoint (
        id, advertiser_id, campaign_id, partner_id, ad_space_id, visitor, occurred_at, recorded_at,
        kind, channel, channel_class, goal, country, device
    )
    SELECT id, %(advertiser)s, %(campaign)s, nullif(partner_id, 0), nullif(ad_space_id, 0), visitor, occurred_at,
        %(now)s, kind, channel, channel_class, goal, country, device
    FROM staged_touch ORDER BY id, place
    ON CONFLICT (id) DO NOTHING
"""
CONFLICTS = """
    SELECT s.place FROM staged_touch s JOIN tracking_touchpoint t ON t.id = s.id
    WHERE (
        t.advertiser_id, t.campaign_id, t.partner_id, t.ad_space_id, t.visitor, t.occurred_at,
        t.kind, t.channel, t.channel_class, t.goal, t.country, t.device
    ) IS DISTINCT FROM (
        %(advertiser)s::bigint, %(campaign)s::bigint, nullif(s.partner_id, 0), nullif(s.ad_space_id, 0), s.visitor,
        s.occurred_at, s.kind, s.channel, s.channel_class, s.goal, s.country, s.device
    )
    ORDER BY s.place
"""
CONFLICT = RowRefused(
    "This touch_id and moment are recorded already, with other content.", code="touch_conflict", path="touch_id"
)


def store_touches(batch: Batch[TouchFact], *, campaign: Campaign, now: datetime) -> Stored:
    """Store a batch of touchpoints in the caller's transaction; a repeat of the same content adds nothing.

    Conversions of these visitors that are there already are settled again.
    """
    context: dict[str, int | datetime] = {"advertiser": campaign.advertiser_id, "campaign": campaign.pk, "now": now}
    with connection.cursor() as cursor:
        cursor.execute(STAGE)
        with cursor.copy(COPY) as copy:
            copy.write(copy_text(batch.facts))
        cursor.execute(INSERT, context)
        added, conflicts = cursor.rowcount, []
        if added < len(batch.facts):
            cursor.execute("ANALYZE staged_touch")
            cursor.execute(CONFLICTS, context)
            conflicts = [refuse(batch.rows[place], TOUCHES, CONFLICT) for (place,) in cursor.fetchall()]
    if added:
        wake_conversions_of_visitors(
            advertiser=campaign.advertiser,
            visitors={fact.visitor for fact in batch.facts},
            since=min(fact.occurred_at for fact in batch.facts),
            now=now,
        )
    return Stored(added, len(batch.facts) - added - len(conflicts), [*batch.refused, *conflicts])


def copy_text(facts: Iterable[TouchFact]) -> str:
    """Return rows in COPY's text format: cells hold no control characters, so that only backslashes are escaped."""
    lines = [
        f"{place}\t{id_.hex}\t{partner or 0}\t{space or 0}\t{visitor.hex}\t{at}\t"
        f"{kind}\t{channel}\t{class_}\t{goal}\t{country}\t{device}\n"
        for place, (
            id_, partner, space, visitor, at, kind, channel, class_, goal, country, device
        ) in enumerate(facts)
    ]  # fmt: skip
    return "".join(lines).replace("\\", "\\\\")
