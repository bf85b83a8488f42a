"""Raw client data: apart from the facts, cut short, by day, and gone after 30 days."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection

from apps.core.ids import uuid7
from apps.tracking.client_data import DEFAULT, day_name, keep_days
from apps.tracking.models import ClientData
from apps.tracking.rules.clients import Client, client_of, network_of
from apps.tracking.rules.conversions import ConversionFact
from apps.tracking.services import record_conversion
from tests.cast import NOON, make_advertiser, make_campaign


@pytest.mark.parametrize(
    ("source", "network"),
    [
        ("203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("::ffff:203.0.113.77", "203.0.113.0/24"),
        ("fe80::1%eth0", "fe80::/48"),
        ("unix:", ""),
    ],
)
def test_addresses_are_cut_to_their_network(source, network):
    assert network_of(source) == network


def test_what_is_kept_of_a_call_is_short_and_storable():
    client = client_of({"user-agent": "M\x00" + "x" * 999, "referer": "https://a.example/\ud800"}, "192.0.2.9")
    assert client == Client("M" + "x" * 498, "192.0.2.0/24", "https://a.example/")


def kept(advertiser, at) -> ClientData:
    return ClientData.objects.create(id=uuid7(at), advertiser=advertiser, user_agent="Mozilla")


def in_default() -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {DEFAULT}")
        return cursor.fetchone()[0]


@pytest.mark.django_db
def test_days_are_made_ahead_and_dropped_after_thirty_days():
    advertiser = make_advertiser()
    day = timedelta(days=1)
    kept(advertiser, NOON - 31 * day)
    kept(advertiser, NOON - 30 * day)
    row = kept(advertiser, NOON)
    made, dropped = keep_days(now=NOON)
    assert (made, dropped) == ([day_name((NOON + n * day).date()) for n in range(4)], [])
    assert ClientData.objects.count() == 2 and in_default() == 1
    assert keep_days(now=NOON) == ([], [])
    made, dropped = keep_days(now=NOON + 30 * day)
    assert ClientData.objects.get() == row and dropped == []
    assert keep_days(now=NOON + 31 * day)[1] == [day_name(NOON.date())]
    assert not ClientData.objects.exists()


@pytest.mark.django_db
def test_a_conversion_keeps_what_its_call_said_apart_and_once():
    campaign = make_campaign(make_advertiser())
    fact = ConversionFact("SALE", "A-1", 100_00, "EUR")
    call = {"client": Client("curl", "192.0.2.0/24"), "payload": {"order_ref": "A-1", "sig": "s3", "p": "x" * 999}}
    first = record_conversion(campaign=campaign, fact=fact, now=NOON, **call)
    record_conversion(campaign=campaign, fact=fact, now=NOON, **call)
    row = ClientData.objects.get()
    assert (row.pk, row.user_agent, row.address) == (first.id, "curl", "192.0.2.0/24")
    assert row.payload == {"order_ref": "A-1", "sig": "…", "p": "x" * 300 + "…"}
