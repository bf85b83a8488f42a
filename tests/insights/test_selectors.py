"""The figures of dashboards are those of the rows behind them."""

from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest

from apps.core.actors import SYSTEM
from apps.core.periods import Period
from apps.insights.book import book_of
from apps.insights.selectors import figures, system_state, top_campaigns, top_partners, trend_by_day
from apps.pipeline.services.deciding import approve_conversions, reject_conversions
from apps.pipeline.services.settling import settle_waiting
from tests.cast import NOON, make_cast, make_conversion, make_policy, make_touch

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def acme():
    """Four sales in March under LINEAR, by blog and coupons: open, approved, rejected, test; a bot clicks too."""
    acme = make_cast()
    make_policy(acme.campaign, starts_at=datetime(2026, 1, 1, tzinfo=UTC), model="LINEAR")
    for number, amount in enumerate((100_00, 50_00, 70_00)):
        visitor, at = uuid4(), NOON - number * DAY
        make_touch(acme.enrollments.blog, at - 2 * DAY, visitor)
        last = make_touch(acme.enrollments.coupons, at - DAY, visitor)
        make_conversion(acme.campaign, amount, at, f"A-{number}", click_ids=[last.pk])
    make_conversion(acme.campaign, 900_00, NOON, "TEST", is_test=True)
    make_touch(acme.enrollments.blog, NOON - DAY, refusal="bot")
    settle_waiting(now=NOON + DAY)
    sales = {row.order_ref: row.pk for row in acme.campaign.conversions.all()}
    approve_conversions(advertiser=acme.advertiser, conversion_ids=[sales["A-1"]], actor=SYSTEM, now=NOON + DAY)
    reject_conversions(
        advertiser=acme.advertiser, conversion_ids=[sales["A-2"]], reason="returned", actor=SYSTEM, now=NOON + DAY
    )
    acme.march = Period.month(2026, 3, acme.advertiser.zone)
    return acme


def test_figures_leave_out_tests_bots_and_rejected_sales(acme):
    found = figures(advertiser=acme.advertiser, period=acme.march)
    assert (found.clicks, found.conversions, found.rejected, found.pending) == (6, 2, 1, 1)
    assert (found.revenue_minor, found.commission_minor) == (150_00, 12_00)
    assert (found.pending_revenue_minor, found.pending_commission_minor) == (100_00, 8_00)
    assert (found.currency, found.other_currencies) == ("EUR", ())


def test_a_partner_sees_its_own_part(acme):
    found = figures(partner=acme.partners.blog, period=acme.march)
    assert (found.clicks, found.conversions, found.revenue_minor, found.commission_minor) == (3, 2, 75_00, 6_00)
    assert found.currency == "EUR"
    nobody = figures(partner=acme.partners.cashback, period=acme.march)
    assert (nobody.clicks, nobody.conversions, nobody.commission_minor) == (0, 0, 0)


def test_figures_are_somebodys(acme):
    with pytest.raises(ValueError, match="somebody"):
        figures(period=acme.march)


def test_a_trend_has_every_day_and_adds_up(acme):
    for whose in ({"advertiser": acme.advertiser}, {"partner": acme.partners.blog}, {"campaign": acme.campaign}):
        days = trend_by_day(**whose, period=acme.march)
        total = figures(**whose, period=acme.march)
        assert len(days) == 31 and days[0].on == date(2026, 3, 1)
        assert sum(day.clicks for day in days) == total.clicks
        assert sum(day.conversions for day in days) == total.conversions
        assert sum(day.revenue_minor for day in days) == total.revenue_minor
        assert sum(day.commission_minor for day in days) == total.commission_minor


def test_rankings_name_the_best_first(acme):
    partners = top_partners(advertiser=acme.advertiser, period=acme.march)
    assert [(row.name, row.conversions, row.revenue_minor, row.commission_minor) for row in partners] == [
        ("Blog", 2, 75_00, 6_00),
        ("Coupons", 2, 75_00, 6_00),
    ]
    (campaign,) = top_campaigns(advertiser=acme.advertiser, period=acme.march)
    assert (campaign.clicks, campaign.conversions, campaign.revenue_minor) == (6, 2, 150_00)
    assert len(top_partners(advertiser=acme.advertiser, period=acme.march, limit=1)) == 1


def test_numbers_of_queries_do_not_grow(acme, django_assert_num_queries):
    with django_assert_num_queries(4):
        figures(advertiser=acme.advertiser, period=acme.march)
    with django_assert_num_queries(4):
        trend_by_day(advertiser=acme.advertiser, period=acme.march)
    with django_assert_num_queries(5):
        top_partners(advertiser=acme.advertiser, period=acme.march)
    with django_assert_num_queries(5):
        top_campaigns(partner=acme.partners.blog, period=acme.march)
    with django_assert_num_queries(3):
        system_state(advertiser=acme.advertiser, now=NOON)


def test_the_book_agrees_with_its_sources(acme):
    rows = book_of(advertiser=acme.advertiser)
    assert [(row.partner, row.accrued_minor, row.unstated_minor) for row in rows] == [
        ("Blog", 2_00, 2_00),
        ("Coupons", 2_00, 2_00),
    ]
    assert all(row.accrued_difference == row.payable_difference == 0 for row in rows)
