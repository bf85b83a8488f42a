"""Refunds, amendments and batches told by the API."""

from __future__ import annotations

import pytest

from apps.api.v1 import telling
from apps.commissions.models import Reason
from apps.records.models import AuditEntry
from apps.tracking.models import Amendment, Conversion, Refund, RejectedEvent, Unsettled
from apps.tracking.rules.refunds import REASONS
from tests.api.conftest import code_of
from tests.cast import make_advertiser, make_campaign, make_conversion

SALE = {"campaign": "acme-shop", "order_ref": "A1", "amount": "100.00", "currency": "EUR"}
LINES = [{"quantity": 2, "unit_price_minor": 20_00}, {"quantity": 1, "unit_price_minor": 60_00}]


@pytest.fixture
def acme():
    return make_campaign(make_advertiser())


@pytest.fixture
def owner(acme, caller):
    return caller(acme.advertiser)


@pytest.fixture
def sale(acme):
    return make_conversion(acme, 100_00, order_ref="A1", lines=LINES)


def test_a_refund_names_the_same_reasons_as_a_decision():
    assert tuple(Reason.values) == REASONS


def test_a_refund_is_told_once_and_wakes_its_sale(owner, sale):
    Unsettled.objects.all().delete()
    refund = {"refund_ref": "R1", "lines": [{"position": 1, "quantity": 1}, {"position": 2}], "reason": "cancelled"}

    first, again = (owner.post(f"/conversions/{sale.pk}/refund/", refund) for _ in range(2))

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json() == {
        "ok": True, "refund_ref": "R1", "conversion": str(sale.pk), "waits": False,
    }  # fmt: skip
    row = Refund.objects.get()
    assert (row.kind, row.reason, row.amount_minor) == ("LINES", "cancelled", None)
    assert row.lines == [{"position": 1, "quantity": 1}, {"position": 2, "quantity": None}]
    assert Unsettled.objects.get().conversion == sale
    assert code_of(owner.post(f"/conversions/{sale.pk}/refund/", {"refund_ref": "R1", "whole": True})) == (
        409,
        "refund_ref_conflict",
    )
    assert Refund.objects.count() == 1


def test_a_refund_may_come_before_its_sale(owner, acme):
    reply = owner.post("/refunds/", {"order_ref": "A9", "refund_ref": "R1", "amount": "5.00"})

    assert (reply.status_code, reply.json()["waits"]) == (201, True)
    assert (Refund.objects.get().amount_minor, Refund.objects.get().currency) == (5_00, "EUR")
    assert owner.post("/refunds/", {"order_ref": "A9", "refund_ref": "R1", "amount": "5.00"}).status_code == 200


@pytest.mark.parametrize(
    ("refund", "code", "field"),
    [
        ({"amount": "100.01"}, "more_than_sold", "amount"),
        ({"amount": "1,00"}, "invalid_amount", "amount"),
        ({"amount": "0"}, "invalid_refund", "amount"),
        ({"amount": "1.00", "currency": "USD"}, "currency_mismatch", "currency"),
        ({"amount": "1.00", "whole": True}, "invalid_refund", None),
        ({"lines": [{"position": 3}]}, "unknown_line", "lines"),
        ({"lines": [{"position": 1, "quantity": 3}]}, "more_than_sold", "lines"),
        ({"lines": [{"position": 0}]}, "invalid_lines", "lines[0].position"),
        ({"lines": [{"position": 1}, {"position": 1}]}, "invalid_lines", "lines"),
        ({"lines": "2:x"}, "invalid_lines", "lines[0].quantity"),
        ({"lines": [{"sku": "A"}]}, "invalid_lines", "lines[0]"),
        ({"amuont": "1.00"}, "invalid_field", "amuont"),
        ({"whole": True, "reason": "because"}, "invalid_field", "reason"),
        ({"whole": True, "refund_ref": ""}, "missing_field", "refund_ref"),
        ({"whole": True, "goal": "LEAD"}, "invalid_field", "goal"),
        ({}, "invalid_refund", None),
    ],
)
def test_what_cannot_have_been_given_back_is_refused_and_kept(owner, sale, refund, code, field):
    reply = owner.post(f"/conversions/{sale.pk}/refund/", {"refund_ref": "R1", **refund})

    assert code_of(reply) == (422, code)
    assert reply.json()["errors"][0]["attr"] == field
    assert not Refund.objects.exists()
    assert RejectedEvent.objects.get().code == code


def test_a_refused_refund_of_an_order_shows_the_orders_campaign(owner, sale, acme):
    refused = owner.post("/refunds/", {"order_ref": "A1", "refund_ref": "R1", "amount": "100.01"})
    nobody = owner.post("/refunds/", {"order_ref": ["A1"], "refund_ref": "R1", "amount": "100.01"})
    assert (code_of(refused)[1], code_of(nobody)[1]) == ("more_than_sold", "invalid_field")
    assert list(RejectedEvent.objects.order_by("pk").values_list("campaign", flat=True)) == [acme.pk, None]


def test_two_refunds_give_back_no_more_than_was_sold(owner, sale):
    address = f"/conversions/{sale.pk}/refund/"
    assert owner.post(address, {"refund_ref": "R1", "amount": "60.00"}).status_code == 201
    assert code_of(owner.post(address, {"refund_ref": "R2", "amount": "60.00"})) == (422, "more_than_sold")
    assert owner.post(address, {"refund_ref": "R3", "lines": "1:2"}).status_code == 201
    assert code_of(owner.post(address, {"refund_ref": "R4", "lines": "1:1"})) == (422, "more_than_sold")
    assert owner.post(address, {"refund_ref": "R1", "amount": "60.00"}).status_code == 200
    assert Refund.objects.count() == 2


