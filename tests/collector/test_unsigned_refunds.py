"""A refund that nobody signed and that came before its sale: it counts only where nobody signed that either."""

from __future__ import annotations

import pytest
from django.utils import timezone

from apps.claims.rules import ClaimFact
from apps.claims.services import report_claim
from apps.commissions.orders import as_told_last
from apps.commissions.worth import worths_of
from apps.core.actors import SYSTEM
from apps.pipeline.services.claiming import accept_claim
from apps.pipeline.services.deciding import reject_conversions
from apps.pipeline.services.receiving import receive_refund
from apps.pipeline.tasks import settle_unsettled
from apps.tracking.facts import refunds_of
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


def test_what_a_person_accepted_is_raised_by_nobody_unsigned(host, cast):
    fact = ClaimFact(cast.campaign.pk, "MISSING", "A-7", NOON, "EUR", 10_00)
    claim = report_claim(partner=cast.partners.blog, fact=fact, actor=SYSTEM, now=NOON).claim
    accept_claim(advertiser=cast.advertiser, claim_id=claim.pk, actor=SYSTEM, now=NOON)

    for call in ({"order_ref": "A-7", "amount": "5000"}, {"order_ref": "A-7", "amount": "5000", "update": "1"}):
        plain = host.post(SHOP, call)
        assert (plain.status, plain.json["code"]) == (422, "bad_signature")
    host.post(SHOP, signed(cast, {"order_ref": "A-7", "amount": "12.00"}))
    assert as_told_last(Conversion.objects.get().pk)[0].amount_minor == 12_00


def reject_and_claim(cast) -> Conversion:
    """Reject the order A-1 and accept a claim of it; return its second telling."""
    call = {"advertiser": cast.advertiser, "actor": SYSTEM, "now": timezone.now()}
    settle_unsettled()
    reject_conversions(conversion_ids=[Conversion.objects.get().pk], reason="cancelled", **call)
    fact = ClaimFact(cast.campaign.pk, "DECLINED", "A-1", NOON, "EUR", None)
    claim = report_claim(partner=cast.partners.blog, fact=fact, actor=SYSTEM, now=timezone.now()).claim
    accept_claim(claim_id=claim.pk, **call)
    settle_unsettled()
    return Conversion.objects.get(order_ref="A-1~2")


@pytest.mark.parametrize("is_signed", [True, False])
def test_the_second_number_of_an_order_is_guarded_like_its_first(host, cast, is_signed):
    assert host.post(REFUND, {"order_ref": "A-1~2", "refund_ref": "R9", "amount": "3.00"}).json["waits"]
    assert host.post(SHOP, signed(cast) if is_signed else SALE).status == 201
    again = reject_and_claim(cast)
    assert bool(refunds_of([again.pk])) != is_signed

    for order_ref in ("A-1", "A-1~2"):
        update = {"order_ref": order_ref, "amount": "99.00", "update": "1", "sequence": "3"}
        refund = {"order_ref": order_ref, "refund_ref": f"R of {order_ref}", "amount": "1.00"}
        statuses = [host.post(SHOP, update).status, host.post(REFUND, refund).status]
        assert all(status == 422 if is_signed else status in (200, 201) for status in statuses)


def test_a_refund_told_by_both_numbers_before_the_second_exists_is_one(host, cast):
    assert host.post(REFUND, {**BACK, "order_ref": "A-1~2"}).json["waits"]
    assert host.post(REFUND, BACK).json["waits"]
    assert host.post(SHOP, SALE).status == 201
    again = reject_and_claim(cast)
    assert [row.refund_ref for row in refunds_of([again.pk])[str(again.pk)]] == ["R1"]
