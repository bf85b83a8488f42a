"""Holds by rule: each rule by its number, until somebody moves the decision, with the rule's name on the move."""

from datetime import timedelta
from uuid import uuid4

import pgtrigger
import pytest
from django.db import DatabaseError, IntegrityError, transaction

from apps.attribution.models import Share
from apps.claims.rules import ClaimFact
from apps.claims.services import report_claim
from apps.commissions.holding import review_partner, set_hold_rules
from apps.commissions.models import Decision, HoldPolicy, Move, PartnerReview
from apps.commissions.rules.holding import HoldRules, Sold, hold_reason
from apps.core.actors import SYSTEM
from apps.pipeline.services.claiming import accept_claim
from apps.pipeline.services.deciding import approve_conversions, approve_matured, hold_conversions, release_conversions
from apps.pipeline.services.settling import settle_waiting
from apps.records.models import AuditEntry
from apps.tracking.identifying import identify_visitor
from apps.tracking.models import StatedTouch, Unsettled
from apps.tracking.rules.persons import Identity
from tests.cast import NOON, START, make_cast, make_conversion, make_coupon, make_policy, make_touch

QUIET = Sold(3600.0, False, False, "s2s", 100_00, False)
OPEN = HoldRules(under_review=False)


def test_without_rules_nothing_is_held():
    assert hold_reason(OPEN, QUIET) is None


@pytest.mark.parametrize(
    ("rules", "facts", "reason"),
    [
        ({"under_review": True}, {"has_partner_under_review": True}, "under_review"),
        ({"under_review": False}, {"has_partner_under_review": True}, None),
        ({"too_fast_seconds": 30}, {"seconds_after_touch": 29.999}, "too_fast"),
        ({"too_fast_seconds": 30}, {"seconds_after_touch": 30.0}, None),
        ({"too_fast_seconds": 30}, {"seconds_after_touch": None}, None),
        ({"unowned_code": True}, {"has_unowned_code": True}, "unowned_code"),
        ({"untrusted_door": True}, {"door": "pixel"}, "untrusted_door"),
        ({"untrusted_door": True}, {"door": "s2s"}, None),
        ({"first_sale_above": 100_00}, {"is_first_of_a_partner": True}, None),
        ({"first_sale_above": 99_99}, {"is_first_of_a_partner": True}, "large_first_sale"),
        ({"first_sale_above": 99_99}, {"is_first_of_a_partner": False}, None),
        (
            {"too_fast_seconds": 30, "unowned_code": True},
            {"seconds_after_touch": 1.0, "has_unowned_code": True},
            "too_fast",
        ),
    ],
)
def test_each_rule_holds_what_it_names(rules, facts, reason):
    values = {name: getattr(QUIET, name) for name in QUIET.__slots__}
    assert hold_reason(HoldRules(**{"under_review": False, **rules}), Sold(**{**values, **facts})) == reason


@pytest.fixture
def acme(db):
    return make_cast()


def hold(acme, at=NOON - timedelta(days=30), **rules) -> None:
    values = HoldRules(**{"under_review": False, **rules})
    set_hold_rules(advertiser=acme.advertiser, campaign=acme.campaign, rules=values, actor=SYSTEM, now=at)


def sell(acme, after=timedelta(days=1), at=NOON, amount=100_00, **fields):
    visitor = uuid4()
    make_touch(acme.enrollments.blog, at - after, visitor)
    sale = make_conversion(acme.campaign, amount, at, visitor=visitor, **fields)
    settle_waiting(now=at)
    decision = Decision.objects.get(conversion=sale)
    return sale, decision.state, decision.reason


def test_a_sale_seconds_after_the_click_waits_and_its_move_names_the_rule(acme):
    hold(acme, too_fast_seconds=30)
    sale, state, reason = sell(acme, timedelta(seconds=5))
    assert (state, reason) == ("ON_HOLD", "too_fast")
    move = Move.objects.get(conversion=sale)
    assert (move.origin, move.state, move.reason, move.moved_by) == ("PENDING", "ON_HOLD", "too_fast", "Hold rule")
    assert sell(acme, timedelta(seconds=31), NOON + timedelta(hours=1))[1] == "PENDING"


@pytest.mark.parametrize("model", ["LINEAR", "LAST_CLICK"])
def test_an_accepted_claim_is_no_click_to_have_bought_too_fast_after(acme, model):
    hold(acme, too_fast_seconds=30)
    make_policy(acme.campaign, START + timedelta(days=1), model=model)
    sale = sell(acme, timedelta(minutes=9), order_ref="A-1")[0]

    accept(acme, "coupons")

    assert Share.objects.filter(conversion=sale, touch_id__in=StatedTouch.objects.values("touch_id")).exists()
    decision = Decision.objects.get(conversion=sale)
    assert (decision.state, decision.reason, Move.objects.count()) == ("PENDING", "", 0)


