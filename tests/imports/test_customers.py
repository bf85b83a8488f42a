"""Customers in a history: joined with their visitors, new once, and never kept in the clear."""

import pytest

from apps.imports.models import RefusedRow
from apps.tracking.models import Conversion, CustomerStanding, IdentityKey, Merge, Sighting
from apps.tracking.rules.persons import email_hash

HEAD = "order_ref,visitor_id,occurred_at,goal,amount,currency,customer_new,customer_id,email_sha256"
ADA = email_hash("ada@example.org")
ORDERS = [
    HEAD,
    "A2,v2,2025-05-02T12:00:00Z,SALE,20.00,EUR,,4711,",
    f"A1,v1,2025-04-02T12:00:00Z,SALE,10.00,EUR,,4711,{ADA}",
    "A3,v3,2025-06-02T12:00:00Z,SALE,30.00,EUR,,4712,",
    "A4,v4,2025-06-03T12:00:00Z,SALE,30.00,EUR,,,",
]


def test_customers_of_a_history_are_joined_and_new_once(bring):
    bring(conversions=ORDERS)
    found = dict(Conversion.objects.values_list("order_ref", "new_customer"))
    assert found == {"A1": True, "A2": False, "A3": True, "A4": None}
    assert (CustomerStanding.objects.count(), Sighting.objects.count(), Merge.objects.get().kind) == (3, 4, "CUSTOMER")


@pytest.mark.django_db
def test_repeating_the_history_adds_nothing_and_finds_another_customer(bring):
    bring(conversions=ORDERS)
    before = list(IdentityKey.objects.order_by("pk").values())
    again = bring(conversions=ORDERS)[2]
    assert (again.added, again.repeated, again.refused) == (0, 4, 0)
    other = bring(conversions=[HEAD, ORDERS[1].replace("4711", "4799")])[2]
    assert (other.repeated, other.refused, RefusedRow.objects.get().code) == (0, 1, "order_ref_conflict")
    assert list(IdentityKey.objects.order_by("pk").values()) == before


def test_an_e_mail_in_the_clear_is_refused_and_not_kept(bring):
    run = bring(conversions=[HEAD, "A1,v1,2025-04-02T12:00:00Z,SALE,10.00,EUR,,4711,ada@example.org"])[2]
    row = RefusedRow.objects.get()
    assert (run.refused, row.code) == (1, "invalid_email_sha256")
    assert (row.content["customer_id"], row.content["email_sha256"]) == ("…", "…")
