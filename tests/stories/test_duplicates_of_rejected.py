"""What repeats a conversion that is rejected later is judged again, and paid once, in whatever order it all came."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from uuid import uuid4

import pytest

from apps.campaigns.models import Campaign
from apps.commissions.models import Commission, Decision
from apps.core.actors import SYSTEM
from apps.ledger.models import Posting
from apps.pipeline.books import check_books
from apps.pipeline.services.claiming import ClaimWithoutEffect
from apps.pipeline.services.deciding import (
    ConversionUnsettled,
    approve_conversions,
    approve_matured,
    reject_conversions,
)
from apps.pipeline.services.settling import settle_waiting
from apps.tracking.models import Duplicate, IdentityKey, LiftedDuplicate, Person, Sighting, Stirred, Unsettled
from apps.tracking.sweeping import wake_awaited
from tests.cast import NOON, make_cast, make_conversion, make_touch
from tests.stories.test_claim import accept, claim_of
from tests.tracking.test_sweeping import uncommitted

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


def make_scoped(scope: str = "CLICK"):
    acme = make_cast()
    type(acme.campaign).objects.update(dedup_scope=scope, dedup_days=30)
    acme.campaign.refresh_from_db()
    acme.click = make_touch(acme.enrollments.blog, NOON - DAY, uuid4())
    return acme


@pytest.fixture
def acme(db):
    return make_scoped()


def sell(acme, order: str, minutes: int = 0):
    return make_conversion(acme.campaign, 100_00, NOON + minutes * MINUTE, order, click_ids=[acme.click.pk])


def reject(acme, *sales) -> None:
    ids = [sale.pk for sale in sales]
    reject_conversions(advertiser=acme.advertiser, conversion_ids=ids, reason="returned", actor=SYSTEM, now=NOON)


def approve(acme, sale) -> None:
    approve_conversions(advertiser=acme.advertiser, conversion_ids=[sale.pk], actor=SYSTEM, now=NOON)


def turn() -> None:
    wake_awaited(now=NOON)
    settle_waiting(now=NOON)


def paid(*sales) -> list[int]:
    """Return what each sale comes to where its commission is payable."""
    rows = Commission.objects.filter(conversion__in=sales, payable=True).values_list("conversion_id", "amount_minor")
    found = dict(rows)
    return [found.get(sale.pk, 0) for sale in sales]


@pytest.mark.parametrize("order", [order for order in permutations("12R") if order.index("1") < order.index("R")])
def test_the_second_is_paid_whether_it_came_before_the_rejection_or_after(acme, order):
    sales = {}
    for step in order:
        if step == "R":
            reject(acme, sales["1"])
        else:
            sales[step] = sell(acme, f"A-{step}", 5 * int(step))
        turn()
    if Decision.objects.get(conversion=sales["2"]).state == "PENDING":
        approve(acme, sales["2"])

    assert paid(sales["2"]) == [800]
    assert sum(row.amount_minor for row in Posting.objects.all()) == 800
    assert not Duplicate.objects.filter(conversion=sales["2"]).exists()
    assert check_books() == []


def test_what_was_judged_is_kept_beside(acme):
    first, second = sell(acme, "A-1"), sell(acme, "A-2", 5)
    turn()
    assert Duplicate.objects.get().original == first

    reject(acme, first)
    turn()

    assert not Duplicate.objects.exists() and not Stirred.objects.exists()
    lifted = LiftedDuplicate.objects.get()
    assert (lifted.conversion, lifted.original, lifted.scope, lifted.lifted_at) == (second, first, "CLICK", NOON)
    turn()
    assert LiftedDuplicate.objects.count() == 1


def test_of_several_the_earliest_is_the_next_first_and_only_that_is_paid(acme):
    first, third, second = sell(acme, "A-1"), sell(acme, "A-3", 9), sell(acme, "A-2", 5)
    turn()
    reject(acme, first)
    turn()
    assert (paid(second, third), Duplicate.objects.get().original) == ([800, 0], second)

    reject(acme, second)
    turn()
    assert (paid(third), LiftedDuplicate.objects.filter(conversion=third).count()) == ([800], 2)
    approve(acme, third)
    assert Posting.objects.count() == 1
    assert check_books() == []


def test_a_customer_s_second_order_is_judged_again_too(db):
    acme = make_scoped("CUSTOMER_GOAL")
    person = Person.objects.create(advertiser=acme.advertiser, created_at=NOON)
    key = IdentityKey.objects.create(
        advertiser=acme.advertiser, kind="CUSTOMER", value=uuid4(), person=person, first_seen_at=NOON
    )
    sales = [sell(acme, "A-1"), sell(acme, "A-2", 5)]
    for sale in sales:
        Sighting.objects.create(advertiser=acme.advertiser, conversion=sale, kind="CUSTOMER", key=key)
    turn()
    assert paid(*sales) == [800, 0]

    reject(acme, sales[0])
    turn()
    assert paid(sales[1]) == [800]


def test_an_open_sale_judged_a_duplicate_later_is_no_longer_paid(acme):
    Campaign.objects.update(dedup_scope="")
    first, second = sell(acme, "A-1"), sell(acme, "A-2", 5)
    turn()
    assert paid(first, second) == [800, 800]

    Campaign.objects.update(dedup_scope="CLICK")
    for sale in (first, second):
        Unsettled.objects.create(conversion=sale, advertiser=acme.advertiser, marked_at=NOON)
    turn()

    assert paid(first, second) == [800, 0]


def test_a_duplicate_that_is_decided_stays_one(acme):
    first, second = sell(acme, "A-1"), sell(acme, "A-2", 5)
    turn()
    approve(acme, second)
    reject(acme, first)
    turn()

    assert (paid(second), Duplicate.objects.count(), Posting.objects.count()) == ([0], 1, 0)


def test_nobody_approves_it_while_it_waits_to_be_judged_again(acme):
    first, second = sell(acme, "A-1"), sell(acme, "A-2", 5)
    turn()
    reject(acme, first)

    with pytest.raises(ConversionUnsettled):
        approve(acme, second)
    assert approve_matured(advertiser=acme.advertiser, now=NOON + 99 * DAY) == 0
    turn()
    assert approve_matured(advertiser=acme.advertiser, now=NOON + 99 * DAY) == 1
    assert Posting.objects.get().amount_minor == 800


def test_first_and_second_rejected_at_once_are_both_rejected(acme):
    sales = [sell(acme, "A-1"), sell(acme, "A-2", 5)]
    turn()
    reject(acme, *sales)
    turn()
    assert set(Decision.objects.values_list("state", flat=True)) == {"REJECTED"}
    assert Duplicate.objects.count() == 1


@pytest.mark.parametrize("claimed_first", [True, False])
def test_a_first_that_a_claim_tells_again_is_not_paid_beside_the_second(acme, claimed_first):
    first = sell(acme, "A-1")
    second = sell(acme, "A-2", 5)
    turn()
    reject(acme, first)
    claim = claim_of(acme, kind="DECLINED", amount_minor=None, occurred_at=NOON)
    if claimed_first:
        again = accept(acme, claim)
        turn()
        assert paid(again, second) == [800, 0]
    else:
        turn()
        with pytest.raises(ClaimWithoutEffect):
            accept(acme, claim)
        assert paid(second) == [800]
    for decision in Decision.objects.filter(state="PENDING"):
        approve(acme, decision.conversion)
    assert Posting.objects.get().amount_minor == 800
    assert check_books() == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("marked", [True, False])
def test_a_second_that_is_settled_while_the_first_is_being_rejected_is_judged_again(marked):
    """The twin without the mark: the second stays a duplicate of what is rejected, and nobody is paid."""
    acme = make_scoped()
    first = sell(acme, "A-1")
    turn()
    with uncommitted(lambda: reject(acme, first)):
        second = sell(acme, "A-2", 5)
        settle_waiting(now=NOON)
        assert Duplicate.objects.get().conversion == second
    if not marked:
        Stirred.objects.all().delete()
    turn()
    assert paid(second) == [800 if marked else 0]
