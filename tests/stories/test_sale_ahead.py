"""A shop whose clock is ahead: its sale has happened by the time it is told, whatever it says."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from apps.commissions.models import Commission
from apps.pipeline.services.receiving import receive_conversion, receive_refund
from apps.pipeline.services.settling import settle_waiting
from apps.tracking.models import Conversion, Refund
from apps.tracking.rules.conversions import ConversionFact
from apps.tracking.services import OrderRefConflict
from tests.cast import NOON, make_cast, make_touch

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


@pytest.fixture
def acme():
    return make_cast()


def tell(acme, click, at=NOON, ahead=3 * MINUTE):
    fact = ConversionFact("SALE", "A-1", 100_00, "EUR", click_ids=(click.pk,), occurred_at=NOON + ahead)
    return receive_conversion(campaign=acme.campaign, fact=fact, now=at)


@pytest.mark.parametrize("settled_between", [True, False])
def test_a_click_after_the_telling_is_none_before_the_sale_whenever_it_is_settled(acme, settled_between):
    visitor = uuid4()
    click = make_touch(acme.enrollments.blog, NOON - 9 * MINUTE, visitor)
    tell(acme, click)
    if settled_between:
        settle_waiting(now=NOON)
    make_touch(acme.enrollments.coupons, NOON + MINUTE, visitor)
    settle_waiting(now=NOON + 2 * MINUTE)

    assert list(Commission.objects.values_list("partner__slug", "amount_minor")) == [("blog", 800)]
    assert Conversion.objects.get().occurred_at == NOON


def test_the_same_call_again_is_the_same_and_another_time_is_another(acme):
    click = make_touch(acme.enrollments.blog, NOON - 9 * MINUTE)
    first = tell(acme, click)

    for later in (MINUTE, 5 * MINUTE, timedelta(days=3)):
        again = tell(acme, click, NOON + later)
        assert (again.id, again.created) == (first.id, False)
    with pytest.raises(OrderRefConflict):
        tell(acme, click, ahead=2 * MINUTE)
    assert Conversion.objects.get().occurred_at == NOON


def test_a_sale_is_still_not_put_before_its_click(acme):
    click = make_touch(acme.enrollments.blog, NOON - MINUTE)
    tell(acme, click, ahead=-2 * MINUTE)
    assert Conversion.objects.get().occurred_at == NOON - MINUTE + timedelta(milliseconds=1)


def test_a_refund_has_happened_by_the_time_it_is_told_too(acme):
    tell(acme, make_touch(acme.enrollments.blog, NOON - 9 * MINUTE))
    ahead = (NOON + 4 * MINUTE).isoformat()
    fields = {"order_ref": "A-1", "refund_ref": "R-1", "amount": "10.00", "occurred_at": ahead}

    told = [
        receive_refund(advertiser=acme.advertiser, fields=fields, now=NOON + minutes * MINUTE).created
        for minutes in (0, 1, 9)
    ]

    assert (told, Refund.objects.get().occurred_at) == ([True, False, False], NOON)
