"""A duplicate says so wherever its status is asked."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from apps.campaigns.models import Campaign
from apps.core.actors import SYSTEM
from apps.insights.partner_conversions import commissions_of_partner, conversion_rows
from apps.pipeline.services.deciding import reject_conversions
from apps.pipeline.services.settling import settle_waiting
from apps.tracking.rules.clicks import sign_click
from apps.tracking.selectors import click_keys
from tests.cast import NOON, make_cast, make_conversion, make_member, make_touch


def test_api_console_and_partner_say_duplicate(caller):
    acme = make_cast()
    Campaign.objects.update(dedup_scope="CLICK")
    click = make_touch(acme.enrollments.blog, NOON - timedelta(days=1), uuid4())
    first, second = (
        make_conversion(acme.campaign, 100_00, NOON - timedelta(hours=2 - number), f"A-{number}", click_ids=[click.pk])
        for number in (1, 2)
    )
    settle_waiting(now=NOON)
    owner = caller(acme.advertiser)

    told = {
        row["order_ref"]: (row["status"], row["duplicate_of"]) for row in owner.get("/conversions/").json()["results"]
    }
    assert told == {"A-1": ("PENDING", None), "A-2": ("DUPLICATE", str(first.pk))}
    for status, orders in (("DUPLICATE", ["A-2"]), ("PENDING", ["A-1"])):
        found = owner.get("/conversions/", {"status": status}).json()["results"]
        assert [row["order_ref"] for row in found] == orders
    rows = conversion_rows(commissions_of_partner(partner=acme.partners.blog), partner=acme.partners.blog, now=NOON)
    assert {row.order_ref: (row.status, row.reason) for row in rows} == {
        "A-1": ("PENDING", ""), "A-2": ("DUPLICATE", "duplicate"),
    }  # fmt: skip
    console = Client()
    console.force_login(make_member(acme.advertiser), backend="django.contrib.auth.backends.ModelBackend")
    listed = console.get(reverse("admin:tracking_conversion_changelist"), {"state": "duplicates"}).text
    assert "A-2" in listed and "A-1" not in listed
    page = console.get(reverse("admin:tracking_conversion_change", args=[second.pk])).text
    assert "Duplicate" in page and "it repeats order A-1" in page


@pytest.mark.parametrize("scope", ["CLICK", "CUSTOMER_GOAL"])
@pytest.mark.parametrize("settled_between", [False, True])
def test_whoever_tells_a_duplicate_is_told_so_the_first_time_and_every_time(caller, scope, settled_between):
    acme = make_cast()
    Campaign.objects.update(dedup_scope=scope, dedup_days=30)
    click = make_touch(acme.enrollments.blog, NOON - timedelta(days=1), uuid4())
    token = sign_click(click.pk, acme.campaign.pk, click_keys()[0])
    owner = caller(acme.advertiser)

    def tell(order: str, **fields) -> dict:
        told = {"campaign": "acme-shop", "order_ref": order, "amount": "10.00", "tclid": [token], "customer_id": "c7"}
        return owner.post("/conversions/", {**told, **fields}).json()

    first = tell("A-1", occurred_at="2026-03-10T10:00:00Z")
    if settled_between:
        settle_waiting(now=NOON)
    told = [tell("A-2")]
    settle_waiting(now=NOON)
    told.append(tell("A-2"))

    assert told[0] == told[1]
    assert (told[0]["status"], told[0]["duplicate_of"]) == ("DUPLICATE", first["id"])
    assert (first["status"], "duplicate_of" in first) == ("PENDING", False)
    assert tell("A-1", occurred_at="2026-03-10T10:00:00Z") == first
    rejected = {"advertiser": acme.advertiser, "conversion_ids": [first["id"]], "actor": SYSTEM, "now": NOON}
    reject_conversions(**rejected, reason="cancelled")
    assert tell("A-3")["status"] == "PENDING"
