"""Fifty thousand visitors: what settling and joining ask of the person graph goes by index, never through a table."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest
from django.db import connection

from apps.core.reading import array_of, read_rows
from apps.journeys.selectors import ARE_KEYS, SAME_PERSONS
from apps.tracking.identifying import HISTORY, PERSONS_OF
from apps.tracking.joining import FIND, LINKED, LINKS, OF_PERSONS, join_keys
from apps.tracking.models import IdentityKey, Merge
from apps.tracking.rules.persons import CUSTOMER, VISITOR, Key
from apps.tracking.waking import NAMING, SEEN_WITH
from tests.cast import NOON, make_cast

VISITORS = 50_000
FILL = (
    """
INSERT INTO tracking_person (id, advertiser_id, created_at)
SELECT ('10000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, %(a)s, now() FROM generate_series(1, %(n)s / 2) n
""",
    """
INSERT INTO tracking_identitykey (advertiser_id, kind, value, person_id, first_seen_at)
SELECT %(a)s, k.kind, ('20000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid,
       ('10000000-0000-4000-8000-' || lpad((1 + n / k.per)::text, 12, '0'))::uuid, now()
FROM (VALUES ('VISITOR', %(n)s, 2), ('CUSTOMER', %(n)s / 2, 1)) k(kind, many, per), generate_series(0, k.many - 1) n
""",
    "ANALYZE tracking_identitykey",
    """
INSERT INTO tracking_identitylink (advertiser_id, low_id, high_id, first_seen_at)
SELECT %(a)s, least(v.id, c.id), greatest(v.id, c.id), now() FROM tracking_identitykey v
JOIN tracking_identitykey c ON c.person_id = v.person_id AND c.kind = 'CUSTOMER' WHERE v.kind = 'VISITOR'
""",
    """
INSERT INTO tracking_conversion (id, advertiser_id, campaign_id, goal, order_ref, occurred_at, recorded_at,
    amount_minor, discount_minor, currency, click_ids, coupons, country, device, is_test, source, content_hash)
SELECT gen_random_uuid(), %(a)s, %(c)s, 'SALE', n::text, now(), now(), 100, 0, 'EUR', ARRAY[gen_random_uuid()], '{}',
    '', '', false, 's2s', '' FROM generate_series(1, %(n)s / 2) n
""",
    "ANALYZE tracking_conversion",
    """
INSERT INTO tracking_sighting (advertiser_id, conversion_id, kind, key_id)
SELECT %(a)s, c.id, 'CUSTOMER', k.id FROM
    (SELECT id, row_number() OVER (ORDER BY id) AS place FROM tracking_conversion) c
    JOIN (SELECT id, row_number() OVER (ORDER BY id) AS place FROM tracking_identitykey WHERE kind = 'CUSTOMER') k
    USING (place)
""",
)
BATCH = 50
TABLES = ("person", "identitykey", "identitylink", "conversion", "sighting")


@pytest.fixture
def acme(db):
    cast = make_cast()
    with connection.cursor() as cursor:
        for statement in FILL:
            cursor.execute(statement, {"a": cast.advertiser.pk, "c": cast.campaign.pk, "n": VISITORS})
        for table in TABLES:
            cursor.execute(f"ANALYZE tracking_{table}")
    return cast


def scans(sql, parameters) -> set[str]:
    """Return the tables that a query reads from end to end."""
    plan = read_rows(f"EXPLAIN (FORMAT JSON) {sql}", parameters)[0][0]
    found, left = set(), [node["Plan"] for node in (json.loads(plan) if isinstance(plan, str) else plan)]
    while left:
        node = left.pop()
        left += node.get("Plans", [])
        if node["Node Type"] == "Seq Scan":
            found.add(node["Relation Name"])
    return found


def test_queries_of_the_person_graph_go_by_index(acme):
    a = acme.advertiser.pk
    keys = list(IdentityKey.objects.filter(kind=VISITOR)[:BATCH].values_list("pk", "value", "person"))
    ids, values, persons = (array_of(column) for column in zip(*keys, strict=True))
    few = array_of([keys[0][2], keys[1][2]])
    orders = array_of(read for (read,) in read_rows("SELECT id FROM tracking_conversion LIMIT 50", []))
    places, kinds = array_of(range(BATCH)), array_of([VISITOR] * BATCH)
    asked = {
        ARE_KEYS: [array_of([a])],
        SAME_PERSONS: [places, array_of([a] * BATCH), values, places, orders],
        FIND: [kinds, values, a],
        OF_PERSONS: [persons],
        LINKED: [ids, ids],
        LINKS: [array_of([keys[0][0]]), array_of([keys[0][0]])],
        PERSONS_OF: [ids],
        HISTORY: [few],
        SEEN_WITH: [few, array_of([keys[0][0]]), few],
        NAMING: [a, array_of([uuid4()])],
    }
    assert {sql: found for sql, parameters in asked.items() if (found := scans(sql, parameters))} in (
        {}, {ARE_KEYS: {"tracking_identitykey"}},  # one row of a table that is all the advertiser's
    )  # fmt: skip


def test_a_merge_among_many_touches_only_its_own(acme):
    sight = [Key(VISITOR, uuid4()), Key(CUSTOMER, IdentityKey.objects.filter(kind=CUSTOMER).first().value)]
    join_keys(advertiser_id=acme.advertiser.pk, sights=[sight], now=NOON)
    assert Merge.objects.get().moved == [IdentityKey.objects.latest("pk").pk]