def test_amounts_and_lines_together_give_back_no_more_than_was_sold(owner, sale):
    address = f"/conversions/{sale.pk}/refund/"
    assert owner.post(address, {"refund_ref": "R1", "lines": "2"}).status_code == 201  # 40.00 are left
    assert code_of(owner.post(address, {"refund_ref": "R2", "amount": "40.01"})) == (422, "more_than_sold")
    assert owner.post(address, {"refund_ref": "R3", "amount": "30.00"}).status_code == 201
    refused = owner.post(address, {"refund_ref": "R4", "lines": "1:1"})  # 20.00, of which 10.00 are left

    assert code_of(refused) == (422, "more_than_sold")
    assert "10.00" in refused.json()["errors"][0]["detail"]
    assert owner.post(address, {"refund_ref": "R5", "amount": "10.00"}).status_code == 201
    assert set(Refund.objects.values_list("refund_ref", flat=True)) == {"R1", "R3", "R5"}
    assert RejectedEvent.objects.filter(code="more_than_sold").count() == 2


def test_lines_that_are_back_do_not_come_back_again(owner, sale):
    address = f"/conversions/{sale.pk}/refund/"
    assert owner.post(address, {"refund_ref": "R1", "lines": "1"}).status_code == 201
    assert code_of(owner.post(address, {"refund_ref": "R2", "lines": "1"})) == (422, "more_than_sold")
    assert owner.post(address, {"refund_ref": "R3", "lines": "1|2"}).status_code == 201
    assert Refund.objects.count() == 2


def test_the_whole_order_comes_back_once(owner, sale):
    address = f"/conversions/{sale.pk}/refund/"
    assert owner.post(address, {"refund_ref": "R1", "amount": "60.00"}).status_code == 201
    assert owner.post(address, {"refund_ref": "R2", "whole": True}).status_code == 201

    refused = owner.post(address, {"refund_ref": "R3", "whole": True})

    assert code_of(refused) == (422, "more_than_sold")
    assert refused.json()["errors"][0]["attr"] == "whole"
    assert owner.post(address, {"refund_ref": "R2", "whole": True}).status_code == 200
    assert Refund.objects.count() == 2


def test_an_update_amends_and_without_it_other_content_is_a_conflict(owner, acme):
    first = owner.post("/conversions/", {**SALE, "update": True})
    assert (first.status_code, "sequence" in first.json()) == (201, False)

    assert owner.post("/conversions/", {**SALE, "update": True}).json()["sequence"] == 0
    assert code_of(owner.post("/conversions/", {**SALE, "amount": "50.00"})) == (409, "order_ref_conflict")
    amended = [owner.post("/conversions/", {**SALE, "amount": "50.00", "update": True}) for _ in range(2)]

    assert [reply.status_code for reply in amended] == [201, 200]
    assert amended[0].json() == {**first.json(), "sequence": 1, "in_force": True} == amended[1].json()
    assert Amendment.objects.get().content["amount_minor"] == 50_00


def test_a_lower_sequence_is_kept_without_effect(owner, acme):
    owner.post("/conversions/", SALE)
    told = [
        owner.post("/conversions/", {**SALE, "amount": amount, "update": True, "sequence": sequence})
        for sequence, amount in ((5, "50.00"), (3, "30.00"), (3, "30.00"), (3, "31.00"))
    ]

    assert [reply.status_code for reply in told] == [201, 201, 200, 409]
    assert [reply.json()["in_force"] for reply in told[:3]] == [True, False, False]
    assert code_of(told[3]) == (409, "sequence_conflict")
    assert list(Amendment.objects.values_list("sequence", flat=True)) == [3, 5]


def test_a_sequence_without_an_update_is_refused(owner, acme):
    assert code_of(owner.post("/conversions/", {**SALE, "sequence": 2})) == (422, "invalid_field")
    assert not Conversion.objects.exists()


def test_a_batch_is_answered_row_by_row_and_again_the_same(owner, acme):
    rows = [SALE, {**SALE, "order_ref": "A2", "amount": "1,00"}, "nonsense", {**SALE, "campaign": "nobody"}]

    first, again = (owner.post("/conversions/batch/", {"conversions": rows}) for _ in range(2))

    assert first.status_code == again.status_code == 200
    assert [row["answer"] for row in first.json()["results"]] == [201, 422, 422, 422]
    assert [row.get("code") for row in again.json()["results"]] == [
        None, "invalid_amount", "invalid_body", "unknown_campaign",
    ]  # fmt: skip
    assert (first.json()["created"], again.json()["repeated"], again.json()["refused"]) == (1, 1, 3)
    assert Conversion.objects.get().order_ref == "A1"
    assert RejectedEvent.objects.count() == 6


def test_a_batch_has_a_size(owner, acme, monkeypatch):
    monkeypatch.setattr(telling, "MOST_ROWS", 2)

    for rows in ([], [SALE] * 3, "A1", None):
        assert code_of(owner.post("/conversions/batch/", {"conversions": rows})) == (422, "invalid_batch")
    assert not Conversion.objects.exists()


def test_a_batch_under_a_key_is_answered_from_memory(owner, acme):
    first, again = (owner.post("/conversions/batch/", {"conversions": [SALE]}, idempotency_key="k1") for _ in range(2))

    assert first.json() == again.json()
    assert (first.json()["created"], again.headers["Idempotency-Replayed"]) == (1, "true")
    assert not AuditEntry.objects.filter(verb="refund").exists()
