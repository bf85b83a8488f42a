"""Reading a conversion: every field, every refusal with its code."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from apps.core.errors import Refusal
from apps.core.money import InvalidAmount
from apps.tracking.rules.basket import LineFact
from apps.tracking.rules.clicks import derive_key, sign_click
from apps.tracking.rules.conversions import Terms, read_conversion
from apps.tracking.rules.fields import gather, read_json, read_pairs

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
KEY = derive_key("secret")
TERMS = Terms(campaign_id=7, currencies=("EUR", "JPY"), click_keys=(KEY,))
EURO = Terms(campaign_id=7, currencies=("EUR",), click_keys=(KEY,))
CLICK, SECOND = uuid4(), uuid4()
TOKEN, SECOND_TOKEN = sign_click(CLICK, 7, KEY), sign_click(SECOND, 7, KEY)
FORGED = sign_click(CLICK, 8, KEY)
SALE = {"order_ref": "A1", "amount": "100.00", "currency": "EUR"}


def read(fields, terms=TERMS):
    return read_conversion(fields, terms=terms, now=NOON)


def code_of(fields, terms=TERMS):
    with pytest.raises(Refusal) as refused:
        read(fields, terms)
    return refused.value.code, refused.value.path


def test_every_field_is_read():
    fact = read(
        {
            "tclid": f"{TOKEN}, {SECOND_TOKEN},{TOKEN}",
            "order_ref": " A1 ",
            "goal": "lead",
            "amount": "1083.29",
            "currency": "EUR",
            "discount": "10.5",
            "coupon": ["save10", "VIP,save10"],
            "new_customer": "1",
            "occurred_at": "2026-03-10T12:30:00+01:00",
            "country": "de",
            "test": "true",
            "p1": "left alone",
        }
    )

    assert fact.click_ids == (CLICK, SECOND)
    assert (fact.order_ref, fact.goal, fact.country) == ("A1", "LEAD", "DE")
    assert (fact.amount_minor, fact.discount_minor, fact.currency) == (108329, 1050, "EUR")
    assert fact.coupons == ("save10", "VIP")
    assert (fact.new_customer, fact.is_test) == (True, True)
    assert fact.occurred_at == datetime(2026, 3, 10, 11, 30, tzinfo=UTC)


def test_plus_of_a_zone_that_nobody_encoded_is_understood():
    fields = gather(read_pairs("order_ref=A1&amount=1&currency=EUR&occurred_at=2026-03-10T12:30:00+01:00"))

    assert read(fields).occurred_at == datetime(2026, 3, 10, 11, 30, tzinfo=UTC)


def test_only_currency_of_a_campaign_need_not_be_said():
    assert read({"order_ref": "A1", "amount": "1"}, EURO).currency == "EUR"
    assert code_of({"order_ref": "A1", "amount": "1"}) == ("missing_field", "currency")


def test_yen_have_no_decimals():
    assert read({**SALE, "amount": "1083", "currency": "JPY"}).amount_minor == 1083
    assert code_of({**SALE, "amount": "1083.29", "currency": "JPY"}) == ("invalid_amount", "amount")


@pytest.mark.parametrize(
    "amount", ["1.083,29", "1,083.29", "1 083.29", "1083,29", "1e3", "-1", "+1", ".5", "5.", "1.001", "NaN", "٣", "0x1"]
)
def test_amount_is_digits_with_a_point(amount):
    assert code_of({**SALE, "amount": amount}) == ("invalid_amount", "amount")


@pytest.mark.parametrize("amount", ["99999999999999999", "10000000000000", "99999999999999999.99"])
def test_an_amount_that_is_too_large_is_told_so(amount):
    with pytest.raises(InvalidAmount, match="too large"):
        read({**SALE, "amount": amount})


@pytest.mark.parametrize(
    ("change", "code", "path"),
    [
        ({"amount": None}, "missing_field", "amount"),
        ({"order_ref": ""}, "missing_field", "order_ref"),
        ({"currency": "USD"}, "currency_not_accepted", "currency"),
        ({"currency": "eur"}, "invalid_currency", ""),
        ({"currency": "EURO"}, "invalid_field", "currency"),
        ({"discount": "1,5"}, "invalid_amount", "discount"),
        ({"tclid": FORGED}, "forged_click", "tclid"),
        ({"tclid": "x" * 201}, "invalid_field", "tclid"),
        ({"goal": "a b"}, "invalid_field", "goal"),
        ({"order_ref": "x" * 121}, "invalid_field", "order_ref"),
        ({"order_ref": "a\x00b"}, "invalid_field", "order_ref"),
        ({"order_ref": "a\ud800"}, "invalid_field", "order_ref"),
        ({"order_ref": ["a", "b"]}, "invalid_field", "order_ref"),
        ({"amount": ["1", "2"]}, "invalid_field", "amount"),
        ({"amount": 1.5}, "invalid_field", "amount"),
        ({"new_customer": "maybe"}, "invalid_field", "new_customer"),
        ({"test": "on"}, "invalid_field", "test"),
        ({"country": "D1"}, "invalid_field", "country"),
        ({"occurred_at": "2026-03-10"}, "invalid_occurred_at", "occurred_at"),
        ({"occurred_at": "2026-03-10T12:00:00"}, "invalid_occurred_at", "occurred_at"),
        ({"occurred_at": "2026-03-10T12:06:00Z"}, "invalid_occurred_at", "occurred_at"),
        ({"occurred_at": "0001-01-01T00:00:00+23:59"}, "invalid_occurred_at", "occurred_at"),
        ({"occurred_at": "yesterday"}, "invalid_occurred_at", "occurred_at"),
        ({"coupon": ",".join(f"c{n}" for n in range(21))}, "invalid_field", "coupon"),
        ({"lines": "{}"}, "invalid_lines", "lines"),
        ({"lines": "["}, "invalid_lines", "lines"),
        ({"lines": "[1]"}, "invalid_lines", "lines[0]"),
        ({"lines": '[{"unit_price":1},{}]'}, "invalid_lines", "lines[1].unit_price"),
        ({"lines": '[{"unit_price":"1,5"}]'}, "invalid_amount", "lines[0].unit_price"),
        ({"lines": '[{"unit_price":1,"quantity":0}]'}, "invalid_lines", "lines[0].quantity"),
        ({"lines": '[{"unit_price":1,"quantity":1.5}]'}, "invalid_lines", "lines[0].quantity"),
        ({"lines": '[{"unit_price":1,"discount":1.01}]'}, "invalid_lines", "lines[0].discount"),
        ({"lines": '[{"unit_price":1,"sku":{}}]'}, "invalid_field", "lines[0].sku"),
        ({"lines": "[]", "parts": "A:1"}, "invalid_lines", "parts"),
        ({"parts": "A"}, "invalid_parts", "parts[0]"),
        ({"parts": "A:1|:2"}, "invalid_parts", "parts[1]"),
        ({"parts": "A:1,5"}, "invalid_amount", "parts[0]"),
    ],
)
def test_refusal_has_a_code_and_names_the_field(change, code, path):
    assert code_of({**SALE, **change}) == (code, path)


def test_forged_click_beside_a_true_one_or_a_coupon_is_left_out():
    beside_true = read({**SALE, "tclid": f"{FORGED},{TOKEN}"})
    beside_coupon = read({**SALE, "tclid": FORGED, "coupon": "SAVE10"})

    assert (beside_true.click_ids, beside_true.forged_clicks) == ((CLICK,), 1)
    assert (beside_coupon.click_ids, beside_coupon.forged_clicks) == ((), 1)


def test_first_true_click_id_stands_for_a_missing_order_number():
    fact = read({"tclid": f"{FORGED},{TOKEN},{SECOND_TOKEN}", "amount": "1.00", "currency": "EUR"})

    assert fact.order_ref == TOKEN


def test_lead_needs_no_amount():
    assert read({"order_ref": "A1", "goal": "LEAD"}, EURO).amount_minor == 0


def test_lines_are_read_from_json_exactly_and_give_the_amount():
    lines = '[{"sku":"L1","category":"A","quantity":3,"unit_price":0.10},{"unit_price":"2.00","name":"x"}]'
    fact = read({"order_ref": "A1", "currency": "EUR", "discount": "0.30", "lines": lines})

    assert fact.lines == (LineFact(10, 3, sku="L1", category="A"), LineFact(200, name="x"))
    assert fact.amount_minor == 200


def test_discount_of_a_position_splits_it_where_its_units_differ_by_a_cent():
    fact = read({**SALE, "lines": '[{"unit_price":"10.00","quantity":3,"discount":"1.00"}]'})

    assert fact.lines == (LineFact(967, 2), LineFact(966, 1))


def test_parts_are_lines_with_a_category():
    fact = read({"order_ref": "A1", "currency": "EUR", "parts": "CAT:11.10|CAT2:14.99"})

    assert fact.lines == (LineFact(1110, category="CAT"), LineFact(1499, category="CAT2"))
    assert fact.amount_minor == 2609


def test_json_numbers_never_become_floats():
    body = read_json(b'{"order_ref": 17, "amount": 1083.29, "currency": "EUR", "new_customer": false}')
    fact = read(gather([], body))

    assert (fact.order_ref, fact.amount_minor, fact.new_customer) == ("17", 108329, False)


@pytest.mark.parametrize("body", [b"", b"[]", b"1", b"{", b'{"a":NaN}', b"\xff", b"[" * 100_000])
def test_body_that_is_no_json_object_is_refused(body):
    with pytest.raises(Refusal) as refused:
        read_json(body)

    assert refused.value.code == "invalid_body"


def test_same_content_has_the_same_hash_and_any_change_another():
    first = read(SALE)
    later = read_conversion(SALE, terms=TERMS, now=NOON + timedelta(days=1))
    lines = json.dumps([{"unit_price": "100.00"}])
    changes = [{"amount": "100.01"}, {"discount": "1"}, {"tclid": TOKEN}, {"coupon": "X"}, {"test": "1"}]
    changes += [{"lines": lines}, {"country": "DE"}, {"new_customer": "0"}, {"occurred_at": "2026-03-10T11:00:00Z"}]

    assert first.content_hash(7) == later.content_hash(7)
    hashes = {read({**SALE, **change}).content_hash(7) for change in changes}
    assert len(hashes | {first.content_hash(7), first.content_hash(8)}) == len(changes) + 2


def test_names_that_nothing_is_read_from_are_told_back():
    fact = read({**SALE, "items": "[]", "utm_source": "x", "p1": "y", "lines": '[{"unit_price":1,"price":2}]'})

    assert fact.ignored == ["items", "utm_source", "p1", "lines[0].price"]
    assert read({**SALE, "sig": "x", "ts": "1", "test": "1"}).unknown == ()


def test_unknown_names_are_no_part_of_the_content():
    assert read({**SALE, "items": "1"}).content_hash(1) == read(SALE).content_hash(1)


def test_unknown_names_are_few_short_and_printable():
    fact = read({**SALE, "x" * 500: "1", "a\ud800\x00b": "1", **{f"n{number}": "1" for number in range(50)}})

    assert (fact.unknown[0], fact.unknown[1], len(fact.unknown)) == ("x" * 60, "a??b", 20)


def test_forged_clicks_and_unknown_names_are_both_ignored():
    assert read({**SALE, "tclid": FORGED, "coupon": "A", "itmes": "1"}).ignored == ["forged_click", "itmes"]
