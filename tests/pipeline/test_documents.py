"""A settled conversion written down as a document explains to the receipt that was stored."""

from datetime import timedelta
from decimal import Decimal
from itertools import count
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.attribution.services import publish_coupon_rule
from apps.core.actors import SYSTEM
from apps.partners.models import PartnerGroup, Partnership
from apps.pipeline.documents import campaign_document, document_of, in_currency
from apps.pipeline.receipts import NotSettled, explain_conversion
from apps.pipeline.rules import explain
from apps.pipeline.services.settling import settle_waiting
from tests.cast import NOON, START, make_cast, make_conversion, make_coupon, make_plan, make_policy, make_touch
from tests.pipeline.test_parity import lines, policies, touches

pytestmark = pytest.mark.django_db
BESIDE = {"conversion", "policy_version", "plan_versions", "hash", "verified", "touches", "corrections"}
numbers = count(1)


@pytest.fixture
def world():
    acme = make_cast()
    rules = [
        {"name": "A", "when": {"category": "A", "new_customer": True}, "pay": {"percent": "12.5"}},
        {"name": "B", "when": {"category": "B", "amount_from": "100"}, "pay": {"percent": "5", "per_unit": "0.25"}},
        {"name": "rest", "when": {"partner_group": ["gold"]}, "pay": {"percent": "7", "of": "gross"}},
    ]
    make_plan(acme.campaign, rules, starts_at=NOON - timedelta(days=300), per_order_minor=100)
    flat = [{"name": "flat", "when": {}, "pay": {"percent": "4"}}]
    acme.coupon = make_coupon(acme.campaign, "SAVE10", acme.partners.coupons)
    gold = PartnerGroup.objects.create(advertiser=acme.advertiser, name="Gold", slug="gold")
    Partnership.objects.filter(partner=acme.partners.blog).update(group=gold)
    for name, assign in (
        ("Cashback", {"partner": acme.partners.cashback}),
        ("Space", {"ad_space": acme.enrollments.comparison.ad_space}),
        ("Code", {"coupon": acme.coupon}),
        ("Gold", {"group": gold}),
    ):
        make_plan(acme.campaign, flat, name=name, assign=assign)
    return acme


def put_touch(world, at, visitor, name, age, kind):
    enrollment = getattr(world.enrollments, name or "blog")
    own = {} if name else {"partner_id": None, "ad_space_id": None, "campaign_id": None, "channel": "sea-brand"}
    return make_touch(enrollment, at - timedelta(seconds=age), visitor, kind=kind, **own)


def agree(sale):
    """Find the stored receipt and the explained document equal, but for touches a document cannot say."""
    settled = explain_conversion(sale.pk)
    answer = explain(document_of(sale.pk))
    assert {k: v for k, v in settled.items() if k not in BESIDE} == {k: v for k, v in answer.items() if k != "touches"}
    shown = {touch["id"]: touch for touch in answer["touches"]}
    assert [t["id"] for t in settled["touches"] if t["kept"]] == [t["id"] for t in answer["touches"] if t["kept"]]
    for touch in settled["touches"]:
        if touch["id"] in shown:
            assert shown[touch["id"]].get("reason") == touch.get("reason")
    return settled, answer


@given(
    policy=policies,
    path=touches,
    basket=lines,
    codes=st.sampled_from([[], ["SAVE10"], ["save10", "NOPE"]]),
    new=st.sampled_from([True, False, None]),
    discount=st.integers(0, 50),
)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_document_explains_to_the_stored_receipt(world, policy, path, basket, codes, new, discount):
    at = NOON + timedelta(minutes=next(numbers), microseconds=123_456)
    make_policy(world.campaign, starts_at=at, **policy)
    visitor = uuid4()
    for touch in path:
        put_touch(world, at, visitor, *touch)
    amount = max(sum(quantity * price for _, quantity, price in basket) - discount, 0) or 12_345
    sold = [{"category": c, "quantity": q, "unit_price_minor": p} for c, q, p in basket]
    sale = make_conversion(
        world.campaign,
        amount,
        at,
        visitor=visitor,
        lines=sold,
        coupons=codes,
        new_customer=new,
        country="DE",
        discount_minor=discount,
    )
    assert settle_waiting(now=at).settled == 1
    agree(sale)


