"""Every list asks the database the same number of questions, however long it is."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.urls import reverse

from apps.campaigns.models import TrackingLink
from apps.core.actors import SYSTEM
from apps.core.periods import months_of
from apps.invoices.models import Invoice
from apps.pipeline.services.closing import close_month, issue_invoices
from apps.pipeline.services.deciding import approve_conversions
from apps.pipeline.services.settling import settle_waiting
from apps.statements.models import Statement
from tests.cast import join, make_advertiser, make_campaign, make_cast, make_coupon, make_plan, make_policy
from tests.portal.stage import NOW, client_of, sell


def grow(cast, rows: int) -> None:
    """Give the blog so many sales, links, codes, campaigns, statements and invoices."""
    for place in range(rows):
        sell(cast, f"Q-{place}", 100_00, NOW - timedelta(days=2, minutes=place), "blog")
        TrackingLink.objects.create(advertiser=cast.advertiser, enrollment=cast.enrollments.blog, name=f"link {place}")
        make_coupon(cast.campaign, f"CODE{place}", cast.partners.blog)
        campaign = make_campaign(make_advertiser(f"other-{place}"), f"extra-{place}")
        make_policy(campaign)
        make_plan(campaign)
        join(cast.partners.blog, campaign)
    sold_at = [NOW.replace(year=2025, month=10 + place) for place in range(rows)]
    sales = [sell(cast, f"OLD-{at:%m}", 1_000_00, at, "blog") for at in sold_at]
    settle_waiting(now=NOW)
    for sale in sales:
        approve_conversions(advertiser=cast.advertiser, conversion_ids=[sale.pk], actor=SYSTEM, now=sale.occurred_at)
    for month in months_of(date(2025, 11, 1), date(2026, 1, 1)):
        close_month(advertiser=cast.advertiser, month=month, actor=SYSTEM, now=NOW)
    issue_invoices(advertiser=cast.advertiser, actor=SYSTEM, now=NOW)
    assert Invoice.objects.count() == rows


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize(
    ("name", "queries"),
    [
        ("overview", 37),
        ("links", 13),
        ("conversions", 13),
        ("payouts", 23),
        ("campaigns", 11),
        ("account", 8),
    ],
)
def test_lists_ask_a_constant_number_of_questions(db, django_assert_num_queries, rows, name, queries):
    cast = make_cast()
    grow(cast, rows)
    client = client_of(cast.partners.blog)
    with django_assert_num_queries(queries):
        assert client.get(reverse(f"portal:{name}")).status_code == 200


@pytest.mark.parametrize("rows", [1, 3])
def test_a_statement_asks_a_constant_number_of_questions(db, django_assert_num_queries, rows):
    cast = make_cast()
    sold_at = datetime(2026, 1, 10, 12, tzinfo=UTC)
    ids = [sell(cast, f"S-{place}", 1_000_00, sold_at, "blog").pk for place in range(rows)]
    settle_waiting(now=sold_at)
    approve_conversions(advertiser=cast.advertiser, conversion_ids=ids, actor=SYSTEM, now=sold_at)
    close_month(advertiser=cast.advertiser, month=date(2026, 2, 1), actor=SYSTEM, now=NOW)
    statement = Statement.objects.get()
    assert statement.line_count == rows
    client = client_of(cast.partners.blog)
    with django_assert_num_queries(11):
        assert client.get(reverse("portal:statement", args=[statement.pk]), {"verify": 1}).status_code == 200
