"""The worked numbers of attribution and rating, through the public document."""

import copy

import pytest

from apps.core.errors import Invalid
from apps.pipeline.rules import explain
from tests.pipeline.documents import EXAMPLE, click, document


def at(day, time="12:00:00"):
    return f"2026-{day}T{time}Z"


def winners(receipt):
    return {share["partner"]: share["share"] for share in receipt["shares"]}


@pytest.mark.parametrize(
    ("moment", "touch"),
    [
        (at("02-08"), {"id": "t", "kept": True}),
        (at("02-08", "11:59:59"), {"id": "t", "kept": False, "reason": "outside_window"}),
        (at("03-10"), {"id": "t", "kept": True}),
        (at("03-10", "12:00:01"), {"id": "t", "kept": False, "reason": "after_conversion"}),
    ],
)
def test_the_window_is_inclusive_at_the_exact_second(moment, touch):
    assert explain(document(("t", "A", moment)))["touches"] == [touch]


@pytest.mark.parametrize(("click_at", "winner"), [(at("03-09", "13:00:00"), "A"), (at("03-09", "06:00:00"), "B")])
def test_a_soft_click_waits_a_day(click_at, winner):
    soft = {**click("s", "B", at("03-10")), "kind": "SOFT_CLICK"}
    assert winners(explain(document(("c", "A", click_at), soft))) == {winner: "1"}


@pytest.mark.parametrize(
    ("order_at", "winner"), [("2026-03-10T13:00:00Z", "blog"), ("2026-03-11T13:00:00Z", "extension")]
)
def test_a_cart_freezes_the_journey_for_a_day(order_at, winner):
    one = document(
        click("a", "blog", at("03-09")),
        {"id": "cart", "kind": "GOAL", "goal": "CART", "at": at("03-10")},
        click("b", "extension", at("03-10", "12:30:00")),
        freeze={"goal": "CART", "hours": 24},
    )
    one["conversion"]["occurred_at"] = order_at
    assert winners(explain(one)) == {winner: "1"}


@pytest.mark.parametrize(
    ("model", "shares", "revenue"),
    [
        ("FIRST_CLICK", {"yandex": "1"}, ["100.00"]),
        ("LAST_CLICK", {"instagram": "1"}, ["100.00"]),
        ("LINEAR", {"yandex": "1/3", "social": "1/3", "instagram": "1/3"}, ["33.33", "33.33", "33.34"]),
        ("POSITION", {"yandex": "2/5", "social": "1/5", "instagram": "2/5"}, ["40.00", "20.00", "40.00"]),
    ],
)
def test_search_social_instagram(model, shares, revenue):
    path = [("a", "yandex", at("03-01")), ("b", "social", at("03-05")), ("c", "instagram", at("03-09"))]
    receipt = explain(document(*path, model=model))
    assert (winners(receipt), [share["revenue"] for share in receipt["shares"]]) == (shares, revenue)


def test_content_counts_double():
    path = [click(f"t{n}", p, at(f"03-0{n}"), channel="content" if p == "B" else "x") for n, p in enumerate("ABCD", 1)]
    double = [{"when": {"channel": "content"}, "do": "MULTIPLY", "factor": "2"}]
    receipt = explain(document(*path, model="LINEAR", adjustments=double))
    assert winners(receipt) == {"A": "1/5", "B": "2/5", "C": "1/5", "D": "1/5"}


@pytest.mark.parametrize(("repeats", "share"), [("ALL", "3/5"), ("COLLAPSE", "1/3"), ("ONCE", "1/3")])
def test_clicking_often_pays_only_where_all_count(repeats, share):
    path = [(f"t{n}", p, at(f"03-0{n}")) for n, p in enumerate("AAABC", 1)]
    receipt = explain(document(*path, model="LINEAR", repeats=repeats))
    assert winners(receipt)["A"] == share
    dropped = [touch["reason"] for touch in receipt["touches"] if not touch["kept"]]
    assert dropped == ([] if repeats == "ALL" else ["repeat", "repeat"])


def test_roles_of_a_path_with_repeats():
    path = [(f"t{n}", p, at(f"03-0{n}")) for n, p in enumerate("AABA", 1)]
    roles = explain(document(*path))["roles"]
    assert roles == {"initiator": "A", "assists": ["A", "B"], "closer": "A", "touches": 4, "partners": 2}
    single = explain(document(path[0], single_touch_role="CLOSER"))["roles"]
    assert (single["initiator"], single["closer"]) == (None, "A")


@pytest.mark.parametrize(
    ("new", "amount", "swapped", "commission", "rule", "tried"),
    [
        (True, "250", False, "30.00", "new and large", None),
        (False, "250", False, "25.00", "large", ["new and large"]),
        (True, "199.99", False, "16.00", "rest", ["new and large", "large"]),
        (True, "250", True, "25.00", "large", None),
    ],
)
def test_order_decides_between_rules(new, amount, swapped, commission, rule, tried):
    rules = [
        {"name": "new and large", "when": {"new_customer": True, "amount_from": "200"}, "pay": {"percent": "12"}},
        {"name": "large", "when": {"amount_from": "200"}, "pay": {"percent": "10"}},
        {"name": "rest", "pay": {"percent": "8"}},
    ]
    if swapped:
        rules[:2] = rules[1::-1]
    one = document(("t", "A", at("03-09")), amount=amount, plans={"default": {"rules": rules}})
    one["conversion"]["new_customer"] = new
    receipt = explain(one)
    (row,) = receipt["rating"]
    assert (receipt["commission"], row["rule"], row.get("tried")) == (commission, rule, tried)


def test_a_discount_is_taken_off_every_line():
    one = document(("t", "A", at("03-09")))
    one["conversion"] = {
        "occurred_at": at("03-10"),
        "discount": "10.00",
        "lines": [
            {"quantity": 2, "unit_price": "20.00", "category": "A"},
            {"unit_price": "50.00", "category": "B"},
            {"quantity": 3, "unit_price": "4.00", "category": "C"},
        ],
    }
    rules = [{"when": {"category": c}, "pay": {"percent": p}} for c, p in (("A", "5"), ("B", "8"))]
    one["plans"] = {"default": {"rules": rules}}
    receipt = explain(one)
    assert [row["base"] for row in receipt["rating"]] == ["36.08", "45.10", "10.82"]
    assert [row["exact"] for row in receipt["rating"]] == ["1.804", "3.608", "0"]
    assert (receipt["revenue"], receipt["commission"]) == ("92.00", "5.41")


def test_more_adjustments_than_anybody_needs_are_refused():
    many = copy.deepcopy(EXAMPLE)
    many["policy"]["adjustments"] = [
        {"do": "MULTIPLY", "factor": "999999999.999999999", "when": {"partner": "blog"}}
    ] * 50
    assert explain(many)["commission"] == "4.50"
    many["policy"]["adjustments"] *= 2
    with pytest.raises(Invalid) as refusal:
        explain(many)
    assert (refusal.value.code, refusal.value.path) == ("out_of_range", "policy.adjustments")
