"""Claims, dated, and what else is told of the order: refunds, the shop's own word, duplicates, other partners."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from apps.claims.models import Claim
from apps.claims.services import set_claim_terms
from apps.commissions.models import Commission, Decision
from apps.core.actors import SYSTEM
from apps.ledger.models import Posting
from apps.pipeline.books import check_books
from apps.pipeline.services import claiming
from apps.pipeline.services.claiming import (
    ClaimTakesFromAccepted,
    ClaimWithoutEffect,
    accept_claim,
    answer_overdue_claims,
)
from apps.pipeline.services.deciding import approve_conversions, approve_matured, reject_conversions
from apps.pipeline.services.deciding_lines import correct_amount
from apps.pipeline.services.receiving import receive_conversion, receive_refund
from apps.pipeline.services.settling import settle_waiting
from apps.tracking.changing import RefundRefConflict, SequenceConflict, record_update
from apps.tracking.identifying import identify_visitor
from apps.tracking.models import Amendment, Conversion, Refund, Repeat, StatedTouch
from apps.tracking.rules.conversions import ConversionFact
from apps.tracking.rules.persons import Identity
from apps.tracking.rules.refunds import MoreThanSold
from apps.tracking.services import OrderRefConflict
from tests.cast import NOON, START, make_cast, make_conversion, make_policy, make_touch
from tests.stories.test_claim import SOLD, accept, claim_of, earned, everything, sell

pytestmark = pytest.mark.django_db
ADA = Identity(customer_id="4711")
HOUR = timedelta(hours=1)


@pytest.fixture
def acme():
    return make_cast()


def reject(acme, sale, reason: str = "other_channel") -> None:
    reject_conversions(advertiser=acme.advertiser, conversion_ids=[sale.pk], reason=reason, actor=SYSTEM, now=NOON)


def approve(acme, sale, at=NOON) -> None:
    approve_conversions(advertiser=acme.advertiser, conversion_ids=[sale.pk], actor=SYSTEM, now=at)


def give_back(acme, ref: str = "R-1", at=NOON, **fields) -> None:
    fields = {"order_ref": "A-1", "refund_ref": ref, **fields}
    receive_refund(advertiser=acme.advertiser, fields=fields, now=at)
    settle_waiting(now=at)


def tell(acme, amount_minor: int, at=NOON + 9 * HOUR, **fields) -> Conversion:
    fact = ConversionFact("SALE", "A-1", amount_minor, "EUR", **fields)
    received = receive_conversion(campaign=acme.campaign, fact=fact, now=at)
    settle_waiting(now=at)
    return Conversion.objects.get(pk=received.id)


def declined(acme, partner: str = "blog", **fields) -> Claim:
    return claim_of(acme, partner, kind="DECLINED", amount_minor=None, **fields)


# --- an order told a second time --------------------------------------------------------------------
def test_an_order_refunded_whole_pays_nothing_when_it_is_told_a_second_time(acme):
    # 3 February sold, refunded whole, rejected as returned; the partner's claim is accepted all the same.
    sale = sell(acme, "blog")
    give_back(acme, whole=True)
    reject(acme, sale, "returned")

    again = accept(acme, declined(acme))

    assert Repeat.objects.get().original == sale
    assert earned(again) == {"blog": 0}
    approve(acme, again)
    assert sum(row.amount_minor for row in Commission.objects.filter(conversion=again)) == 0
    assert check_books() == []


def test_nor_where_nobody_answers_and_nobody_decides(acme):
    set_claim_terms(advertiser=acme.advertiser, answer_days=1, at_end="APPROVE", actor=SYSTEM, now=NOON)
    sale = sell(acme, "blog")
    give_back(acme, whole=True)
    reject(acme, sale, "returned")
    declined(acme)

    assert answer_overdue_claims(advertiser=acme.advertiser, now=NOON + timedelta(days=9)) == 1
    approve_matured(advertiser=acme.advertiser, now=NOON + timedelta(days=99))

    owed = {row.debit.kind: row.amount_minor for row in Posting.objects.select_related("debit")}
    assert len(owed) == Posting.objects.count() and len(set(owed.values())) <= 1  # there and back again
    assert check_books() == []


def test_a_refund_before_the_second_time_counts_and_so_does_one_after_it(acme):
    sale = sell(acme, "blog")
    give_back(acme, amount="60.00", currency="EUR")
    assert earned(sale) == {"blog": 320}
    reject(acme, sale)

    again = accept(acme, declined(acme))

    assert earned(again) == {"blog": 320}
    approve(acme, again)
    give_back(acme, "R-2", NOON + HOUR, amount="10.00", currency="EUR")
    assert earned(again) == {"blog": 240}
    give_back(acme, "R-3", NOON + 2 * HOUR, whole=True)
    assert earned(again) == {"blog": 0}
    assert earned(sale) == {"blog": 320}  # rejected, as it stood
    assert check_books() == []


@pytest.mark.parametrize("second_first", [True, False])
def test_a_refund_told_by_both_numbers_of_the_order_is_one(acme, second_first):
    reject(acme, sell(acme, "blog"))
    again = accept(acme, declined(acme))
    numbers = ["A-1", again.order_ref]
    for number in reversed(numbers) if second_first else numbers:
        give_back(acme, amount="60.00", currency="EUR", order_ref=number)
    assert (Refund.objects.count(), earned(again)) == (1, {"blog": 320})
    with pytest.raises(RefundRefConflict):
        give_back(acme, amount="1.00", currency="EUR", order_ref=numbers[second_first - 1])
    give_back(acme, "R-2", amount="10.00", currency="EUR", order_ref=again.order_ref)
    with pytest.raises(MoreThanSold):
        give_back(acme, "R-3", amount="30.01", currency="EUR", order_ref=again.order_ref)
    assert earned(again) == {"blog": 240}
    assert check_books() == []


def test_the_house_s_own_numbers_go_on_at_the_second_time(acme):
    named = {"advertiser": acme.advertiser, "reason": "returned", "actor": SYSTEM, "now": NOON}
    sale = sell(acme, "blog")
    correct_amount(conversion_id=sale.pk, amount_minor=90_00, **named)
    reject(acme, sale)
    again = accept(acme, declined(acme))
    assert correct_amount(conversion_id=again.pk, amount_minor=50_00, **named).changed
    assert earned(again) == {"blog": 400}
    assert list(Refund.objects.order_by("pk").values_list("refund_ref", "amount_minor")) == [
        ("tributary:amount:1", 10_00),
        ("tributary:amount:2", 40_00),
    ]


def test_amendments_of_the_order_reach_the_second_time(acme):
    sale = sell(acme, "blog")
    tell(acme, 80_00, NOON, is_update=True)
    reject(acme, sale)

    again = accept(acme, declined(acme))

    assert earned(again) == {"blog": 640}
    tell(acme, 50_00, is_update=True)
    assert (earned(again), again.decision.state) == ({"blog": 400}, "PENDING")
    approve(acme, again)
    tell(acme, 60_00, is_update=True)
    assert earned(again) == {"blog": 480}
    assert list(Amendment.objects.values_list("conversion", "sequence")) == [(sale.pk, n) for n in (1, 2, 3)]
    assert check_books() == []


def test_what_is_amended_after_the_second_time_stands_at_the_first(acme):
    make_policy(acme.campaign, START + timedelta(days=1), model="LINEAR")
    sale = accept(acme, claim_of(acme, amount_minor=500_00))
    reject(acme, sale)
    again = accept(acme, declined(acme))

    accept(acme, claim_of(acme, kind="WRONG", amount_minor=150_00))
    assert earned(again) == {"blog": 1200}
    tell(acme, 100_00)
    assert earned(again) == {"blog": 800}
    fact = ConversionFact("SALE", again.order_ref, 90_00, "EUR", is_update=True)
    receive_conversion(campaign=acme.campaign, fact=fact, now=NOON)
    settle_waiting(now=NOON)

    assert earned(again) == {"blog": 720}
    places = list(Amendment.objects.values_list("conversion", "sequence", "turn", "origin"))
    assert places == [(sale.pk, 0, 1, "HOUSE"), (sale.pk, 0, 2, "ORDER"), (sale.pk, 1, 0, "SHOP")]
    assert check_books() == []


def test_an_order_of_the_shop_s_own_is_never_taken_for_the_second_time(acme):
    other = make_conversion(acme.campaign, 900_00, NOON, "A-1~2")
    sale = sell(acme, "blog")
    reject(acme, sale)

    again = accept(acme, declined(acme))

    assert (again.order_ref, earned(again), earned(other)) == ("A-1~3", {"blog": 800}, {})
    assert again != other


def test_the_second_time_sees_the_journeys_of_its_customer_and_the_stated_touches(acme):
    make_policy(acme.campaign, START + timedelta(days=1), model="LINEAR")
    phone = uuid4()
    make_touch(acme.enrollments.coupons, NOON - 5 * HOUR, phone)
    identify_visitor(advertiser=acme.advertiser, visitor=phone, identity=ADA, now=NOON - 4 * HOUR)
    sale = tell(acme, 100_00, NOON, identity=ADA)
    accept(acme, claim_of(acme, "cashback"))
    assert earned(sale) == {"coupons": 400, "cashback": 400}
    reject(acme, sale)

    again = accept(acme, declined(acme, "coupons"))

    assert earned(again) == {"coupons": 400, "cashback": 400}
    assert again.sightings.get().key_id == sale.sightings.get().key_id
    assert (again.standing.is_new, again.standing.reason) == (sale.standing.is_new, sale.standing.reason)


# --- duplicates ---------------------------------------------------------------------------------------
def clicked(acme, order_ref: str, click, at) -> Conversion:
    sale = make_conversion(acme.campaign, 100_00, at, order_ref, click_ids=[click.pk])
    settle_waiting(now=at)
    return sale


def paid(sale) -> dict[str, int]:
    return dict(Commission.objects.filter(conversion=sale, payable=True).values_list("partner__slug", "amount_minor"))


@pytest.fixture
def once_per_click(acme):
    type(acme.campaign).objects.update(dedup_scope="CLICK", dedup_days=30)
    return make_touch(acme.enrollments.blog, SOLD - HOUR, uuid4())


def test_the_second_time_of_a_rejected_order_is_no_duplicate_of_it(acme, once_per_click):
    sale = clicked(acme, "A-1", once_per_click, SOLD)
    reject(acme, sale)

    again = accept(acme, declined(acme))

    assert paid(again) == {"blog": 800}


def test_what_comes_after_a_rejected_first_is_no_duplicate_of_it(acme, once_per_click):
    first = clicked(acme, "A-0", once_per_click, SOLD)
    reject(acme, first, "payment_failed")

    second = clicked(acme, "A-1", once_per_click, SOLD + HOUR)
    third = clicked(acme, "A-2", once_per_click, SOLD + 2 * HOUR)

    assert (paid(second), paid(third)) == ({"blog": 800}, {})
    assert third.duplicate.original == second


def test_a_claim_that_would_be_accepted_for_nothing_is_refused(acme, once_per_click):
    clicked(acme, "A-0", once_per_click, SOLD)
    claim = claim_of(acme, click_id=once_per_click.pk)
    before = everything()

    with pytest.raises(ClaimWithoutEffect, match="duplicate"):
        accept_claim(advertiser=acme.advertiser, claim_id=claim.pk, actor=SYSTEM, now=NOON)

    claim.refresh_from_db()
    assert (claim.state, everything()) == ("OPEN", before)


# --- the shop's own word ------------------------------------------------------------------------------
def test_the_shop_s_own_first_word_holds_over_a_claim(acme):
    # 10 March: an order nobody told of is claimed with 500.00 and accepted; in the evening the shop tells it: 100.00.
    sale = accept(acme, claim_of(acme, amount_minor=500_00))
    assert earned(sale) == {"blog": 4000}

    assert tell(acme, 100_00) == sale

    assert earned(sale) == {"blog": 800}
    assert list(Amendment.objects.values_list("sequence", "turn", "origin")) == [(0, 1, "ORDER")]
    assert tell(acme, 100_00) == sale
    assert Amendment.objects.count() == 1
    with pytest.raises(OrderRefConflict):
        tell(acme, 90_00)
    assert earned(sale) == {"blog": 800}
    tell(acme, 70_00, is_update=True, sequence=1)
    assert earned(sale) == {"blog": 560}
    assert check_books() == []


def test_it_becomes_a_correction_once_the_order_is_approved(acme):
    sale = accept(acme, claim_of(acme, amount_minor=500_00))
    approve(acme, sale)

    tell(acme, 100_00)

    rows = Commission.objects.filter(conversion=sale).order_by("pk").values_list("kind", "amount_minor", "reason")
    assert list(rows) == [("SALE", 4000, ""), ("CORRECTION", -3200, "amended")]
    assert check_books() == []


def test_its_clicks_and_its_customer_count_too(acme):
    make_policy(acme.campaign, START + timedelta(days=1), model="LINEAR")
    click = make_touch(acme.enrollments.coupons, SOLD - HOUR, uuid4())
    phone = uuid4()
    make_touch(acme.enrollments.cashback, SOLD - 2 * HOUR, phone)
    identify_visitor(advertiser=acme.advertiser, visitor=phone, identity=ADA, now=SOLD)
    sale = accept(acme, claim_of(acme, amount_minor=500_00))

    assert tell(acme, 300_00, click_ids=(click.pk,), identity=ADA) == sale

    assert earned(sale) == {"blog": 800, "coupons": 800, "cashback": 800}
    assert tell(acme, 300_00, click_ids=(click.pk,), identity=ADA) == sale
    with pytest.raises(OrderRefConflict):
        tell(acme, 300_00, click_ids=(click.pk,), identity=Identity(customer_id="4712"))


def test_one_click_counts_for_each_order_that_a_claim_told(acme):
    make_policy(acme.campaign, START + timedelta(days=1), model="LINEAR")
    click = make_touch(acme.enrollments.coupons, SOLD - HOUR, uuid4())
    sales = [accept(acme, claim_of(acme, order_ref=order_ref, amount_minor=100_00)) for order_ref in ("A-1", "A-2")]

    for order_ref in ("A-1", "A-2", "A-2"):
        fact = ConversionFact("SALE", order_ref, 100_00, "EUR", click_ids=(click.pk,))
        receive_conversion(campaign=acme.campaign, fact=fact, now=NOON)
    settle_waiting(now=NOON)

    assert [earned(sale) for sale in sales] == [{"blog": 400, "coupons": 400}] * 2
    assert StatedTouch.objects.filter(touch_id=click.pk).count() == 2
    assert check_books() == []


def test_an_order_of_the_shop_s_own_or_a_second_time_takes_no_other_first_word(acme):
    sale = sell(acme, "blog")
    with pytest.raises(OrderRefConflict):
        tell(acme, 90_00)
    reject(acme, sale)
    again = accept(acme, declined(acme))
    before = everything()

    with pytest.raises(OrderRefConflict):
        receive_conversion(campaign=acme.campaign, fact=ConversionFact("SALE", again.order_ref, 1_00, "EUR"), now=NOON)
    assert everything() == before


def test_an_accepted_claim_takes_no_number_of_the_shop_s(acme):
    sale = sell(acme, "blog")
    accept(acme, claim_of(acme, kind="WRONG", amount_minor=150_00))
    assert earned(sale) == {"blog": 1200}

    tell(acme, 80_00, is_update=True, sequence=1)
    assert earned(sale) == {"blog": 640}
    accept(acme, claim_of(acme, kind="WRONG", amount_minor=120_00))
    assert earned(sale) == {"blog": 960}

    fact = ConversionFact("SALE", "A-1", 80_00, "EUR", is_update=True)
    repeated = record_update(campaign=acme.campaign, fact=fact, now=NOON)
    assert (repeated.sequence, repeated.created, repeated.in_force) == (1, False, False)
    tell(acme, 90_00, is_update=True)
    assert earned(sale) == {"blog": 720}
    places = list(Amendment.objects.order_by("pk").values_list("sequence", "turn", "origin"))
    assert places == [(0, 1, "HOUSE"), (1, 0, "SHOP"), (1, 1, "HOUSE"), (2, 0, "SHOP")]
    with pytest.raises(SequenceConflict):
        tell(acme, 10_00, is_update=True, sequence=1)
    assert check_books() == []


# --- other partners, and what fails -------------------------------------------------------------------
def test_a_claim_takes_nothing_from_another_one_that_was_accepted(acme):
    first, second = claim_of(acme), claim_of(acme, "coupons")
    sale = accept(acme, first)
    before = everything()

    with pytest.raises(ClaimTakesFromAccepted):
        accept_claim(advertiser=acme.advertiser, claim_id=second.pk, actor=SYSTEM, now=NOON)

    second.refresh_from_db()
    assert (second.state, everything(), earned(sale)) == ("OPEN", before, {"blog": 800})


def test_a_claim_that_fails_is_escalated_and_holds_up_no_other(acme, monkeypatch):
    set_claim_terms(advertiser=acme.advertiser, answer_days=1, at_end="APPROVE", actor=SYSTEM, now=NOON)
    for order_ref in ("A-1", "A-2"):
        claim_of(acme, order_ref=order_ref)
    write = claiming._write_order

    def fail_once(claim, now):
        written = write(claim, now)
        if claim.order_ref == "A-1":
            raise ValueError("poison")
        return written

    monkeypatch.setattr(claiming, "_write_order", fail_once)

    assert answer_overdue_claims(advertiser=acme.advertiser, now=NOON + timedelta(days=9)) == 2

    assert list(Claim.objects.order_by("pk").values_list("state", "note")) == [
        ("ESCALATED", "ValueError"),
        ("ACCEPTED", "overdue"),
    ]
    assert Conversion.objects.get().order_ref == "A-2"
    assert Decision.objects.count() == 1


def test_a_correction_carries_the_reason_of_what_came_in_last(acme):
    sale = sell(acme, "blog")
    approve(acme, sale)
    give_back(acme, at=NOON + HOUR, amount="10.00", reason="cancelled")
    accept(acme, claim_of(acme, kind="WRONG", amount_minor=150_00), NOON + 2 * HOUR)
    give_back(acme, "R-2", NOON + 3 * HOUR, amount="10.00", reason="cancelled", occurred_at=SOLD.isoformat())

    rows = Commission.objects.filter(conversion=sale, kind="CORRECTION").order_by("pk")
    assert list(rows.values_list("amount_minor", "reason")) == [
        (-80, "cancelled"),
        (400, "amended"),
        (-80, "cancelled"),
    ]
