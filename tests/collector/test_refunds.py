"""`/s/<campaign>/refund`: the shop's server tells of a refund."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from uuid import UUID

import pytest

from apps.campaigns.models import Campaign
from apps.commissions.models import Commission
from apps.core.actors import SYSTEM
from apps.pipeline.books import check_books
from apps.pipeline.services import receiving, refunding
from apps.pipeline.services.deciding_lines import amount_left, reject_lines
from apps.pipeline.services.refunding import refuse_surplus
from apps.pipeline.services.settling import settle_waiting
from apps.pipeline.tasks import settle_unsettled
from apps.tracking.models import Amendment, AwaitedSale, Conversion, Refund, RejectedEvent, Unsettled
from apps.tracking.rules.signatures import sign_call
from tests.cast import NOON, make_campaign, make_conversion, make_plan, make_policy

SHOP, REFUND = "/s/acme-shop", "/s/acme-shop/refund"
SALE = {"order_ref": "A1", "currency": "EUR", "lines": '[{"unit_price":"20","quantity":2},{"unit_price":"60"}]'}
TOO_MUCH = {"R1": {"amount": "60"}, "R2": {"lines": "2"}}
STAMP = str(int(NOON.timestamp()))


def test_lines_are_written_short(host, cast):
    sale = host.get(SHOP, SALE).json["id"]

    first = host.get(REFUND, {"order_ref": "A1", "refund_ref": "R1", "lines": "1:1|2"})
    again = host.post(REFUND, body=b"order_ref=A1&refund_ref=R1&lines=1:1|2")

    assert (first.status, again.status) == (201, 200)
    assert first.json == again.json == {"ok": True, "refund_ref": "R1", "conversion": sale, "waits": False}
    assert Refund.objects.get().lines == [{"position": 1, "quantity": 1}, {"position": 2, "quantity": None}]


def test_a_refund_of_another_goal_finds_its_own_conversion(host, cast):
    host.get(SHOP, SALE)
    lead = host.get(SHOP, {"order_ref": "A1", "goal": "LEAD"}).json["id"]

    reply = host.get(REFUND, {"order_ref": "A1", "goal": "lead", "refund_ref": "R1", "whole": "1"})

    assert reply.json["conversion"] == lead
    settle_waiting(now=NOON)
    assert Refund.objects.get().goal == "LEAD"


def test_a_number_of_the_house_s_own_is_refused_and_its_line_can_be_rejected(host, cast):
    id_ = host.get(SHOP, SALE).json["id"]
    settle_waiting(now=NOON)

    for number in ("tributary:line:1", "Tributary:amount:1"):
        reply = host.get(REFUND, {"order_ref": "A1", "refund_ref": number, "amount": "1.00"})
        assert (reply.status, reply.json["code"], reply.json["field"]) == (422, "reserved_refund_ref", "refund_ref")
    assert not Refund.objects.exists()

    call = {"conversion_id": UUID(id_), "positions": [1], "reason": "returned", "actor": SYSTEM, "now": NOON}
    reject_lines(advertiser=cast.advertiser, **call)
    assert Refund.objects.get().refund_ref == "tributary:line:1"


def test_refused_refunds_are_kept_for_the_developer(host, cast):
    other = make_campaign(cast.advertiser, slug="acme-b2b")
    make_conversion(other, order_ref="B1", source="unsigned")

    unknown = host.get("/s/nobody/refund", {"order_ref": "A1", "refund_ref": "R1", "whole": "1"})
    foreign = host.get(REFUND, {"order_ref": "B1", "refund_ref": "R1", "whole": "1"})
    bare = host.get(REFUND, {"order_ref": "A1", "refund_ref": "R1"})

    assert [(reply.status, reply.json["code"]) for reply in (unknown, foreign, bare)] == [
        (404, "unknown_campaign"), (422, "order_of_other_campaign"), (422, "invalid_refund"),
    ]  # fmt: skip
    assert not Refund.objects.exists()
    assert RejectedEvent.objects.count() == 3


def test_a_refund_is_signed_where_conversions_are(host, cast):
    Campaign.objects.update(signature_required=True)
    fields = {"order_ref": "A1", "refund_ref": "R1", "whole": "1", "ts": STAMP}

    plain = host.get(REFUND, fields)
    signed = host.get(REFUND, {**fields, "sig": sign_call(list(fields.items()), cast.campaign.secret)})

    assert (plain.status, plain.json["code"], signed.status) == (422, "bad_signature", 201)
    assert Refund.objects.count() == 1


def test_a_refund_in_another_currency_than_its_later_sale_takes_nothing_and_is_told_of(host, cast):
    campaign = make_campaign(cast.advertiser, slug="two", currencies=["EUR", "USD"])
    make_policy(campaign)
    make_plan(campaign)
    assert host.get("/s/two/refund", {"order_ref": "C1", "refund_ref": "R", "amount": "5"}).status == 422
    fields = {"order_ref": "C1", "refund_ref": "R", "amount": "5", "currency": "USD"}
    assert host.get("/s/two/refund", fields).status == 201

    RejectedEvent.objects.all().delete()

    host.get("/s/two", {"order_ref": "C1", "amount": "10", "currency": "EUR"})
    for _ in range(2):
        settle_unsettled()

    kept = RejectedEvent.objects.get()
    assert (kept.code, kept.campaign, kept.payload["refund_ref"]) == ("currency_mismatch", campaign, "R")
    assert not Unsettled.objects.exists()
    assert amount_left(Conversion.objects.get()) == 10_00
    # What took nothing leaves all to be given back.
    fields = {"order_ref": "C1", "refund_ref": "R2", "amount": "10", "currency": "EUR"}
    assert host.get("/s/two/refund", fields).status == 201
    settle_unsettled()
    assert amount_left(Conversion.objects.get()) == 0


@pytest.mark.parametrize(
    ("sale", "position"),
    [({"lines": ""}, "1"), ({"lines": '[{"sku": "A", "quantity": 1, "unit_price": "60.00"}]'}, "2")],
)
def test_a_position_that_only_this_house_has_made_up_is_not_given_back(host, cast, sale, position):
    """An order without lines is rated as one line, and what the lines lack of its amount as another."""
    refund = {"order_ref": "A1", "refund_ref": "R1", "lines": position}
    assert host.get(REFUND, refund).status == 201
    assert host.get(SHOP, {**SALE, "amount": "100", **sale}).status == 201
    for _ in range(2):
        settle_unsettled()
    sale = Conversion.objects.get()
    assert RejectedEvent.objects.get().code == "unknown_line"
    assert amount_left(sale) == sale.amount_minor
    assert not Commission.objects.filter(kind="CORRECTION").exists()
    assert check_books() == []


def test_refunds_before_their_sale_are_compared_with_it_whatever_came_first(host, cast):
    told = [
        {"order_ref": "A1", "refund_ref": "R1", "amount": "70", "occurred_at": "2026-03-10T09:00:00Z"},
        {"order_ref": "A1", "refund_ref": "R2", "amount": "50", "occurred_at": "2026-03-10T10:00:00Z"},
        {"order_ref": "A1", "refund_ref": "R3", "lines": "7", "occurred_at": "2026-03-10T11:00:00Z"},
    ]
    for order, refunds in (("A1", told), ("A2", told[::-1])):
        assert [host.get(REFUND, {**one, "order_ref": order}).status for one in refunds] == [201, 201, 201]
        assert host.get(SHOP, {**SALE, "order_ref": order}).status == 201
    for _ in range(2):
        settle_unsettled()

    kept = RejectedEvent.objects.order_by("payload__order_ref", "payload__refund_ref")
    assert [(row.payload["order_ref"], row.payload["refund_ref"], row.code) for row in kept] == [
        ("A1", "R2", "more_than_sold"), ("A1", "R3", "unknown_line"),
        ("A2", "R2", "more_than_sold"), ("A2", "R3", "unknown_line"),
    ]  # fmt: skip
    assert kept[0].message == "30.00 EUR are left of the order; 20.00 more would be given back."
    assert (kept[0].campaign, kept[0].advertiser) == (cast.campaign, cast.advertiser)
    assert [amount_left(sale) for sale in Conversion.objects.all()] == [0, 0]
    assert host.get(REFUND, {"order_ref": "A1", "refund_ref": "R9", "amount": "0.01"}).status == 422


def test_a_refund_whose_sale_comes_between_the_looking_and_the_writing_is_compared_too(host, cast, monkeypatch):
    def sell_meanwhile(**call):
        make_conversion(cast.campaign, 10_00, order_ref=call["order_ref"], source="unsigned")

    monkeypatch.setattr("apps.tracking.changing.lock_sale", sell_meanwhile)

    assert host.get(REFUND, {"order_ref": "A1", "refund_ref": "R1", "amount": "70"}).json["waits"]

    assert AwaitedSale.objects.count() == 1
    settle_unsettled()
    assert (RejectedEvent.objects.get().code, AwaitedSale.objects.count()) == ("more_than_sold", 0)


def test_refunds_at_once_give_back_no_more_than_was_sold(host, cast, monkeypatch):
    host.get(SHOP, SALE)
    meeting = threading.Barrier(2)

    def compare_together(**call):
        with suppress(threading.BrokenBarrierError):
            meeting.wait(1)
        refuse_surplus(**call)

    async def both():
        told = [{"order_ref": "A1", "refund_ref": ref, **what} for ref, what in TOO_MUCH.items()]
        return await asyncio.gather(*(host.call("GET", REFUND, one) for one in told))

    monkeypatch.setattr(receiving, "refuse_surplus", compare_together)
    assert sorted(reply.status for reply in host.run(both())) == [201, 422]
    assert Refund.objects.count() == 1


def test_an_update_amends(host, cast):
    host.get(SHOP, {"order_ref": "A1", "amount": "100.00"})

    amended = host.get(SHOP, {"order_ref": "A1", "amount": "40.00", "update": "1"})
    plain = host.get(SHOP, {"order_ref": "A1", "amount": "40.00"})

    assert (amended.status, amended.json["sequence"], plain.status) == (201, 1, 409)
    assert Amendment.objects.get().content["amount_minor"] == 40_00


def test_refunds_that_cannot_be_compared_do_not_hold_up_the_others(host, cast, monkeypatch):
    for order in ("A1", "A2"):
        fields = {"order_ref": order, "refund_ref": "R1", "amount": "500"}
        assert host.get(REFUND, fields).status == 201
        host.get(SHOP, {**SALE, "order_ref": order})
    bad = Conversion.objects.get(order_ref="A1")
    told_last = refunding.as_told_last
    monkeypatch.setattr(refunding, "as_told_last", lambda pk: {}[pk] if pk == bad.pk else told_last(pk))
    for _ in range(2):
        settle_unsettled()
    assert RejectedEvent.objects.get().payload["order_ref"] == "A2"
    assert not AwaitedSale.objects.exists()
