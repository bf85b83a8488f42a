"""What machines read of an order is what was told last, beside the commission that follows from it."""

from __future__ import annotations

from datetime import timedelta

from apps.pipeline.services.receiving import receive_refund
from apps.pipeline.services.settling import settle_waiting
from apps.tracking.models import Amendment
from tests.cast import NOON, make_cast, make_conversion, make_touch


def test_amounts_codes_and_lines_are_those_told_last(caller):
    acme = make_cast()
    click = make_touch(acme.enrollments.blog, NOON - timedelta(hours=1))
    lines = [{"unit_price_minor": 60_00, "quantity": 1, "sku": "B-7", "name": "Boots"}, {"unit_price_minor": 40_00}]
    sale = make_conversion(acme.campaign, 100_00, NOON, "A-1", lines=lines, click_ids=[click.pk])
    make_conversion(acme.campaign, 50_00, NOON, "A-2", is_test=True)
    line = {"unit_price_minor": 90_00, "quantity": 1, "sku": "B-7", "category": "", "shop_category": "Shoes"}
    content = {"amount_minor": 80_00, "discount_minor": 10_00, "coupons": ["SAVE10"], "lines": [line]}
    values = {"content_hash": "", "recorded_at": NOON, "content": content}
    Amendment.objects.create(advertiser=acme.advertiser, conversion=sale, sequence=1, **values)
    refund = {"order_ref": "A-1", "refund_ref": "R", "amount": "30.00"}
    receive_refund(advertiser=acme.advertiser, fields=refund, now=NOON)
    settle_waiting(now=NOON)
    owner = caller(acme.advertiser)

    listed = {row["order_ref"]: row for row in owner.get("/conversions/").json()["results"]}
    row = listed["A-1"]
    assert (row["amount"], row["discount"], row["amount_left"]) == ("80.00", "10.00", "50.00")
    assert (row["coupons"], row["commission"]) == (["SAVE10"], "4.00")
    detail = owner.get(f"/conversions/{sale.pk}/").json()
    told = [(line["position"], line["sku"], line["name"], line["unit_price"]) for line in detail["lines"]]
    assert told == [(1, "B-7", "Boots", "90.00")]
    assert {name: detail[name] for name in row} == row
    sale.refresh_from_db()
    assert (sale.amount_minor, sale.lines.count()) == (100_00, 2)


def test_a_test_says_so_and_is_found_by_it(caller):
    acme = make_cast()
    make_conversion(acme.campaign, order_ref="A-1")
    make_conversion(acme.campaign, order_ref="A-2", is_test=True)
    settle_waiting(now=NOON)
    owner = caller(acme.advertiser)

    told = {row["order_ref"]: row["status"] for row in owner.get("/conversions/").json()["results"]}
    assert told == {"A-1": "PENDING", "A-2": "TEST"}
    for status, orders in (("TEST", ["A-2"]), ("PENDING", ["A-1"]), ("DUPLICATE", [])):
        found = owner.get("/conversions/", {"status": status}).json()["results"]
        assert [row["order_ref"] for row in found] == orders
    sale = {"campaign": "acme-shop", "order_ref": "A-3", "amount": "1.00", "test": True}
    assert [owner.post("/conversions/", sale).json()["status"] for _ in range(2)] == ["TEST", "TEST"]
