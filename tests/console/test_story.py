"""The story of a conversion: what stood before stays in it, and no effect stands before its cause."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.urls import reverse

from apps.claims.rules import ClaimFact
from apps.claims.services import report_claim
from apps.commissions.holding import set_hold_rules
from apps.commissions.models import Superseded
from apps.commissions.rules.holding import HoldRules
from apps.console.amounts import amounts_of
from apps.core.actors import SYSTEM
from apps.pipeline.services.claiming import accept_claim
from apps.pipeline.services.settling import settle_waiting
from apps.tracking.changing import record_refund
from apps.tracking.models import Amendment, Unsettled
from apps.tracking.rules.refunds import ToldRefund
from tests.cast import NOON, START, make_conversion, make_policy, make_touch
from tests.console.scene import make_scene

pytestmark = pytest.mark.django_db
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)


@pytest.fixture
def acme():
    scene = make_scene()
    make_policy(scene.campaign, START + MINUTE, model="LINEAR")
    return scene


@pytest.fixture
def sale(acme):
    visitor = uuid4()
    make_touch(acme.enrollments.blog, NOON - 9 * MINUTE, visitor)
    sold = make_conversion(acme.campaign, 89_90, NOON, "A-1002", visitor)
    settle_waiting(now=NOON + 20 * SECOND)
    return sold


def story(acme, sale):
    answer = acme.owner.get(reverse("admin:tracking_conversion_change", args=[sale.pk]))
    return answer, [(f"{step.at:%H:%M:%S}", step.title) for step in answer.context["story"].steps if step.at]


def tell_anew(sale, amount, at, sequence=1, settled_at=None):
    Amendment.objects.create(
        advertiser=sale.advertiser, conversion=sale, sequence=sequence, content={"amount_minor": amount},
        content_hash="x", recorded_at=at,
    )  # fmt: skip
    settle_waiting(now=settled_at or at)


def give_back(sale, minor, at):
    refund = ToldRefund("SALE", sale.order_ref, "R-1", amount_minor=minor, currency="EUR")
    record_refund(advertiser=sale.advertiser, refund=refund, now=at)
    settle_waiting(now=at)


def accept(acme, sale, partner, at, amount=None):
    fact = ClaimFact(acme.campaign.pk, "MISSING", sale.order_ref, NOON, "EUR", amount)
    told = report_claim(partner=getattr(acme.partners, partner), fact=fact, actor=SYSTEM, now=at)
    return accept_claim(advertiser=acme.advertiser, claim_id=told.claim.pk, actor=SYSTEM, now=at)


def test_what_was_worked_out_before_stays_in_its_place_and_causes_come_first(acme, sale):
    give_back(sale, 20_00, NOON + 40 * SECOND)
    tell_anew(sale, 79_90, NOON + 5 * MINUTE)
    claim = accept(acme, sale, "coupons", NOON + 60 * MINUTE, 120_00)

    answer, told = story(acme, sale)

    assert told == [
        ("11:51:00", "Click by Blog"),
        ("11:59:59", "Accepted claim by Coupons"),
        ("12:00:00", "Order A-1002: 89.90 EUR"),
        ("12:00:20", "Shared and rated: 7.19 EUR"),
        ("12:00:40", "Refund: 20.00 EUR"),
        ("12:00:40", "Correction for Blog: −1.60 EUR"),
        ("12:05:00", "The shop told the order anew (1): 79.90 EUR"),
        ("12:05:00", "Worked out anew: 6.39 EUR"),
        ("12:05:00", "Correction for Blog: −1.60 EUR"),
        ("13:00:00", "Claim of Coupons accepted"),
        ("13:00:00", "Worked out anew: 9.60 EUR"),
        ("13:00:00", "Correction for Blog: −0.80 EUR"),
        ("13:00:00", "Correction for Coupons: −0.80 EUR"),
    ]
    assert "The order comes to 120.00 EUR." in answer.text and "Blog: 1 → 7.19 EUR" in answer.text
    assert reverse("admin:claims_claim_change", args=[claim.pk]) in answer.text
    assert (
        ", 13:00:20<" in answer.text and ", 13:05:00<" not in answer.text
    )  # Berlin; seconds only where minutes collide


def test_a_correction_waits_for_what_it_corrects(acme, sale):
    """Whoever settles began a second before the refund came in."""
    refund = ToldRefund("SALE", sale.order_ref, "R-1", amount_minor=20_00, currency="EUR")
    record_refund(advertiser=sale.advertiser, refund=refund, now=NOON + 41 * SECOND)
    settle_waiting(now=NOON + 40 * SECOND)
    assert [title for _, title in story(acme, sale)[1]][-2:] == ["Refund: 20.00 EUR", "Correction for Blog: −1.60 EUR"]


def test_struck_amounts_belong_together(acme, sale):
    tell_anew(sale, 79_90, NOON + 5 * MINUTE)
    page = story(acme, sale)[0].text
    assert ">89.90 EUR</s>" in page and ">7.19 EUR</s>" in page

    # Told anew before it was first worked out, no commission was ever that of the first amount.
    other = make_conversion(acme.campaign, 89_90, NOON, "A-1003", sale.visitor)
    tell_anew(other, 79_90, NOON + MINUTE)
    give_back(other, 20_00, NOON + 2 * MINUTE)
    page = story(acme, other)[0].text
    assert ">89.90 EUR</s>" in page and page.count("</s>") == 1 and "4.79 EUR" in page


def test_the_commission_struck_is_that_of_the_first_amount_as_it_was_worked_out_last(acme, sale):
    late = make_conversion(acme.campaign, 89_90, NOON, "A-1004", uuid4())
    settle_waiting(now=NOON + MINUTE)
    make_touch(acme.enrollments.blog, NOON - 8 * MINUTE, late.visitor)
    Unsettled.objects.create(conversion=late, advertiser=acme.advertiser, marked_at=NOON + MINUTE)
    settle_waiting(now=NOON + 2 * MINUTE)
    tell_anew(late, 79_90, NOON + 5 * MINUTE)
    tell_anew(late, 69_90, NOON + 6 * MINUTE, 2)
    assert [row.total_minor for row in Superseded.objects.filter(conversion=late)] == [0, 7_19, 6_39]
    assert amounts_of([late])[late.pk].earned_minor == 7_19

    # What was worked out as the order was told anew is not surely of its first amount.
    other = make_conversion(acme.campaign, 89_90, NOON, "A-1003", sale.visitor)
    settle_waiting(now=NOON + 6 * MINUTE)
    tell_anew(other, 79_90, NOON + 6 * MINUTE)
    tell_anew(other, 69_90, NOON + 7 * MINUTE, 2)
    assert amounts_of([other])[other.pk].earned_minor is None


def test_what_a_worker_with_a_late_clock_worked_out_anew_hides_nothing(acme, sale):
    tell_anew(sale, 79_90, NOON + 5 * MINUTE, settled_at=NOON + 10 * SECOND)
    told = [one for one in story(acme, sale)[1] if "rated" in one[1] or "anew:" in one[1]]
    assert told == [("12:00:20", "Shared and rated: 7.19 EUR"), ("12:00:20", "Worked out anew: 6.39 EUR")]


def test_both_tellings_of_an_order_lead_to_each_other(acme, sale):
    acme.owner.post(
        reverse("admin:tracking_conversion_decide", args=[sale.pk]), {"verb": "reject", "reason": "returned"}
    )
    again = accept(acme, sale, "blog", NOON + 60 * MINUTE).conversion
    first, told = story(acme, sale)
    assert "Told a second time: A-1002~2" in [title for _, title in told]
    assert reverse("admin:tracking_conversion_change", args=[again.pk]) in first.text
    second, told = story(acme, again)
    assert "Told a second time, after A-1002 was rejected" in [title for _, title in told]
    assert reverse("admin:tracking_conversion_change", args=[sale.pk]) in second.text


def test_all_reasons_to_look_are_said_and_not_only_the_first(acme):
    rules = HoldRules(under_review=False, too_fast_seconds=30)
    set_hold_rules(advertiser=acme.advertiser, campaign=acme.campaign, rules=rules, actor=SYSTEM, now=START)
    visitor = uuid4()
    make_touch(acme.enrollments.blog, NOON - 5 * SECOND, visitor)
    sale = make_conversion(acme.campaign, 89_90, NOON, "A-1003", visitor, goal="NONESUCH")
    settle_waiting(now=NOON)
    said = "To be looked at: Bought too fast after the click; No rule of the plan names its goal (NONESUCH)."
    assert said in story(acme, sale)[0].text
    assert said in acme.owner.get(reverse("admin:review"), {"queue": "hold"}).text
    acme.owner.post(reverse("admin:tracking_conversion_decide", args=[sale.pk]), {"verb": "release"})
    assert said in story(acme, sale)[0].text
    acme.owner.post(reverse("admin:tracking_conversion_decide", args=[sale.pk]), {"verb": "approve"})
    assert "To be looked at" not in story(acme, sale)[0].text
