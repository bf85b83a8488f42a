"""Store conversions; the database puts each new one on the work list of settling."""

from __future__ import annotations

from datetime import datetime

from django.db import connection

from apps.campaigns.models import Campaign
from apps.imports.rules.cells import RowRefused
from apps.imports.rules.conversions import CONVERSIONS, OrderFact
from apps.imports.rules.tables import Batch, refuse
from apps.imports.services.runs import Stored

COLUMNS = ", ".join(OrderFact._fields)
STAGE = """
    CREATE TEMPORARY TABLE IF NOT EXISTS staged_conversion (
        place int, id uuid, goal text, order_ref text, occurred_at timestamptz, amount_minor bigint,
        discount_minor bigint, currency text, visitor uuid, coupons varchar[], new_customer boolean,
        country text, device text, content_hash text
    ) ON COMMIT DROP;
    TRUNCATE staged_conversion
"""
COPY = f"COPY staged_conversion (place, {COLUMNS}) FROM STDIN"
INSERT = f"""
    INSERT INTO tracking_conversion ({COLUMNS}, advertiser_id, campaign_id, recorded_at, click_ids, is_test, source)
    SELECT {COLUMNS}, %(advertiser)s, %(campaign)s, %(now)s, '{{}}', false, 'history'
    FROM staged_conversion ORDER BY place
    ON CONFLICT DO NOTHING
"""
CONFLICTS = """
    SELECT s.place FROM staged_conversion s
    JOIN tracking_conversion c USING (goal, order_ref)
    WHERE c.advertiser_id = %(advertiser)s AND c.content_hash <> s.content_hash
    ORDER BY s.place
"""
CONFLICT = RowRefused(
    "This order number is recorded already, with other content.", code="order_ref_conflict", path="order_ref"
)


def store_conversions(batch: Batch[OrderFact], *, campaign: Campaign, now: datetime) -> Stored:
    """Store a batch of conversions in the caller's transaction; a repeat of the same content adds nothing."""
    context: dict[str, int | datetime] = {"advertiser": campaign.advertiser_id, "campaign": campaign.pk, "now": now}
    with connection.cursor() as cursor:
        cursor.execute(STAGE)
        with cursor.copy(COPY) as copy:
            for place, fact in enumerate(batch.facts):
                copy.write_row((place, *fact))
        cursor.execute(INSERT, context)
        added, conflicts = cursor.rowcount, []
        if added < len(batch.facts):
            cursor.execute("ANALYZE staged_conversion")
            cursor.execute(CONFLICTS, context)
            conflicts = [refuse(batch.rows[place], CONVERSIONS, CONFLICT) for (place,) in cursor.fetchall()]
    return Stored(added, len(batch.facts) - added - len(conflicts), [*batch.refused, *conflicts])
