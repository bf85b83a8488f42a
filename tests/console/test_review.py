"""The review queue: the most urgent first, one at a time, with the way back where there is one."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from apps.commissions.models import Decision, Move
from apps.pipeline.services.settling import settle_waiting
from tests.cast import (
    NOON,
    make_advertiser,
    make_campaign,
    make_conversion,
    make_coupon,
    make_plan,
    make_policy,
    make_touch,
)
from tests.console.scene import make_scene, sell_more, state_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme():
    return make_scene()


def test_the_queue_shows_the_most_urgent_and_goes_on(acme):
    first, second = sell_more(acme, "Q-1", "Q-2")
    review = reverse("admin:review")
    shown = acme.owner.get(review)
    assert shown.context["conversion"] == acme.open and shown.context["left"] == "3"
    answer = acme.owner.post(review, {"id": str(acme.open.pk), "verb": "approve"})
    shown = acme.owner.get(answer["Location"])
    assert (state_of(acme.open), shown.context["conversion"]) == ("APPROVED", first)
    shown = acme.owner.get(shown.context["skip"])
    assert (state_of(first), shown.context["conversion"]) == ("PENDING", second)
    answer = acme.owner.post(review, {"id": str(second.pk), "reason": "not_found", "note": "asked the shop"})
    assert state_of(second) == "REJECTED"
    assert Move.objects.get(conversion=second).note == "asked the shop"
    assert b"You have been through the queue" in acme.owner.get(answer["Location"]).content
    acme.owner.post(review, {"id": str(first.pk), "verb": "hold"})
    assert state_of(first) == "ON_HOLD"
    assert acme.owner.get(f"{review}?queue=hold").context["conversion"] == first
    assert b"Nothing waits for you here" in acme.owner.get(review).content


def test_somebody_faster_is_told_of_in_the_queue(acme):
    review = reverse("admin:review")
    call = {"id": str(acme.open.pk)}
    acme.owner.post(review, {**call, "reason": "test"})
    acme.owner.post(review, {**call, "verb": "approve"})
    assert state_of(acme.open) == "REJECTED"
    assert "has been decided" in acme.owner.get(review).content.decode()


def test_the_queue_goes_on_behind_the_advertisers_own_conversions_only(acme):
    sell_more(acme, "SECOND")
    first, second = Decision.objects.filter(advertiser=acme.advertiser, state="PENDING").order_by("decide_by")
    address = f"{reverse('admin:review')}?after="
    assert acme.owner.get(f"{address}{first.pk}").context["conversion"].pk == second.pk
    campaign = make_campaign(make_advertiser("initech"), slug="initech")
    make_policy(campaign)
    make_plan(campaign)
    foreign = make_conversion(campaign, at=timezone.now() + timedelta(days=9))
    settle_waiting(now=timezone.now())
    assert Decision.objects.filter(pk=foreign.pk, decide_by__gt=second.decide_by).exists()
    assert acme.owner.get(f"{address}{foreign.pk}").context["conversion"].pk == first.pk


def test_what_was_decided_last_says_how_it_is_undone_or_why_not(acme):
    sales = sell_more(acme, "L-1", "L-2")
    review = reverse("admin:review")

    def decide(sale, queue="open", **content):
        answer = acme.owner.post(f"{review}?queue={queue}", {"id": str(sale.pk), **content})
        return acme.owner.get(answer["Location"]).context["last"]

    assert decide(acme.open, verb="hold").is_undoable
    back = acme.owner.post(review, {"id": str(acme.open.pk), "verb": "undo"})
    shown = acme.owner.get(back["Location"])
    assert (shown.context["conversion"], shown.context["left"], shown.context["last"]) == (acme.open, "3", None)
    last = decide(sales[0], verb="approve")
    assert not last.is_undoable and "it can be rejected" in last.why_final
    Decision.objects.filter(pk=sales[1].pk).update(state="ON_HOLD", decided_at=timezone.now())
    last = decide(sales[1], queue="hold", verb="release")
    assert (last.word, state_of(sales[1])) == ("Taken off hold.", "PENDING")
    last = decide(sales[1], reason="returned")
    assert not last.is_undoable and "A rejection is final." in last.why_final


def test_the_bar_of_the_last_decision_is_of_the_own_advertiser_and_only_after_one(acme):
    review = reverse("admin:review")
    acme.owner.post(review, {"id": str(acme.open.pk), "verb": "hold"})
    for client, query, wanted in (
        (acme.owner, {"after": str(acme.open.pk)}, False),
        (acme.owner, {"after": str(acme.open.pk), "decided": "1"}, True),
        (acme.owner, {"after": "x", "decided": "1"}, False),
        (acme.neighbor, {"after": str(acme.open.pk), "decided": "1"}, False),
    ):
        assert bool(client.get(review, query).context["last"]) == wanted, query
    assert acme.neighbor.post(review, {"id": str(acme.open.pk), "verb": "undo"}).status_code == 302
    assert state_of(acme.open) == "ON_HOLD"


def test_a_review_says_why_the_owner_of_a_code_has_no_part(acme):
    make_coupon(acme.campaign, "FUCHS10", acme.partners.coupons)
    click = make_touch(acme.enrollments.blog, NOON - timedelta(days=1))
    sale = make_conversion(acme.campaign, at=NOON, order_ref="CODED", click_ids=[click.pk], coupons=["fuchs10", "NONE"])
    settle_waiting(now=NOON)
    page = acme.owner.get(reverse("admin:tracking_conversion_change", args=[sale.pk])).text
    at = acme.owner.get(reverse("admin:review"), {"at": sale.pk}).text
    for text in (
        f"Code fuchs10 of {acme.partners.coupons}, who has no part: a click beats a code",
        "Code NONE: it belongs to no partner.",
    ):
        assert text in page and text in at, text
