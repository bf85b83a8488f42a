"""The test bench answers a document with its receipt (engine, section 5)."""

import copy
import json

import pytest

from apps.core.errors import Invalid
from apps.pipeline.rules import canonical_bytes, compact, decide, explain, explain_text, parse, render, seal
from tests.pipeline.documents import EXAMPLE, RICH, click, document


def changed(*path, to):
    """The example with one value replaced, or removed (`to=...`)."""
    one = copy.deepcopy(EXAMPLE)
    inner = one
    for key in path[:-1]:
        inner = inner[key]
    if to is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = to
    return one


def money(receipt):
    return {share["partner"]: (share["share"], share["commission"]) for share in receipt["shares"]}


def test_the_documented_example_answers_as_documented():
    receipt = explain(EXAMPLE)
    rating = receipt.pop("rating")
    assert receipt == {
        "touches": [
            {"id": "t0", "kept": False, "reason": "outside_window"},
            {"id": "t1", "kept": True},
            {"id": "t2", "kept": True},
        ],
        "shares": [
            {"partner": "blog", "share": "3/4", "revenue": "67.50", "commission": "3.38"},
            {"partner": "voucher", "share": "1/4", "revenue": "22.50", "commission": "1.80"},
        ],
        "unpaid_share": "0",
        "unpaid_revenue": "0.00",
        "commission": "5.18",
        "revenue": "90.00",
        "currency": "EUR",
        "roles": {"initiator": "blog", "assists": [], "closer": "voucher", "touches": 2, "partners": 2},
        "flags": [],
    }
    assert rating[0] == {
        "partner": "blog",
        "plan": "partner:blog",
        "line": "L1",
        "rule": "all",
        "base": "36.00",
        "rate": "5 %",
        "exact": "1.8",
    }
    assert [(row["partner"], row["line"], row["exact"], row.get("tried")) for row in rating[1:]] == [
        ("blog", "L2", "2.7", None),
        ("voucher", "L1", "2.88", ["new customers"]),
        ("voucher", "L2", "4.32", ["new customers"]),
    ]


def test_every_default_is_the_documented_one():
    sparse = {
        "conversion": {"occurred_at": "2026-03-10T12:00:00Z", "amount": "100"},
        "policy": {"model": "LAST_CLICK"},
        "plans": {"default": {"rules": [{"pay": {"percent": "5"}}]}},
        "touches": [{"id": "a", "kind": "CLICK", "at": "2026-02-08T12:00:00Z", "partner": "blog"}],
    }
    receipt = explain(sparse)
    assert (receipt["currency"], receipt["revenue"], money(receipt)) == ("EUR", "100.00", {"blog": ("1", "5.00")})
    assert receipt["rating"] == [
        {
            "partner": "blog",
            "plan": "default",
            "line": "#1",
            "rule": "#1",
            "base": "100.00",
            "rate": "5 %",
            "exact": "5",
        }
    ]


def test_null_is_the_same_as_leaving_a_field_out():
    full = changed("policy", "freeze", to=None)
    full["policy"]["weights"] = full["policy"]["levels"] = full["touches"][0]["device"] = None
    assert explain(full)["commission"] == "5.18"


def test_nothing_that_counts_answers_nulls_and_a_flag():
    receipt = explain(changed("touches", to=[]))
    assert (receipt["shares"], receipt["rating"], receipt["flags"]) == ([], [], ["no_eligible_touches"])
    assert receipt["roles"] == {"initiator": None, "assists": [], "closer": None, "touches": 0, "partners": 0}
    assert (receipt["unpaid_share"], receipt["commission"], receipt["revenue"]) == ("0", "0.00", "90.00")


def test_the_worked_numbers_of_time_decay():
    touches = [
        ("a", "A", "2026-02-24T12:00:00Z"),
        ("b", "B", "2026-03-03T12:00:00Z"),
        ("c", "C", "2026-03-10T12:00:00Z"),
    ]
    receipt = explain(document(*touches, model="TIME_DECAY", amount="10.00", percent="100"))
    assert money(receipt) == {"A": ("1/7", "1.43"), "B": ("2/7", "2.86"), "C": ("4/7", "5.71")}


