"""Settling: once, whole, in any order, and never held up by one bad row."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction

from apps.attribution.models import Share
from apps.attribution.services import CouponRuleStartTaken, InvalidCouponRule, publish_coupon_rule
from apps.commissions.models import Commission, Decision, DecisionState, Receipt
from apps.core.actors import SYSTEM
from apps.partners.models import Partnership
from apps.pipeline.services.deciding import approve_conversions, approve_matured
from apps.pipeline.services.settling import PARKED_AFTER, SettleResult, settle_conversions, settle_waiting
from apps.tracking.models import Conversion, Unsettled
from tests.cast import (
    NOON,
    join,
    make_campaign,
    make_cast,
    make_conversion,
    make_coupon,
    make_plan,
    make_policy,
    make_touch,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme():
    return make_cast()


def earned() -> dict[str, int]:
    return dict(Commission.objects.order_by("partner__slug").values_list("partner__slug", "amount_minor"))


def test_last_click_wins_all(acme):
    visitor = uuid4()
    make_touch(acme.enrollments.blog, NOON - timedelta(days=2), visitor)
    make_touch(acme.enrollments.cashback, NOON - timedelta(hours=1), visitor)
    make_conversion(acme.campaign, visitor=visitor)
    assert settle_waiting(now=NOON).settled == 1
    assert earned() == {"cashback": 800}
    assert Unsettled.objects.count() == 0


def test_position_shares_by_40_20_40(acme):
    make_policy(acme.campaign, starts_at=NOON - timedelta(days=60), model="POSITION")
    visitor = uuid4()
    for days, name in ((3, "blog"), (2, "comparison"), (1, "coupons")):
        make_touch(getattr(acme.enrollments, name), NOON - timedelta(days=days), visitor)
    make_conversion(acme.campaign, visitor=visitor)
    settle_waiting(now=NOON)
    assert earned() == {"blog": 320, "comparison": 160, "coupons": 320}
    assert sorted(Share.objects.values_list("revenue_minor", flat=True)) == [2000, 4000, 4000]


def test_ordered_rules_of_percent_and_fixed_amounts_decide_each_line(acme):
    rules = [
        {"name": "A", "when": {"category": "A"}, "pay": {"percent": "5"}},
        {"name": "B", "when": {"category": "B"}, "pay": {"percent": "8"}},
        {"name": "C", "when": {"category": "C"}, "pay": {"per_unit": "0.50"}},
    ]
    make_plan(acme.campaign, rules, starts_at=NOON - timedelta(days=60), per_order_minor=200)
    visitor = uuid4()
    make_touch(acme.enrollments.blog, visitor=visitor)
    lines = [
        {"category": "A", "quantity": 2, "unit_price_minor": 2000},
        {"category": "B", "quantity": 1, "unit_price_minor": 5000},
        {"category": "C", "quantity": 3, "unit_price_minor": 400},
    ]
    make_conversion(acme.campaign, 102_00, visitor=visitor, lines=lines)
    settle_waiting(now=NOON)
    assert earned() == {"blog": 950}


def test_a_click_id_finds_the_whole_journey_of_its_visitor(acme):
    make_policy(acme.campaign, starts_at=NOON - timedelta(days=60), model="LINEAR")
    visitor = uuid4()
    make_touch(acme.enrollments.blog, NOON - timedelta(days=2), visitor)
    last = make_touch(acme.enrollments.coupons, NOON - timedelta(hours=1), visitor)
    make_conversion(acme.campaign, click_ids=[last.pk])
    settle_waiting(now=NOON)
    assert earned() == {"blog": 400, "coupons": 400}


def test_own_channels_are_shown_and_not_paid(acme):
    visitor = uuid4()
    make_touch(acme.enrollments.blog, NOON - timedelta(days=2), visitor)
    make_touch(
        acme.enrollments.blog, NOON - timedelta(hours=1), visitor, partner_id=None, ad_space_id=None,
        campaign_id=None, kind="VISIT", channel="sea-brand",
    )  # fmt: skip
    make_conversion(acme.campaign, visitor=visitor)
    settle_waiting(now=NOON)
    assert earned() == {"blog": 800}
    assert [len(touch) for touch in Receipt.objects.get().body["touches"]] == [1, 2]


@pytest.mark.parametrize("reason", ["blocked", "not_enrolled", "other_campaign", "campaign_not_running", "bot"])
def test_touches_that_are_not_eligible_say_why(acme, reason):
    visitor = uuid4()
    at, fields = NOON - timedelta(days=1), {}
    if reason == "blocked":
        Partnership.objects.filter(partner=acme.partners.blog).update(state="BLOCKED")
    elif reason == "not_enrolled":
        acme.enrollments.blog.periods.all().delete()
    elif reason == "other_campaign":
        fields = {"campaign_id": make_campaign(acme.advertiser, "other").pk}
    elif reason == "campaign_not_running":
        acme.campaign.ends_at = at
        acme.campaign.save()
    else:
        fields = {"refusal": "bot"}
    make_touch(acme.enrollments.blog, at, visitor, **fields)
    make_conversion(acme.campaign, visitor=visitor)
    settle_waiting(now=NOON)
    receipt = Receipt.objects.get()
    assert receipt.body["touches"][0][1] == reason
    assert (receipt.total_minor, receipt.body["flags"]) == (0, ["no_eligible_touches"])
    assert Decision.objects.get().state == DecisionState.PENDING


def test_a_code_without_any_click_credits_its_owner(acme):
    make_coupon(acme.campaign, "SAVE10", acme.partners.coupons)
    make_conversion(acme.campaign, coupons=["save10"])
    settle_waiting(now=NOON)
    assert earned() == {"coupons": 800}


def test_settling_twice_changes_nothing(acme):
    visitor = uuid4()
    make_touch(acme.enrollments.blog, visitor=visitor)
    conversion = make_conversion(acme.campaign, visitor=visitor)
    settle_waiting(now=NOON)
    before = [list(model.objects.order_by("pk").values()) for model in (Share, Commission, Receipt, Decision)]
    Unsettled.objects.create(conversion=conversion, advertiser=acme.advertiser, marked_at=NOON)
    assert settle_conversions(conversion_ids=[conversion.pk], now=NOON + timedelta(hours=1)).settled == 1
    after = [list(model.objects.order_by("pk").values()) for model in (Share, Commission, Receipt, Decision)]
    assert after == before


def test_a_late_click_replaces_the_result_of_a_pending_conversion(acme):
    visitor = uuid4()
    conversion = make_conversion(acme.campaign, visitor=visitor)
    settle_waiting(now=NOON)
    assert earned() == {}
    make_touch(acme.enrollments.blog, visitor=visitor)
    Unsettled.objects.create(conversion=conversion, advertiser=acme.advertiser, marked_at=NOON)
    settle_waiting(now=NOON)
    assert earned() == {"blog": 800}


def test_a_conversion_that_the_database_refuses_does_not_hold_up_the_others(acme):
    make_plan(acme.campaign, [{"name": "all", "pay": {"percent": "1000"}}], starts_at=NOON - timedelta(days=60))
    visitor = uuid4()
    make_touch(acme.enrollments.blog, visitor=visitor)
    good = [make_conversion(acme.campaign, visitor=visitor) for _ in range(3)]
    bad = make_conversion(acme.campaign, 2**63 - 1, visitor=visitor)
    ids = [good[0].pk, bad.pk, good[1].pk, good[2].pk]
    assert settle_conversions(conversion_ids=ids, now=NOON) == SettleResult(settled=3, failed=1)
    assert set(Receipt.objects.values_list("pk", flat=True)) == {row.pk for row in good}
    waiting = Unsettled.objects.get()
    assert (waiting.pk, waiting.attempts) == (bad.pk, 1)
    assert "out of range" in waiting.last_error


def test_a_decided_conversion_is_left_as_it_is(acme):
    visitor = uuid4()
    make_touch(acme.enrollments.blog, visitor=visitor)
    conversion = make_conversion(acme.campaign, visitor=visitor)
    settle_waiting(now=NOON)
    approve_conversions(advertiser=acme.advertiser, conversion_ids=[conversion.pk], actor=SYSTEM, now=NOON)
    make_touch(acme.enrollments.coupons, NOON - timedelta(minutes=1), visitor)
    Unsettled.objects.create(conversion=conversion, advertiser=acme.advertiser, marked_at=NOON)
    settle_waiting(now=NOON)
    assert earned() == {"blog": 800}
    assert Unsettled.objects.count() == 0
    with pytest.raises(IntegrityError), transaction.atomic():
        Commission.objects.all().delete()


def test_a_test_conversion_pays_nobody(acme):
    visitor = uuid4()
    make_touch(acme.enrollments.blog, visitor=visitor)
    make_conversion(acme.campaign, visitor=visitor, is_test=True)
    settle_waiting(now=NOON)
    assert Commission.objects.values_list("payable", "payable_reason").get() == (False, "test")


def test_one_that_cannot_be_settled_holds_up_nobody_and_is_parked(acme):
    bare = make_campaign(acme.advertiser, "bare")
    poison = make_conversion(bare)
    visitor = uuid4()
    make_touch(acme.enrollments.blog, visitor=visitor)
    make_conversion(acme.campaign, visitor=visitor)
    result = settle_waiting(now=NOON)
    assert (result.settled, result.failed) == (1, 1)
    for _ in range(PARKED_AFTER):
        settle_waiting(now=NOON)
    row = Unsettled.objects.get()
    assert (row.pk, row.attempts, row.parked_at) == (poison.pk, PARKED_AFTER, NOON)
    assert row.last_error.startswith("no_policy")


def test_versions_are_chosen_by_the_conversion_s_time(acme):
    make_plan(
        acme.campaign, [{"name": "more", "when": {}, "pay": {"percent": "20"}}], starts_at=NOON + timedelta(days=1)
    )
    visitor = uuid4()
    make_touch(acme.enrollments.blog, NOON, visitor)
    make_conversion(acme.campaign, at=NOON + timedelta(hours=23), visitor=visitor)
    make_conversion(acme.campaign, at=NOON + timedelta(days=1), visitor=visitor)
    settle_waiting(now=NOON + timedelta(days=2))
    amounts = Commission.objects.order_by("occurred_at").values_list("amount_minor", flat=True)
    assert list(amounts) == [800, 2000]


def test_a_partner_s_own_plan_comes_before_the_campaign_s(acme):
    make_plan(
        acme.campaign, [{"name": "flat", "when": {}, "pay": {"per_line": "1.50"}}], name="Cashback",
        assign={"partner": acme.partners.cashback},
    )  # fmt: skip
    visitor = uuid4()
    make_touch(acme.enrollments.cashback, visitor=visitor)
    make_conversion(acme.campaign, visitor=visitor)
    settle_waiting(now=NOON)
    assert earned() == {"cashback": 150}


def test_the_number_of_queries_does_not_grow_with_the_batch(acme, django_assert_num_queries):
    def batch(size: int) -> list:
        ids = []
        for _ in range(size):
            visitor = uuid4()
            make_touch(acme.enrollments.blog, visitor=visitor)
            ids.append(make_conversion(acme.campaign, visitor=visitor).pk)
        return ids

    def count(ids: list) -> int:
        from django.test.utils import CaptureQueriesContext

        with CaptureQueriesContext(connection) as queries:
            settle_conversions(conversion_ids=ids, now=NOON)
        return len(queries)

    assert count(batch(1)) == count(batch(3)) <= 25


@pytest.mark.django_db(transaction=True)
def test_workers_at_once_settle_each_conversion_once():
    acme = make_cast()
    at = datetime(2026, 3, 1, tzinfo=UTC)
    for _ in range(30):
        visitor = uuid4()
        make_touch(acme.enrollments.blog, at, visitor)
        make_conversion(acme.campaign, visitor=visitor)
    ids = list(Conversion.objects.values_list("pk", flat=True))

    def work(_: int) -> int:
        try:
            return settle_conversions(conversion_ids=ids, now=NOON).settled
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(work, range(4))) == 30
    assert Commission.objects.count() == Receipt.objects.count() == 30


@pytest.mark.parametrize(
    ("policy", "percent", "expected"),
    [
        ("ALWAYS", None, {"coupons": 800}),
        ("IF_INVOLVED", None, {"blog": 800}),
        ("IF_WINNER", None, {"blog": 800}),
        ("SHARE", Decimal(25), {"blog": 600, "coupons": 200}),
    ],
)
def test_a_code_s_own_rule_comes_before_the_campaign_s(acme, policy, percent, expected):
    coupon = make_coupon(acme.campaign, "SAVE10", acme.partners.coupons)
    early, start = NOON - timedelta(days=2), NOON - timedelta(days=1)
    publish_coupon_rule(coupon=coupon, policy=policy, percent=percent, starts_at=start, actor=SYSTEM, now=early)
    visitor = uuid4()
    make_touch(acme.enrollments.blog, NOON - timedelta(days=3), visitor)
    make_conversion(acme.campaign, visitor=visitor, coupons=["Save10"])
    before = make_conversion(acme.campaign, at=early, visitor=visitor, coupons=["SAVE10"])
    settle_waiting(now=NOON)
    later = Commission.objects.exclude(conversion=before).values_list("partner__slug", "amount_minor")
    assert dict(later) == expected
    assert Commission.objects.get(conversion=before).partner == acme.partners.blog


def test_a_rule_of_a_code_is_checked_and_unique_per_start(acme):
    coupon = make_coupon(acme.campaign, "SAVE10", acme.partners.coupons)
    call = {"coupon": coupon, "starts_at": NOON, "actor": SYSTEM, "now": NOON}
    for policy, percent in (("SHARE", None), ("ALWAYS", Decimal(5)), ("SHARE", Decimal(101)), ("WHATEVER", None)):
        with pytest.raises(InvalidCouponRule):
            publish_coupon_rule(**call, policy=policy, percent=percent)
    publish_coupon_rule(**call, policy="ALWAYS", percent=None)
    with pytest.raises(CouponRuleStartTaken):
        publish_coupon_rule(**call, policy="SHARE", percent=Decimal(5))
    assert coupon.rules.count() == 1


def test_a_sale_told_late_leaves_time_to_decide(acme):
    sold, told = NOON - timedelta(days=90), NOON
    make_touch(acme.enrollments.blog, sold - timedelta(hours=1), (visitor := uuid4()))
    make_conversion(acme.campaign, at=sold, visitor=visitor, recorded_at=told)
    settle_waiting(now=told)
    decision = Decision.objects.get()
    assert (decision.decide_by, decision.locks_on) == (date(2026, 4, 9), date(2026, 4, 9))
    assert approve_matured(advertiser=acme.advertiser, now=told + timedelta(days=1)) == 0


@pytest.mark.parametrize("state", ["BLOCKED", "ENDED"])
def test_a_code_of_a_partner_that_is_no_longer_one_grants_nothing(acme, state):
    make_coupon(acme.campaign, "SAVE10", acme.partners.coupons)
    since = NOON - timedelta(days=1)
    Partnership.objects.filter(partner=acme.partners.coupons).update(state=state, state_since=since)
    make_conversion(acme.campaign, coupons=["SAVE10"])
    make_conversion(acme.campaign, at=since - timedelta(days=1), coupons=["SAVE10"])
    settle_waiting(now=NOON)
    flags = list(Receipt.objects.order_by("conversion__occurred_at").values_list("body__flags", flat=True))
    assert flags[1] == ["coupon_unknown", "no_eligible_touches"]
    assert Commission.objects.count() == (1 if state == "ENDED" else 0)


def test_amounts_of_a_plan_hold_in_its_own_currency_only(acme):
    campaign = make_campaign(acme.advertiser, "two", currencies=["EUR", "JPY"])
    make_policy(campaign)
    rules = [{"name": "unit", "when": {}, "pay": {"per_unit": "2.00"}}]
    make_plan(campaign, rules)
    make_touch(join(acme.partners.blog, campaign), visitor=(visitor := uuid4()))
    make_conversion(campaign, 1_500, visitor=visitor, currency="JPY")
    make_conversion(campaign, 15_00, visitor=visitor)
    result = settle_waiting(now=NOON)
    assert (result.settled, result.failed) == (1, 1)
    assert Unsettled.objects.get().last_error.startswith("plan_currency")
    assert Commission.objects.values_list("amount_minor", "currency").get() == (200, "EUR")
