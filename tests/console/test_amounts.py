"""The amounts of a conversion are those of today, with the first ones struck through beside them."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.claims.rules import ClaimFact
from apps.claims.services import report_claim
from apps.commissions.models import Decision
from apps.console.conversions import ConversionAdmin
from apps.core.actors import SYSTEM
from apps.pipeline.services.settling import settle_waiting
from apps.tracking.changing import record_refund
from apps.tracking.models import Amendment, Duplicate
from apps.tracking.rules.refunds import ToldRefund
from tests.cast import NOON, make_conversion, make_touch
from tests.console.scene import SOLD_AT, make_scene, sell, state_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme():
    return make_scene()


def refund(sale, ref="R-1", **what):
    record_refund(advertiser=sale.advertiser, refund=ToldRefund("SALE", sale.order_ref, ref, **what), now=NOON)
    settle_waiting(now=NOON)


def tell_anew(sale, amount):
    content = {"amount_minor": amount}
    Amendment.objects.create(
        advertiser=sale.advertiser, conversion=sale, sequence=1, content=content, content_hash="x", recorded_at=NOON
    )
    settle_waiting(now=NOON)


def page_of(acme, sale) -> str:
    return acme.owner.get(reverse("admin:tracking_conversion_change", args=[sale.pk])).text


def listed(acme, **query) -> str:
    return acme.owner.get(reverse("admin:tracking_conversion_changelist"), query).text


def struck(text: str) -> str:
    return f">{text}</s>"


def make_test_order(acme):
    click = make_touch(acme.enrollments.blog, NOON - timedelta(days=1))
    sale = make_conversion(acme.campaign, 100_00, NOON, "TEST-1", click_ids=[click.pk], is_test=True)
    settle_waiting(now=NOON)
    return sale


def make_duplicate(acme):
    sale = make_conversion(acme.campaign, 100_00, NOON, "TWICE-1", click_ids=acme.open.click_ids)
    Duplicate.objects.create(
        advertiser=sale.advertiser, conversion=sale, original=acme.open, scope="CLICK", recorded_at=NOON
    )
    settle_waiting(now=NOON)
    return sale


def test_an_order_given_back_in_whole_leaves_nothing(acme):
    refund(acme.open)
    for text in (page_of(acme, acme.open), listed(acme, q="OPEN-1")):
        assert struck("8.00 EUR") in text and struck("100.00 EUR") in text
        assert '<span class="tb-num">0.00 EUR</span>' in text
    assert "The order was given back in whole." in page_of(acme, acme.open)
    assert "The commission was taken back in whole." in page_of(acme, acme.open)


def test_an_order_told_anew_shows_its_last_amount(acme):
    tell_anew(acme.open, 150_00)
    refund(acme.open, amount_minor=30_00, currency="EUR")
    page = page_of(acme, acme.open)
    assert '<span class="tb-num">120.00 EUR</span>' in page and struck("100.00 EUR") in page
    assert "The order was told anew: 150.00 EUR. 30.00 EUR of the order was given back." in page
    assert '<span class="tb-num">120.00 EUR</span>' in listed(acme, q="OPEN-1")


def test_an_unchanged_order_strikes_nothing(acme):
    assert "</s>" not in page_of(acme, acme.open)
    assert "</s>" not in listed(acme, q="OPEN-1")


@pytest.mark.parametrize(
    ("make", "words"), [(make_test_order, "Test: not paid"), (make_duplicate, "Duplicate of OPEN-1: not paid")]
)
def test_what_is_never_paid_does_not_look_payable(acme, make, words):
    sale = make(acme)
    page = page_of(acme, sale)
    assert words in page and struck("8.00 EUR") in page
    assert "Expected payment" not in page and 'value="approve"' not in page and "expected payment" not in page
    assert '<span class="tb-num">0.00 EUR</span>' in listed(acme, q=sale.order_ref)

    decided = acme.owner.post(
        reverse("admin:tracking_conversion_decide", args=[sale.pk]), {"verb": "approve"}, follow=True
    )
    assert f"{words}, so there is nothing to approve." in decided.text
    assert state_of(sale) == "PENDING"


@pytest.mark.parametrize("make", [make_test_order, make_duplicate])
def test_approving_many_leaves_out_what_is_never_paid_and_says_so(acme, make):
    sale = make(acme)
    ids = [str(sale.pk), str(acme.open.pk)]
    answer = acme.owner.post(
        reverse("admin:tracking_conversion_changelist"),
        {"action": "approve", "_selected_action": ids},
        follow=True,
    )
    assert "1 conversion approved." in answer.text
    assert "1 could not move there. Tests and duplicates pay nobody." in answer.text
    assert (state_of(sale), state_of(acme.open)) == ("PENDING", "APPROVED")


def test_the_review_queue_leaves_out_what_is_never_paid_and_says_so(acme):
    make_test_order(acme)
    sale = make_duplicate(acme)
    page = acme.owner.get(reverse("admin:review")).text
    assert "OPEN-1" in page and "2 tests and duplicates are left out: they pay nobody." in page
    Decision.objects.filter(conversion=acme.open).update(decide_by=NOON.date() + timedelta(days=99))
    assert "OPEN-1" in acme.owner.get(reverse("admin:review")).text
    assert state_of(sale) == "PENDING"


def test_the_list_asks_no_more_for_more_changed_orders(acme):
    address = reverse("admin:tracking_conversion_changelist")
    acme.owner.get(address)
    counts = []
    for number in range(3):
        refund(sell(acme, at=NOON, order_ref=f"MORE-{number}"), amount_minor=1_00, currency="EUR")
        with CaptureQueriesContext(connection) as asked:
            acme.owner.get(address, {"q": "MORE-"})
        counts.append(len(asked))
    assert len(set(counts)) == 1


def titles_of(acme, sale) -> list[str]:
    answer = acme.owner.get(reverse("admin:tracking_conversion_change", args=[sale.pk]))
    return [step.title for step in answer.context["story"].steps]


def test_the_story_stands_in_its_order_and_says_each_amount_once(acme):
    tell_anew(acme.open, 150_00)
    told = titles_of(acme, acme.open)
    places = [told.index(text) for text in ("Click by Blog", "Order OPEN-1: 100.00 EUR", "Worked out anew: 12.00 EUR")]
    assert places == sorted(places)
    assert "The shop told the order anew (1): 150.00 EUR" in told

    refund(acme.paid, amount_minor=100_00, currency="EUR")
    assert sum("8.00 EUR" in title and "Blog" in title for title in titles_of(acme, acme.paid)) == 1


def test_a_claim_tells_the_whole_story_and_the_amount_before_and_after(acme):
    tell_anew(acme.open, 150_00)
    refund(acme.open, amount_minor=30_00, currency="EUR")
    fact = ClaimFact(acme.campaign.pk, "MISSING", "OPEN-1", SOLD_AT, "EUR", amount_minor=180_00)
    claim = report_claim(partner=acme.partners.blog, fact=fact, actor=SYSTEM, now=NOON).claim
    page = acme.owner.get(reverse("admin:claims_claim_change", args=[claim.pk])).text
    assert "150.00 EUR → 180.00 EUR" in page and "After accepting" in page
    assert "Refund: 30.00 EUR" in page and "The shop told the order anew (1): 150.00 EUR" in page
    assert '<span class="tb-num">120.00 EUR</span>' in page


def test_the_list_sorts_by_what_is_left(acme):
    small = sell(acme, 150_00, SOLD_AT + timedelta(days=1), "SMALL")
    refund(acme.paid, amount_minor=880_00, currency="EUR")
    tell_anew(small, 160_00)
    column = ConversionAdmin.list_display.index("amount") + 1  # the box to tick is the first
    for sign, wanted in (("", ["OPEN-1", "PAID-1", "SMALL"]), ("-", ["SMALL", "PAID-1", "OPEN-1"])):
        page = acme.owner.get(reverse("admin:tracking_conversion_changelist"), {"o": f"{sign}{column}"})
        assert [row.order_ref for row in page.context["cl"].result_list] == wanted


def test_sorting_by_amount_asks_a_constant_number_of_questions(acme):
    address = reverse("admin:tracking_conversion_changelist") + "?o=4"
    found = []
    for number in range(2):
        refund(sell(acme, 150_00, SOLD_AT + timedelta(days=1 + number), f"S-{number}"), amount_minor=1, currency="EUR")
        acme.owner.get(address)
        with CaptureQueriesContext(connection) as asked:
            acme.owner.get(address)
        found.append(len(asked))
    assert found[0] == found[1]


def test_a_decision_on_many_says_what_is_left_of_them(acme):
    refund(acme.open, amount_minor=25_00, currency="EUR")
    shown = acme.owner.get(f"{reverse('admin:decide_many')}?verb=hold&state=open").context["weight"]
    assert [(one.minor, one.currency) for one in shown.amounts] == [(75_00, "EUR")]
    assert [one.minor for one in shown.commissions] == [6_00]