def test_the_worked_numbers_of_sharing():
    touches = [
        ("a", "A", "2026-03-08T12:00:00Z"),
        ("b", "B", "2026-03-09T12:00:00Z"),
        ("c", "C", "2026-03-10T12:00:00Z"),
    ]
    receipt = explain(document(*touches, model="LINEAR"))
    assert (money(receipt), receipt["commission"]) == (
        {"A": ("1/3", "1.66"), "B": ("1/3", "1.67"), "C": ("1/3", "1.67")},
        "5.00",
    )
    plans = {
        "default": {"rules": []},
        **{f"partner:{p}": {"rules": [{"pay": {"percent": r}}]} for p, r in (("A", "5"), ("B", "8"), ("C", "10"))},
    }
    receipt = explain(document(*touches, model="LINEAR", plans=plans))
    assert money(receipt) == {"A": ("1/3", "1.67"), "B": ("1/3", "2.67"), "C": ("1/3", "3.33")}
    assert [share["revenue"] for share in receipt["shares"]] == ["33.33", "33.33", "33.34"]


def test_guarantee_and_take_all_on_ten():
    path = [("a", "content", "08"), ("b", "comparison", "09"), ("c", "last", "10")]
    touches = [click(id, p, f"2026-03-{day}T12:00:00Z", channel=p) for id, p, day in path]

    def ending(**adjustment):
        rule = {"when": {"channel": "last", "position_from_end": 1}, **adjustment}
        return money(explain(document(*touches, model="POSITION", amount="10", percent="100", adjustments=[rule])))

    assert ending(do="GUARANTEE", percent="50") == {
        "content": ("1/5", "2.00"),
        "comparison": ("1/10", "1.00"),
        "last": ("7/10", "7.00"),
    }
    assert ending(do="TAKE_ALL") == {"last": ("1", "10.00")}


@pytest.mark.parametrize(
    ("policy", "winner", "flags"),
    [
        ("ALWAYS", "B", []),
        ("IF_INVOLVED", "A", []),
        ("IF_WINNER", "A", []),
    ],
)
def test_click_by_a_code_of_b(policy, winner, flags):
    coupons = {"Save": {"partner": "B", "policy": policy}}
    receipt = explain(document(("a", "A", "2026-03-10T11:00:00Z"), coupons=coupons, codes=["SAVE"]))
    assert (list(money(receipt)), receipt["flags"]) == ([winner], flags)


def test_an_expired_code_and_a_code_without_click():
    expired = {"SAVE": {"partner": "B", "policy": "ALWAYS", "valid_to": "2026-03-10T12:00:00Z"}}
    receipt = explain(document(("a", "A", "2026-03-10T11:00:00Z"), coupons=expired, codes=["save", "other"]))
    assert (list(money(receipt)), receipt["flags"]) == (["A"], ["coupon_expired", "coupon_unknown"])
    alone = explain(document(coupons={"SAVE": {"partner": "B"}}, codes=["save"]))
    assert money(alone) == {"B": ("1", "5.00")}


def test_a_codes_plan_replaces_its_owners_plan():
    plans = {
        "default": {"rules": [{"pay": {"percent": "5"}}]},
        "partner:B": {"rules": [{"pay": {"percent": "6"}}]},
        "vip": {"rules": [{"pay": {"percent": "20"}}]},
    }
    coupons = {"SAVE": {"partner": "B", "policy": "ALWAYS", "plan": "vip"}}
    touches = [("a", "A", "2026-03-10T11:00:00Z")]
    assert money(explain(document(*touches, coupons=coupons, codes=["SAVE"], plans=plans))) == {"B": ("1", "20.00")}


def test_a_frozen_journey_shows_the_goal_and_what_came_after_it():
    touches = [
        click("a", "blog", "2026-03-08T12:00:00Z"),
        {"id": "cart", "kind": "GOAL", "goal": "CHECKOUT", "at": "2026-03-10T11:00:00Z"},
        click("b", "extension", "2026-03-10T11:30:00Z"),
    ]
    receipt = explain(document(*touches, freeze={"goal": "CHECKOUT", "hours": 24}))
    assert receipt["touches"] == [
        {"id": "a", "kept": True},
        {"id": "cart", "kept": False, "reason": "goal"},
        {"id": "b", "kept": False, "reason": "after_freeze"},
    ]
    assert list(money(receipt)) == ["blog"]


