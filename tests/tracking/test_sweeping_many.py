"""What waits for good costs little: a turn looks at what is due, by its index, and at each the more seldom."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from apps.core.ids import uuid7
from apps.pipeline.services.receiving import receive_conversion, receive_refund
from apps.tracking import sweeping
from apps.tracking.models import AwaitedClick, AwaitedSale, Unsettled
from apps.tracking.rules.conversions import ConversionFact
from apps.tracking.sweeping import ARRIVED, CLICKED, LOOKED_FOR, wake_awaited
from tests.cast import NOON, make_cast, make_conversion, make_touch

pytestmark = pytest.mark.django_db
MANY = 30_000
REFUNDS = """
INSERT INTO tracking_refund (advertiser_id, goal, order_ref, refund_ref, kind, lines, reason, occurred_at, recorded_at,
    content_hash)
SELECT %(advertiser)s, 'SALE', 'OTHER-' || n, 'R', 'WHOLE', '[]', 'returned', now(), now(), ''
FROM generate_series(1, %(many)s) n
"""
WAITING = """
INSERT INTO tracking_awaitedsale (refund_id, advertiser_id, since, look_at)
SELECT id, advertiser_id, now() - interval '30 days', now() + interval '1 hour' FROM tracking_refund
ON CONFLICT (refund_id) DO UPDATE SET since = excluded.since, look_at = excluded.look_at;
INSERT INTO tracking_awaitedclick (conversion_id, advertiser_id, click_id, since, look_at)
SELECT %(sale)s, %(advertiser)s, gen_random_uuid(), now() - interval '30 days', now() + interval '1 hour'
FROM generate_series(1, %(many)s) n;
ANALYZE tracking_refund; ANALYZE tracking_awaitedsale; ANALYZE tracking_awaitedclick
"""


@pytest.fixture
def acme():
    return make_cast()


def test_a_turn_does_not_read_what_is_not_due(acme):
    sale = make_conversion(acme.campaign)
    values = {"advertiser": acme.advertiser.pk, "many": MANY, "sale": sale.pk}
    with connection.cursor() as cursor:
        for statement in (REFUNDS, *WAITING.split(";")):
            cursor.execute(statement, values)
    receive_refund(advertiser=acme.advertiser, fields={"order_ref": "A-1", "refund_ref": "R", "whole": True}, now=NOON)

    for statement in (ARRIVED, CLICKED):
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF) {statement}", [acme.advertiser.pk, LOOKED_FOR])
            plan = "\n".join(row[0] for row in cursor.fetchall())
        assert "to_look_for" in plan, plan
        assert "Seq Scan on tracking_refund" not in plan and "Seq Scan on tracking_awaited" not in plan, plan
        read = max(float(line.split("rows=")[2].split()[0]) for line in plan.splitlines() if line.count("rows=") > 1)
        assert read <= 10, plan


def wait_for(acme):
    """Let an order's refund and a sale's click wait."""
    refund = {"order_ref": "A-1", "refund_ref": "R", "whole": True}
    receive_refund(advertiser=acme.advertiser, fields=refund, now=NOON)
    id_ = uuid7(NOON - timedelta(hours=1))
    sale = make_conversion(acme.campaign, order_ref="A-2", click_ids=[id_])
    AwaitedClick.objects.create(conversion=sale, advertiser=acme.advertiser, click_id=id_)
    Unsettled.objects.all().delete()
    return id_


@pytest.mark.parametrize("model", [AwaitedSale, AwaitedClick])
def test_the_longer_something_waits_the_more_seldom_it_is_looked_for(acme, model):
    wait_for(acme)
    now = timezone.now()
    for age, pause in ((1, 0), (60, 60), (300, 300), (60 * 24 * 30, 360)):
        waited = timedelta(minutes=age)
        model.objects.update(since=now - waited, look_at=now - timedelta(seconds=1))
        wake_awaited(now=NOON)
        next_look = model.objects.get().look_at - now
        assert timedelta(minutes=pause) - timedelta(seconds=1) <= next_look <= timedelta(minutes=pause, seconds=30)


def test_what_comes_after_long_is_found_when_it_is_due(acme):
    id_ = wait_for(acme)
    past = timezone.now() - timedelta(days=3)
    for model in (AwaitedSale, AwaitedClick):
        model.objects.update(since=past, look_at=timezone.now() + timedelta(hours=1))
    make_touch(acme.enrollments.blog, NOON - timedelta(hours=1), uuid4(), id=id_)
    receive_conversion(campaign=acme.campaign, fact=ConversionFact("SALE", "A-1", 10_00, "EUR"), now=NOON)
    assert wake_awaited(now=NOON) == 0

    for model in (AwaitedSale, AwaitedClick):
        model.objects.update(look_at=timezone.now() - timedelta(seconds=1))
    assert wake_awaited(now=NOON) == 2
    assert not AwaitedSale.objects.exists() and not AwaitedClick.objects.exists()


def test_a_click_is_waited_for_until_it_can_no_longer_count(acme):
    wait_for(acme)
    for days, left in ((365, 1), (367, 0)):
        for model in (AwaitedSale, AwaitedClick):
            model.objects.update(since=timezone.now() - timedelta(days=days), look_at=timezone.now())
        assert wake_awaited(now=NOON) == 0
        assert (AwaitedSale.objects.count(), AwaitedClick.objects.count()) == (1, left)


def test_a_click_that_comes_at_the_very_last_is_found(acme):
    id_ = wait_for(acme)
    AwaitedClick.objects.update(since=timezone.now() - timedelta(days=400), look_at=timezone.now())
    make_touch(acme.enrollments.blog, NOON - timedelta(hours=1), uuid4(), id=id_)
    assert (wake_awaited(now=NOON), AwaitedClick.objects.count()) == (1, 0)


def test_what_is_more_than_a_turn_takes_is_taken_by_the_next_ones(acme, monkeypatch):
    monkeypatch.setattr(sweeping, "LOOKED_FOR", 2)
    for number in range(5):
        fields = {"order_ref": f"A-{number}", "refund_ref": "R", "whole": True}
        receive_refund(advertiser=acme.advertiser, fields=fields, now=NOON)
        make_conversion(acme.campaign, order_ref=f"A-{number}")
    assert [wake_awaited(now=NOON) for _ in range(4)] == [2, 2, 1, 0]