def test_an_accepted_claim_leaves_the_haste_after_a_click(acme):
    hold(acme, too_fast_seconds=30)
    make_policy(acme.campaign, START + timedelta(days=1), model="LINEAR")
    sell(acme, timedelta(seconds=5), order_ref="A-1")

    accept(acme, "coupons")

    assert list(Decision.objects.values_list("state", "reason")) == [("ON_HOLD", "too_fast")]


def accept(acme, partner) -> None:
    """Accept what a partner says of the order A-1."""
    fact = ClaimFact(acme.campaign.pk, "MISSING", "A-1", NOON, "EUR", 100_00)
    told = report_claim(partner=getattr(acme.partners, partner), fact=fact, actor=SYSTEM, now=NOON)
    accept_claim(advertiser=acme.advertiser, claim_id=told.claim.pk, actor=SYSTEM, now=NOON)


def test_partners_under_review_wait_until_it_ends(acme):
    hold(acme, under_review=True)
    call = {"advertiser": acme.advertiser, "partner": acme.partners.blog, "actor": SYSTEM}
    review_partner(**call, reason="odd traffic", now=NOON - timedelta(days=2))
    review_partner(**call, reason="odd traffic", now=NOON - timedelta(days=1))
    assert sell(acme)[1:] == ("ON_HOLD", "under_review")
    review_partner(**call, reason="", now=NOON + timedelta(hours=1))
    assert sell(acme, at=NOON + timedelta(hours=2))[1] == "PENDING"
    assert PartnerReview.objects.get().until == NOON + timedelta(hours=1)
    verbs = AuditEntry.objects.filter(verb__contains="review").order_by("pk").values_list("verb", flat=True)
    assert list(verbs) == ["partner_under_review", "partner_review_ended"]


def test_a_code_whose_owner_has_no_touch_waits(acme):
    hold(acme, unowned_code=True)
    make_coupon(acme.campaign, "SAVE10", acme.partners.coupons)
    make_coupon(acme.campaign, "OURS")
    assert sell(acme, coupons=["save10"])[1:] == ("ON_HOLD", "unowned_code")
    assert sell(acme, at=NOON + timedelta(hours=1), coupons=["OURS"])[1] == "PENDING"


def test_a_pixel_and_a_large_first_sale_wait(acme):
    hold(acme, untrusted_door=True, first_sale_above=500_00)
    assert sell(acme, source="pixel")[1:] == ("ON_HOLD", "untrusted_door")
    large, state, reason = sell(acme, at=NOON + timedelta(hours=1), amount=500_01)
    assert (state, reason) == ("ON_HOLD", "large_first_sale")
    approve_conversions(
        advertiser=acme.advertiser, conversion_ids=[large.pk], actor=SYSTEM, now=NOON + timedelta(hours=2)
    )
    assert sell(acme, at=NOON + timedelta(hours=3), amount=500_01)[1] == "PENDING"


def test_rules_hold_from_their_start_and_not_for_imports_and_tests(acme):
    hold(acme, NOON + timedelta(hours=1), too_fast_seconds=30)
    assert sell(acme, timedelta(seconds=5))[1] == "PENDING"
    later = NOON + timedelta(hours=2)
    assert sell(acme, timedelta(seconds=5), later, source="history")[1] == "PENDING"
    assert sell(acme, timedelta(seconds=5), later + timedelta(minutes=1), is_test=True)[1] == "PENDING"
    hold(acme, NOON + timedelta(hours=3), too_fast_seconds=2)
    assert sell(acme, timedelta(seconds=5), NOON + timedelta(hours=4))[1] == "PENDING"


def test_what_a_person_released_is_not_held_again_and_matures(acme):
    hold(acme, too_fast_seconds=30)
    sale = sell(acme, timedelta(seconds=5))[0]
    assert approve_matured(advertiser=acme.advertiser, now=NOON + timedelta(days=31)) == 0
    release_conversions(advertiser=acme.advertiser, conversion_ids=[sale.pk], actor=SYSTEM, now=NOON)
    Unsettled.objects.create(conversion=sale, advertiser=acme.advertiser, marked_at=NOON)
    settle_waiting(now=NOON + timedelta(hours=1))
    assert Decision.objects.get(conversion=sale).state == "PENDING"
    assert approve_matured(advertiser=acme.advertiser, now=NOON + timedelta(days=31)) == 1


