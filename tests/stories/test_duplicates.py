"""Duplicates by a campaign's scope: kept, linked to the first, not paid, whatever is settled again."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from apps.commissions.models import Commission
from apps.core.actors import SYSTEM
from apps.ledger.models import Posting
from apps.pipeline.books import check_books
from apps.pipeline.services.deciding import approve_conversions
from apps.pipeline.services.receiving import receive_conversion
from apps.pipeline.services.settling import settle_waiting
from apps.tracking.models import Duplicate, FirstOfScope, IdentityKey, Person, Sighting, Unsettled
from apps.tracking.rules.conversions import ConversionFact
from apps.tracking.rules.duplicates import CLICK, CLICK_GOAL, CUSTOMER_GOAL, First, Sold, judge
from apps.tracking.rules.persons import Identity
from tests.cast import NOON, make_cast, make_conversion, make_coupon, make_touch

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def acme():
    return make_cast()


def scope(acme, name: str, days: int = 30) -> None:
    type(acme.campaign).objects.update(dedup_scope=name, dedup_days=days)


def sell(acme, order: str, click, at=NOON, **fields):
    return make_conversion(acme.campaign, 100_00, at, order, click_ids=[click.pk], **fields)


def paid(sale) -> list[tuple[int, bool, str]]:
    rows = Commission.objects.filter(conversion=sale).order_by("pk")
    return list(rows.values_list("amount_minor", "payable", "payable_reason"))


def test_the_first_of_a_click_is_paid_and_the_others_are_kept(acme):
    scope(acme, "CLICK")
    click = make_touch(acme.enrollments.blog, NOON - DAY, uuid4())
    late, first = sell(acme, "A-2", click, NOON + DAY), sell(acme, "A-1", click)
    settle_waiting(now=NOON)

    assert (paid(first), paid(late)) == ([(800, True, "")], [(800, False, "duplicate")])
    verdict = Duplicate.objects.get()
    assert (verdict.conversion, verdict.original, verdict.scope) == (late, first, "CLICK")
    approve_conversions(advertiser=acme.advertiser, conversion_ids=[first.pk, late.pk], actor=SYSTEM, now=NOON)
    assert Posting.objects.count() == 1
    assert check_books() == []


def test_what_is_decided_stays_whatever_comes_later(acme):
    scope(acme, "CLICK")
    click = make_touch(acme.enrollments.blog, NOON - DAY, uuid4())
    told_first = sell(acme, "A-2", click, NOON + DAY)
    settle_waiting(now=NOON)
    older = sell(acme, "A-1", click)
    Unsettled.objects.get_or_create(conversion=told_first, advertiser=acme.advertiser, marked_at=NOON)
    settle_waiting(now=NOON)

    assert Duplicate.objects.get().conversion == older
    assert paid(told_first) == [(800, True, "")]
    assert Unsettled.objects.count() == 0


def test_without_a_scope_nobody_is_a_duplicate(acme):
    click = make_touch(acme.enrollments.blog, NOON - DAY, uuid4())
    first, second = sell(acme, "A-1", click), sell(acme, "A-2", click)
    settle_waiting(now=NOON)

    assert paid(first) == paid(second) == [(800, True, "")]
    assert not Duplicate.objects.exists() and not FirstOfScope.objects.exists()


def test_a_customer_repeats_within_the_days(acme):
    scope(acme, "CUSTOMER_GOAL", days=7)
    person = Person.objects.create(advertiser=acme.advertiser, created_at=NOON)
    key = IdentityKey.objects.create(
        advertiser=acme.advertiser, kind="CUSTOMER", value=uuid4(), person=person, first_seen_at=NOON
    )
    sales = []
    for number, days in enumerate((0, 7, 8)):
        click = make_touch(acme.enrollments.blog, NOON - DAY, uuid4())
        sales.append(sell(acme, f"A-{number}", click, NOON + days * DAY))
        Sighting.objects.create(advertiser=acme.advertiser, conversion=sales[-1], kind="CUSTOMER", key=key)
    settle_waiting(now=NOON)

    assert [paid(sale)[0][2] for sale in sales] == ["", "duplicate", ""]
    assert Duplicate.objects.get().original == sales[0]


def tell(acme, order: str, *, at=NOON, **fields):
    fact = ConversionFact("SALE", order, 100_00, "EUR", coupons=("SAVE10",), **fields)
    told = receive_conversion(campaign=acme.campaign, fact=fact, now=at)
    settle_waiting(now=at)
    return told


@pytest.mark.parametrize("is_approved", [True, False])
def test_a_name_of_the_customer_that_is_told_later_finds_the_first_too(acme, is_approved):
    """Number 4711; an update names her e-mail address; an order by that address alone is hers, and no other."""
    scope(acme, "CUSTOMER_GOAL", days=7)
    acme.campaign.refresh_from_db()
    make_coupon(acme.campaign, partner=acme.partners.blog)
    first = tell(acme, "A-1", identity=Identity(customer_id="4711"))
    if is_approved:
        approve_conversions(advertiser=acme.advertiser, conversion_ids=[first.id], actor=SYSTEM, now=NOON)
    both = Identity(customer_id="4711", email_sha256="ab" * 32)
    tell(acme, "A-1", identity=both, is_update=True)

    second = tell(acme, "A-2", at=NOON + DAY, identity=Identity(email_sha256="ab" * 32))
    stranger = tell(acme, "A-3", at=NOON + DAY, identity=Identity(email_sha256="cd" * 32))
    late = tell(acme, "A-4", at=NOON + 8 * DAY, identity=Identity(email_sha256="ab" * 32))

    assert [paid(told.id)[0][2] for told in (first, second, stranger, late)] == ["", "duplicate", "", ""]
    assert second.duplicate_of == str(first.id)


@pytest.mark.parametrize(
    ("name", "goals", "expected"),
    [
        (CLICK, ("SALE", "LEAD"), {"b": "a"}),
        (CLICK_GOAL, ("SALE", "LEAD"), {}),
        (CLICK_GOAL, ("LEAD", "LEAD"), {"b": "a"}),
    ],
)
def test_a_goal_is_part_of_the_scope_or_not(name, goals, expected):
    sold = [Sold("b", NOON + DAY, goals[1], clicks=("c", "d")), Sold("a", NOON, goals[0], clicks=("c",))]
    assert judge(sold, name, 30, {}).duplicates == expected
    assert judge(list(reversed(sold)), name, 30, {}).duplicates == expected


def test_days_count_both_ways_and_equal_times_go_by_id():
    known = {"customer:1:SALE": [First("x", NOON)]}
    sold = [Sold("b", NOON - 3 * DAY, "SALE", customers=(1,)), Sold("a", NOON - 4 * DAY, "SALE", customers=(1,))]
    assert judge(sold, CUSTOMER_GOAL, 3, known).duplicates == {"b": "a"}
    same = [Sold("b", NOON, "SALE", clicks=("c",)), Sold("a", NOON, "SALE", clicks=("c",))]
    assert judge(same, CLICK, 0, {}).duplicates == {"b": "a"}


def test_the_database_keeps_a_verdict(acme):
    scope(acme, "CLICK")
    click = make_touch(acme.enrollments.blog, NOON - DAY, uuid4())
    first, second = sell(acme, "A-1", click), sell(acme, "A-2", click, NOON + DAY)
    settle_waiting(now=NOON)

    for table in ("tracking_duplicate", "tracking_firstofscope"):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {table}")
    with pytest.raises(IntegrityError), transaction.atomic():
        Duplicate.objects.create(
            advertiser=acme.advertiser, conversion=first, original=first, scope="CLICK", recorded_at=NOON
        )
    assert (Duplicate.objects.count(), FirstOfScope.objects.count(), paid(second)[0][1]) == (1, 1, False)


def test_without_the_verdict_the_duplicate_would_be_paid(acme, monkeypatch):
    scope(acme, "CLICK")
    monkeypatch.setattr("apps.pipeline.services.settling.duplicates_among", lambda *_, **__: frozenset())
    click = make_touch(acme.enrollments.blog, NOON - DAY, uuid4())
    sales = [sell(acme, "A-1", click), sell(acme, "A-2", click, NOON + DAY)]
    settle_waiting(now=NOON)

    assert [paid(sale) for sale in sales] == [[(800, True, "")], [(800, True, "")]]
