"""The customer on a conversion's page, merges undone there, and the page for what customers ask."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.urls import reverse
from django.utils import timezone

from apps.identity.models import Role
from apps.pipeline.services.receiving import receive_conversion
from apps.pipeline.services.settling import settle_waiting
from apps.tracking.identifying import identify_visitor
from apps.tracking.models import IdentityKey, Merge
from apps.tracking.rules.conversions import ConversionFact
from apps.tracking.rules.persons import MOST_JOINED, Identity, email_hash
from tests.cast import NOON, make_advertiser, make_cast, make_member
from tests.console.scene import sign_in

pytestmark = pytest.mark.django_db
ADA = Identity("4711", email_hash("ada@example.org"))


@pytest.fixture
def acme():
    cast = make_cast()
    cast.owner = sign_in(make_member(cast.advertiser))
    fact = ConversionFact("SALE", "A-1", 100_00, "EUR", identity=ADA)
    cast.sale = receive_conversion(campaign=cast.campaign, fact=fact, now=NOON)
    settle_waiting(now=NOON)
    cast.page = reverse("admin:tracking_conversion_change", args=[cast.sale.id])
    return cast


def meet(acme, times=1):
    for _ in range(times):
        identify_visitor(advertiser=acme.advertiser, visitor=uuid4(), identity=Identity("4711"), now=timezone.now())


def test_the_page_says_who_was_joined_and_why_the_customer_is_new(acme, django_assert_num_queries):
    meet(acme, 2)
    page = acme.owner.get(acme.page).content.decode()
    assert "2 visitors" in page and "customer number" in page and "e-mail hash" in page
    assert "no earlier order of this person is known" in page
    assert page.count(">Undo</button>") == 2


def test_the_page_asks_as_much_for_three_merges_as_for_one(acme):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    counts = []
    for more in (1, 2):
        meet(acme, more)
        with CaptureQueriesContext(connection) as queries:
            acme.owner.get(acme.page)
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_a_shared_key_is_shown_as_ignored(acme):
    meet(acme, MOST_JOINED + 1)
    page = acme.owner.get(acme.page).content.decode()
    assert "Customer number ignored: more than 20 share it." in page
    assert "Merged" not in page


def test_a_merge_is_undone_by_managers_only_and_nobody_else_s(acme):
    meet(acme)
    merge = Merge.objects.get()
    address = reverse("admin:undo_merge", args=[merge.pk])
    analyst = sign_in(make_member(acme.advertiser, Role.ANALYST, "analyst@acme.example"))
    neighbor = sign_in(make_member(make_advertiser("globex"), email="owner@globex.example"))
    assert ">Undo</button>" not in analyst.get(acme.page).content.decode()
    assert [client.post(address).status_code for client in (analyst, neighbor)] == [403, 404]
    assert Merge.objects.get().undone_at is None
    answer = acme.owner.post(address, {"conversion": acme.sale.id}, follow=True)
    assert answer.redirect_chain[0][0] == acme.page
    assert "two persons again" in answer.content.decode()
    assert Merge.objects.get().undone_by
    assert "undone already" in acme.owner.post(address, follow=True).content.decode()


def test_a_customer_is_exported_and_erased_by_owners(acme):
    address = reverse("admin:customers")
    manager = sign_in(make_member(acme.advertiser, Role.MANAGER, "manager@acme.example"))
    assert manager.get(address).status_code == manager.post(address, {"customer_id": "4711"}).status_code == 403
    told = acme.owner.post(address, {"email": "ada@example.org", "export": "1"})
    assert told.headers["Content-Disposition"] == 'attachment; filename="customer.json"'
    assert told.json()["orders"][0]["order_ref"] == "A-1"
    assert "Type ERASE" in acme.owner.post(address, {"customer_id": "4711", "erase": "1"}).content.decode()
    assert IdentityKey.objects.count() == 2
    gone = acme.owner.post(address, {"customer_id": "4711", "erase": "1", "typed": "ERASE"}, follow=True)
    assert "Erased: 2 keys" in gone.content.decode() and not IdentityKey.objects.exists()
    assert "has been erased" in acme.owner.get(acme.page).content.decode()
    assert "Nothing is kept" in acme.owner.post(address, {"customer_id": "4711", "export": "1"}).content.decode()
    assert "Name the customer" in acme.owner.post(address, {"export": "1"}).content.decode()
