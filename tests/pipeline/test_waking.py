"""What becomes known later finds its conversion: clicks, refunds, touches, policies, clocks that differ."""

from datetime import timedelta
from uuid import uuid4

import pytest

from apps.commissions.models import Commission
from apps.core.actors import SYSTEM
from apps.core.ids import uuid7
from apps.pipeline.services import settling
from apps.pipeline.services.opening import WindowTooLong, revise_policy
from apps.pipeline.services.receiving import receive_conversion
from apps.pipeline.services.settling import PARKED_AFTER, settle_waiting
from apps.tracking.identifying import identify_visitor
from apps.tracking.models import AwaitedClick, Conversion, Touchpoint, Unsettled
from apps.tracking.rules.conversions import ConversionFact
from apps.tracking.rules.persons import Identity
from apps.tracking.sweeping import wake_awaited
from apps.tracking.waking import wake_conversions_of_visitors
from tests.cast import NOON, join, make_campaign, make_cast, make_conversion, make_plan, make_touch

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme():
    return make_cast()


def click(acme, id_, at):
    """Write a click under an id that was handed out before."""
    enrollment = acme.enrollments.blog
    Touchpoint.objects.create(
        id=id_, advertiser=acme.advertiser, campaign_id=acme.campaign.pk, partner_id=enrollment.partner_id,
        ad_space_id=enrollment.ad_space_id, visitor=uuid4(), occurred_at=at, recorded_at=NOON, kind="CLICK",
        channel="content",
    )  # fmt: skip


def test_a_conversion_waits_for_the_click_it_names(acme):
    at = NOON - timedelta(minutes=5)
    id_ = uuid7(at)
    make_conversion(acme.campaign, click_ids=[id_])
    settle_waiting(now=NOON)
    assert (Commission.objects.count(), AwaitedClick.objects.count()) == (0, 1)
    assert wake_awaited(now=NOON) == 0
    click(acme, id_, at)
    assert wake_awaited(now=NOON) == 1
    settle_waiting(now=NOON)
    assert (Commission.objects.count(), AwaitedClick.objects.count()) == (1, 0)


@pytest.mark.parametrize("step", ["note_awaited_clicks", "gather_candidates", "take_off_work_list"])
def test_a_click_that_comes_while_its_conversion_is_settled_is_not_missed(acme, monkeypatch, step):
    """Whatever the worker has read by then: the gathering sees the click, or the sweep does."""
    at = NOON - timedelta(minutes=5)
    id_ = uuid7(at)
    make_conversion(acme.campaign, click_ids=[id_])
    real = getattr(settling, step)

    def once(told):
        monkeypatch.setattr(settling, step, real)
        click(acme, id_, at)
        return real(told)

    monkeypatch.setattr(settling, step, once)
    settle_waiting(now=NOON)
    wake_awaited(now=NOON)
    settle_waiting(now=NOON)
    assert Commission.objects.get().amount_minor == 800
    assert not AwaitedClick.objects.exists()


def test_a_touch_of_its_visitor_that_comes_late_is_heard(acme):
    visitor = uuid4()
    make_conversion(acme.campaign, visitor=visitor)
    settle_waiting(now=NOON)
    touch = make_touch(acme.enrollments.blog, visitor=visitor)
    call = {"advertiser": acme.advertiser, "visitors": [visitor], "now": NOON}
    assert wake_conversions_of_visitors(**call, since=NOON + timedelta(seconds=1)) == 0
    assert wake_conversions_of_visitors(**call, since=touch.occurred_at) == 1
    settle_waiting(now=NOON)
    assert Commission.objects.get().partner == acme.partners.blog


def test_a_late_touch_of_another_device_is_heard_by_the_customer_s_orders(acme):
    """Whichever way an order is tied to the visitor: by its customer, or by a click it names."""
    phone, laptop, other = uuid4(), uuid4(), uuid4()
    for place, visitor in enumerate((laptop, phone)):
        fact = ConversionFact("SALE", f"A-{place}", 100_00, "EUR", occurred_at=NOON, identity=Identity("C-1"))
        receive_conversion(campaign=acme.campaign, fact=fact, now=NOON)
        identify_visitor(advertiser=acme.advertiser, visitor=visitor, identity=Identity("C-1"), now=NOON)
    named = make_touch(acme.enrollments.comparison, visitor=other)
    make_conversion(acme.campaign, click_ids=[named.pk], order_ref="A-2")
    settle_waiting(now=NOON)
    for visitor in (phone, other):
        touch = make_touch(acme.enrollments.blog, NOON - timedelta(hours=1), visitor)
        since = {"visitors": [visitor], "since": touch.occurred_at}
        wake_conversions_of_visitors(advertiser=acme.advertiser, **since, now=NOON)
    settle_waiting(now=NOON)
    earned = Commission.objects.filter(partner=acme.partners.blog).order_by("conversion__order_ref")
    assert list(earned.values_list("conversion__order_ref", flat=True)) == ["A-0", "A-1", "A-2"]


def test_what_was_parked_for_want_of_a_policy_is_tried_when_there_is_one(acme):
    campaign = make_campaign(acme.advertiser, "new")
    make_touch(join(acme.partners.blog, campaign), visitor=(visitor := uuid4()))
    make_plan(campaign)
    make_conversion(campaign, visitor=visitor)
    for _ in range(PARKED_AFTER):
        settle_waiting(now=NOON)
    assert Unsettled.objects.get().parked_at is not None
    start = campaign.starts_at
    revise_policy(campaign=campaign, settings={"model": "LINEAR"}, starts_at=start, actor=SYSTEM, now=NOON)
    assert settle_waiting(now=NOON).settled == 1
    assert Commission.objects.get().amount_minor == 800


def test_a_window_longer_than_journeys_look_back_is_refused(acme):
    for settings in ({"click_window_days": 366}, {"channel_windows": {"email": 400}}):
        with pytest.raises(WindowTooLong):
            revise_policy(
                campaign=acme.campaign, settings={"model": "LINEAR", **settings}, starts_at=NOON, actor=SYSTEM, now=NOON
            )


@pytest.mark.parametrize(
    ("behind", "wins"), [(timedelta(milliseconds=700), 1), (timedelta(minutes=9), 1), (timedelta(minutes=11), 0)]
)
def test_a_shop_s_clock_does_not_put_the_sale_before_its_click(acme, behind, wins):
    touch = make_touch(acme.enrollments.blog, NOON + behind)
    fact = ConversionFact("SALE", "A-1", 100_00, "EUR", occurred_at=NOON, click_ids=(touch.pk,))
    later = NOON + timedelta(minutes=30)
    assert receive_conversion(campaign=acme.campaign, fact=fact, now=later).created
    assert not receive_conversion(campaign=acme.campaign, fact=fact, now=later).created
    settle_waiting(now=later)
    assert Commission.objects.count() == wins


def test_a_sale_in_its_click_s_own_millisecond_is_told_again_without_a_conflict(acme):
    """The moment of the click id moves the sale's, but is no part of what the shop told."""
    touch = make_touch(acme.enrollments.blog, NOON)
    fact = ConversionFact("SALE", "A-1", 100_00, "EUR", click_ids=(touch.pk,))
    first = receive_conversion(campaign=acme.campaign, fact=fact, now=NOON)
    again = receive_conversion(campaign=acme.campaign, fact=fact, now=NOON + timedelta(seconds=5))
    assert (first.created, again.created, again.id) == (True, False, first.id)
    assert Conversion.objects.get().occurred_at > NOON
