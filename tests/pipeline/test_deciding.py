"""Decisions: each moves once, posts what it means, and refuses what would rewrite the past."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pgtrigger
import pytest
from django.db import DatabaseError, connection, transaction

from apps.commissions.models import Commission, ConversionAlreadyDecided, Decision, DecisionState, Move
from apps.core.actors import SYSTEM
from apps.ledger.models import Posting, UnstatedPosting
from apps.ledger.selectors import balances_by_partner
from apps.ledger.services import commission_entry, post_entries
from apps.pipeline.books import check_books
from apps.pipeline.services import deciding
from apps.pipeline.services.deciding import (
    ConversionLocked,
    NoSuchConversion,
    ReasonNeeded,
    approve_conversions,
    approve_matured,
    hold_conversions,
    reject_conversions,
    release_conversions,
)
from apps.pipeline.services.settling import settle_waiting
from apps.records.models import AuditEntry
from apps.tracking.models import Unsettled
from tests.cast import NOON, make_advertiser, make_cast, make_conversion, make_touch

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme():
    return make_cast()


def sell(acme, at: datetime = NOON, **fields):
    visitor = uuid4()
    make_touch(acme.enrollments.blog, at - timedelta(days=1), visitor)
    conversion = make_conversion(acme.campaign, at=at, visitor=visitor, **fields)
    settle_waiting(now=at)
    return conversion


def test_approving_owes_the_commission_from_the_lock_day(acme):
    sale = sell(acme)
    result = approve_conversions(advertiser=acme.advertiser, conversion_ids=[sale.pk], actor=SYSTEM, now=NOON)
    assert (result.moved, result.refused) == (1, ())
    posting = Posting.objects.get()
    assert (posting.amount_minor, posting.due_on) == (800, date(2026, 4, 28))
    assert UnstatedPosting.objects.values_list("signed_minor", flat=True).get() == 800
    assert AuditEntry.objects.filter(verb="approved").count() == 1


def test_approving_late_is_due_on_the_day_of_approval(acme):
    sale = sell(acme)
    late = NOON + timedelta(days=100)
    approve_conversions(advertiser=acme.advertiser, conversion_ids=[sale.pk], actor=SYSTEM, now=late)
    assert Posting.objects.get().due_on == date(2026, 6, 18)


def test_approving_twice_posts_once(acme):
    sale = sell(acme)
    for _ in range(2):
        approve_conversions(advertiser=acme.advertiser, conversion_ids=[sale.pk], actor=SYSTEM, now=NOON)
    assert Posting.objects.count() == 1


def test_a_commission_of_zero_posts_nothing(acme):
    conversion = make_conversion(acme.campaign)
    settle_waiting(now=NOON)
    approve_conversions(advertiser=acme.advertiser, conversion_ids=[conversion.pk], actor=SYSTEM, now=NOON)
    assert Posting.objects.count() == 0
    assert check_books() == []


def test_rejecting_needs_a_coded_reason_and_posts_nothing(acme):
    sale = sell(acme)
    call = {"advertiser": acme.advertiser, "conversion_ids": [sale.pk], "actor": SYSTEM, "now": NOON}
    with pytest.raises(ReasonNeeded):
        reject_conversions(**call, reason="because")
    assert Decision.objects.get().state == DecisionState.PENDING
    assert reject_conversions(**call, reason="returned").moved == 1
    assert (Decision.objects.get().reason, Posting.objects.count()) == ("returned", 0)
    with pytest.raises(ConversionAlreadyDecided):
        approve_conversions(**call)
    assert Posting.objects.count() == 0


def test_an_approval_is_taken_back_by_a_linked_posting_until_the_lock_day(acme):
    sale = sell(acme)
    call = {"advertiser": acme.advertiser, "conversion_ids": [sale.pk], "actor": SYSTEM}
    approve_conversions(**call, now=NOON)
    reject_conversions(**call, reason="cancelled", now=NOON + timedelta(days=3))
    assert sorted(UnstatedPosting.objects.values_list("signed_minor", flat=True)) == [-800, 800]
    assert balances_by_partner(advertiser=acme.advertiser)[0].accrued_minor == 0
    assert check_books() == []


def test_a_locked_approval_cannot_be_taken_back(acme):
    sale = sell(acme)
    call = {"advertiser": acme.advertiser, "conversion_ids": [sale.pk], "actor": SYSTEM}
    approve_conversions(**call, now=NOON)
    with pytest.raises(ConversionLocked):
        reject_conversions(**call, reason="cancelled", now=datetime(2026, 4, 28, 6, tzinfo=UTC))
    assert Posting.objects.count() == 1


def test_a_held_conversion_does_not_mature(acme):
    held, other = sell(acme), sell(acme)
    call = {"advertiser": acme.advertiser, "conversion_ids": [held.pk], "actor": SYSTEM, "now": NOON}
    hold_conversions(**call)
    assert approve_matured(advertiser=acme.advertiser, now=NOON + timedelta(days=30)) == 0
    assert approve_matured(advertiser=acme.advertiser, now=NOON + timedelta(days=31)) == 1
    assert Decision.objects.get(conversion=other).state == DecisionState.APPROVED
    release_conversions(**call)
    assert approve_matured(advertiser=acme.advertiser, now=NOON + timedelta(days=31)) == 1


def test_maturing_chunk_by_chunk_leaves_out_what_waits_to_be_settled_and_nothing_else(acme, monkeypatch):
    monkeypatch.setattr(deciding, "CHUNK", 2)
    sales = sorted(str(sell(acme).pk) for _ in range(7))
    Decision.objects.filter(pk=sales[6]).update(decide_by=NOON.date())  # the others are due on one day
    Unsettled.objects.bulk_create(
        Unsettled(conversion_id=id_, advertiser=acme.advertiser, marked_at=NOON) for id_ in (sales[2], sales[3])
    )
    assert approve_matured(advertiser=acme.advertiser, now=NOON + timedelta(days=31)) == 5
    pending = Decision.objects.filter(state=DecisionState.PENDING).order_by("pk")
    assert [str(pk) for pk in pending.values_list("pk", flat=True)] == [sales[2], sales[3]]


@pytest.mark.parametrize(
    ("verb", "more", "state"), [(hold_conversions, {}, "ON_HOLD"), (reject_conversions, {"reason": "test"}, "REJECTED")]
)
def test_what_somebody_else_decides_first_stays_and_does_not_stop_the_maturing(acme, verb, more, state):
    call = {"advertiser": acme.advertiser, "conversion_ids": [sell(acme).pk], "actor": SYSTEM, "now": NOON, **more}
    meanwhile = iter([call])

    def decide_first(execute, sql, *args):
        result = execute(sql, *args)
        for found in meanwhile if '"decide_by" <' in sql else ():
            verb(**found)
        return result

    with connection.execute_wrapper(decide_first):
        assert approve_matured(advertiser=acme.advertiser, now=NOON + timedelta(days=31)) == 0
    assert Decision.objects.get().state == state


def test_another_advertiser_s_conversion_is_refused_and_stays(acme):
    sale = sell(acme)
    stranger = make_advertiser("stranger")
    with pytest.raises(NoSuchConversion):
        approve_conversions(advertiser=stranger, conversion_ids=[sale.pk], actor=SYSTEM, now=NOON)
    assert Decision.objects.get().state == DecisionState.PENDING


def test_a_list_reports_what_it_could_not_move(acme):
    one, two, gone = sell(acme), sell(acme), uuid4()
    call = {"advertiser": acme.advertiser, "actor": SYSTEM, "now": NOON}
    reject_conversions(**call, conversion_ids=[two.pk], reason="test")
    result = approve_conversions(**call, conversion_ids=[one.pk, two.pk, gone])
    assert (result.moved, set(result.refused)) == (1, {two.pk, gone})


def test_the_database_refuses_a_move_the_state_does_not_allow(acme):
    sale = sell(acme)
    reject_conversions(advertiser=acme.advertiser, conversion_ids=[sale.pk], actor=SYSTEM, now=NOON, reason="returned")
    with pytest.raises(DatabaseError), transaction.atomic():
        Decision.objects.update(state=DecisionState.APPROVED)


def test_every_move_is_written_with_who_when_and_why(acme):
    sale = sell(acme)
    call = {"advertiser": acme.advertiser, "conversion_ids": [sale.pk], "actor": SYSTEM}
    hold_conversions(**call, now=NOON, reason="suspicious", note="odd basket")
    release_conversions(**call, now=NOON + timedelta(hours=1))
    approve_conversions(**call, now=NOON + timedelta(hours=2))
    reject_conversions(**call, now=NOON + timedelta(hours=3), reason="cancelled")
    fields = ("origin", "state", "reason", "note", "moved_by", "moved_at")
    assert list(Move.objects.filter(conversion=sale).values_list(*fields)) == [
        ("PENDING", "ON_HOLD", "suspicious", "odd basket", "Tributary", NOON),
        ("ON_HOLD", "PENDING", "", "", "Tributary", NOON + timedelta(hours=1)),
        ("PENDING", "APPROVED", "", "", "Tributary", NOON + timedelta(hours=2)),
        ("APPROVED", "REJECTED", "cancelled", "", "Tributary", NOON + timedelta(hours=3)),
    ]


def test_a_move_past_the_services_is_written_too_and_without_the_trigger_it_is_not(acme):
    one, two = sell(acme), sell(acme)
    Decision.objects.filter(pk=one.pk).update(state="ON_HOLD", decided_at=NOON)
    assert Move.objects.filter(conversion=one).count() == 1
    with pgtrigger.ignore("commissions.Decision:moves_are_written"):
        Decision.objects.filter(pk=two.pk).update(state="ON_HOLD", decided_at=NOON)
    assert Move.objects.filter(conversion=two).count() == 0


@pytest.mark.parametrize("change", [lambda: Move.objects.update(note="other"), lambda: Move.objects.all().delete()])
def test_a_written_move_stays_and_without_the_guard_it_does_not(acme, change):
    sale = sell(acme)
    hold_conversions(advertiser=acme.advertiser, conversion_ids=[sale.pk], actor=SYSTEM, now=NOON)
    with pytest.raises(DatabaseError), transaction.atomic():
        change()
    assert Move.objects.get().note == ""
    with pgtrigger.ignore("commissions.Move:append_only"):
        change()
    assert not Move.objects.filter(note="").exists()


def test_a_move_that_is_rolled_back_leaves_no_line(acme):
    sale = sell(acme)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        hold_conversions(advertiser=acme.advertiser, conversion_ids=[sale.pk], actor=SYSTEM, now=NOON)
        raise ZeroDivisionError
    assert not Move.objects.exists()


def test_what_cannot_be_approved_does_not_hold_up_what_matures(acme, caplog):
    good, bad, later = sell(acme), sell(acme), sell(acme)
    # A posting under the reference of the commission is what no approval gets past.
    commission = Commission.objects.get(conversion=bad)
    entry = commission_entry(
        partner_id=commission.partner_id, amount_minor=1, currency="EUR", reference=f"commission:{commission.pk}",
        due_on=NOON.date(),
    )  # fmt: skip
    post_entries(advertiser=acme.advertiser, entries=[entry], now=NOON)
    assert approve_matured(advertiser=acme.advertiser, now=NOON + timedelta(days=31)) == 2
    states = Decision.objects.in_bulk([good.pk, bad.pk, later.pk])
    assert [states[sale.pk].state for sale in (good, bad, later)] == ["APPROVED", "PENDING", "APPROVED"]
    assert "cannot be approved" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_two_people_at_once_decide_one_way_only():
    acme = make_cast()
    sale = sell(acme)
    call = {"advertiser": acme.advertiser, "conversion_ids": [sale.pk], "actor": SYSTEM, "now": NOON}
    verbs = [lambda: hold_conversions(**call), lambda: reject_conversions(**call, reason="test")]

    def work(verb) -> str:
        try:
            verb()
            return "moved"
        except ConversionAlreadyDecided:
            return "refused"
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        found = sorted(pool.map(work, verbs))
    assert Decision.objects.get().state == "REJECTED"
    assert found in (["moved", "moved"], ["moved", "refused"])
    assert Move.objects.count() == found.count("moved")


@pytest.mark.django_db(transaction=True)
def test_approvals_at_once_post_once():
    acme = make_cast()
    ids = [sell(acme).pk for _ in range(8)]

    def work(_: int) -> int:
        try:
            return approve_conversions(advertiser=acme.advertiser, conversion_ids=ids, actor=SYSTEM, now=NOON).moved
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(work, range(4))) == 8
    assert Posting.objects.count() == 8
