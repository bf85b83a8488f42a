"""The test bench and the pipeline are the same engine: the same facts give the same receipt, whatever they are."""

from datetime import timedelta
from itertools import count
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.core.money import Money
from apps.pipeline.parsing import plan_document
from apps.pipeline.receipts import explain_conversion
from apps.pipeline.rules import explain
from apps.pipeline.services.settling import settle_waiting
from apps.tracking.models import Conversion
from tests.cast import NOON, make_cast, make_conversion, make_coupon, make_plan, make_policy, make_touch

pytestmark = pytest.mark.django_db
NAMES = ("blog", "comparison", "coupons", "cashback")
BESIDE = {"conversion", "policy_version", "plan_versions", "hash", "verified", "corrections"}
numbers = count(1)

policies = st.fixed_dictionaries(
    {"model": st.sampled_from(["LAST_CLICK", "FIRST_CLICK", "LINEAR", "TIME_DECAY", "POSITION", "ROLES"])},
    optional={
        "repeats": st.sampled_from(["ALL", "COLLAPSE", "ONCE"]),
        "unpaid": st.sampled_from(["IGNORE", "KEEP", "REDISTRIBUTE"]),
        "click_window_days": st.integers(0, 40),
        "coupon": st.sampled_from(["ALWAYS", "IF_INVOLVED", "IF_WINNER", "IF_WINNER_STRICT"]),
        "winner_limit": st.integers(1, 4),
        "budget_neutral": st.booleans(),
        "soft_click_hours": st.sampled_from([0, 24]),
    },
)
touches = st.lists(
    st.tuples(
        st.sampled_from([*NAMES, None]),
        st.integers(1, 40 * 24 * 3600),
        st.sampled_from(["CLICK", "SOFT_CLICK", "VIEW", "VISIT"]),
    ),
    max_size=6,
)
lines = st.lists(st.tuples(st.sampled_from(["A", "B", "C"]), st.integers(1, 4), st.integers(1, 30_000)), max_size=3)


@given(policy=policies, path=touches, basket=lines, code=st.booleans(), new=st.sampled_from([True, False, None]))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_bench_and_the_pipeline_give_the_same_receipt(world, policy, path, basket, code, new):
    at = NOON + timedelta(minutes=next(numbers))
    make_policy(world.campaign, starts_at=at, **policy)
    visitor = uuid4()
    stored = [put_touch(world, at, visitor, *touch) for touch in path]
    amount = sum(quantity * price for _, quantity, price in basket) or 12_345
    sold = [{"category": c, "quantity": q, "unit_price_minor": p} for c, q, p in basket]
    codes = ["SAVE10"] if code else []
    sale = make_conversion(
        world.campaign, amount, at, visitor=visitor, lines=sold, coupons=codes, new_customer=new, country="DE"
    )
    assert settle_waiting(now=at).settled == 1

    settled = explain_conversion(sale.pk)
    answer = explain(document_of(world, sale, policy, stored, sold))
    assert settled["verified"]
    assert {key: value for key, value in settled.items() if key not in BESIDE | {"touches"}} == {
        key: value for key, value in answer.items() if key != "touches"
    }
    shown = [{key: t[key] for key in ("id", "kept", "reason") if key in t} for t in settled["touches"]]
    assert shown == answer["touches"]


@pytest.fixture
def world():
    acme = make_cast()
    rules = [
        {"name": "A", "when": {"category": "A", "new_customer": True}, "pay": {"percent": "12.5"}},
        {"name": "B", "when": {"category": "B", "amount_from": "100"}, "pay": {"percent": "5", "per_unit": "0.25"}},
        {"name": "rest", "when": {}, "pay": {"percent": "7"}},
    ]
    acme.plan = make_plan(acme.campaign, rules, starts_at=NOON - timedelta(days=300), per_order_minor=100)
    own = [{"name": "flat", "when": {}, "pay": {"percent": "4"}}]
    acme.own = make_plan(acme.campaign, own, name="Cashback", assign={"partner": acme.partners.cashback})
    make_coupon(acme.campaign, "SAVE10", acme.partners.coupons)
    return acme


def put_touch(world, at, visitor, name: str | None, age: int, kind: str):
    enrollment = getattr(world.enrollments, name or "blog")
    own = {} if name else {"partner_id": None, "ad_space_id": None, "campaign_id": None, "channel": "sea-brand"}
    return make_touch(enrollment, at - timedelta(seconds=age), visitor, kind=kind, **own)


def document_of(world, sale: Conversion, policy: dict[str, Any], stored: list, sold: list[dict]) -> dict[str, Any]:
    """Write the facts of a stored conversion down as a document of the test bench."""
    slugs = {getattr(world.partners, name).pk: name for name in NAMES}
    conversion: dict[str, Any] = {
        "occurred_at": sale.occurred_at.isoformat(),
        "amount": str(Money(sale.amount_minor, "EUR")),
        "coupons": sale.coupons,
        "country": "DE",
        "lines": [
            {
                "category": line["category"],
                "quantity": line["quantity"],
                "unit_price": str(Money(line["unit_price_minor"], "EUR")),
            }
            for line in sold
        ],
    }
    if sale.new_customer is not None:
        conversion["new_customer"] = sale.new_customer
    return {
        "conversion": conversion,
        "touches": [document_touch(touch, slugs) for touch in stored],
        "policy": policy,
        "coupons": {"SAVE10": {"partner": "coupons", "valid_from": "2025-01-01T00:00:00Z"}},
        "plans": {"default": plan_document(world.plan), "partner:cashback": plan_document(world.own)},
    }


def document_touch(touch, slugs: dict[int, str]) -> dict[str, Any]:
    found = {"id": str(touch.pk), "kind": touch.kind, "at": touch.occurred_at.isoformat(), "channel": touch.channel}
    if touch.partner_id:
        name = slugs[touch.partner_id]
        found |= {"partner": name, "ad_space": f"{name}/{name}-main", "ad_space_category": "editorial"}
    return found
