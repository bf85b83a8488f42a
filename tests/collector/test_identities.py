"""`POST /i/<campaign>`: who a visitor is, and the customers that conversions name."""

from __future__ import annotations

import json
from datetime import timedelta
from uuid import uuid4

import pytest

from apps.campaigns.models import Campaign
from apps.commissions.models import Commission
from apps.core.ids import uuid7
from apps.pipeline.services import receiving
from apps.pipeline.services.settling import settle_waiting
from apps.tracking.models import ClientData, Conversion, IdentityKey, RejectedEvent, Sighting
from apps.tracking.rules.clicks import sign_click
from apps.tracking.rules.persons import email_hash
from apps.tracking.rules.signatures import body_digest, sign_call
from apps.tracking.selectors import click_keys
from tests.cast import NOON, make_touch

PATH = "/i/acme-shop"
STAMP = str(int(NOON.timestamp()))


def tell(host, **fields):
    """Tell who a visitor is, signed with the campaign's secret."""
    body, query = json.dumps(fields).encode(), [("ts", STAMP)]
    signature = sign_call([*query, body_digest(body)], Campaign.objects.get(slug="acme-shop").secret)
    return host.post(PATH, [*query, ("sig", signature)], body=body, headers={"content-type": "application/json"})


def token(cast, id_):
    return sign_click(id_, cast.campaign.pk, click_keys()[0])


def test_a_visitor_is_named_by_click_or_by_cookie(host, cast):
    touch, laptop = make_touch(cast.enrollments.blog), uuid4()
    first = tell(host, tclid=token(cast, touch.pk), customer_id="4711")
    second = tell(host, visitor=laptop.hex, customer_id="4711", email_sha256=email_hash("ada@example.org"))
    assert (first.status, second.status, first.json) == (200, 200, {"ok": True})
    visitors = set(IdentityKey.objects.filter(kind="VISITOR").values_list("value", flat=True))
    assert visitors == {touch.visitor, laptop}
    assert IdentityKey.objects.values("person").distinct().count() == 1


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"visitor": uuid4().hex}, 422, "missing_field"),
        ({"customer_id": "4711"}, 422, "missing_field"),
        ({"customer_id": "4711", "visitor": "ada"}, 422, "invalid_field"),
        ({"customer_id": "4711", "tclid": "x" * 32}, 422, "forged_click"),
        ({"email_sha256": "ada@example.org", "visitor": uuid4().hex}, 422, "invalid_email_sha256"),
    ],
)
def test_what_cannot_be_read_is_refused_and_joins_nobody(host, cast, fields, status, code):
    reply = tell(host, **fields)
    assert (reply.status, reply.json["code"]) == (status, code)
    assert not IdentityKey.objects.exists()
    assert "ada@example.org" not in json.dumps(RejectedEvent.objects.get().payload)


def test_a_click_that_is_not_there_yet_is_unknown_and_a_get_is_none(host, cast):
    reply = tell(host, tclid=token(cast, uuid7(NOON)), customer_id="4711")
    assert (reply.status, reply.json["code"]) == (404, "unknown_click")
    assert host.get(PATH, {"customer_id": "4711"}).status == 405
    assert not IdentityKey.objects.exists()


def test_who_a_visitor_is_wakes_the_workers(host, cast, monkeypatch):
    rung = []
    monkeypatch.setattr(receiving.settle_bell, "ring", lambda: rung.append(1))
    assert tell(host, visitor="nobody", customer_id="4711").status == 422
    assert tell(host, visitor=uuid4().hex, customer_id="4711").status == 200
    assert rung == [1]


def test_a_call_of_another_method_or_to_nowhere_is_answered_with_a_code(host, cast):
    reply = host.get(PATH, {"customer_id": "4711"})
    assert (reply.status, reply.headers["allow"], reply.json["code"]) == (405, "POST", "method_not_allowed")
    kept = RejectedEvent.objects.get()
    assert (kept.code, kept.campaign, kept.advertiser) == ("method_not_allowed", cast.campaign, cast.advertiser)
    assert (host.get("/i/").status, host.post("/i/").json["code"]) == (405, "unknown_campaign")
    for path in ("/i", "/s", "/s/acme-shop/refunds", "/i/acme-shop/x"):
        reply = host.get(path)
        assert (reply.status, reply.json["code"]) == (404, "not_found")


@pytest.mark.parametrize("asked", [True, False])
def test_a_signature_is_asked_for_whatever_the_campaign_asks(host, cast, asked):
    Campaign.objects.update(signature_required=asked)
    fields = {"visitor": uuid4().hex, "customer_id": "4711"}
    stale = {**fields, "ts": str(int(STAMP) - 301)}
    forged = [
        fields,
        {**fields, "ts": STAMP},
        {**fields, "ts": STAMP, "sig": sign_call([*fields.items(), ("ts", STAMP)], "a guess")},
        {**stale, "sig": sign_call([*stale.items()], cast.campaign.secret)},
    ]
    for call in forged:
        reply = host.post(PATH, call)
        assert (reply.status, reply.json["code"]) == (422, "bad_signature")
    assert not IdentityKey.objects.exists()
    assert set(RejectedEvent.objects.values_list("code", flat=True)) == {"bad_signature"}

    signed = {**fields, "ts": STAMP}
    signed["sig"] = sign_call([*signed.items()], cast.campaign.secret)
    assert host.post(PATH, signed).status == 200


def test_nobody_takes_a_customer_s_sale_by_saying_unsigned_that_the_visitor_is_theirs(host, cast):
    """The twin is the signed call: that leads the sale to the coupon site's click."""
    make_touch(cast.enrollments.blog)
    thief = make_touch(cast.enrollments.coupons, NOON - timedelta(hours=1))
    unsigned = host.post(PATH, {"tclid": token(cast, thief.pk), "customer_id": "4711"})
    host.post("/s/acme-shop", {"order_ref": "A-1", "amount": "10.00", "customer_id": "4711"})
    settle_waiting(now=NOON)
    assert (unsigned.status, Commission.objects.count()) == (422, 0)

    assert tell(host, tclid=token(cast, thief.pk), customer_id="4711").status == 200
    settle_waiting(now=NOON)
    assert Commission.objects.get().partner == cast.partners.coupons


def test_a_conversion_keeps_its_customer_as_keys_only(host, cast):
    fields = {"order_ref": "A-1", "amount": "10.00", "customer_id": "secret-4711", "device_id": "d1"}
    reply = host.post("/s/acme-shop", body=json.dumps(fields).encode(), headers={"content-type": "application/json"})
    assert reply.status == 201 and "ignored" not in reply.json
    assert set(Sighting.objects.values_list("kind", flat=True)) == {"CUSTOMER", "DEVICE"}
    row = Conversion.objects.values().get()
    assert "secret-4711" not in str(row) and row["new_customer"] is True
    assert ClientData.objects.get().payload["customer_id"] == "secret-4711"
    other = host.post(
        "/s/acme-shop",
        body=json.dumps({**fields, "customer_id": "4712"}).encode(),
        headers={"content-type": "application/json"},
    )
    assert (other.status, other.json["code"]) == (409, "order_ref_conflict")
    assert IdentityKey.objects.count() == 2