def test_an_own_channel_that_wins_is_not_paid():
    touches = [
        click("a", "blog", "2026-03-05T12:00:00Z", channel="content"),
        {"id": "sea", "kind": "VISIT", "at": "2026-03-10T11:00:00Z", "channel": "sea-brand"},
    ]
    receipt = explain(document(*touches, unpaid="KEEP"))
    assert (receipt["shares"], receipt["unpaid_share"], receipt["unpaid_revenue"]) == ([], "1", "100.00")
    assert receipt["roles"]["closer"] == "channel:sea-brand"
    lower = explain(document(*touches, unpaid="KEEP", levels=[["content"], ["sea-brand"]]))
    assert list(money(lower)) == ["blog"]


def test_bases_minimum_and_maximum_show_an_order_row():
    def receipt(**fixed):
        one = document(("a", "A", "2026-03-10T11:00:00Z"))
        del one["conversion"]["amount"]
        one["conversion"]["lines"] = [
            {"category": "A", "quantity": 2, "unit_price": "20.00"},
            {"category": "B", "unit_price": "50.00", "sku": "b"},
            {"category": "C", "quantity": 3, "unit_price": "4.00"},
            {"category": "D", "unit_price": "0.00"},
        ]
        rules = [
            {"name": "A", "when": {"category": ["A"]}, "pay": {"percent": "5"}},
            {"name": "B", "when": {"category": "B"}, "pay": {"percent": "8.00", "of": "gross"}},
            {"name": "C", "when": {"category": ["C", "X"]}, "pay": {"per_unit": "0.50"}},
        ]
        one["plans"] = {"default": {"rules": rules, **fixed}}
        return explain(one)

    def rows(found):
        return [(row["line"], row["rule"], row["base"], row["rate"], row["exact"]) for row in found["rating"]]

    usual = receipt(per_order="2.00")
    assert usual["commission"] == "9.50"
    assert rows(usual) == [
        ("#1", "A", "40.00", "5 %", "2"),
        ("b", "B", "50.00", "8 % of gross", "4"),
        ("#3", "C", "12.00", "0.50 per unit", "1.5"),
        ("#4", None, "0.00", None, "0"),
        ("ORDER", None, "102.00", "2.00 per order", "2"),
    ]
    assert usual["rating"][3]["tried"] == ["A", "B", "C"]
    capped = receipt(per_order="2.00", maximum="9.00")
    assert (capped["commission"], rows(capped)[-1]) == ("9.00", ("ORDER", None, "102.00", "2.00 per order", "1.5"))
    raised = receipt(minimum="10.00")
    assert (raised["commission"], rows(raised)[-1]) == ("10.00", ("ORDER", None, "102.00", None, "2.5"))
    assert [row[0] for row in rows(receipt())] == ["#1", "b", "#3", "#4"]


def test_parts_that_do_not_sum_are_flagged():
    receipt = explain(changed("conversion", "amount", to="95.00"))
    assert receipt["flags"] == ["parts_mismatch"]
    assert [row["line"] for row in receipt["rating"]] == ["L1", "L2", "#3", "L1", "L2", "#3"]
    assert receipt["revenue"] == "95.00"


def test_budget_neutral_rates_every_winner_by_the_last_clicks_plan():
    touches = [("a", "A", "2026-03-08T12:00:00Z"), ("b", "B", "2026-03-10T12:00:00Z")]
    plans = {
        "default": {"rules": [{"pay": {"percent": "5"}}]},
        "partner:B": {"rules": [{"pay": {"percent": "9"}}]},
    }
    receipt = explain(document(*touches, model="LINEAR", budget_neutral=True, plans=plans))
    assert money(receipt) == {"A": ("1/2", "4.50"), "B": ("1/2", "4.50")}
    assert {row["plan"] for row in receipt["rating"]} == {"partner:B"}


@pytest.mark.parametrize(("currency", "amount", "revenue"), [("JPY", "90", "90"), ("KWD", "90.125", "90.125")])
def test_amounts_have_the_currencys_digits(currency, amount, revenue):
    one = document(("a", "A", "2026-03-10T11:00:00Z"), amount=amount)
    one["conversion"]["currency"] = currency
    assert explain(one)["revenue"] == revenue


