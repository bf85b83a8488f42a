"""The server-to-server call: every answer, and that a refusal leaves nothing but its report."""

from __future__ import annotations

import asyncio
import json

import pytest
from django.db import OperationalError

from apps.campaigns.models import Campaign
from apps.collector import conversions, floods
from apps.core.ids import uuid7
from apps.tracking.models import Conversion, ConversionLine, RejectedEvent, Touchpoint, Unsettled
from apps.tracking.rules.clicks import sign_click
from apps.tracking.rules.signatures import body_digest, sign_call
from apps.tracking.selectors import click_keys
from tests.cast import NOON, make_advertiser, make_campaign

SHOP = "/s/acme-shop"
SALE = {"order_ref": "A1", "amount": "1083.29", "currency": "EUR"}
STAMP = str(int(NOON.timestamp()))
JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


def click(host, cast):
    code = cast.enrollments.blog.links.get().code
    return host.get(f"/c/{code}").headers["location"].partition("tclid=")[2]


def events():
    return list(RejectedEvent.objects.order_by("pk").values_list("code", flat=True))


def test_click_walks_to_a_conversion(host, cast):
    tclid = click(host, cast)

    reply = host.get(SHOP, {**SALE, "tclid": tclid})

    conversion = Conversion.objects.get()
    assert (reply.status, reply.json) == (201, {"ok": True, "id": str(conversion.id), "status": "PENDING"})
    assert conversion.click_ids == [Touchpoint.objects.get().id]
    assert (conversion.amount_minor, conversion.currency, conversion.order_ref) == (108329, "EUR", "A1")
    assert (conversion.campaign, conversion.visitor, conversion.source) == (cast.campaign, None, "unsigned")
    assert Unsettled.objects.get().conversion == conversion
    assert not events()


def test_form_json_and_query_say_the_same(host, cast):
    first = host.get(SHOP, SALE)
    form = host.post(SHOP, body=b"order_ref=A1&amount=1083.29", query="currency=EUR", headers=FORM)
    in_json = host.post(SHOP, body=b'{"order_ref":"A1","amount":1083.29,"currency":"EUR"}', headers=JSON)

    assert (first.status, form.status, in_json.status) == (201, 200, 200)
    assert first.json == form.json == in_json.json
    assert Conversion.objects.count() == 1


def test_lines_come_as_json_in_a_body_or_in_a_field(host, cast):
    lines = [{"sku": "L1", "category": "A", "quantity": 2, "unit_price": 20.5}]
    in_body = host.post(SHOP, body=json.dumps({"order_ref": "A1", "lines": lines}).encode(), headers=JSON)
    in_field = host.get(SHOP, {"order_ref": "A1", "lines": json.dumps(lines)})

    line = ConversionLine.objects.get()
    assert (in_body.status, in_field.status) == (201, 200)
    assert (line.sku, line.category, line.quantity, line.unit_price_minor) == ("L1", "A", 2, 2050)
    assert Conversion.objects.get().amount_minor == 4100


def test_same_order_with_other_content_is_a_conflict(host, cast):
    first = host.get(SHOP, SALE)

    reply = host.get(SHOP, {**SALE, "amount": "1083.30"})

    assert reply.status == 409
    assert (reply.json["code"], reply.json["conversion_id"]) == ("order_ref_conflict", first.json["id"])
    assert Conversion.objects.get().amount_minor == 108329
    assert events() == ["order_ref_conflict"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"amount": "1.083,29"}, "invalid_amount"),
        ({"amount": "1,083.29"}, "invalid_amount"),
        ({"amount": ""}, "missing_field"),
        ({"order_ref": ""}, "missing_field"),
        ({"currency": "USD"}, "currency_not_accepted"),
        ({"tclid": "forged"}, "forged_click"),
        ({"sig": "0" * 64, "ts": STAMP}, "bad_signature"),
        ({"occurred_at": "tomorrow"}, "invalid_occurred_at"),
        ({"lines": "x"}, "invalid_lines"),
        ({"country": "12"}, "invalid_field"),
    ],
)
def test_refusal_is_answered_with_its_code_and_kept(host, cast, change, code):
    reply = host.get(SHOP, {**SALE, **change})

    event = RejectedEvent.objects.get()
    assert (reply.status, reply.json["ok"], reply.json["code"]) == (422, False, code)
    assert (event.code, event.advertiser, event.campaign, event.at) == (code, cast.advertiser, cast.campaign, NOON)
    assert event.payload.items() >= change.items()
    assert not Conversion.objects.exists()


