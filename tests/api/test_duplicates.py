"""A duplicate says so wherever its status is asked."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

from django.test import Client
from django.urls import reverse

from apps.campaigns.models import Campaign
from apps.insights.partner_conversions import commissions_of_partner, conversion_rows
from apps.pipeline.services.settling import settle_waiting
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
