"""`/s/<campaign>/refund`: the shop's server tells of a refund."""

from __future__ import annotations

from apps.campaigns.models import Campaign
from apps.pipeline.services.settling import settle_waiting
from apps.tracking.models import Amendment, Conversion, Refund, RejectedEvent
from apps.tracking.rules.signatures import sign_call
from tests.cast import NOON, make_campaign, make_conversion, make_plan, make_policy

SHOP, REFUND = "/s/acme-shop", "/s/acme-shop/refund"
SALE = {"order_ref": "A1", "currency": "EUR", "lines": '[{"unit_price":"20","quantity":2},{"unit_price":"60"}]'}
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


def test_refused_refunds_are_kept_for_the_developer(host, cast):
    other = make_campaign(cast.advertiser, slug="acme-b2b")
    make_conversion(other, order_ref="B1")

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


def test_a_refund_in_another_currency_than_its_later_sale_is_parked_with_a_word(host, cast):
    campaign = make_campaign(cast.advertiser, slug="two", currencies=["EUR", "USD"])
    make_policy(campaign)
    make_plan(campaign)
    assert host.get("/s/two/refund", {"order_ref": "C1", "refund_ref": "R", "amount": "5"}).status == 422
    fields = {"order_ref": "C1", "refund_ref": "R", "amount": "5", "currency": "USD"}
    assert host.get("/s/two/refund", fields).status == 201

    host.get("/s/two", {"order_ref": "C1", "amount": "10", "currency": "EUR"})
    settle_waiting(now=NOON)

    conversion = Conversion.objects.get(order_ref="C1")
    assert conversion.unsettled.last_error.startswith("currency_mismatch")


def test_an_update_amends(host, cast):
    host.get(SHOP, {"order_ref": "A1", "amount": "100.00"})

    amended = host.get(SHOP, {"order_ref": "A1", "amount": "40.00", "update": "1"})
    plain = host.get(SHOP, {"order_ref": "A1", "amount": "40.00"})

    assert (amended.status, amended.json["sequence"], plain.status) == (201, 1, 409)
    assert Amendment.objects.get().content["amount_minor"] == 40_00