def test_forged_click_of_another_campaign_is_refused(host, cast):
    other = make_campaign(cast.advertiser, slug="outlet")
    borrowed = sign_click(uuid7(NOON), other.pk, click_keys()[0])

    assert host.get(SHOP, {**SALE, "tclid": borrowed}).json["code"] == "forged_click"
    assert host.get(SHOP, {**SALE, "tclid": borrowed, "coupon": "SAVE10"}).json["ignored"] == ["forged_click"]


def test_a_typo_in_a_name_is_stored_without_it_and_said(host, cast):
    told = [host.get(SHOP, {**SALE, "items": "[]"}) for _ in range(2)]

    assert [(reply.status, reply.json["ignored"]) for reply in told] == [(201, ["items"]), (200, ["items"])]
    assert "ignored" not in host.get(SHOP, SALE).json


def test_click_that_is_signed_but_not_seen_yet_is_taken(host, cast):
    id_ = uuid7(NOON)

    reply = host.get(SHOP, {**SALE, "tclid": sign_click(id_, cast.campaign.pk, click_keys()[0])})

    assert reply.status == 201
    assert Conversion.objects.get().click_ids == [id_]


def test_click_id_stands_for_a_missing_order_number(host, cast):
    tclid = click(host, cast)
    sale = {"tclid": tclid, "amount": "5.00"}

    assert [host.get(SHOP, sale).status for _ in range(2)] == [201, 200]
    assert Conversion.objects.get().order_ref == tclid


@pytest.mark.parametrize("slug", ["nobody", "x" * 200, "ä", "a\x00b", ""])
def test_unknown_campaign_is_kept_for_nobody_up_to_a_number(host, cast, slug):
    replies = [host.get(f"/s/{slug}", SALE) for _ in range(25)]

    assert {(reply.status, reply.json["code"]) for reply in replies} == {(404, "unknown_campaign")}
    assert RejectedEvent.objects.count() == 20
    assert RejectedEvent.objects.first().advertiser is None
    assert not Conversion.objects.exists()


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"{", JSON, 422, "invalid_body"),
        (b"[]", JSON, 422, "invalid_body"),
        (b"<a/>", {"content-type": "text/xml"}, 422, "invalid_body"),
        (b"&".join([b"a=1"] * 201), FORM, 422, "invalid_body"),
        (b"x" * (256 * 1024 + 1), FORM, 413, "payload_too_large"),
        (b'{"amount":"1","order_ref":"A1","currency":"EUR","amount":"1,0"}', JSON, 422, "invalid_amount"),
    ],
)
def test_body_that_cannot_be_read_is_refused(host, cast, body, headers, status, code):
    reply = host.post(SHOP, body=body, headers=headers)

    assert (reply.status, reply.json["code"]) == (status, code)
    assert events() == [code]
    assert not Conversion.objects.exists()


def test_field_in_query_and_json_is_refused(host, cast):
    reply = host.post(SHOP, {"amount": "1"}, body=b'{"amount":"2","order_ref":"A1"}', headers=JSON)

    assert (reply.status, reply.json["code"], reply.json["field"]) == (422, "invalid_field", "amount")


def test_other_methods_are_not_taken(host, cast):
    assert host.head(SHOP, SALE).status == 405
    assert not Conversion.objects.exists()


def test_campaign_that_asks_for_signatures_takes_signed_calls_only(host, cast):
    cast.campaign.signature_required = True
    cast.campaign.previous_secret = "the one before"
    cast.campaign.save()
    call = [*SALE.items(), ("ts", STAMP)]

    assert host.get(SHOP, SALE).json["code"] == "bad_signature"
    assert host.get(SHOP, [*call, ("sig", sign_call(call, "another"))]).json["code"] == "bad_signature"
    assert not Conversion.objects.exists()
    assert host.get(SHOP, [*call, ("sig", sign_call(call, cast.campaign.secret))]).status == 201
    assert host.get(SHOP, [*call, ("sig", sign_call(call, "the one before"))]).status == 200
    body = b'{"order_ref":"A2","amount":"1"}'
    query = [("ts", STAMP)]
    signature = sign_call([*query, body_digest(body)], cast.campaign.secret)
    assert host.post(SHOP, [*query, ("sig", signature)], body=body, headers=JSON).status == 201
    assert host.post(SHOP, [*query, ("sig", signature)], body=body + b" ", headers=JSON).json["code"] == "bad_signature"


