"""The documented example of the test bench, and small documents for stories."""

import copy
import json

EXAMPLE = json.loads("""
{"conversion": {"goal": "SALE", "occurred_at": "2026-03-10T12:00:00Z", "currency": "EUR",
                "amount": "90.00", "discount": "10.00", "new_customer": true, "country": "DE", "device": "mobile", "coupons": [],
                "lines": [{"sku": "L1", "category": "A", "shop_category": "laptops", "quantity": 2, "unit_price": "20.00"},
                          {"sku": "L2", "category": "B", "quantity": 1, "unit_price": "60.00"}]},
 "touches": [{"id": "t2", "kind": "CLICK", "at": "2026-03-09T09:00:00Z", "channel": "coupon", "channel_class": "PAID", "partner": "voucher"},
             {"id": "t1", "kind": "CLICK", "at": "2026-03-01T09:00:00Z", "channel": "content", "channel_class": "PAID", "device": "mobile",
              "partner": "blog", "partner_group": "gold", "ad_space": "blog-main", "ad_space_category": "editorial"},
             {"id": "t0", "kind": "CLICK", "at": "2026-01-01T09:00:00Z", "channel": "content", "partner": "blog"}],
 "policy": {"model": "POSITION", "weights": {"first": "40", "middle": "20", "last": "40"}, "two_touches": "SHARE_MIDDLE",
            "half_life_days": "7", "click_window_days": 30, "view_window_days": 0, "channel_windows": {"email": 7},
            "levels": [["content", "display"], ["sea-brand"]], "soft_click_hours": 24, "repeats": "ALL",
            "freeze": {"goal": "CHECKOUT", "hours": 24}, "coupon": "IF_WINNER", "unpaid": "IGNORE",
            "winner_limit": 12, "budget_neutral": false, "single_touch_role": "BOTH",
            "adjustments": [{"when": {"channel": ["content"]}, "do": "MULTIPLY", "factor": "3"}]},
 "coupons": {"SAVE10": {"partner": "voucher", "policy": "ALWAYS", "percent": null, "valid_from": "2026-01-01T00:00:00Z", "valid_to": null, "plan": null}},
 "plans": {"default": {"rules": [{"name": "new customers", "when": {"new_customer": true, "amount_from": "200"}, "pay": {"percent": "12"}},
                                 {"name": "rest", "when": {}, "pay": {"percent": "8"}}],
                       "per_order": "0", "minimum": null, "maximum": null},
           "partner:blog": {"rules": [{"name": "all", "when": {}, "pay": {"percent": "5"}}]}}}
""")  # noqa: E501
RICH = copy.deepcopy(EXAMPLE)
RICH["policy"] |= {
    "model": "TIME_DECAY",
    "unpaid": "KEEP",
    "adjustments": [
        {
            "when": {"kind": "CLICK", "position": [1, 2], "journey_contains": {"device": "mobile"}},
            "do": "GUARANTEE",
            "percent": "10",
        },
        {"when": {"partner": ["voucher"], "position_from_end": 1}, "do": "TAKE_ALL"},
    ],
}
RICH["conversion"]["coupons"] = ["save10", "NOPE"]
RICH["coupons"]["SAVE10"] |= {
    "policy": "SHARE",
    "percent": "20",
    "plan": "coupon plan",
    "valid_to": "2027-01-01T00:00:00+01:00",
}
RICH["touches"] += [
    {"id": "goal", "kind": "GOAL", "goal": "CHECKOUT", "at": "2026-03-10T11:00:00.5+00:00"},
    {"id": "sea", "kind": "VISIT", "channel": "sea", "channel_class": "OWNED", "at": "2026-03-10T10:00:00Z"},
]
RICH["plans"]["coupon plan"] = {
    "rules": [
        {
            "when": {"category": ["A"], "sku": "L1", "role": ["closer"], "quantity_from": 2},
            "pay": {"percent": "5", "of": "gross"},
        },
        {"when": {"coupon": "SAVE10", "amount_to": "500"}, "pay": {"per_line": "1.00", "per_unit": "0.50"}},
    ],
    "per_order": "2.00",
    "minimum": "1.00",
    "maximum": "50.00",
}


def document(*touches, model="LAST_CLICK", amount="100.00", percent="5", coupons=None, codes=(), plans=None, **policy):
    """A small document: touches are (id, partner, time, facts) or whole objects."""
    return {
        "conversion": {"occurred_at": "2026-03-10T12:00:00Z", "amount": amount, "coupons": list(codes)},
        "touches": [t if isinstance(t, dict) else click(*t) for t in touches],
        "policy": {"model": model, **policy},
        "coupons": coupons or {},
        "plans": plans or {"default": {"rules": [{"pay": {"percent": percent}}]}},
    }


def click(id, partner, at, **facts):
    return {"id": id, "kind": "CLICK", "at": at, "partner": partner, **facts}
