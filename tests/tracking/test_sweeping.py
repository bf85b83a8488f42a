"""What becomes known while a conversion is stored or settled wakes it, in whatever order both are committed."""

import threading
from contextlib import contextmanager
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import OperationalError, connection, transaction

from apps.commissions.models import Commission
from apps.core.ids import uuid7
from apps.pipeline.services.receiving import receive_conversion, receive_refund
from apps.pipeline.services.settling import settle_waiting
from apps.tracking import sweeping
from apps.tracking.identifying import identify_visitor
from apps.tracking.models import AwaitedClick, IdentityLink, Stirred, Touchpoint, Unsettled
from apps.tracking.rules.conversions import ConversionFact
from apps.tracking.rules.persons import Identity
from apps.tracking.sweeping import wake_awaited
from apps.tracking.waking import wake_conversions_of_visitors
from tests.cast import NOON, START, make_cast, make_conversion, make_policy, make_touch

ADA = Identity(customer_id="4711")
HOUR = timedelta(hours=1)


def click(acme, id_, visitor):
    """Write a click of the blog's under an id that was handed out before."""
    enrollment = acme.enrollments.blog
    Touchpoint.objects.create(
        id=id_, advertiser=acme.advertiser, campaign_id=acme.campaign.pk, partner_id=enrollment.partner_id,
        ad_space_id=enrollment.ad_space_id, visitor=visitor, occurred_at=NOON - HOUR, recorded_at=NOON, kind="CLICK",
        channel="content",
    )  # fmt: skip


def sell(acme, order_ref, *clicks, identity=ADA):
    fact = ConversionFact("SALE", order_ref, 100_00, "EUR", click_ids=clicks, identity=identity)
    return receive_conversion(campaign=acme.campaign, fact=fact, now=NOON).id


def turn():
    wake_awaited(now=NOON)
    settle_waiting(now=NOON)


def earned(conversion) -> dict[str, int]:
    return dict(Commission.objects.filter(conversion=conversion).values_list("partner__slug", "amount_minor"))


@contextmanager
def uncommitted(work):
    """Run work in a transaction of another connection that commits when the block ends."""
    done, go = threading.Event(), threading.Event()

    def other() -> None:
        try:
            with transaction.atomic():
                work()
                done.set()
                go.wait(20)
        finally:
            done.set()
            connection.close()

    thread = threading.Thread(target=other)
    thread.start()
    done.wait(20)
    yield
    go.set()
    thread.join()


@pytest.mark.django_db
@pytest.mark.parametrize("comes", ["before the sale", "before it is settled", "after it is settled"])
def test_a_customer_is_joined_with_the_click_whenever_it_comes(comes):
    acme = make_cast()
    visitor, id_ = uuid4(), uuid7(NOON - HOUR)
    if comes == "before the sale":
        click(acme, id_, visitor)
    first = sell(acme, "A-1", id_)
    if comes == "after it is settled":
        settle_waiting(now=NOON)
    if comes != "before the sale":
        click(acme, id_, visitor)
    turn()
    second = sell(acme, "A-2")
    turn()
    assert earned(first) == earned(second) == {"blog": 800}
    assert not AwaitedClick.objects.exists()


@pytest.mark.django_db
def test_a_click_that_comes_within_a_sweep_is_joined_or_still_awaited(monkeypatch):
    acme = make_cast()
    visitor, early, late = uuid4(), uuid7(NOON - HOUR), uuid7(NOON - HOUR)
    sell(acme, "A-1", early, late)
    settle_waiting(now=NOON)
    click(acme, early, uuid4())
    real = sweeping.join_keys

    def joining(**call):
        monkeypatch.setattr(sweeping, "join_keys", real)
        click(acme, late, visitor)
        return real(**call)

    monkeypatch.setattr(sweeping, "join_keys", joining)
    turn()
    turn()
    assert IdentityLink.objects.count() == 2


@pytest.mark.django_db
def test_a_step_of_the_sweep_that_fails_holds_up_no_other(monkeypatch):
    acme = make_cast()
    id_ = uuid7(NOON - HOUR)
    sale = sell(acme, "A-1", id_)
    settle_waiting(now=NOON)
    click(acme, id_, uuid4())
    receive_refund(advertiser=acme.advertiser, fields={"order_ref": "A-2", "refund_ref": "R", "whole": True}, now=NOON)
    other = sell(acme, "A-2", identity=Identity())

    def busy(**_):
        raise OperationalError("canceling statement due to lock timeout")

    settle_waiting(now=NOON)
    with monkeypatch.context() as patched:
        patched.setattr(sweeping, "join_keys", busy)
        assert wake_awaited(now=NOON) == 1
    assert list(Unsettled.objects.values_list("pk", flat=True)) == [other]
    turn()
    assert earned(sale) == {"blog": 800}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("marked", [True, False])
def test_a_sale_settled_while_its_visitors_are_being_joined_is_settled_again(monkeypatch, marked):
    """The twin without the mark: the sale never hears of the phone, and the blog gets nothing."""
    acme = make_cast()
    make_policy(acme.campaign, START + timedelta(days=1), model="LINEAR")
    phone, laptop = uuid4(), uuid4()
    make_touch(acme.enrollments.blog, NOON - 5 * HOUR, phone)
    identify_visitor(advertiser=acme.advertiser, visitor=phone, identity=ADA, now=NOON - 4 * HOUR)
    touch = make_touch(acme.enrollments.coupons, NOON - 3 * HOUR, laptop)
    join = {"advertiser": acme.advertiser, "visitor": laptop, "identity": ADA, "now": NOON}
    with uncommitted(lambda: identify_visitor(**join)):
        sale = sell(acme, "A-1", touch.pk, identity=Identity())
        settle_waiting(now=NOON)
        assert earned(sale) == {"coupons": 800}
    if not marked:
        Stirred.objects.all().delete()
    turn()
    assert earned(sale) == ({"blog": 400, "coupons": 400} if marked else {"coupons": 800})
    assert not Stirred.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("marked", [True, False])
def test_a_sale_settled_while_touches_of_its_visitor_are_stored_is_settled_again(marked):
    """The twin without the mark: the touch that came late counts for nothing."""
    acme = make_cast()
    visitor = uuid4()

    def store() -> None:
        touch = make_touch(acme.enrollments.blog, NOON - HOUR, visitor)
        call = {"visitors": [visitor], "since": touch.occurred_at, "now": NOON}
        wake_conversions_of_visitors(advertiser=acme.advertiser, **call)

    with uncommitted(store):
        sale = make_conversion(acme.campaign, visitor=visitor)
        settle_waiting(now=NOON)
        assert earned(sale) == {}
    if not marked:
        Stirred.objects.all().delete()
    turn()
    assert earned(sale) == ({"blog": 800} if marked else {})