def test_a_list_answers_a_list_with_refusals_in_their_place():
    answers = explain([EXAMPLE, changed("conversion", "amount", to="x"), 7, EXAMPLE])
    assert answers[0] == answers[3] == explain(EXAMPLE)
    assert answers[1:3] == [
        {"error": {"code": "invalid_amount", "path": "conversion.amount"}},
        {"error": {"code": "invalid_type", "path": ""}},
    ]
    assert explain([]) == []


@pytest.mark.parametrize(
    ("one", "code", "path"),
    [
        (changed("conversion", "lines", 0, "unit_price", to="1,5"), "invalid_amount", "conversion.lines[0].unit_price"),
        (changed("conversion", "lines", 0, "unit_price", to=20), "invalid_amount", "conversion.lines[0].unit_price"),
        (changed("conversion", "lines", 1, "unit_price", to=...), "missing_field", "conversion.lines[1].unit_price"),
        (changed("conversion", "lines", 0, "quantity", to=0), "out_of_range", "conversion.lines[0].quantity"),
        (changed("conversion", "amount", to="90.005"), "invalid_amount", "conversion.amount"),
        (changed("conversion", "amount", to="-1"), "invalid_amount", "conversion.amount"),
        (changed("conversion", "amount", to="٣"), "invalid_amount", "conversion.amount"),
        (changed("conversion", "currency", to="euro"), "invalid_currency", "conversion.currency"),
        (changed("conversion", "occurred_at", to="2026-03-10T12:00:00"), "naive_time", "conversion.occurred_at"),
        (changed("conversion", "occurred_at", to="2026-03-10"), "naive_time", "conversion.occurred_at"),
        (changed("conversion", "occurred_at", to="yesterday"), "invalid_time", "conversion.occurred_at"),
        (changed("conversion", "occurred_at", to="2026-02-30T12:00:00Z"), "invalid_time", "conversion.occurred_at"),
        (
            changed("conversion", "occurred_at", to="0001-01-01T00:00:00+14:00"),
            "invalid_time",
            "conversion.occurred_at",
        ),
        (changed("conversion", "occurred_at", to=...), "missing_field", "conversion.occurred_at"),
        (changed("conversion", "shop", to="x"), "unknown_field", "conversion.shop"),
        (changed("conversion", "coupons", to="SAVE"), "invalid_type", "conversion.coupons"),
        (changed("touches", 1, "id", to="t2"), "duplicate_id", "touches[1].id"),
        (changed("touches", 1, "kind", to="TAP"), "invalid_choice", "touches[1].kind"),
        (changed("touches", 1, "at", to=None), "missing_field", "touches[1].at"),
        (changed("touches", 1, "partner", to=17), "invalid_type", "touches[1].partner"),
        (changed("touches", 1, "partner", to="\ud800"), "invalid_text", "touches[1].partner"),
        (changed("policy", "model", to="MARKOV"), "invalid_choice", "policy.model"),
        (changed("policy", "model", to=...), "missing_field", "policy.model"),
        (changed("policy", "half_life_days", to="0"), "out_of_range", "policy.half_life_days"),
        (changed("policy", "winner_limit", to=True), "invalid_type", "policy.winner_limit"),
        (
            changed("policy", "weights", to=dict.fromkeys(("first", "middle", "last"), "0")),
            "out_of_range",
            "policy.weights",
        ),
        (changed("policy", "channel_windows", "email", to="7"), "invalid_type", "policy.channel_windows.email"),
        (changed("policy", "levels", 0, to="content"), "invalid_type", "policy.levels[0]"),
        (changed("policy", "adjustments", 0, "factor", to=...), "missing_field", "policy.adjustments[0].factor"),
        (
            changed("policy", "adjustments", 0, "when", "channel", to=[1]),
            "invalid_type",
            "policy.adjustments[0].when.channel[0]",
        ),
        (changed("coupons", "save10", to={}), "duplicate_id", "coupons.save10"),
        (changed("coupons", "SAVE10", "plan", to="none"), "unknown_plan", "coupons.SAVE10.plan"),
        (changed("coupons", "SAVE10", "policy", to="SHARE"), "missing_field", "coupons.SAVE10.percent"),
        (changed("plans", "default", to=...), "missing_field", "plans.default"),
        (changed("plans", "partnr:blog", to={}), "unknown_field", "plans.partnr:blog"),
        (changed("plans", "partner:", to={}), "unknown_field", "plans.partner:"),
        (changed("plans", "default", "rules", 0, "pay", to=...), "missing_field", "plans.default.rules[0].pay"),
        (changed("plans", "default", "rules", 0, "pay", to={}), "missing_field", "plans.default.rules[0].pay.percent"),
        (
            changed("plans", "default", "rules", 0, "pay", "percent", to="12 %"),
            "invalid_number",
            "plans.default.rules[0].pay.percent",
        ),
        (
            changed("plans", "default", "rules", 0, "when", "amount_from", to="x"),
            "invalid_amount",
            "plans.default.rules[0].when.amount_from",
        ),
        (changed("plans", "default", "maximum", to="1.001"), "invalid_amount", "plans.default.maximum"),
        (changed("plans", to=...), "missing_field", "plans"),
        ({}, "missing_field", "conversion"),
        (None, "invalid_type", ""),
    ],
)
def test_a_fault_is_refused_with_its_code_and_path(one, code, path):
    with pytest.raises(Invalid) as refusal:
        explain(one)
    assert (refusal.value.code, refusal.value.path) == (code, path)


