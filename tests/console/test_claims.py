"""Claims in the console: tabs with counts, what is known of the order, accept, decline, the clock."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.urls import reverse

from apps.claims.models import Claim, ClaimMove, ClaimTerms
from apps.claims.rules import ClaimFact
from apps.claims.services import report_claim
from apps.commissions.models import Commission, Superseded
from apps.core.actors import SYSTEM
from apps.identity.models import Role
from apps.pipeline.services.claiming import ClaimEffectDiffers, accept_claim
from apps.pipeline.services.deciding import reject_conversions
from apps.pipeline.services.foreseeing import foresee_acceptance
from apps.pipeline.services.settling import settle_conversions
from apps.tracking.changing import amend_amount
from apps.tracking.models import Touchpoint
from tests.cast import NOON, START, make_policy
from tests.console.scene import SOLD_AT, make_scene, member

pytestmark = pytest.mark.django_db
LIST = "admin:claims_claim_changelist"


@pytest.fixture
def acme():
    return make_scene()


def make_claim(acme, order_ref: str = "LOST-1", partner: str = "coupons", **fields) -> Claim:
    values = {"kind": "MISSING", "amount_minor": 50_00, **fields}
    fact = ClaimFact(acme.campaign.pk, order_ref=order_ref, occurred_at=SOLD_AT, currency="EUR", **values)
    return report_claim(partner=getattr(acme.partners, partner), fact=fact, actor=SYSTEM, now=NOON).claim


def page(acme, claim) -> str:
    return acme.owner.get(reverse("admin:claims_claim_change", args=[claim.pk])).text


def act(client, claim, verb: str, **form):
    return client.post(reverse(f"admin:claims_claim_{verb}", args=[claim.pk]), form, follow=True)


def test_the_list_has_tabs_with_what_waits(acme):
    make_claim(acme)
    declined = make_claim(acme, "LOST-2")
    act(acme.owner, declined, "decline", reason="not_found")

    answer = acme.owner.get(reverse(LIST))
    assert {tab["title"]: tab["count"] for tab in answer.context["tabs"]}["To answer"] == 1
    assert "LOST-1" in answer.text and "LOST-2" in answer.text
    assert "LOST-2" not in acme.owner.get(reverse(LIST), {"state": "open"}).text


def test_a_claim_shows_evidence_conflict_and_the_order_s_story(acme):
    unknown = page(acme, make_claim(acme, text="It was <b>mine</b>", coupon="SAVE10"))
    assert "does not know this order" in unknown and "It was &lt;b&gt;mine&lt;/b&gt;" in unknown and "SAVE10" in unknown

    conflict = page(acme, make_claim(acme, "OPEN-1"))
    assert "Conflict: others are credited" in conflict and "Blog" in conflict and "Click by Blog" in conflict
    assert "cannot be shared anew" in page(acme, make_claim(acme, "PAID-1"))


def test_accepting_writes_the_order_and_its_commission(acme):
    claim = make_claim(acme)

    answer = act(acme.owner, claim, "accept", **{"accept-note": "found in the shop"})

    claim.refresh_from_db()
    move = ClaimMove.objects.last()
    assert (claim.state, move.state, move.note) == ("ACCEPTED", "ACCEPTED", "found in the shop")
    assert Commission.objects.get(conversion=claim.conversion).amount_minor == 4_00
    assert "The claim is accepted" in answer.text
    assert "answered or withdrawn already" in act(acme.owner, claim, "accept").text


def test_what_accepting_would_do_is_shown_and_done_to_nothing(acme):
    make_policy(acme.campaign, START + timedelta(days=1), model="LINEAR")
    claim = make_claim(acme, "OPEN-1", amount_minor=100_00)
    before = Commission.objects.count(), Touchpoint.objects.count(), Superseded.objects.count()

    foreseen = acme.owner.get(reverse("admin:claims_claim_change", args=[claim.pk])).context["foreseen"]

    effects = [(row.partner.slug, row.minor, row.new_minor) for row in foreseen.effects]
    assert sorted(effects) == [("blog", 8_00, 4_00), ("coupons", 0, 4_00)]
    assert [row.partner.slug for row in foreseen.losers] == ["blog"]
    assert (Commission.objects.count(), Touchpoint.objects.count(), Superseded.objects.count()) == before
    assert Claim.objects.get().state == "OPEN"


def test_what_takes_from_others_is_confirmed_as_it_was_seen(acme):
    make_policy(acme.campaign, START + timedelta(days=1), model="LINEAR")
    claim = make_claim(acme, "OPEN-1", amount_minor=100_00)
    assert "1 partner earns less by this" in page(acme, claim)
    for seen in ({}, {"accept-seen": "0" * 16}):
        assert "look at what accepting does" in act(acme.owner, claim, "accept", **seen).text
        assert Claim.objects.get().state == "OPEN"
    digest = foresee_acceptance(advertiser=acme.advertiser, claim_id=claim.pk, now=NOON).digest
    act(acme.owner, claim, "accept", **{"accept-seen": digest})
    assert Claim.objects.get().state == "ACCEPTED"


def test_what_changed_since_it_was_seen_is_not_accepted_and_the_page_shows_it_anew(acme):
    make_policy(acme.campaign, START + timedelta(days=1), model="LINEAR")
    claim = make_claim(acme, "OPEN-1", amount_minor=100_00)
    accepts = {"advertiser": acme.advertiser, "claim_id": claim.pk, "actor": SYSTEM, "now": NOON}
    seen = foresee_acceptance(advertiser=acme.advertiser, claim_id=claim.pk, now=NOON).digest
    amend_amount(sale=acme.open, amount_minor=200_00, now=NOON)
    settle_conversions(conversion_ids=[acme.open.pk], now=NOON)

    with pytest.raises(ClaimEffectDiffers):
        accept_claim(**accepts, expected=seen)
    answer = act(acme.owner, claim, "accept", **{"accept-seen": seen})

    new = answer.context["foreseen"].digest
    assert "look at what accepting does" in answer.text and new not in ("", seen) and new in answer.text
    assert (Claim.objects.get().state, Commission.objects.get(conversion=acme.open).amount_minor) == ("OPEN", 16_00)
    assert accept_claim(**accepts, expected=new).state == "ACCEPTED"


@pytest.mark.django_db(transaction=True)
def test_a_page_whose_order_is_being_worked_on_stands_without_what_accepting_does(acme):
    claim = make_claim(acme, "OPEN-1", amount_minor=100_00)

    def look() -> str:
        try:
            return page(acme, claim)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        Claim.objects.select_for_update().get(pk=claim.pk)
        text = pool.submit(look).result()

    assert "cannot be worked out just now" in text and "Accept the claim" in text and "Conflict:" in text
    assert "cannot be worked out just now" not in page(acme, claim)


def test_an_order_told_a_second_time_is_named_and_linked_by_its_claim(acme):
    reject_conversions(
        advertiser=acme.advertiser, conversion_ids=[acme.open.pk], reason="returned", actor=SYSTEM, now=NOON
    )
    claim = make_claim(acme, "OPEN-1", "blog", kind="DECLINED", amount_minor=None)

    answer = act(acme.owner, claim, "accept")

    claim.refresh_from_db()
    again = claim.conversion
    link = f'href="{reverse("admin:tracking_conversion_change", args=[again.pk])}">OPEN-1~2</a>'
    first = f'after <a class="tb-link" href="{reverse("admin:tracking_conversion_change", args=[acme.open.pk])}">OPEN-1'
    assert again.order_ref == "OPEN-1~2"
    assert (answer.text.count(link), first in answer.text) == (2, True)  # the message and the order
    assert answer.context["standing"].conversion == again
    # What another partner says of the order is then of its second telling.
    assert "OPEN-1~2" in page(acme, make_claim(acme, "OPEN-1", "coupons"))


def test_what_cannot_be_accepted_is_said_and_nothing_changes(acme):
    claim, before = make_claim(acme, "PAID-1"), Commission.objects.count()

    assert "not shared anew" in act(acme.owner, claim, "accept").text

    claim.refresh_from_db()
    assert (claim.state, Commission.objects.count()) == ("OPEN", before)


def test_an_order_that_was_given_by_a_claim_is_not_taken_by_another(acme):
    first, second = make_claim(acme), make_claim(acme, partner="blog")
    act(acme.owner, first, "accept")

    assert "Coupons is credited by a claim that was accepted" in page(acme, second)
    assert "this one would take from it" in act(acme.owner, second, "accept").text

    second.refresh_from_db()
    assert second.state == "OPEN"


def test_declining_needs_a_reason(acme):
    claim = make_claim(acme)
    assert "This field is required" in act(acme.owner, claim, "decline").text
    assert Claim.objects.get().state == "OPEN"
    act(acme.owner, claim, "decline", reason="no_contact", note="nothing found")
    assert Claim.objects.values_list("state", "reason", "note").get() == ("DECLINED", "no_contact", "nothing found")


def test_the_clock_is_set_for_what_comes(acme):
    before = make_claim(acme)
    form = {"answer_days": "14", "at_end": "APPROVE"}
    assert acme.owner.post(reverse("admin:claims_claim_terms"), form).status_code == 302
    assert ClaimTerms.objects.get().answer_days == 14
    assert (make_claim(acme, "LOST-2").answer_by - before.answer_by).days == 14 - 75
    assert acme.owner.post(reverse("admin:claims_claim_terms"), {**form, "answer_days": "0"}).status_code == 200
    assert ClaimTerms.objects.get().answer_days == 14


def test_neighbors_and_analysts_answer_nothing(acme):
    claim = make_claim(acme)
    analyst = member(acme, Role.ANALYST)

    for verb in ("accept", "decline"):
        address = reverse(f"admin:claims_claim_{verb}", args=[claim.pk])
        assert acme.neighbor.post(address, {"reason": "not_found"}).status_code == 404
        assert analyst.post(address, {"reason": "not_found"}).status_code == 403
    assert acme.neighbor.get(reverse("admin:claims_claim_change", args=[claim.pk])).status_code == 404
    assert analyst.get(reverse("admin:claims_claim_change", args=[claim.pk])).status_code == 200
    assert analyst.get(reverse("admin:claims_claim_terms")).status_code == 403
    assert "LOST-1" not in acme.neighbor.get(reverse(LIST)).text
    assert Claim.objects.get().state == "OPEN"