def test_stale_call_is_refused(host, cast):
    stamp = str(int(NOON.timestamp()) - 301)
    call = [*SALE.items(), ("ts", stamp)]

    reply = host.get(SHOP, [*call, ("sig", sign_call(call, cast.campaign.secret))])

    assert (reply.status, reply.json["code"]) == (422, "bad_signature")
    assert not Conversion.objects.exists()


def test_identical_calls_at_once_are_one_conversion(host, cast):
    async def together():
        return await asyncio.gather(*(host.call("GET", SHOP, SALE) for _ in range(8)))

    replies = host.run(together())

    assert sorted(reply.status for reply in replies) == [200] * 7 + [201]
    assert len({reply.json["id"] for reply in replies}) == 1
    assert Conversion.objects.count() == 1


def test_different_calls_at_once_are_one_conversion_and_conflicts(host, cast):
    async def together():
        return await asyncio.gather(*(host.call("GET", SHOP, {**SALE, "amount": f"{n}"}) for n in range(8)))

    replies = host.run(together())

    assert sorted(reply.status for reply in replies) == [201] + [409] * 7
    assert Conversion.objects.count() == 1


def test_order_of_a_neighbor_is_another_order(host, cast):
    make_campaign(make_advertiser("globex"), slug="globex-shop")

    assert (host.get(SHOP, SALE).status, host.get("/s/globex-shop", SALE).status) == (201, 201)


def test_database_that_is_away_is_said_to_be_so(host, cast, monkeypatch):
    def fail(**_):
        raise OperationalError("the server closed the connection")

    monkeypatch.setattr(conversions, "receive_conversion", fail)
    reply = host.get(SHOP, SALE)

    assert (reply.status, reply.json["code"], reply.headers["retry-after"]) == (503, "unavailable", "5")


BAD = {"order_ref": "A1", "amount": "x"}


def signed(fields):
    pairs = [*fields.items(), ("ts", STAMP)]
    return [*pairs, ("sig", sign_call(pairs, Campaign.objects.get().secret))]


def test_flood_of_unsigned_calls_is_kept_per_source_and_campaign_and_the_rest_counted(host, cast):
    for number in range(150):
        assert host.get(SHOP, BAD, source=f"192.0.2.{number % 8}").json["code"] == "invalid_amount"
    assert events() == ["invalid_amount"] * 100

    host.run(host.app.close())

    left_out = RejectedEvent.objects.get(code="left_out")
    assert (left_out.advertiser, left_out.campaign, left_out.at) == (cast.advertiser, cast.campaign, NOON)
    assert left_out.payload == {"count": 50}
    assert left_out.message.startswith("50 more calls were refused")


def test_one_source_does_not_use_up_the_budget_of_the_others(host, cast):
    for _ in range(30):
        host.get(SHOP, BAD)
    host.get(SHOP, BAD, source="192.0.2.2")

    assert RejectedEvent.objects.count() == 21


def test_signed_calls_are_always_kept(host, cast):
    for _ in range(25):
        host.get(SHOP, signed(BAD))
    host.get(SHOP, [*BAD.items(), ("ts", STAMP), ("sig", "0" * 64)])

    assert events() == ["invalid_amount"] * 25 + ["bad_signature"]


def test_budget_begins_anew_every_minute(host, cast, monkeypatch):
    for _ in range(25):
        host.get(SHOP, BAD)
    monkeypatch.setattr(floods, "MINUTE", 0)
    host.get(SHOP, BAD)

    assert RejectedEvent.objects.count() == 21


def test_a_refused_call_is_kept_in_four_kilobytes(host, cast):
    known = ["sub1", "sub2", "sub3", "sub4", "sub5", "sku", "name", "category", "shop_category"]
    host.get(SHOP, {**BAD, **dict.fromkeys(known, "ä" * 300)})

    payload = RejectedEvent.objects.get().payload
    assert len(json.dumps(payload, ensure_ascii=False).encode()) <= 4096
    assert (payload["amount"], payload["…"]) == ("x", "3 more")