def test_the_first_fault_in_document_order_is_named():
    one = {"plans": {"default": {"rules": [{"pay": {"percent": "x"}}]}}, **EXAMPLE}
    late = copy.deepcopy(one)
    late["plans"] = {"default": {"rules": [{"pay": {"percent": "x"}}]}}
    late["conversion"]["amount"] = "x"
    with pytest.raises(Invalid) as refusal:
        explain(late)
    assert refusal.value.path == "plans.default.rules[0].pay.percent"
    reordered = {key: late[key] for key in EXAMPLE}
    with pytest.raises(Invalid) as refusal:
        explain(reordered)
    assert refusal.value.path == "conversion.amount"


def test_neither_amount_nor_lines_is_a_missing_amount():
    one = changed("conversion", "amount", to=...)
    one["conversion"]["lines"] = []
    with pytest.raises(Invalid) as refusal:
        explain(one)
    assert (refusal.value.code, refusal.value.path) == ("missing_field", "conversion.amount")
    too_much = changed("conversion", "amount", to=...)
    too_much["conversion"]["discount"] = "100.01"
    with pytest.raises(Invalid) as refusal:
        explain(too_much)
    assert (refusal.value.code, refusal.value.path) == ("out_of_range", "conversion.discount")


@pytest.mark.parametrize(
    "text",
    ["", "{", b"\xff", '{"a": NaN}', "[" * 100_000, '{"a": 1, "a": 2}', '{"a": ' + "9" * 5000 + "}"],
)
def test_text_that_is_no_json_is_refused(text):
    with pytest.raises(Invalid) as refusal:
        explain_text(text)
    assert refusal.value.code in ("invalid_json", "unknown_field")


def test_text_is_explained_like_its_document():
    assert explain_text(json.dumps(RICH)) == explain(RICH)


def test_a_stored_receipt_renders_the_same_bytes_again():
    for one in (EXAMPLE, RICH):
        case = parse(one)
        decided = decide(case)
        plans = {plan.key: plan for plan in case.plans.values()}
        stored = seal(compact(decided.attribution, decided.rating, case.order, 7), case.order, plans, case.currency)
        back = json.loads(json.dumps(stored))
        again = parse(one)
        rendered = render(back, again.order, {plan.key: plan for plan in again.plans.values()}, again.currency)
        assert canonical_bytes(rendered) == canonical_bytes(explain(one))
        assert seal(back, again.order, plans, again.currency)["hash"] == back["hash"]
        assert len(json.dumps(stored, separators=(",", ":"))) < 600


def test_a_code_may_share_and_bring_its_plan():
    receipt = explain(RICH)
    assert receipt["flags"] == ["coupon_unknown"]
    assert receipt["roles"] == {
        "initiator": "blog",
        "assists": ["voucher"],
        "closer": "channel:sea",
        "touches": 3,
        "partners": 2,
    }
    assert [(row["plan"], row["line"], row["rate"], row["exact"]) for row in receipt["rating"][2:]] == [
        ("coupon plan", "L1", "1.00 per line + 0.50 per unit", "2"),
        ("coupon plan", "L2", "1.00 per line + 0.50 per unit", "1.5"),
        ("coupon plan", "ORDER", "2.00 per order", "2"),
    ]
