"""What a hold rule asks of a sale is what was told last, however it was told first."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from apps.campaigns.models import Campaign
from apps.commissions.holding import set_hold_rules
from apps.commissions.models import Decision
from apps.commissions.rules.holding import HoldRules
from apps.core.actors import SYSTEM
from apps.pipeline.services.deciding import approve_conversions, reject_conversions
from apps.pipeline.services.receiving import receive_conversion
from apps.pipeline.services.settling import settle_waiting
from apps.tracking.models import Conversion
from apps.tracking.rules.conversions import ConversionFact
from tests.cast import NOON, START, make_cast, make_coupon, make_touch
from tests.stories.test_claim import accept, claim_of

pytestmark = pytest.mark.django_db
HELD, OPEN = ("ON_HOLD", "large_first_sale"), ("PENDING", "")


@pytest.fixture
def acme():
    acme = make_cast()
    acme.click = make_touch(acme.enrollments.blog, NOON - timedelta(days=1), uuid4())
    return acme


def hold(acme, **rules) -> None:
    values = HoldRules(under_review=False, **rules)
    set_hold_rules(advertiser=acme.advertiser, campaign=acme.campaign, rules=values, actor=SYSTEM, now=START)


def tell(acme, amount: int, currency: str = "EUR", order: str = "A-1", **fields) -> tuple[str, str]:
    fact = ConversionFact("SALE", order, amount, currency, click_ids=(acme.click.pk,), **fields)
    receive_conversion(campaign=acme.campaign, fact=fact, now=NOON)
    settle_waiting(now=NOON)
    return Decision.objects.values_list("state", "reason").get(conversion__order_ref=order)


def test_a_first_sale_does_not_grow_past_its_limit_by_an_update(acme):
    hold(acme, first_sale_above=500_00)
    assert tell(acme, 1_00) == OPEN
    assert tell(acme, 5_000_00, is_update=True) == HELD
    assert tell(acme, 500_00, is_update=True) == OPEN


def test_nor_by_an_update_that_came_before_it_was_settled(acme):
    hold(acme, first_sale_above=500_00)
    for amount, fields in ((1_00, {}), (5_000_00, {"is_update": True})):
        fact = ConversionFact("SALE", "A-1", amount, "EUR", click_ids=(acme.click.pk,), **fields)
        receive_conversion(campaign=acme.campaign, fact=fact, now=NOON)
    settle_waiting(now=NOON)
    assert Decision.objects.values_list("state", "reason").get() == HELD


def test_an_order_told_again_has_the_updates_of_its_first_time(acme):
    hold(acme, first_sale_above=500_00)
    tell(acme, 1_00)
    sale = Conversion.objects.get()
    reject_conversions(advertiser=acme.advertiser, conversion_ids=[sale.pk], reason="returned", actor=SYSTEM, now=NOON)
    tell(acme, 5_000_00, is_update=True)
    again = accept(acme, claim_of(acme, kind="DECLINED", amount_minor=None, occurred_at=NOON))
    assert (again.decision.state, again.decision.reason) == HELD


def test_a_code_that_an_update_names_is_asked_for_its_owner(acme):
    hold(acme, unowned_code=True)
    make_coupon(acme.campaign, "SAVE10", acme.partners.coupons)
    assert tell(acme, 100_00) == OPEN
    assert tell(acme, 100_00, is_update=True, coupons=("save10",)) == ("ON_HOLD", "unowned_code")
    assert tell(acme, 100_00, is_update=True, coupons=("OTHER",)) == OPEN


def test_a_first_sale_in_another_currency_than_its_limit_waits(acme):
    hold(acme, first_sale_above=500_00)
    Campaign.objects.update(currencies=["EUR", "JPY"])
    acme.campaign.refresh_from_db()
    assert tell(acme, 500_00) == OPEN
    assert tell(acme, 1, "JPY", "A-2") == HELD
    assert tell(acme, 0, "JPY", "A-3") == OPEN
    first = Conversion.objects.get(order_ref="A-1")
    approve_conversions(advertiser=acme.advertiser, conversion_ids=[first.pk], actor=SYSTEM, now=NOON)
    assert tell(acme, 9_999, "JPY", "A-4") == OPEN
