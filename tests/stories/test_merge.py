"""A click on the phone, a sale on the laptop: merges join them while the decision is open, and can be undone."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from apps.commissions.models import Commission, DecisionState
from apps.core.actors import SYSTEM
from apps.pipeline.books import check_books
from apps.pipeline.services.deciding import approve_conversions
from apps.pipeline.services.receiving import receive_conversion
from apps.pipeline.services.settling import settle_waiting
from apps.tracking.identifying import identify_visitor
from apps.tracking.joining import undo_merge
from apps.tracking.models import Conversion, CustomerStanding, Merge, Sighting, StandingReason, Unsettled
from apps.tracking.rules.conversions import ConversionFact
from apps.tracking.rules.persons import Identity
from tests.cast import make_cast, make_touch

pytestmark = pytest.mark.django_db
ADA = Identity(customer_id="4711")


def january(day: int, hour: int = 12) -> datetime:
    return datetime(2026, 1, day, hour, tzinfo=UTC)


@pytest.fixture
def acme():
    return make_cast()


def sell(acme, at: datetime, order_ref: str, *clicks, identity: Identity = ADA, **fields) -> Conversion:
    fact = ConversionFact(
        "SALE", order_ref, 100_00, "EUR", click_ids=tuple(touch.pk for touch in clicks), identity=identity, **fields
    )
    received = receive_conversion(campaign=acme.campaign, fact=fact, now=at)
    settle_waiting(now=at)
    return Conversion.objects.get(pk=received.id)


def earners(sale: Conversion) -> dict[str, int]:
    return dict(Commission.objects.filter(conversion=sale).values_list("partner__slug", "amount_minor"))


def test_a_click_on_the_phone_earns_the_sale_on_the_laptop(acme):
    phone = uuid4()
    make_touch(acme.enrollments.blog, january(24), phone)
    identify_visitor(advertiser=acme.advertiser, visitor=phone, identity=ADA, now=january(25))
    sale = sell(acme, january(26), "A-1")
    assert earners(sale) == {"blog": 800}
    assert sale.new_customer and sale.standing.reason == StandingReason.FIRST_ORDER


def test_who_is_known_later_settles_what_is_open_and_leaves_what_is_decided(acme):
    # 20 January: a click on the phone, by a visitor nobody knows.
    phone = uuid4()
    make_touch(acme.enrollments.blog, january(20), phone)
    # 22 January: two orders on the laptop, by customer 4711; the second after a click for the coupon site.
    first = sell(acme, january(22, 9), "A-1")
    laptop = make_touch(acme.enrollments.coupons, january(22, 10))
    second = sell(acme, january(22, 11), "A-2", laptop)
    assert (earners(first), earners(second)) == ({}, {"coupons": 800})
    # 23 January: the second is approved. 24 January: the phone logs in.
    approve_conversions(
        advertiser=acme.advertiser, conversion_ids=[second.pk], actor=SYSTEM, now=january(23)
    )  # fmt: skip
    identify_visitor(advertiser=acme.advertiser, visitor=phone, identity=ADA, now=january(24))
    assert {row.conversion_id for row in Unsettled.objects.all()} >= {first.pk}
    settle_waiting(now=january(24))
    assert (earners(first), earners(second)) == ({"blog": 800}, {"coupons": 800})
    assert second.decision.state == DecisionState.APPROVED and not Unsettled.objects.exists()
    # 25 January: it was the neighbor's phone.
    assert undo_merge(merge=Merge.objects.latest("at"), actor=SYSTEM, now=january(25))
    settle_waiting(now=january(25))
    assert (earners(first), earners(second)) == ({}, {"coupons": 800})
    assert check_books() == []


def test_the_customer_is_new_once_whatever_comes_later(acme):
    first = sell(acme, january(10), "A-1")
    second = sell(acme, january(12), "A-2")
    earlier = sell(acme, january(13), "A-0", occurred_at=january(5))
    standings = {row.conversion_id: row for row in CustomerStanding.objects.all()}
    assert [standings[sale.pk].is_new for sale in (first, second, earlier)] == [True, False, False]
    assert [sale.new_customer for sale in (first, second, earlier)] == [True, False, False]
    assert standings[second.pk].reason == StandingReason.EARLIER_ORDER
    assert standings[earlier.pk].reason == StandingReason.NEW_ONCE
    assert sell(acme, january(14), "A-3", new_customer=True).new_customer
    assert sell(acme, january(14), "A-4", identity=Identity()).new_customer is None
    assert CustomerStanding.objects.count() == 3 and Sighting.objects.count() == 4


def test_a_merge_wakes_a_sale_that_names_only_a_click(acme):
    phone, laptop = uuid4(), uuid4()
    make_touch(acme.enrollments.blog, january(20), phone)
    click = make_touch(acme.enrollments.coupons, january(21), laptop, refusal="bot")
    sale = sell(acme, january(22), "A-1", click, identity=Identity())
    assert earners(sale) == {}
    for visitor in (phone, laptop):
        identify_visitor(advertiser=acme.advertiser, visitor=visitor, identity=ADA, now=january(23))
    settle_waiting(now=january(23))
    assert earners(sale) == {"blog": 800}