def test_touches_refused_before_the_rules_are_left_out(world):
    visitor = uuid4()
    make_touch(world.enrollments.blog, NOON - timedelta(days=2), visitor)
    make_touch(world.enrollments.coupons, NOON - timedelta(days=1), visitor, refusal="bot")
    sale = make_conversion(world.campaign, 100_00, NOON, visitor=visitor)
    settle_waiting(now=NOON)
    settled, answer = agree(sale)
    assert [touch.get("reason") for touch in settled["touches"]] == [None, "bot"]
    assert len(answer["touches"]) == 1 and answer["shares"][0]["partner"] == "blog"


def test_a_code_s_own_rule_and_plan_are_in_the_document(world):
    publish_coupon_rule(
        coupon=world.coupon, policy="SHARE", percent=Decimal("30"), starts_at=START, actor=SYSTEM, now=NOON
    )
    visitor = uuid4()
    make_touch(world.enrollments.blog, NOON - timedelta(days=2), visitor)
    make_touch(world.enrollments.coupons, NOON - timedelta(days=1), visitor)
    make_policy(world.campaign, starts_at=NOON - timedelta(hours=1), model="FIRST_CLICK")
    sale = make_conversion(world.campaign, 100_00, NOON, visitor=visitor, coupons=["save10"])
    settle_waiting(now=NOON)
    _, answer = agree(sale)
    assert [(share["partner"], share["share"]) for share in answer["shares"]] == [("blog", "7/10"), ("coupons", "3/10")]
    document = document_of(sale.pk)
    assert document["coupons"]["SAVE10"] | {"valid_from": ""} == {
        "partner": "coupons",
        "policy": "SHARE",
        "percent": "30",
        "valid_from": "",
        "plan": "coupon:save10",
    }


def test_the_versions_of_the_receipt_stay_those_of_the_document(world):
    visitor = uuid4()
    make_touch(world.enrollments.comparison, NOON - timedelta(days=2), visitor)
    sale = make_conversion(world.campaign, 100_00, NOON, visitor=visitor)
    settle_waiting(now=NOON)
    make_plan(world.campaign, name="Space", starts_at=NOON - timedelta(hours=1))
    make_policy(world.campaign, starts_at=NOON - timedelta(hours=1), click_window_days=1)
    agree(sale)


def test_what_is_not_settled_has_no_document(world):
    sale = make_conversion(world.campaign, 100_00, NOON)
    with pytest.raises(NotSettled):
        document_of(sale.pk)


def test_a_campaign_s_present_rules_explain_a_document(world):
    found = campaign_document(world.campaign, at=NOON)
    document = {"conversion": {"occurred_at": "2026-03-10T12:00:00Z", "amount": "100.00"}, **found}
    answer = explain({**document, "touches": [{"id": "a", "kind": "CLICK", "at": "2026-03-09T12:00:00Z"}]})
    assert answer["flags"] == ["no_eligible_touches"]
    assert set(found["plans"]) == {
        "default",
        "ad_space:comparison/comparison-main",
        "coupon:save10",
        "group:gold",
        "partner:cashback",
    }


def test_amounts_of_a_plan_are_said_in_the_conversion_s_currency():
    acme = make_cast()
    rules = [{"name": "a", "when": {"amount_from": "2.50"}, "pay": {"per_unit": "0.25", "percent": "3"}}]
    blog = {"partner": acme.partners.blog}
    version = make_plan(acme.campaign, rules, name="Other", per_order_minor=150, assign=blog)
    assert in_currency(version, "JPY") == {
        "rules": [{"name": "a", "when": {"amount_from": "250"}, "pay": {"per_unit": "25", "percent": "3"}}],
        "per_order": "150",
        "minimum": None,
        "maximum": None,
    }
