"""Store conversions; the database puts each new one on the work list of settling."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import connection

from apps.campaigns.models import Campaign
from apps.imports.rules.cells import RowRefused
from apps.imports.rules.conversions import CONVERSIONS, OrderFact
from apps.imports.rules.tables import Batch, refuse
from apps.imports.services.runs import Stored
from apps.tracking.identifying import (
    NOBODY,
    Customer,
    Meeting,
    Standing,
    decide_standings,
    meet_customers,
    told_of_others,
    write_meetings,
)
from apps.tracking.models import Conversion

COLUMNS = ", ".join(name for name in OrderFact._fields if name != "identity")
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
    meeting, standings, others = _meet(batch.facts, campaign.advertiser_id, now)
    with connection.cursor() as cursor:
        cursor.execute(STAGE)
        with cursor.copy(COPY) as copy:
            for place, fact in enumerate(batch.facts):
                if fact.id in standings:
                    fact = fact._replace(new_customer=standings[fact.id].is_new)
                copy.write_row((place, *fact[:-1]))
        cursor.execute(INSERT, context)
        added, conflicts = cursor.rowcount, []
        if added < len(batch.facts):
            cursor.execute("ANALYZE staged_conversion")
            cursor.execute(CONFLICTS, context)
            places = {place for (place,) in cursor.fetchall()}
            places |= {place for place, fact in enumerate(batch.facts) if fact.id in others}
            conflicts = [refuse(batch.rows[place], CONVERSIONS, CONFLICT) for place in sorted(places)]
    if meeting.met:
        who = set(Conversion.objects.filter(pk__in=list(meeting.met)).values_list("pk", flat=True))
        owner = campaign.advertiser_id
        write_meetings(advertiser_id=owner, meeting=meeting, standings=standings, stored=who, now=now)
    return Stored(added, len(batch.facts) - added - len(conflicts), [*batch.refused, *conflicts])


def _meet(
    facts: Sequence[OrderFact], advertiser_id: int, now: datetime
) -> tuple[Meeting, dict[UUID, Standing], set[UUID]]:
    """Join the customers of new rows with their visitors; return also which rows repeat an order with another customer.

    A file without customers costs nothing here.
    """
    told = {fact.id: fact for fact in facts if fact.identity}
    if not told:
        return NOBODY, {}, set()
    own = Conversion.objects.filter(advertiser=advertiser_id, order_ref__in={fact.order_ref for fact in told.values()})
    there = {(goal, order_ref): id_ for id_, goal, order_ref in own.values_list("pk", "goal", "order_ref")}
    customers = [
        Customer(fact.id, fact.goal, fact.occurred_at, fact.identity, fact.visitor, told_new=fact.new_customer)
        for fact in told.values()
        if (fact.goal, fact.order_ref) not in there
    ]
    meeting = meet_customers(advertiser_id=advertiser_id, customers=customers, now=now)
    repeats = {id_: told[id_].identity for id_ in there.values() if id_ in told}
    others = told_of_others(advertiser_id=advertiser_id, told=repeats) if repeats else set()
    return meeting, decide_standings(advertiser_id=advertiser_id, customers=customers, met=meeting.met), others
