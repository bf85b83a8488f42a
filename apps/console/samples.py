"""Documents to start from: the built-in example of the test bench, and journeys that show what a policy does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from apps.core.money import digits

SOLD_AT = "2026-03-10T12:00:00Z"
EXAMPLE: dict[str, Any] = {
    "conversion": {
        "goal": "SALE",
        "occurred_at": SOLD_AT,
        "currency": "EUR",
        "amount": "90.00",
        "discount": "10.00",
        "new_customer": True,
        "country": "DE",
        "device": "mobile",
        "coupons": [],
        "lines": [
            {"sku": "L1", "category": "A", "shop_category": "laptops", "quantity": 2, "unit_price": "20.00"},
            {"sku": "L2", "category": "B", "quantity": 1, "unit_price": "60.00"},
        ],
    },
    "touches": [
        {
            "id": "t0",
            "kind": "CLICK",
            "at": "2026-01-01T09:00:00Z",
            "channel": "content",
            "channel_class": "PAID",
            "partner": "blog",
        },
        {
            "id": "t1",
            "kind": "CLICK",
            "at": "2026-03-01T09:00:00Z",
            "channel": "content",
            "channel_class": "PAID",
            "device": "mobile",
            "partner": "blog",
            "partner_group": "gold",
            "ad_space": "blog-main",
            "ad_space_category": "editorial",
        },
        {
            "id": "t2",
            "kind": "CLICK",
            "at": "2026-03-09T09:00:00Z",
            "channel": "coupon",
            "channel_class": "PAID",
            "partner": "voucher",
        },
    ],
    "policy": {
        "model": "POSITION",
        "weights": {"first": "40", "middle": "20", "last": "40"},
        "two_touches": "SHARE_MIDDLE",
        "click_window_days": 30,
        "view_window_days": 0,
        "channel_windows": {"email": 7},
        "soft_click_hours": 24,
        "repeats": "ALL",
        "freeze": {"goal": "CHECKOUT", "hours": 24},
        "coupon": "IF_WINNER",
        "unpaid": "IGNORE",
        "winner_limit": 12,
        "adjustments": [{"when": {"channel": ["content"]}, "do": "MULTIPLY", "factor": "3"}],
    },
    "coupons": {"SAVE10": {"partner": "voucher", "policy": "ALWAYS", "valid_from": "2026-01-01T00:00:00Z"}},
    "plans": {
        "default": {
            "rules": [
                {
                    "name": "new customers",
                    "when": {"new_customer": True, "amount_from": "200"},
                    "pay": {"percent": "12"},
                },
                {"name": "rest", "when": {}, "pay": {"percent": "8"}},
            ]
        },
        "partner:blog": {"rules": [{"name": "all", "when": {}, "pay": {"percent": "5"}}]},
    },
}


def touch(id_: str, at: str, channel: str, partner: str | None, kind: str = "CLICK", **more: str) -> dict[str, str]:
    found = {"id": id_, "kind": kind, "at": at, "channel": channel, "channel_class": "PAID", **more}
    return {**found, "partner": partner} if partner else found


def of_currency(document: Mapping[str, Any], currency: str) -> dict[str, Any]:
    """Return a document's sale and touches in a currency, with an amount that currency can write."""
    amount = "90" + (f".{'0' * digits(currency)}" if digits(currency) else "")
    sale = {name: value for name, value in document["conversion"].items() if name not in {"discount", "lines"}}
    return {"conversion": {**sale, "currency": currency, "amount": amount}, "touches": document["touches"]}


def journeys(currency: str) -> list[tuple[str, dict[str, Any]]]:
    """Return three journeys as (title, sale and touches): the usual one, one with repeats, one with own channels."""
    usual = [
        touch("t1", "2026-03-01T12:00:00Z", "content", "blog", ad_space_category="editorial"),
        touch("t2", "2026-03-06T12:00:00Z", "comparison", "comparison"),
        touch("t3", "2026-03-10T11:00:00Z", "coupon", "voucher"),
    ]
    repeated = [
        touch("t1", "2026-03-02T12:00:00Z", "content", "blog", ad_space_category="editorial"),
        touch("t2", "2026-03-09T08:00:00Z", "cashback", "cashback"),
        touch("t3", "2026-03-09T09:00:00Z", "cashback", "cashback"),
        touch("t4", "2026-03-10T11:30:00Z", "cashback", "cashback", "SOFT_CLICK"),
    ]
    own = [
        touch("t1", "2026-02-01T12:00:00Z", "content", "blog", ad_space_category="editorial"),
        touch("t2", "2026-03-05T12:00:00Z", "social", "creator"),
        touch("t3", "2026-03-08T12:00:00Z", "display", "network", "VIEW"),
        touch("t4", "2026-03-10T10:00:00Z", "checkout", None, "GOAL", goal="CHECKOUT"),
        touch("t5", "2026-03-10T10:30:00Z", "coupon", "voucher"),
        touch("t6", "2026-03-10T11:50:00Z", "sea-brand", None, "VISIT"),
    ]
    titles = [
        _("Blog, comparison, voucher site"),
        _("Repeated clicks and a soft click"),
        _("Own channels, a view, a checkout"),
    ]
    sale = {"conversion": {"goal": "SALE", "occurred_at": SOLD_AT, "new_customer": True, "coupons": []}}
    return [
        (title, of_currency({**sale, "touches": touches}, currency))
        for title, touches in zip(titles, (usual, repeated, own), strict=True)
    ]
