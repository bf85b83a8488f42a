"""Revenue is what is left of orders as told last: totals, days, campaigns and partners with the unpaid part agree."""

from datetime import timedelta
from uuid import uuid4

import pytest

from apps.attribution.models import Share
from apps.commissions.worth import Worth, worths_of
from apps.core.actors import SYSTEM
from apps.core.periods import Period
from apps.insights.revenue import split
from apps.insights.selectors import figures, figures_by_partner, top_campaigns, trend_by_day
from apps.pipeline.services.deciding import approve_conversions
from apps.pipeline.services.settling import settle_waiting
from apps.tracking.changing import record_refund
from apps.tracking.models import Amendment, Duplicate
from apps.tracking.rules.refunds import ReturnedLine, ToldRefund
from tests.cast import NOON, make_cast, make_conversion, make_policy, make_touch

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def acme():
    acme = make_cast()
    make_policy(acme.campaign, starts_at=NOON - 60 * DAY, model="LINEAR")
    acme.march = Period.month(2026, 3, acme.advertiser.zone)
    return acme


def sell(acme, order_ref, amount=100_01, **fields):
    """Sell what blog, coupons and cashback share in thirds."""
    visitor = uuid4()
    for days, name in ((3, "blog"), (2, "coupons"), (1, "cashback")):
        last = make_touch(getattr(acme.enrollments, name), NOON - days * DAY, visitor)
    sale = make_conversion(acme.campaign, amount, NOON, order_ref, click_ids=[last.pk], **fields)
    settle_waiting(now=NOON)
    return sale


def tell_anew(sale, amount):
    Amendment.objects.create(
        advertiser=sale.advertiser,
        conversion=sale,
        sequence=sale.amendments.count() + 1,
        content={"amount_minor": amount},
        content_hash=str(amount),
        recorded_at=NOON,
    )
    settle_waiting(now=NOON)


def refund(sale, ref, **what):
    told = ToldRefund("SALE", sale.order_ref, ref, **what)
    record_refund(advertiser=sale.advertiser, refund=told, now=NOON)
    settle_waiting(now=NOON)


def approve(sale):
    approve_conversions(advertiser=sale.advertiser, conversion_ids=[sale.pk], actor=SYSTEM, now=NOON)


def all_agree(acme, revenue, given_back=0):
    """Every figure of the same orders says the same revenue."""
    total = figures(advertiser=acme.advertiser, period=acme.march)
    assert (total.revenue_minor, total.given_back_minor) == (revenue, given_back)
    assert sum(day.revenue_minor for day in trend_by_day(advertiser=acme.advertiser, period=acme.march)) == revenue
    assert [row.revenue_minor for row in top_campaigns(advertiser=acme.advertiser, period=acme.march)] == [revenue]
    by_partner = figures_by_partner(advertiser=acme.advertiser, period=acme.march)
    assert not Share.objects.filter(partner=None).exists()
    assert sum(row.revenue_minor for row in by_partner.values()) == revenue
    for id_, row in by_partner.items():
        [partner] = [one for one in vars(acme.partners).values() if one.pk == id_]
        own = figures(partner=partner, period=acme.march)
        days = trend_by_day(partner=partner, period=acme.march, currency="EUR")
        assert own.revenue_minor == row.revenue_minor == sum(day.revenue_minor for day in days)
        [campaign] = top_campaigns(partner=partner, advertiser=acme.advertiser, period=acme.march)
        assert campaign.revenue_minor == row.revenue_minor


@pytest.mark.parametrize("decides", [False, True])
def test_an_order_told_anew_counts_as_told_last(acme, decides):
    sale = sell(acme, "A-1")
    if decides:
        approve(sale)
    tell_anew(sale, 50_00)
    all_agree(acme, 50_00)
    tell_anew(sale, 70_01)
    all_agree(acme, 70_01)


@pytest.mark.parametrize("decides", [False, True])
def test_what_was_given_back_is_no_revenue(acme, decides):
    sale = sell(acme, "A-1")
    if decides:
        approve(sale)
    refund(sale, "R-1", amount_minor=33_34, currency="EUR")
    all_agree(acme, 66_67, 33_34)
    refund(sale, "R-2")
    all_agree(acme, 0, 100_01)
    assert figures(advertiser=acme.advertiser, period=acme.march).commission_minor == 0


def test_returned_lines_take_what_they_were_worth(acme):
    lines = [{"sku": "a", "unit_price_minor": 30_00}, {"sku": "b", "unit_price_minor": 35_00, "quantity": 2}]
    sale = sell(acme, "A-1", 90_00, lines=lines, discount_minor=10_00)
    refund(sale, "R-1", lines=(ReturnedLine(2, 1),))
    worth = worths_of([sale.pk])[str(sale.pk)]
    assert (worth.first_minor, worth.told_minor, worth.left_minor) == (90_00, 90_00, 58_50)
    all_agree(acme, 58_50, 31_50)


def test_a_refund_before_an_amendment_never_takes_more_than_is_there(acme):
    sale = sell(acme, "A-1")
    refund(sale, "R-1", amount_minor=60_00, currency="EUR")
    tell_anew(sale, 50_00)
    all_agree(acme, 0, 50_00)


def test_the_part_nobody_is_paid_for_completes_the_partners():
    thirds = [Share(numerator=1, denominator=3, revenue_minor=minor) for minor in (33_34, 33_34, 33_33)]
    assert split(Worth(100_01, 50_00, 40_00), thirds) == ([1667, 1667, 1666], [1334, 1333, 1333])
    assert split(Worth(100_01, 100_01, 0), thirds) == ([33_34, 33_34, 33_33], [0, 0, 0])


def test_neither_more_orders_nor_more_changes_ask_more(acme, django_assert_num_queries):
    for number in range(3):
        refund(sell(acme, f"A-{number}"), "R", amount_minor=1_00, currency="EUR")
        with django_assert_num_queries(4):
            figures(advertiser=acme.advertiser, period=acme.march)
        with django_assert_num_queries(4):
            trend_by_day(advertiser=acme.advertiser, period=acme.march)
        with django_assert_num_queries(6):
            figures_by_partner(advertiser=acme.advertiser, period=acme.march)
        with django_assert_num_queries(5):
            top_campaigns(advertiser=acme.advertiser, period=acme.march)


def test_a_duplicate_is_no_sale_and_no_revenue(acme):
    sell(acme, "A-1")
    second = sell(acme, "A-2", 70_00)
    refund(second, "R-1", amount_minor=1_00, currency="EUR")
    all_agree(acme, 169_01, 1_00)
    Duplicate.objects.create(
        advertiser=acme.advertiser,
        conversion=second,
        original=second.campaign.conversions.get(order_ref="A-1"),
        scope="CLICK",
        recorded_at=NOON,
    )
    all_agree(acme, 100_01)
    assert figures(advertiser=acme.advertiser, period=acme.march).conversions == 1


def test_days_and_campaigns_take_the_changes_that_the_figures_have_found(acme, django_assert_num_queries):
    refund(sell(acme, "A-1"), "R-1", amount_minor=10_00, currency="EUR")
    whose = {"advertiser": acme.advertiser, "period": acme.march}
    since = figures(**whose).since
    assert trend_by_day(**whose, since=since) == trend_by_day(**whose)
    assert top_campaigns(**whose, since=since) == top_campaigns(**whose)
    with django_assert_num_queries(3):
        trend_by_day(**whose, since=since)
