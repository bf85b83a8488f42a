"""A refund that nobody signed and that came before its sale: it counts only where nobody signed that either."""

from __future__ import annotations

import pytest

from apps.commissions.worth import worths_of
from apps.pipeline.services.receiving import receive_refund
from apps.pipeline.tasks import settle_unsettled
from apps.tracking.models import AwaitedSale, Conversion, Refund, RejectedEvent
from apps.tracking.rules.signatures import OrderWasSigned
from apps.tracking.selectors import refunds_told
from tests.cast import NOON, make_key
from tests.collector.test_unsigned import SALE, SHOP, signed

REFUND = f"{SHOP}/refund"
BACK = {"order_ref": "A-1", "refund_ref": "R1", "amount": "4.00"}


def left() -> int:
    sale = Conversion.objects.get()
    [worth] = worths_of([sale.pk]).values()
    assert (worth.given_back_minor != 0) == refunds_told(sale).exists()
    return worth.left_minor


@pytest.mark.parametrize("is_signed", [True, False])
def test_an_unsigned_refund_before_a_signed_sale_takes_nothing_and_is_kept_once_as_refused(host, cast, is_signed):
    assert host.post(REFUND, BACK).json["waits"] is True
    assert host.post(SHOP, signed(cast) if is_signed else SALE).status == 201
    for _ in range(2):
        settle_unsettled()

    assert left() == (10_00 if is_signed else 6_00)
    kept = RejectedEvent.objects.values_list("door", "code", "payload__refund_ref")
    assert list(kept) == ([("refund", "bad_signature", "R1")] if is_signed else [])
    assert not AwaitedSale.objects.exists()


@pytest.mark.parametrize("amount", ["4.00", "5.00"])
@pytest.mark.parametrize("sale_first", [True, False])
def test_the_shop_s_own_refund_of_that_number_counts_all_the_same(host, cast, amount, sale_first):
    told = signed(cast, {**BACK, "amount": amount})
    assert host.post(REFUND, BACK).status == 201
    calls = [(SHOP, signed(cast)), (REFUND, told)]
    for address, call in calls if sale_first else reversed(calls):
        assert host.post(address, call).status == 201
    settle_unsettled()

    assert host.post(REFUND, told).status == 200, "the same call again is known"
    assert left() == 10_00 - int(float(amount) * 100)


def test_a_refund_told_unsigned_and_signed_counts_once_where_the_sale_is_unsigned(host, cast):
    for call in (BACK, signed(cast, BACK), BACK):
        assert host.post(REFUND, call).status in (200, 201)
    assert host.post(SHOP, SALE).status == 201
    settle_unsettled()
    assert (Refund.objects.count(), left()) == (2, 6_00)
    assert host.post(REFUND, {**BACK, "refund_ref": "R2", "amount": "6.00"}).status == 201
    assert left() == 0


def test_an_unsigned_refund_does_not_hide_behind_its_signed_twin(host, cast):
    """The signed one counts in full: what nobody signed leaves nothing of it out."""
    assert host.post(REFUND, {"order_ref": "A-1", "refund_ref": "R0", "whole": "1"}).status == 201
    assert host.post(SHOP, signed(cast)).status == 201
    assert host.post(REFUND, signed(cast, {"order_ref": "A-1", "refund_ref": "R1", "whole": "1"})).status == 201
    settle_unsettled()
    assert left() == 0


def test_a_refund_on_its_way_while_the_signed_sale_comes_is_refused(host, cast):
    host.post(SHOP, signed(cast))
    with pytest.raises(OrderWasSigned):
        receive_refund(advertiser=cast.advertiser, fields=BACK, is_signed=False, now=NOON)
    assert not Refund.objects.exists()


def test_what_was_told_by_the_api_is_changed_by_nobody_without_a_key(host, cast, client):
    assert host.post(REFUND, BACK).json["waits"] is True
    key = make_key(cast.advertiser, ["conversions:write"])
    told = client.post(
        "/api/v1/conversions/",
        {"campaign": cast.campaign.slug, **SALE},
        content_type="application/json",
        headers={"authorization": f"Bearer {key}"},
    )
    assert told.status_code == 201
    settle_unsettled()

    for address, call in ((REFUND, {**BACK, "refund_ref": "R2"}), (SHOP, {**SALE, "amount": "1.00", "update": "1"})):
        plain = host.post(address, call)
        assert (plain.status, plain.json["code"]) == (422, "bad_signature")
    assert left() == 10_00
    assert host.post(REFUND, signed(cast, BACK)).status == 201, "the campaign's secret is as good"
    assert left() == 6_00
