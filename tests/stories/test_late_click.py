"""A click that is heard of after its sale, dated: before the decision it counts, after it nothing changes."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest

from apps.commissions.models import Commission, Decision
from apps.core.actors import SYSTEM
from apps.core.ids import uuid7
from apps.ledger.models import Posting
from apps.pipeline.books import check_books
from apps.pipeline.receipts import explain_conversion
from apps.pipeline.services.deciding import approve_conversions
from apps.pipeline.services.receiving import receive_conversion
from apps.pipeline.services.settling import settle_waiting
from apps.tracking.models import AwaitedClick, Unsettled
from apps.tracking.rules.conversions import ConversionFact
from apps.tracking.sweeping import wake_awaited
from tests.cast import make_cast, make_policy, make_touch

pytestmark = pytest.mark.django_db


def turn(now: datetime) -> int:
    """Do what the workers do at each turn; return how many were settled."""
    wake_awaited(now=now)
    return settle_waiting(now=now).settled


def earned() -> dict[str, int]:
    return dict(Commission.objects.values_list("partner__slug", "amount_minor"))


def test_a_late_click_counts_until_the_sale_is_decided(caplog):
    acme = make_cast()
    make_policy(acme.campaign, starts_at=datetime(2026, 2, 1, tzinfo=UTC), model="LINEAR")

    # 3 March, 10:00: 100.00 EUR are told, with two clicks of which nobody has heard yet. Nobody earns anything.
    told = datetime(2026, 3, 3, 10, tzinfo=UTC)
    by_blog, by_coupons = told - timedelta(minutes=20), told - timedelta(minutes=5)
    first, second = uuid7(by_blog), uuid7(by_coupons)
    fact = ConversionFact("SALE", "A-1", 100_00, "EUR", occurred_at=told, click_ids=(first, second))
    sale = receive_conversion(campaign=acme.campaign, fact=fact, now=told).id
    assert turn(told) == 1
    assert (earned(), AwaitedClick.objects.count()) == ({}, 2)
    assert explain_conversion(sale)["flags"] == ["no_eligible_touches"]

    # 10:10: the blog's click is there, and the sale is the blog's. The receipt tells of it and of nothing else.
    clicked = told + timedelta(minutes=10)
    make_touch(acme.enrollments.blog, by_blog, id=first, recorded_at=clicked)
    assert turn(clicked) == 1
    assert (earned(), AwaitedClick.objects.count()) == ({"blog": 800}, 1)
    receipt = explain_conversion(sale)
    assert receipt["verified"] and [touch["id"] for touch in receipt["touches"]] == [str(first)]
    assert turn(clicked) == 0

    # 12 April: approved, and owed.
    approved = told + timedelta(days=40)
    approve_conversions(advertiser=acme.advertiser, conversion_ids=[sale], actor=SYSTEM, now=approved)
    assert Posting.objects.count() == 1
    before = (explain_conversion(sale), list(Commission.objects.values()), list(Decision.objects.values()))

    # Later that day the other click arrives. The sale is looked at, nothing changes, and the log says so.
    make_touch(acme.enrollments.coupons, by_coupons, id=second, recorded_at=approved)
    with caplog.at_level(logging.INFO, logger="apps.pipeline.services.settling"):
        assert turn(approved + timedelta(hours=1)) == 0
    assert f"conversion {sale} is decided: its shares stay, whatever has come since" in caplog.messages
    after = (explain_conversion(sale), list(Commission.objects.values()), list(Decision.objects.values()))
    assert after == before
    assert Posting.objects.count() == 1
    assert not AwaitedClick.objects.exists() and not Unsettled.objects.exists()
    assert check_books() == []
