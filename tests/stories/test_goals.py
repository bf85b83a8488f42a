"""Goals that a campaign's plan names, and those that it does not: nobody is paid for these unseen."""

from datetime import timedelta

import pytest

from apps.campaigns.models import Campaign
from apps.commissions.models import Decision, Move
from apps.core.actors import SYSTEM
from apps.pipeline.services.deciding import approve_conversions, approve_matured
from apps.pipeline.services.receiving import receive_conversion
from apps.pipeline.services.settling import settle_waiting
from apps.tracking.rules.conversions import Terms, read_conversion
from tests.cast import NOON, START, make_cast, make_conversion, make_plan, make_touch

pytestmark = pytest.mark.django_db
NAMED = [{"name": "sign-up", "when": {"goal": ["LEAD"]}, "pay": {"percent": "5"}}]


@pytest.fixture
def acme():
    return make_cast()


def tell(acme, order_ref="A-1", **fields):
    """Tell of an order by its click; return the answer and the decision."""
    campaign = Campaign.objects.get(pk=acme.campaign.pk)
    touch = make_touch(acme.enrollments.blog, NOON - timedelta(days=1))
    fields = {"order_ref": order_ref, "amount": "100.00", **fields}
    fact = read_conversion(fields, terms=Terms(campaign.pk, ("EUR",), ()), now=NOON)
    answer = receive_conversion(campaign=campaign, fact=fact, now=NOON).answer
    return answer, touch


def settled(acme, goal="LEAD", amount=100_00, **fields) -> Decision:
    touch = make_touch(acme.enrollments.blog, NOON - timedelta(days=1))
    sale = make_conversion(acme.campaign, amount, goal=goal, click_ids=[touch.pk], **fields)
    settle_waiting(now=NOON)
    return Decision.objects.get(conversion=sale)


def test_a_goal_that_no_rule_names_waits_for_a_person_where_it_would_be_paid(acme):
    decision = settled(acme, "WEBINAR")

    assert (decision.state, decision.reason) == ("ON_HOLD", "unknown_goal")
    assert Move.objects.get().moved_by == "Hold rule"
    assert approve_matured(advertiser=acme.advertiser, now=NOON + timedelta(days=90)) == 0
    approve_conversions(advertiser=acme.advertiser, conversion_ids=[decision.pk], actor=SYSTEM, now=NOON)
    assert Decision.objects.get().state == "APPROVED"


def test_a_goal_that_a_rule_names_is_paid_by_it(acme):
    make_plan(acme.campaign, starts_at=START + timedelta(days=1), rules=NAMED)
    assert settled(acme, "LEAD").state == "PENDING"


def test_a_sale_needs_no_rule_that_names_it(acme):
    assert settled(acme, "SALE").state == "PENDING"


def test_what_earns_nothing_or_is_history_or_a_test_needs_nobody(acme):
    assert settled(acme, "WEBINAR", 0).state == "PENDING"
    assert settled(acme, "WEBINAR", source="history").state == "PENDING"
    assert settled(acme, "WEBINAR", is_test=True).state == "PENDING"


def test_the_answer_says_that_the_goal_is_not_known_each_time(acme):
    for _ in range(2):
        assert tell(acme, goal="webinar")[0]["hints"] == ["unknown_goal"]
    assert "hints" not in tell(acme, "A-2")[0]
    make_plan(acme.campaign, starts_at=START + timedelta(days=1), rules=NAMED)
    assert "hints" not in tell(acme, "A-3", goal="LEAD")[0]


LINES = '[{"unit_price":"20.00","quantity":2},{"unit_price":"50.00"}]'


@pytest.mark.parametrize(
    ("fields", "hints"),
    [
        ({"lines": LINES, "amount": "90.00"}, None),
        ({"lines": LINES, "amount": "90.01"}, ["parts_mismatch"]),
        ({"lines": LINES, "amount": "80.00", "discount": "10.00"}, None),
        ({"lines": LINES, "amount": "90.00", "discount": "10.00"}, ["parts_mismatch"]),
        ({"parts": "A:60|B:40"}, None),
        ({"parts": "A:60|B:30"}, ["parts_mismatch"]),
        ({"lines": LINES, "amount": ""}, None),
        ({}, None),
    ],
)
def test_the_answer_says_that_lines_and_amount_differ(acme, fields, hints):
    for _ in range(2):
        assert tell(acme, **fields)[0].get("hints") == hints
    amended = tell(acme, **{**fields, "country": "FR", "update": "1"})[0]
    assert (amended.get("sequence"), amended.get("hints")) == (1, hints)