@pytest.mark.parametrize("first", ["click", "sale"])
@pytest.mark.parametrize("is_released", [False, True])
def test_a_sale_seconds_after_the_click_waits_whichever_is_told_first(acme, first, is_released):
    hold(acme, too_fast_seconds=30)
    visitor = uuid4()
    if first == "click":
        make_touch(acme.enrollments.blog, NOON - timedelta(seconds=2), visitor)
    sale = make_conversion(acme.campaign, visitor=visitor)
    settle_waiting(now=NOON)
    if first == "sale":
        if is_released:  # by somebody who had held it
            call = {"advertiser": acme.advertiser, "conversion_ids": [sale.pk], "actor": SYSTEM, "now": NOON}
            hold_conversions(**call)
            release_conversions(**call)
        make_touch(acme.enrollments.blog, NOON - timedelta(seconds=2), visitor)
        Unsettled.objects.create(conversion=sale, advertiser=acme.advertiser, marked_at=NOON)
        settle_waiting(now=NOON)
    moved = Decision.objects.get()
    if first == "sale" and is_released:
        assert (moved.state, moved.reason) == ("PENDING", "")
    else:
        assert (moved.state, moved.reason) == ("ON_HOLD", "too_fast")


def touch_late(acme, sale, enrollment, before=timedelta(days=1)) -> Decision:
    make_touch(enrollment, NOON - before, sale.visitor)
    Unsettled.objects.create(conversion=sale, advertiser=acme.advertiser, marked_at=NOON)
    settle_waiting(now=NOON)
    return Decision.objects.get(conversion=sale)


@pytest.fixture
def poached(acme):
    """A sale that waits because its code's owner has no touch."""
    hold(acme, unowned_code=True, too_fast_seconds=30)
    make_coupon(acme.campaign, "SAVE10", acme.partners.coupons)
    make_policy(acme.campaign, START + timedelta(days=1), model="LINEAR")
    sale, state, reason = sell(acme, coupons=["SAVE10"])
    assert (state, reason) == ("ON_HOLD", "unowned_code")
    return sale


def test_a_hold_by_rule_ends_when_a_late_click_takes_its_reason_away(acme, poached):
    decision = touch_late(acme, poached, acme.enrollments.coupons)

    assert (decision.state, decision.reason, decision.decided_at) == ("PENDING", "", None)
    moves = Move.objects.filter(conversion=poached).values_list("origin", "state", "reason", "moved_by")
    assert list(moves) == [
        ("PENDING", "ON_HOLD", "unowned_code", "Hold rule"), ("ON_HOLD", "PENDING", "", "Hold rule"),
    ]  # fmt: skip
    assert approve_matured(advertiser=acme.advertiser, now=NOON + timedelta(days=31)) == 1


def test_a_hold_by_rule_ends_when_a_merge_takes_its_reason_away(acme, poached):
    phone = make_touch(acme.enrollments.coupons, NOON - timedelta(hours=5), uuid4())
    for visitor in (poached.visitor, phone.visitor):
        identify_visitor(advertiser=acme.advertiser, visitor=visitor, identity=Identity("c7"), now=NOON)
    settle_waiting(now=NOON)
    assert Decision.objects.get(conversion=poached).state == "PENDING"


def test_a_hold_by_rule_follows_what_is_known_whatever_came_first(acme, poached):
    decision = touch_late(acme, poached, acme.enrollments.coupons)
    assert decision.state == "PENDING"
    decision = touch_late(acme, poached, acme.enrollments.blog, timedelta(seconds=3))
    assert (decision.state, decision.reason) == ("ON_HOLD", "too_fast")


def test_a_hold_by_rule_takes_the_reason_that_is_left(acme, poached):
    touch_late(acme, poached, acme.enrollments.blog, timedelta(seconds=3))
    decision = touch_late(acme, poached, acme.enrollments.coupons)
    assert (decision.state, decision.reason) == ("ON_HOLD", "too_fast")


@pytest.mark.parametrize("reason", ["review", "unowned_code"])
def test_a_hold_by_people_stays_whatever_comes(acme, poached, reason):
    call = {"advertiser": acme.advertiser, "conversion_ids": [poached.pk], "actor": SYSTEM, "now": NOON}
    release_conversions(**call)
    hold_conversions(**call, reason=reason)
    decision = touch_late(acme, poached, acme.enrollments.coupons)
    assert (decision.state, decision.reason) == ("ON_HOLD", reason)


def test_hold_rules_are_never_edited_and_without_the_guard_they_are(acme):
    hold(acme, too_fast_seconds=30)
    with pytest.raises(DatabaseError), transaction.atomic():
        HoldPolicy.objects.update(too_fast_seconds=0)
    assert HoldPolicy.objects.get().too_fast_seconds == 30
    with pgtrigger.ignore("commissions.HoldPolicy:append_only"):
        HoldPolicy.objects.update(too_fast_seconds=0)
    assert HoldPolicy.objects.get().too_fast_seconds == 0


def test_a_partner_has_one_open_review(acme):
    fields = {"advertiser": acme.advertiser, "partner": acme.partners.blog, "reason": "x", "since": NOON}
    PartnerReview.objects.create(**fields)
    with pytest.raises(IntegrityError), transaction.atomic():
        PartnerReview.objects.create(**fields)
    assert PartnerReview.objects.count() == 1
