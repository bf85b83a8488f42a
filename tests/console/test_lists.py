"""Every list asks the database as often for three rows as for one."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apps.claims.rules import ClaimFact
from apps.claims.services import report_claim
from apps.core.actors import SYSTEM
from apps.identity.models import AdvertiserKey, Role
from apps.partners.models import PartnerGroup
from apps.pipeline.services.closing import close_month, issue_invoices, render_missing
from apps.pipeline.services.deciding import approve_conversions
from apps.records.models import AuditEntry
from apps.tracking.models import RejectedEvent
from tests.cast import (
    join,
    make_campaign,
    make_cast,
    make_coupon,
    make_member,
    make_partner,
    make_plan,
    make_policy,
    make_touch,
)
from tests.console.scene import sell, sign_in

pytestmark = pytest.mark.django_db


def add_campaign(acme, number):
    campaign = make_campaign(acme.advertiser, f"shop-{number}", name=f"Shop {number}")
    make_policy(campaign), make_plan(campaign)
    join(acme.partners.blog, campaign)


def add_partner(acme, number):
    join(make_partner(f"site-{number}"), acme.campaign)


def add_sale(acme, number):
    sell(acme, at=timezone.now() - timedelta(hours=number + 1), order_ref=f"A-{number}")


def add_touch(acme, number):
    make_touch(acme.enrollments.blog, timezone.now() - timedelta(hours=number))


def add_refused(acme, number):
    RejectedEvent.objects.create(
        advertiser=acme.advertiser, campaign=acme.campaign, at=timezone.now(), door="s2s", code="x", message=str(number)
    )


def add_statement(acme, number):
    """State and invoice a sale of its own month."""
    at = datetime(2025, number, 10, 12, tzinfo=UTC)
    sale = sell(acme, 1000_00, at, f"S-{number}")
    approve_conversions(advertiser=acme.advertiser, conversion_ids=[sale.pk], actor=SYSTEM, now=at)
    closing = datetime(2025, number + 2, 1, 8, tzinfo=UTC)
    close_month(advertiser=acme.advertiser, month=date(2025, number + 1, 1), actor=SYSTEM, now=closing)
    issue_invoices(advertiser=acme.advertiser, actor=SYSTEM, now=closing)
    render_missing(advertiser=acme.advertiser, now=closing)


def add_claim(acme, number):
    fact = ClaimFact(acme.campaign.pk, "MISSING", f"LOST-{number}", timezone.now(), "EUR", 50_00)
    report_claim(partner=acme.partners.blog, fact=fact, actor=SYSTEM, now=timezone.now())


ROWS = {
    "claims_claim": (add_claim, 8),
    "statements_statement": (add_statement, 9),
    "invoices_invoice": (add_statement, 7),
    "campaigns_campaign": (add_campaign, 9),
    "campaigns_coupon": (lambda acme, n: make_coupon(acme.campaign, f"CODE{n}", acme.partners.blog), 7),
    "partners_partnership": (add_partner, 11),
    "partners_partnergroup": (
        lambda acme, n: PartnerGroup.objects.create(advertiser=acme.advertiser, name=f"G{n}", slug=f"g{n}"),
        5,
    ),
    "tracking_conversion": (add_sale, 11),
    "tracking_touchpoint": (add_touch, 9),
    "tracking_rejectedevent": (add_refused, 7),
    "identity_advertiserkey": (
        lambda acme, n: AdvertiserKey.objects.create_key(advertiser=acme.advertiser, name=f"k{n}", scopes=[]),
        5,
    ),
    "identity_membership": (lambda acme, n: make_member(acme.advertiser, Role.ANALYST, f"a{n}@acme.example"), 5),
    "records_auditentry": (
        lambda acme, n: AuditEntry.objects.create(
            advertiser=acme.advertiser, actor_kind="USER", actor_id="1", actor_name="A", verb="did", subject=str(n)
        ),
        5,
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_list_asks_as_often_for_three_rows_as_for_one(name):
    acme = make_cast()
    client = sign_in(make_member(acme.advertiser))
    add, expected = ROWS[name]
    address = reverse(f"admin:{name}_changelist")
    add(acme, 1)
    client.get(address)  # what is cached once per process
    with CaptureQueriesContext(
        connection,
    ) as one:
        assert client.get(address).status_code == 200
    add(acme, 2), add(acme, 3)
    with CaptureQueriesContext(connection) as three:
        assert client.get(address).status_code == 200
    assert (len(one), len(three)) == (expected, expected)


def test_the_dashboard_asks_as_often_for_three_sales_as_for_one():
    acme = make_cast()
    client = sign_in(make_member(acme.advertiser))
    add_sale(acme, 1)
    client.get("/admin/")
    with CaptureQueriesContext(connection) as one:
        client.get("/admin/")
    add_sale(acme, 2), add_sale(acme, 3), add_partner(acme, 1), add_campaign(acme, 1)
    with CaptureQueriesContext(connection) as three:
        assert client.get("/admin/").status_code == 200
    assert (len(one), len(three)) == (32, 32)
