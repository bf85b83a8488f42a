"""Claims, dated: a missing order, a wrong amount, a rejected one, one of others, and a clock that runs out."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, transaction

from apps.attribution.models import Share
from apps.claims.models import Claim, ClaimMove, ClaimState
from apps.claims.rules import ClaimFact
from apps.claims.services import (
    ClaimClosed,
    ClaimNotFound,
    ClaimOpenAlready,
    report_claim,
    set_claim_terms,
    withdraw_claim,
)
from apps.commissions.models import Commission, Decision
from apps.core.actors import SYSTEM
from apps.messages.services import deliver_waiting
from apps.pipeline.books import check_books
from apps.pipeline.services.claiming import (
    ClaimAmountNeeded,
    ClaimChangesNothing,
    ClaimWithoutEffect,
    ConversionApproved,
    accept_claim,
    answer_overdue_claims,
    decline_claim,
)
from apps.pipeline.services.deciding import approve_conversions, reject_conversions
from apps.pipeline.services.settling import settle_waiting
from apps.tracking.models import Amendment, Conversion, StatedTouch, Touchpoint, Unsettled
from tests.cast import (
    NOON,
    START,
    make_advertiser,
    make_cast,
    make_conversion,
    make_partner_user,
    make_policy,
    make_touch,
)

pytestmark = pytest.mark.django_db
SOLD = datetime(2026, 2, 3, 18, 30, tzinfo=UTC)


@pytest.fixture
def acme():
    return make_cast()


def claim_of(acme, partner: str = "blog", at: datetime = NOON, **fields) -> Claim:
    values = {
        "campaign_id": acme.campaign.pk,
        "kind": "MISSING",
        "order_ref": "A-1",
        "occurred_at": SOLD,
        "currency": "EUR",
        "amount_minor": 100_00,
        **fields,
    }
    reported = report_claim(partner=getattr(acme.partners, partner), fact=ClaimFact(**values), actor=SYSTEM, now=at)
    return reported.claim


def accept(acme, claim, at: datetime = NOON) -> Conversion:
    accept_claim(advertiser=acme.advertiser, claim_id=claim.pk, actor=SYSTEM, now=at)
    claim.refresh_from_db()
    return claim.conversion


def earned(conversion) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in Commission.objects.filter(conversion=conversion).select_related("partner"):
        found[row.partner.slug] = found.get(row.partner.slug, 0) + row.amount_minor
    return found


def everything() -> tuple[int, ...]:
    return tuple(
        model.objects.count()
        for model in (Conversion, Touchpoint, StatedTouch, Amendment, Commission, Share, Unsettled, Decision)
    )


def sell(acme, *partners: str) -> Conversion:
    visitor = uuid4()
    for place, name in enumerate(partners):
        make_touch(getattr(acme.enrollments, name), SOLD - timedelta(hours=9 - place), visitor)
    sale = make_conversion(acme.campaign, 100_00, SOLD, "A-1", visitor)
    settle_waiting(now=SOLD)
    return sale


def test_a_missing_order_is_written_from_its_claim_and_paid_like_any_other(acme):
    # 3 February: an order is never told. 10 March: the blog reports it; the advertiser finds it and accepts.
    claim = claim_of(acme, coupon="SAVE10")
    assert claim.answer_by == date(2026, 5, 24)

    sale = accept(acme, claim, NOON + timedelta(days=2))

    assert (sale.order_ref, sale.amount_minor, sale.source, sale.coupons) == ("A-1", 100_00, "claim", ["SAVE10"])
    assert sale.occurred_at == SOLD
    touch = Touchpoint.objects.get()
    assert (touch.kind, touch.partner_id, touch.ad_space_id) == (
        "MANUAL", acme.partners.blog.pk, acme.enrollments.blog.ad_space_id,
    )  # fmt: skip
    assert earned(sale) == {"blog": 800}
    assert sale.decision.state == "PENDING"
    approve_conversions(advertiser=acme.advertiser, conversion_ids=[sale.pk], actor=SYSTEM, now=NOON)
    assert check_books() == []
    assert [(move.origin, move.state) for move in ClaimMove.objects.all()] == [("", "OPEN"), ("OPEN", "ACCEPTED")]


def test_an_order_of_nobody_gets_the_partner_s_touch(acme):
    sale = sell(acme)
    assert earned(sale) == {}

    assert accept(acme, claim_of(acme)) == sale

    assert earned(sale) == {"blog": 800}
    assert Conversion.objects.count() == 1
    assert check_books() == []


def test_a_pending_order_of_others_is_shared_as_the_policy_says(acme):
    make_policy(acme.campaign, START + timedelta(days=1), model="LINEAR")
    sale = sell(acme, "coupons")

    accept(acme, claim_of(acme))

    assert earned(sale) == {"blog": 400, "coupons": 400}
    assert check_books() == []


def test_a_contact_that_the_policy_gives_nothing_changes_nothing(acme):
    make_policy(acme.campaign, START + timedelta(days=1), model="FIRST_CLICK")
    sale, claim = sell(acme, "coupons"), claim_of(acme)
    before = everything()

    with pytest.raises(ClaimWithoutEffect):
        accept_claim(advertiser=acme.advertiser, claim_id=claim.pk, actor=SYSTEM, now=NOON)

    claim.refresh_from_db()
    assert (claim.state, everything(), earned(sale)) == ("OPEN", before, {"coupons": 800})


def test_an_approved_order_of_others_is_not_shared_anew(acme):
    sale, claim = sell(acme, "coupons"), claim_of(acme)
    approve_conversions(advertiser=acme.advertiser, conversion_ids=[sale.pk], actor=SYSTEM, now=NOON)
    before = everything()

    with pytest.raises(ConversionApproved):
        accept_claim(advertiser=acme.advertiser, claim_id=claim.pk, actor=SYSTEM, now=NOON)

    assert everything() == before


def test_a_wrong_amount_of_an_approved_order_becomes_a_correction(acme):
    sale = sell(acme, "blog")
    approve_conversions(advertiser=acme.advertiser, conversion_ids=[sale.pk], actor=SYSTEM, now=NOON)

    accept(acme, claim_of(acme, kind="WRONG", amount_minor=150_00))

    rows = list(Commission.objects.filter(conversion=sale).order_by("pk").values_list("kind", "amount_minor", "reason"))
    assert rows == [("SALE", 800, ""), ("CORRECTION", 400, "amended")]
    assert check_books() == []


def test_an_order_credited_already_has_nothing_to_accept(acme):
    sell(acme, "blog")
    claim = claim_of(acme)

    with pytest.raises(ClaimChangesNothing):
        accept_claim(advertiser=acme.advertiser, claim_id=claim.pk, actor=SYSTEM, now=NOON)
    with pytest.raises(ClaimAmountNeeded):
        other = claim_of(acme, kind="DECLINED", order_ref="A-2", amount_minor=None)
        accept_claim(advertiser=acme.advertiser, claim_id=other.pk, actor=SYSTEM, now=NOON)


def test_a_rejected_order_is_told_a_second_time_and_only_once(acme):
    make_policy(acme.campaign, START + timedelta(days=1), model="LINEAR")
    sale = sell(acme, "blog", "coupons")
    reject_conversions(advertiser=acme.advertiser, conversion_ids=[sale.pk], reason="returned", actor=SYSTEM, now=NOON)
    mine = claim_of(acme, kind="DECLINED", amount_minor=None)
    theirs = claim_of(acme, "coupons", kind="DECLINED", amount_minor=None)

    again = accept(acme, mine)

    assert (again.order_ref, again.amount_minor) == ("A-1~2", 100_00)
    assert (earned(again), again.decision.state) == ({"blog": 400, "coupons": 400}, "PENDING")
    assert Decision.objects.get(conversion=sale).state == "REJECTED"
    assert accept(acme, theirs) == again
    approve_conversions(advertiser=acme.advertiser, conversion_ids=[again.pk], actor=SYSTEM, now=NOON)
    assert Conversion.objects.count() == 2
    assert check_books() == []


def test_an_order_has_one_open_claim_of_a_partner(acme):
    first = claim_of(acme)

    assert claim_of(acme) == first
    with pytest.raises(ClaimOpenAlready):
        claim_of(acme, amount_minor=200_00)
    assert claim_of(acme, "coupons") != first
    decline_claim(advertiser=acme.advertiser, claim_id=first.pk, reason="not_found", actor=SYSTEM, now=NOON)
    assert claim_of(acme) != first
    assert Claim.objects.count() == 3


def test_an_answered_claim_stays_answered(acme):
    claim = claim_of(acme)
    withdraw_claim(partner=acme.partners.blog, claim_id=claim.pk, actor=SYSTEM, now=NOON)

    with pytest.raises(ClaimClosed):
        accept_claim(advertiser=acme.advertiser, claim_id=claim.pk, actor=SYSTEM, now=NOON)
    with pytest.raises(ClaimClosed):
        withdraw_claim(partner=acme.partners.blog, claim_id=claim.pk, actor=SYSTEM, now=NOON)
    assert Claim.objects.get().state == "WITHDRAWN"
    assert not Conversion.objects.exists()


def test_neighbors_answer_and_withdraw_nothing(acme):
    claim = claim_of(acme)

    with pytest.raises(ClaimNotFound):
        accept_claim(advertiser=make_advertiser("globex"), claim_id=claim.pk, actor=SYSTEM, now=NOON)
    with pytest.raises(ClaimNotFound):
        withdraw_claim(partner=acme.partners.coupons, claim_id=claim.pk, actor=SYSTEM, now=NOON)
    assert Claim.objects.get().state == "OPEN"


def test_a_claim_nobody_answers_is_overdue_after_its_days(acme):
    # 10 March, 75 days: on 24 May it is still in time, on the 25th it is overdue; in Berlin that begins at 22:00 UTC.
    claim = claim_of(acme)

    assert answer_overdue_claims(advertiser=acme.advertiser, now=datetime(2026, 5, 24, 21, 59, tzinfo=UTC)) == 0
    late = datetime(2026, 5, 24, 22, 0, tzinfo=UTC)
    assert answer_overdue_claims(advertiser=acme.advertiser, now=late) == 1
    assert answer_overdue_claims(advertiser=acme.advertiser, now=late) == 0
    claim.refresh_from_db()
    assert claim.state == ClaimState.ESCALATED
    assert accept(acme, claim, late).order_ref == "A-1"


def test_or_is_accepted_by_itself_where_the_advertiser_chose_so(acme):
    set_claim_terms(advertiser=acme.advertiser, answer_days=10, at_end="APPROVE", actor=SYSTEM, now=NOON)
    good, hopeless = claim_of(acme), claim_of(acme, kind="DECLINED", order_ref="A-2", amount_minor=None)
    assert good.answer_by == date(2026, 3, 20)

    assert answer_overdue_claims(advertiser=acme.advertiser, now=NOON + timedelta(days=11)) == 2

    good.refresh_from_db()
    hopeless.refresh_from_db()
    assert (good.state, good.note, earned(good.conversion)) == ("ACCEPTED", "overdue", {"blog": 800})
    assert (hopeless.state, hopeless.note) == ("ESCALATED", "claim_amount_needed")


GUARDS = {
    "content_stays": "UPDATE claims_claim SET amount_minor = 1",
    "never_deleted": "DELETE FROM claims_claim",
    "moves_as_allowed": "UPDATE claims_claim SET state = 'OPEN'",
}


@pytest.mark.parametrize("guard", GUARDS)
def test_the_database_holds_a_claim(acme, guard):
    claim = claim_of(acme)
    withdraw_claim(partner=acme.partners.blog, claim_id=claim.pk, actor=SYSTEM, now=NOON)

    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(GUARDS[guard])

    claim.refresh_from_db()
    assert (claim.state, claim.amount_minor) == ("WITHDRAWN", 100_00)


@pytest.mark.parametrize("guard", ["content_stays", "moves_as_allowed"])
def test_without_its_guard_a_claim_would_change(acme, guard):
    claim = claim_of(acme)
    withdraw_claim(partner=acme.partners.blog, claim_id=claim.pk, actor=SYSTEM, now=NOON)

    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(
            "SELECT tgname FROM pg_trigger WHERE tgrelid = 'claims_claim'::regclass AND tgname ~ %s", [guard]
        )
        [(name,)] = cursor.fetchall()
        cursor.execute(f'ALTER TABLE claims_claim DISABLE TRIGGER "{name}"')
        cursor.execute(GUARDS[guard])

    claim.refresh_from_db()
    assert (claim.state, claim.amount_minor) != ("WITHDRAWN", 100_00)


def test_the_partner_s_people_hear_of_the_answer_once_and_in_their_language(acme, mailoutbox):
    person = make_partner_user(acme.partners.blog)
    type(person).objects.filter(pk=person.pk).update(language="de")
    accept(acme, claim_of(acme))
    other = claim_of(acme, order_ref="A-2")
    decline_claim(advertiser=acme.advertiser, claim_id=other.pk, reason="not_found", actor=SYSTEM, now=NOON)

    assert deliver_waiting(clock=lambda: NOON) == 2

    assert [mail.subject for mail in mailoutbox] == [
        "Ihre Reklamation zur Bestellung A-1 ist beantwortet",
        "Ihre Reklamation zur Bestellung A-2 ist beantwortet",
    ]
    assert [mail.to for mail in mailoutbox] == [[person.email]] * 2
    assert "anerkannt" in mailoutbox[0].body and f"/claims/{other.pk}/" in mailoutbox[1].body
