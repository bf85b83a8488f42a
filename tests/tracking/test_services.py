"""Storing conversions: once each, on the work list, and never overwritten."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection

from apps.core.errors import Invalid
from apps.tracking.models import Conversion, ConversionLine, RejectedEvent, Unsettled
from apps.tracking.rules.basket import LineFact
from apps.tracking.rules.conversions import ConversionFact
from apps.tracking.selectors import link_target
from apps.tracking.services import (
    OrderRefConflict,
    Recorded,
    forget_rejections,
    record_conversion,
    record_rejection,
)
from tests.cast import NOON, join, make_advertiser, make_campaign, make_partner

FACT = ConversionFact(
    goal="SALE",
    order_ref="A1",
    amount_minor=10_000,
    currency="EUR",
    lines=(LineFact(6_000, sku="L1"), LineFact(2_000, 2, category="B")),
)


@pytest.fixture
def campaign(db):
    return make_campaign(make_advertiser())


def test_conversion_is_stored_with_its_lines_and_put_on_the_work_list(campaign):
    recorded = record_conversion(campaign=campaign, fact=FACT, now=NOON)

    conversion = Conversion.objects.get()
    lines = ConversionLine.objects.order_by("position").values_list("position", "sku", "quantity", "unit_price_minor")
    assert recorded == Recorded(conversion.id, created=True)
    assert (conversion.occurred_at, conversion.recorded_at, conversion.advertiser) == (NOON, NOON, campaign.advertiser)
    assert list(lines) == [(1, "L1", 1, 6_000), (2, "", 2, 2_000)]
    assert list(Unsettled.objects.values_list("conversion_id", flat=True)) == [conversion.id]


def test_exact_repeat_is_the_first_one_again(campaign):
    first = record_conversion(campaign=campaign, fact=FACT, now=NOON)
    again = record_conversion(campaign=campaign, fact=FACT, now=NOON + timedelta(days=3), source="api")

    assert again == Recorded(first.id, created=False)
    assert (Conversion.objects.count(), ConversionLine.objects.count(), Unsettled.objects.count()) == (1, 2, 1)


@pytest.mark.parametrize("change", [{"amount_minor": 10_001}, {"coupons": ("SAVE10",)}, {"lines": ()}])
def test_same_key_with_other_content_is_refused_and_changes_nothing(campaign, change):
    first = record_conversion(campaign=campaign, fact=FACT, now=NOON)
    before = Conversion.objects.values().get()

    with pytest.raises(OrderRefConflict) as refused:
        record_conversion(campaign=campaign, fact=replace(FACT, **change), now=NOON)

    assert refused.value.details == {"conversion_id": str(first.id)}
    assert Conversion.objects.values().get() == before
    assert ConversionLine.objects.count() == 2


def test_one_order_sent_to_two_campaigns_is_not_recorded_twice(campaign):
    other = make_campaign(campaign.advertiser, slug="acme-outlet")
    record_conversion(campaign=campaign, fact=FACT, now=NOON)

    with pytest.raises(OrderRefConflict):
        record_conversion(campaign=other, fact=FACT, now=NOON)

    assert Conversion.objects.count() == 1


def test_key_is_of_the_advertiser_and_the_goal(campaign):
    stranger = make_campaign(make_advertiser("globex"), slug="globex-shop")

    record_conversion(campaign=campaign, fact=FACT, now=NOON)
    record_conversion(campaign=campaign, fact=replace(FACT, goal="LEAD"), now=NOON)
    record_conversion(campaign=stranger, fact=FACT, now=NOON)

    assert Conversion.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_eight_identical_calls_at_once_are_one_conversion():
    campaign = make_campaign(make_advertiser())
    together, outcomes = threading.Barrier(8), []

    def call() -> None:
        together.wait()
        outcomes.append(record_conversion(campaign=campaign, fact=FACT, now=NOON))
        connection.close()

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcome.created for outcome in outcomes) == [False] * 7 + [True]
    assert len({outcome.id for outcome in outcomes}) == 1
    assert (Conversion.objects.count(), ConversionLine.objects.count(), Unsettled.objects.count()) == (1, 2, 1)


def test_refused_call_is_kept_cut_short_and_without_personal_data(campaign):
    payload = {"amount": "1,5", "email_sha256": "ab", "sku": "x" * 1000, "goal": "a\x00b\ud800", "coupon": ["a", "b"]}
    payload |= {f"f{n}": "" for n in range(100)}

    record_rejection(
        advertiser=campaign.advertiser,
        campaign=campaign,
        door="s2s",
        refusal=Invalid("m" * 400),
        payload=payload,
        now=NOON,
    )

    event = RejectedEvent.objects.get()
    assert (event.code, event.message, event.at, event.door) == ("invalid", "m" * 300, NOON, "s2s")
    assert event.payload["amount"] == "1,5"
    assert event.payload["email_sha256"] == "…"
    assert event.payload["sku"] == "x" * 300 + "…"
    assert event.payload["goal"] == "ab?"
    assert event.payload["coupon"] == "a, b"
    assert event.payload["…"] == "45 more"


def test_of_a_refused_calls_unknown_fields_only_the_names_are_kept(campaign):
    customer = {"email": "ada@x.example", "id": "4711"}
    told = {"sku": "TENT", "customer_name": "Ada", "name": "Tent of ada@x.example"}
    payload = {
        "customer_email": "ada@x.example",
        "Customer": customer,
        "lines": [{**told, "quantity": 2}],
        "parts": json.dumps([told]),
        "url": "https://shop.example/p?mail=Ada%40x.example",
        "order_ref": "ADA%40X.example",
        "ada@x.example": "Ada",
        "coupon": '{"name": "Ada',
        "conversions": [{"amount": "1,5", "customer": customer}],
    }
    refusal = Invalid("There is no ada@x.example.", code="invalid_amount")

    event = record_rejection(
        advertiser=campaign.advertiser, campaign=campaign, door="s2s", refusal=refusal, payload=payload, now=NOON
    )

    line = {"sku": "TENT", "customer_name": "…", "name": "Tent of …"}
    assert event.payload == {
        "customer_email": "…",
        "Customer": "…",
        "lines": [{**line, "quantity": "2"}],
        "parts": [line],
        "url": "https://shop.example/p?…",
        "order_ref": "…",
        "…": "…",
        "coupon": "…",
        "conversions": [{"amount": "1,5", "customer": "…"}],
    }
    assert event.message == "There is no …"


def test_refused_calls_are_forgotten_after_thirty_days(campaign):
    for days in (31, 29, 0):
        RejectedEvent.objects.create(at=NOON - timedelta(days=days), door="s2s", code=f"{days}", message="")

    assert forget_rejections(now=NOON) == 1
    assert sorted(RejectedEvent.objects.values_list("code", flat=True)) == ["0", "29"]
    assert "apps.pipeline.tasks.keep_rejected" in {row["task"] for row in settings.CELERY_BEAT_SCHEDULE.values()}


def test_link_leads_to_its_own_page_only_within_the_campaigns_hosts(campaign):
    link = join(make_partner(kind="COUPON"), campaign).links.get()

    for own, landing in [
        ("", "https://shop.acme.example/"),
        ("https://shop.acme.example/sale", "https://shop.acme.example/sale"),
        ("https://evil.example/", "https://shop.acme.example/"),
    ]:
        link.landing_url = own
        link.save()
        target = link_target(link.code)
        assert (target.landing, target.channel, target.refusal_at(NOON)) == (landing, "coupon", "")


def test_link_is_looked_up_in_two_queries(campaign, django_assert_num_queries):
    link = join(make_partner(), campaign).links.get()

    with django_assert_num_queries(2):
        link_target(link.code)
    assert link_target("nobody") is None
