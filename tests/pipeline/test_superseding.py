"""What an open conversion came to before it was worked out anew is kept, as it stood."""

from datetime import timedelta
from uuid import uuid4

import pgtrigger
import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from apps.commissions.models import Commission, Receipt, Superseded
from apps.core.actors import SYSTEM
from apps.pipeline.books import check_books
from apps.pipeline.services import settling
from apps.pipeline.services.deciding import approve_conversions
from apps.pipeline.services.settling import settle_waiting
from apps.tracking.changing import record_refund
from apps.tracking.models import Unsettled
from apps.tracking.rules.refunds import ToldRefund
from tests.cast import NOON, START, make_cast, make_conversion, make_policy, make_touch

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture
def acme():
    cast = make_cast()
    make_policy(cast.campaign, START + HOUR, model="LINEAR")
    return cast


@pytest.fixture
def sale(acme):
    """A sale of 100.00 through the blog, settled at noon."""
    visitor = uuid4()
    make_touch(acme.enrollments.blog, visitor=visitor)
    sold = make_conversion(acme.campaign, visitor=visitor, order_ref="A-1")
    settle_waiting(now=NOON)
    return sold


def again(acme, sale, at, *, partner=None) -> None:
    """Settle a sale again, after a late click of a partner if one is named."""
    if partner is not None:
        make_touch(getattr(acme.enrollments, partner), NOON - HOUR, sale.visitor)
    Unsettled.objects.create(conversion=sale, advertiser=acme.advertiser, marked_at=at)
    settle_waiting(now=at)


def test_what_stood_before_is_kept_beside_what_stands_now(acme, sale):
    before = Receipt.objects.get()
    again(acme, sale, NOON + HOUR, partner="coupons")
    again(acme, sale, NOON + 2 * HOUR, partner="cashback")

    first, second = Superseded.objects.all()
    assert (first.conversion, first.settled_at, first.replaced_at) == (sale, NOON, NOON + HOUR)
    assert (first.total_minor, first.currency, first.sha256) == (800, "EUR", before.sha256)
    assert first.earned == [{"partner": "blog", "kind": "SALE", "amount_minor": 800, "share": "1/1"}]
    assert (second.settled_at, second.replaced_at) == (NOON + HOUR, NOON + 2 * HOUR)
    found = {(row["partner"], row["amount_minor"], row["share"]) for row in second.earned}
    assert found == {("blog", 400, "1/2"), ("coupons", 400, "1/2")}
    assert sorted(Commission.objects.values_list("amount_minor", flat=True)) == [266, 267, 267]
    assert check_books() == []


def test_a_correction_that_stood_is_kept_with_its_moment(acme, sale):
    refund = ToldRefund("SALE", "A-1", "R-1", amount_minor=25_00, reason="returned")
    record_refund(advertiser=acme.advertiser, refund=refund, now=NOON + HOUR)
    settle_waiting(now=NOON + HOUR)
    assert sum(Commission.objects.values_list("amount_minor", flat=True)) == 600

    again(acme, sale, NOON + 2 * HOUR, partner="coupons")

    correction = Superseded.objects.get().earned[1]
    assert (correction["kind"], correction["amount_minor"], correction["reason"]) == ("CORRECTION", -200, "returned")
    assert correction["recorded_at"].startswith("2026-03-10T13:00:00") and "share" not in correction
    assert sum(Commission.objects.values_list("amount_minor", flat=True)) == 600


def test_a_sale_that_comes_to_the_same_leaves_nothing_and_asks_nothing(acme, sale):
    with CaptureQueriesContext(
        connection,
    ) as asked:
        again(acme, sale, NOON + HOUR)
    assert not [query for query in asked.captured_queries if "superseded" in query["sql"]]
    assert Superseded.objects.count() == 0


def test_a_decided_sale_is_not_superseded(acme, sale):
    approve_conversions(advertiser=acme.advertiser, conversion_ids=[sale.pk], actor=SYSTEM, now=NOON)
    again(acme, sale, NOON + HOUR, partner="coupons")
    assert (Superseded.objects.count(), Receipt.objects.get().total_minor) == (0, 800)


def test_what_cannot_be_written_anew_leaves_what_stood_and_no_trace(acme, sale, monkeypatch):
    def fail(*args, **kwargs):
        raise ValueError

    monkeypatch.setattr(settling, "write_receipts", fail)
    again(acme, sale, NOON + HOUR, partner="coupons")
    assert (Superseded.objects.count(), Commission.objects.get().amount_minor) == (0, 800)


def test_a_superseded_result_is_never_edited_and_without_the_guard_it_is(acme, sale):
    again(acme, sale, NOON + HOUR, partner="coupons")
    for harm in (lambda rows: rows.update(total_minor=0), lambda rows: rows.all().delete()):
        with pytest.raises(DatabaseError), transaction.atomic():
            harm(Superseded.objects)
    assert Superseded.objects.get().total_minor == 800
    with pgtrigger.ignore("commissions.Superseded:append_only"):
        Superseded.objects.update(total_minor=0)
    assert Superseded.objects.get().total_minor == 0
