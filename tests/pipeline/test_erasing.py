"""A customer's data: told in full, forgotten for good, twice without harm; books and facts stay."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, transaction

from apps.claims.models import Claim
from apps.claims.rules import ClaimFact
from apps.claims.services import report_claim
from apps.commissions.models import Commission
from apps.core.actors import SYSTEM
from apps.core.ids import uuid7
from apps.pipeline.books import check_books
from apps.pipeline.receipts import explain_conversion
from apps.pipeline.services import erasing
from apps.pipeline.services.erasing import UnknownCustomer, erase_customer, export_customer
from apps.pipeline.services.receiving import receive_conversion, receive_refund
from apps.pipeline.services.settling import settle_waiting
from apps.records.models import AuditEntry
from apps.tracking.forgetting import CustomerName, UnnamedCustomer
from apps.tracking.identifying import identify_visitor
from apps.tracking.models import (
    ClientData,
    Conversion,
    CustomerStanding,
    IdentityKey,
    IdentityLink,
    KeptJourney,
    Merge,
    Person,
    Sighting,
    Unsettled,
)
from apps.tracking.rules.clients import Client
from apps.tracking.rules.conversions import ConversionFact
from apps.tracking.rules.persons import Identity, email_hash
from apps.tracking.sweeping import wake_awaited
from tests.cast import NOON, make_advertiser, make_cast, make_policy, make_touch

pytestmark = pytest.mark.django_db
EMAIL = "ada@example.org"
ADA = Identity("4711", email_hash(EMAIL))
FACT = ConversionFact("SALE", "A-1", 100_00, "EUR", identity=ADA)


@pytest.fixture
def acme():
    """Ada clicked on her phone, logged in there, and bought on her laptop; Bob bought too."""
    cast = make_cast()
    cast.phone = uuid4()
    touch = make_touch(cast.enrollments.blog, NOON - timedelta(days=1), cast.phone)
    ClientData.objects.create(id=touch.pk, advertiser=cast.advertiser, user_agent="Phone")
    identify_visitor(advertiser=cast.advertiser, visitor=cast.phone, identity=Identity("4711"), now=NOON)
    call = {"campaign": cast.campaign, "now": NOON, "client": Client("Laptop")}
    receive_conversion(fact=FACT, payload={"customer_id": "4711"}, **call)
    bob = ConversionFact("SALE", "B-1", 100_00, "EUR", identity=Identity("4712"))
    receive_conversion(fact=bob, payload={"customer_id": "4712"}, **call)
    settle_waiting(now=NOON)
    return cast


def erase(acme, **name):
    return erase_customer(advertiser=acme.advertiser, name=CustomerName(**name), actor=SYSTEM, now=NOON)


@pytest.mark.parametrize("by", ["customer_id", "email", "email_sha256", "visitor"])
def test_a_customer_is_forgotten_by_any_of_their_names(acme, by):
    name = {"customer_id": "4711", "email": " Ada@example.ORG", "email_sha256": ADA.email_sha256, "visitor": acme.phone}
    before = list(Commission.objects.values_list("pk", "amount_minor"))
    gone = erase(acme, **{by: name[by]})
    assert (gone.keys, gone.raw) == (3, 2)
    bob = IdentityKey.objects.get()
    assert list(Sighting.objects.filter(key__isnull=False).values_list("key", flat=True)) == [bob.pk]
    assert list(ClientData.objects.values_list("payload", flat=True)) == [{"customer_id": "4712"}]
    assert not IdentityLink.objects.exists() and not Merge.objects.filter(key__isnull=False).exists()
    assert Person.objects.filter(erased_at=NOON).count() == 1
    assert list(Commission.objects.values_list("pk", "amount_minor")) == before != []
    assert (Conversion.objects.count(), CustomerStanding.objects.count()) == (2, 2)
    assert explain_conversion(Conversion.objects.get(order_ref="A-1").pk)["commission"] == "8.00"
    assert check_books() == [] and not Unsettled.objects.exists()


def test_erasing_twice_does_nothing_the_second_time(acme):
    erase(acme, customer_id="4711")
    trail = AuditEntry.objects.count()
    assert not erase(acme, customer_id="4711") and not erase(acme, visitor=acme.phone)
    assert AuditEntry.objects.count() == trail


def test_the_trail_says_that_somebody_was_erased_but_not_who(acme):
    erase(acme, email=EMAIL)
    entry = AuditEntry.objects.get(verb="customer.erased")
    text = json.dumps(entry.details) + entry.subject
    assert entry.details["keys"] == 3 and len(entry.details["persons"]) == 1
    assert "4711" not in text and EMAIL not in text and ADA.email_sha256 not in text


def test_what_partners_wrote_of_the_order_goes_too_and_nothing_else_of_their_claims(acme):
    told = {"campaign_id": acme.campaign.pk, "kind": "WRONG", "occurred_at": NOON, "currency": "EUR"}
    for order_ref in ("A-1", "B-1"):
        fact = ClaimFact(order_ref=order_ref, amount_minor=150_00, text="Lives at Main St 5", **told)
        report_claim(partner=acme.partners.blog, fact=fact, actor=SYSTEM, now=NOON)

    erase(acme, customer_id="4711")

    rows = list(Claim.objects.order_by("pk").values_list("order_ref", "text", "amount_minor", "state"))
    assert rows == [("A-1", "", 150_00, "OPEN"), ("B-1", "Lives at Main St 5", 150_00, "OPEN")]
    assert AuditEntry.objects.get(verb="customer.erased").details["words"] == 1


def test_a_repeat_of_the_call_brings_no_erased_customer_back(acme):
    erase(acme, customer_id="4711")
    assert not receive_conversion(campaign=acme.campaign, fact=FACT, now=NOON).created
    assert IdentityKey.objects.count() == 1


def test_a_customer_is_told_everything_that_is_kept(acme):
    name = CustomerName(email=EMAIL)
    told = export_customer(advertiser=acme.advertiser, name=name, actor=SYSTEM, now=NOON)
    assert json.loads(json.dumps(told, cls=DjangoJSONEncoder))["advertiser"] == "acme"
    assert [key["kind"] for key in told["keys"]] == ["VISITOR", "CUSTOMER", "EMAIL"] or len(told["keys"]) == 3
    assert [order["order_ref"] for order in told["orders"]] == ["A-1"]
    assert [touch["visitor"] for touch in told["touches"]] == [acme.phone]
    assert {row["user_agent"] for row in told["raw"]} == {"Phone", "Laptop"}
    assert AuditEntry.objects.get(verb="customer.exported").details["orders"] == 1


def test_nobody_is_told_of_another_advertiser_s_customer(acme):
    other = make_advertiser("other")
    with pytest.raises(UnknownCustomer):
        export_customer(advertiser=other, name=CustomerName("4711"), actor=SYSTEM, now=NOON)
    assert not erase_customer(advertiser=other, name=CustomerName("4711"), actor=SYSTEM, now=NOON)
    assert IdentityKey.objects.count() == 4
    with pytest.raises(UnnamedCustomer):
        erase(acme)


def test_the_command_tells_and_erases(acme):
    out = StringIO()
    call_command("customer_data", "export", advertiser="acme", customer_id="4711", stdout=out)
    assert json.loads(out.getvalue())["orders"][0]["order_ref"] == "A-1"
    call_command("customer_data", "erase", advertiser="acme", customer_id="4711", stdout=(out := StringIO()))
    assert out.getvalue() == "3 keys and 2 rows of raw data are erased.\n"
    with pytest.raises(CommandError, match="unknown_customer"):
        call_command("customer_data", "export", advertiser="acme", customer_id="nobody")


@pytest.mark.parametrize("is_kept", [True, False])
def test_an_open_sale_of_an_erased_customer_keeps_what_it_was_shared_by(acme, is_kept):
    """The twin without the mark: a refund settles it again without the keys, and the blog loses everything."""
    sale = Conversion.objects.get(order_ref="A-1")
    erase(acme, customer_id="4711")
    if not is_kept:
        KeptJourney.objects.all().delete()
    fields = {"order_ref": "A-1", "refund_ref": "R", "amount": "10.00", "currency": "EUR"}
    receive_refund(advertiser=acme.advertiser, fields=fields, now=NOON)
    assert settle_waiting(now=NOON).settled == 1
    left = sum(Commission.objects.filter(conversion=sale).values_list("amount_minor", flat=True))
    assert left == (720 if is_kept else 0)
    assert Commission.objects.filter(conversion=sale, kind="SALE").exists() == is_kept


def test_a_click_that_comes_after_the_erasure_counts_beside_what_was_kept(acme):
    make_policy(acme.campaign, NOON - timedelta(days=60), model="LINEAR")
    late = uuid7(NOON - timedelta(hours=1))
    fact = replace(FACT, order_ref="A-2", click_ids=(late,))
    sale = receive_conversion(campaign=acme.campaign, fact=fact, now=NOON).id
    settle_waiting(now=NOON)
    erase(acme, customer_id="4711")
    make_touch(acme.enrollments.coupons, NOON - timedelta(hours=1), uuid4(), id=late)
    wake_awaited(now=NOON)
    settle_waiting(now=NOON)
    earned = Commission.objects.filter(conversion=sale).values_list("partner__slug", "amount_minor")
    assert dict(earned) == {"blog": 400, "coupons": 400}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("waits", [True, False])
def test_a_visitor_who_is_just_being_joined_is_forgotten_too(monkeypatch, waits):
    """The twin without the lock: the customer is found as they were before, and the tablet's key stays."""
    cast, phone, tablet = make_cast(), uuid4(), uuid4()
    call = {"advertiser": cast.advertiser, "identity": Identity("4711"), "now": NOON}
    identify_visitor(visitor=phone, **call)
    joined, go = threading.Event(), threading.Event()

    def join() -> None:
        with transaction.atomic():
            identify_visitor(visitor=tablet, **call)
            joined.set()
            go.wait(20)
        connection.close()

    if not waits:
        monkeypatch.setattr(erasing, "lock_persons", lambda _: None)
    thread = threading.Thread(target=join)
    thread.start()
    joined.wait(20)
    threading.Timer(1, go.set).start()
    erase(cast, customer_id="4711")
    thread.join()
    assert IdentityKey.objects.filter(value=tablet).exists() != waits
