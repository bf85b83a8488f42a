"""Telling of conversions, deciding on them, and the one answer per Idempotency-Key."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from uuid import uuid4

import pytest

from apps.core.ids import uuid7
from apps.invoices.models import Invoice
from apps.ledger.models import Posting
from apps.pipeline.services import receiving
from apps.records.models import AuditEntry, IdempotencyKey
from apps.tracking.models import ClientData, Conversion, ConversionLine, RejectedEvent
from apps.tracking.rules.clicks import sign_click
from apps.tracking.selectors import click_keys
from tests.api.conftest import API, code_of, make_world
from tests.cast import NOON, make_advertiser, make_campaign

SALE = {"campaign": "acme-shop", "order_ref": "A1", "amount": "1083.29", "currency": "EUR"}


@pytest.fixture
def acme():
    return make_campaign(make_advertiser())


@pytest.fixture
def owner(acme, caller):
    return caller(acme.advertiser)


def test_conversion_is_told_once(owner, acme):
    id_ = uuid7(NOON)
    sale = {
        **SALE,
        "tclid": [sign_click(id_, acme.pk, click_keys()[0])],
        "coupon": ["SAVE10"],
        "new_customer": True,
        "lines": [{"sku": "L1", "quantity": 2, "unit_price": 541.65}],
    }

    first, again = owner.post("/conversions/", sale), owner.post("/conversions/", sale)

    conversion = Conversion.objects.get()
    assert (first.status_code, again.status_code) == (201, 200)
    told = {"ok": True, "id": str(conversion.pk), "status": "PENDING", "hints": ["parts_mismatch"]}
    assert first.json() == again.json() == told
    assert (conversion.amount_minor, conversion.click_ids, conversion.coupons) == (108329, [id_], ["SAVE10"])
    assert (conversion.source, conversion.new_customer, conversion.recorded_at) == ("api", True, NOON)
    assert ConversionLine.objects.get().unit_price_minor == 54165


def test_orders_known_by_their_click_say_so_and_differ_in_a_conflict(owner, acme):
    sale = {"campaign": "acme-shop", "amount": "10.00", "tclid": [sign_click(uuid7(NOON), acme.pk, click_keys()[0])]}
    first, second = owner.post("/conversions/", sale), owner.post("/conversions/", sale)
    other = owner.post("/conversions/", {**sale, "amount": "20.00"})

    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["hints"] == second.json()["hints"] == ["order_by_click"]
    assert code_of(other) == (409, "order_ref_conflict")
    assert "`order_ref`" in other.json()["errors"][0]["detail"]
    assert Conversion.objects.get().amount_minor == 10_00
    assert RejectedEvent.objects.get().payload["amount"] == "20.00"
    amended = owner.post("/conversions/", {**sale, "amount": "20.00", "update": True}).json()
    assert (amended["sequence"], amended["in_force"], amended["hints"]) == (1, True, ["order_by_click"])
    assert "hints" not in owner.post("/conversions/", {**sale, "order_ref": "A-2"}).json()


def test_a_batch_may_name_its_campaign_once_and_is_told_what_was_not_read(owner):
    named = [
        {name: value for name, value in SALE.items() if name != "campaign"} | {"order_ref": f"A{n}"} for n in (1, 2)
    ]
    other = {**SALE, "campaign": "other", "order_ref": "A3"}
    told = owner.post(
        "/conversions/batch/", {"campaign": "acme-shop", "conversions": [*named, other], "colour": "red"}
    ).json()

    assert (told["created"], told["refused"], told["ignored"]) == (2, 1, ["colour"])
    assert told["results"][2]["code"] == "unknown_campaign"
    assert "ignored" not in owner.post("/conversions/batch/", {"conversions": [SALE]}).json()


def test_number_of_json_is_read_exactly(owner):
    owner._client.post(
        "/api/v1/conversions/",
        '{"campaign":"acme-shop","order_ref":"A1","amount":1083.29,"currency":"EUR"}',
        content_type="application/json",
    )

    assert Conversion.objects.get().amount_minor == 108329


@pytest.mark.parametrize(
    ("change", "status", "code", "field"),
    [
        ({"amount": "1.083,29"}, 422, "invalid_amount", "amount"),
        ({"amount": "1,083.29"}, 422, "invalid_amount", "amount"),
        ({"campaign": ""}, 422, "missing_field", "campaign"),
        ({"campaign": "nobody"}, 422, "unknown_campaign", "campaign"),
        ({"campaign": "globex-shop"}, 422, "unknown_campaign", "campaign"),
        ({"order_ref": None}, 422, "missing_field", "order_ref"),
        ({"currency": "USD"}, 422, "currency_not_accepted", "currency"),
        ({"tclid": ["forged"]}, 422, "forged_click", "tclid"),
        ({"lines": [{}]}, 422, "invalid_lines", "lines[0].unit_price"),
        ({"amount": {"a": 1}}, 422, "invalid_field", "amount"),
    ],
)
def test_refusal_has_a_code_and_is_kept(owner, acme, change, status, code, field):
    make_campaign(make_advertiser("globex"), slug="globex-shop")

    reply = owner.post("/conversions/", {**SALE, **change})

    event = RejectedEvent.objects.get()
    assert code_of(reply) == (status, code)
    assert reply.json()["errors"][0]["attr"] == field
    assert (event.code, event.door, event.advertiser) == (code, "api", acme.advertiser)
    assert not Conversion.objects.exists()


def test_other_content_is_a_conflict(owner):
    owner.post("/conversions/", SALE)

    assert code_of(owner.post("/conversions/", {**SALE, "amount": "1"})) == (409, "order_ref_conflict")
    assert Conversion.objects.get().amount_minor == 108329


@pytest.mark.parametrize("body", ["[]", "{", '"x"', '{"amount": NaN}'])
def test_body_that_is_no_object_is_refused(owner, body):
    reply = owner._client.post("/api/v1/conversions/", body, content_type="application/json")

    assert code_of(reply) == (422, "invalid_body")


def test_same_key_and_body_get_the_same_answer_and_one_effect(owner):
    first = owner.post("/conversions/", SALE, idempotency_key="k1")
    again = owner.post("/conversions/", SALE, idempotency_key="k1")

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    assert Conversion.objects.count() == 1


def test_same_key_with_another_body_is_refused(owner):
    owner.post("/conversions/", SALE, idempotency_key="k1")

    reply = owner.post("/conversions/", {**SALE, "order_ref": "A2"}, idempotency_key="k1")

    assert code_of(reply) == (422, "idempotency_key_reused")
    assert Conversion.objects.count() == 1


def test_refusal_is_answered_again_too(owner):
    wrong = {**SALE, "amount": "1,5"}

    replies = [owner.post("/conversions/", wrong, idempotency_key="k1") for _ in range(2)]

    assert [code_of(reply) for reply in replies] == [(422, "invalid_amount")] * 2
    assert replies[0].json() == replies[1].json()
    assert RejectedEvent.objects.count() == 1


def test_key_of_a_running_call_is_a_conflict_until_the_call_must_have_died(owner):
    owner.post("/conversions/", SALE, idempotency_key="k1")
    running = IdempotencyKey.objects.filter(key="k1")
    running.update(status=None, body=None, created_at=NOON - timedelta(minutes=1))

    assert code_of(owner.post("/conversions/", SALE, idempotency_key="k1")) == (409, "idempotency_key_running")
    running.update(created_at=NOON - timedelta(minutes=3))
    assert owner.post("/conversions/", SALE, idempotency_key="k1").status_code == 200


def test_key_is_free_again_after_a_fault_of_ours(owner, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(receiving, "record_conversion", lambda **_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            owner.post("/conversions/", SALE, idempotency_key="k1")
    assert not IdempotencyKey.objects.exists()

    assert owner.post("/conversions/", SALE, idempotency_key="k1").status_code == 201


def test_key_belongs_to_its_advertiser(owner, caller):
    other = caller(make_campaign(make_advertiser("globex"), slug="globex-shop").advertiser)

    assert owner.post("/conversions/", SALE, idempotency_key="k1").status_code == 201
    assert other.post("/conversions/", {**SALE, "campaign": "globex-shop"}, idempotency_key="k1").status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_key_that_cannot_be_kept_is_refused(owner, key):
    assert code_of(owner.post("/conversions/", SALE, idempotency_key=key)) == (422, "invalid_idempotency_key")


def test_approval_posts_and_says_who_did_it(caller):
    world = make_world("acme", 1, billed=False)
    owner, id_ = caller(world.advertiser), world.conversions[0].pk

    reply = owner.post(f"/conversions/{id_}/approve/")
    again = owner.post(f"/conversions/{id_}/approve/")

    assert (reply.status_code, reply.json()["status"], again.status_code) == (200, "LOCKED", 200)
    assert [line["unit_price"] for line in reply.json()["lines"]] == ["500.00", "500.00"]
    assert Posting.objects.count() == 1
    entry = AuditEntry.objects.get()
    assert (entry.verb, entry.actor_kind, entry.actor_name) == ("approved", "KEY", "test")


def test_rejection_needs_one_of_the_reasons(caller):
    world = make_world("acme", 1, billed=False)
    owner, id_ = caller(world.advertiser), world.conversions[0].pk

    assert code_of(owner.post(f"/conversions/{id_}/reject/")) == (422, "reason_needed")
    assert code_of(owner.post(f"/conversions/{id_}/reject/", {"reason": "mood"})) == (422, "unknown_reason")
    reply = owner.post(f"/conversions/{id_}/reject/", {"reason": "returned", "note": "came back"})
    assert (reply.status_code, reply.json()["status"], reply.json()["reason"]) == (200, "REJECTED", "returned")
    assert code_of(owner.post(f"/conversions/{id_}/approve/")) == (409, "already_decided")


def test_receipt_explains_the_amount(caller):
    world = make_world("acme", 1)
    owner = caller(world.advertiser)

    receipt = owner.get(f"/conversions/{world.conversions[0].pk}/receipt/").json()

    assert (receipt["commission"], receipt["verified"]) == ("80.00", True)


def test_receipt_of_an_unsettled_conversion_is_not_there_yet(owner):
    id_ = owner.post("/conversions/", SALE).json()["id"]

    assert code_of(owner.get(f"/conversions/{id_}/receipt/")) == (404, "not_settled")
    assert owner.get(f"/conversions/{id_}/").json()["commission"] is None
    assert owner.get(f"/conversions/{uuid4()}/").status_code == 404


def test_pdf_of_an_invoice_is_the_kept_document(caller):
    world = make_world("acme", 1)
    invoice = Invoice.objects.select_related("document").get()

    reply = caller(world.advertiser).get(f"/invoices/{invoice.pk}/pdf/", accept="application/pdf")

    assert (reply.status_code, reply.headers["Content-Type"]) == (200, "application/pdf")
    assert reply.headers["Content-Disposition"] == f'attachment; filename="{invoice.number}.pdf"'
    assert reply.content.startswith(b"%PDF-")
    assert hashlib.sha256(reply.content).hexdigest() == invoice.document.sha256


def test_pdf_that_is_not_made_yet_is_asked_for_again(caller):
    world = make_world("acme", 1, rendered=False)

    reply = caller(world.advertiser).get(f"/invoices/{Invoice.objects.get().pk}/pdf/", accept="application/pdf")

    assert code_of(reply) == (409, "document_not_ready")


@pytest.mark.parametrize(
    ("body", "media_type", "status", "code"),
    [
        ("[1]", "application/json", 422, "invalid_body"),
        ('{"order_ref"', "application/json", 422, "invalid_body"),
        ("order_ref=A1", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
    ],
)
def test_body_that_is_no_object_is_refused_and_kept(owner, body, media_type, status, code):
    reply = owner._client.post(f"{API}/conversions/", body, content_type=media_type)

    event = RejectedEvent.objects.get()
    assert code_of(reply) == (status, code)
    assert (event.code, event.door, event.payload) == (code, "api", {"content_type": media_type})
    assert event.advertiser is not None and not Conversion.objects.exists()


def test_what_was_sent_is_kept_for_some_days_and_of_the_caller_nothing(owner, acme):
    for _ in range(2):
        owner.post("/conversions/", {**SALE, "customer_id": "4711"}, user_agent="shop/1.0")

    kept = ClientData.objects.get()
    assert (kept.pk, kept.user_agent, kept.address, kept.referrer) == (Conversion.objects.get().pk, "", "", "")
    assert kept.payload == {**{name: str(SALE[name]) for name in SALE if name != "campaign"}, "customer_id": "4711"}
