"""One bad row never holds up the others, whatever is wrong with it: a guard's refusal or a bug."""

from datetime import date, timedelta
from uuid import uuid4

import pytest
from django.db import OperationalError, connection

from apps.attribution.models import Share
from apps.commissions.models import Commission, Decision, Move, Receipt
from apps.commissions.selections import Selection
from apps.core.actors import SYSTEM
from apps.ledger.models import Posting
from apps.pipeline.books import check_books
from apps.pipeline.services import correcting, settling
from apps.pipeline.services.deciding import (
    ConversionUnsettled,
    NoSuchConversion,
    approve_conversions,
    approve_matured,
    hold_conversions,
    reject_conversions,
)
from apps.pipeline.services.deciding_chunks import work_on_decisions
from apps.pipeline.services.deciding_jobs import ask_by_filter
from apps.pipeline.services.receiving import receive_refund
from apps.pipeline.services.settling import PARKED_AFTER, SettleResult, settle_waiting
from apps.pipeline.services.unparking import retry_conversions
from apps.records.models import AuditEntry, Job, JobItem
from apps.tracking.models import Unsettled
from tests.cast import NOON, make_advertiser, make_cast, make_conversion, make_touch

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme():
    return make_cast()


def trip(table: str, sale) -> None:
    """Let a trigger refuse what is written of one sale, as the guards of the house do."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE FUNCTION trip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.conversion_id = '{sale.pk}' "
            "THEN RAISE EXCEPTION 'a guard refuses it'; END IF; RETURN NEW; END $$; "
            f"CREATE TRIGGER trip BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION trip()"
        )


def test_a_conversion_that_a_trigger_refuses_does_not_hold_up_the_others(acme):
    bad, *good = [make_conversion(acme.campaign) for _ in range(4)]
    trip("commissions_receipt", bad)
    for _ in range(PARKED_AFTER):
        settle_waiting(now=NOON)
    assert set(Receipt.objects.values_list("pk", flat=True)) == {row.pk for row in good}
    waiting = Unsettled.objects.get()
    assert (waiting.pk, waiting.attempts, waiting.parked_at) == (bad.pk, PARKED_AFTER, NOON)
    assert "a guard refuses it" in waiting.last_error


def test_a_bug_that_one_conversion_meets_does_not_hold_up_the_others(acme, monkeypatch):
    bad = make_conversion(acme.campaign)
    for _ in range(3):
        make_conversion(acme.campaign)
    real = settling.lines_of

    def lines(ids):
        return {str(bad.pk): {}[str(bad.pk)]} if str(bad.pk) in ids else real(ids)

    monkeypatch.setattr(settling, "lines_of", lines)
    assert settle_waiting(now=NOON) == SettleResult(settled=3, failed=1)
    assert Unsettled.objects.get().last_error.startswith("KeyError")


def test_a_database_that_is_away_is_counted_against_no_conversion(acme, monkeypatch):
    make_conversion(acme.campaign)

    def away(_):
        raise OperationalError("canceling statement due to lock timeout")

    monkeypatch.setattr(settling, "lines_of", away)
    with pytest.raises(OperationalError):
        settle_waiting(now=NOON)
    assert Unsettled.objects.get().attempts == 0


@pytest.mark.parametrize("by", ["trigger", "bug"])
def test_a_correction_that_fails_does_not_hold_up_the_others(acme, monkeypatch, by):
    sales = []
    for number in range(3):
        visitor = uuid4()
        make_touch(acme.enrollments.blog, visitor=visitor)
        sales.append(make_conversion(acme.campaign, 100_00, NOON, f"A-{number}", visitor=visitor))
    settle_waiting(now=NOON)
    bad = sales[1]
    if by == "trigger":
        trip("commissions_commission", bad)
    else:
        real = correcting.target_amounts
        monkeypatch.setattr(
            correcting,
            "target_amounts",
            lambda change, *rest: {}["slug"] if change.row.id == str(bad.pk) else real(change, *rest),
        )
    for sale in sales:
        fields = {"order_ref": sale.order_ref, "refund_ref": "R", "whole": True}
        receive_refund(advertiser=acme.advertiser, fields=fields, now=NOON)
    for _ in range(PARKED_AFTER):
        settle_waiting(now=NOON)
    corrected = Commission.objects.filter(kind="CORRECTION").values_list("conversion", flat=True)
    assert set(corrected) == {sales[0].pk, sales[2].pk}
    waiting = Unsettled.objects.get()
    assert (waiting.pk, waiting.attempts, waiting.parked_at) == (bad.pk, PARKED_AFTER, NOON)


@pytest.fixture
def stuck(acme):
    """A settled sale whose refund cannot be booked, however often it is tried."""
    visitor = uuid4()
    make_touch(acme.enrollments.blog, visitor=visitor)
    sale = make_conversion(acme.campaign, 100_00, NOON, "A-1", visitor=visitor)
    settle_waiting(now=NOON)
    trip("commissions_commission", sale)
    receive_refund(advertiser=acme.advertiser, fields={"order_ref": "A-1", "refund_ref": "R", "amount": "50"}, now=NOON)
    for _ in range(PARKED_AFTER):
        settle_waiting(now=NOON)
    assert Unsettled.objects.get().parked_at == NOON
    return sale


def test_what_was_tried_in_vain_can_be_rejected_but_not_approved(acme, stuck):
    named = {"advertiser": acme.advertiser, "conversion_ids": [stuck.pk], "actor": SYSTEM, "now": NOON}
    with pytest.raises(ConversionUnsettled):
        approve_conversions(**named)
    assert reject_conversions(**named, reason="returned").moved == 1
    settle_waiting(now=NOON)
    assert Unsettled.objects.count() == 0
    assert check_books() == []


@pytest.fixture
def shareless(acme):
    """A sale that could not be settled once, however often it was tried: it has neither shares nor a decision."""
    visitor = uuid4()
    make_touch(acme.enrollments.blog, visitor=visitor)
    sale = make_conversion(acme.campaign, 100_00, NOON, "A-1", visitor=visitor)
    trip("commissions_receipt", sale)
    for _ in range(PARKED_AFTER):
        settle_waiting(now=NOON)
    assert (Decision.objects.count(), Unsettled.objects.get().parked_at) == (0, NOON)
    return sale


def reject(acme, sale) -> int:
    named = {"advertiser": acme.advertiser, "conversion_ids": [sale.pk], "actor": SYSTEM, "now": NOON}
    return reject_conversions(**named, reason="test").moved


def test_what_never_had_shares_can_be_rejected_and_stays_so(acme, shareless):
    named = {"advertiser": acme.advertiser, "conversion_ids": [shareless.pk], "actor": SYSTEM, "now": NOON}
    for verb in (approve_conversions, hold_conversions):
        with pytest.raises(ConversionUnsettled):
            verb(**named)
    with pytest.raises(NoSuchConversion):
        reject_conversions(**{**named, "advertiser": make_advertiser("other")}, reason="test")
    assert not Decision.objects.exists()

    assert reject(acme, shareless) == 1
    assert reject(acme, shareless) == 0
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER trip ON commissions_receipt")
    receive_refund(advertiser=acme.advertiser, fields={"order_ref": "A-1", "refund_ref": "R", "amount": "50"}, now=NOON)
    settle_waiting(now=NOON)

    decision = Decision.objects.get()
    assert (decision.state, decision.reason, decision.decide_by) == ("REJECTED", "test", date(2026, 4, 9))
    assert list(Move.objects.values_list("origin", "state")) == [("PENDING", "REJECTED")]
    assert not Commission.objects.exists() and not Share.objects.exists() and not Posting.objects.exists()
    assert not Unsettled.objects.exists()
    assert check_books() == []


def test_what_is_tried_again_just_now_is_not_rejected_without_its_shares(acme, shareless):
    assert retry_conversions(advertiser=acme.advertiser, actor=SYSTEM, now=NOON) == 1
    with pytest.raises(ConversionUnsettled):
        reject(acme, shareless)
    assert not Decision.objects.exists()


@pytest.mark.parametrize("state", ["PENDING", "APPROVED"])
def test_only_a_rejection_may_stand_without_a_receipt(acme, shareless, state):
    reject(acme, shareless)
    settle_waiting(now=NOON)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE commissions_decision DISABLE TRIGGER USER")
    moments = {"decided_at": None, "reason": ""} if state == "PENDING" else {}
    Decision.objects.update(state=state, **moments)
    assert "I1" in [row.invariant for row in check_books()]


def test_what_was_tried_in_vain_is_tried_again_at_somebodys_word(acme, stuck):
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER trip ON commissions_commission")
    assert retry_conversions(advertiser=acme.advertiser, actor=SYSTEM, now=NOON, conversion_ids=[uuid4()]) == 0
    assert retry_conversions(advertiser=acme.advertiser, actor=SYSTEM, now=NOON, conversion_ids=[stuck.pk]) == 1
    assert retry_conversions(advertiser=acme.advertiser, actor=SYSTEM, now=NOON, conversion_ids=[stuck.pk]) == 0
    settle_waiting(now=NOON)
    assert Unsettled.objects.count() == 0
    assert sum(row.amount_minor for row in Commission.objects.all()) == 400
    assert AuditEntry.objects.filter(verb="retry_settling").count() == 1


def test_nobody_elses_conversion_is_tried_again(acme, stuck):
    other = make_advertiser("other")
    assert retry_conversions(advertiser=other, actor=SYSTEM, now=NOON, conversion_ids=[stuck.pk]) == 0
    assert Unsettled.objects.get().parked_at == NOON


def test_what_cannot_be_approved_by_its_deadline_does_not_hold_up_the_others(acme):
    bad, *good = [make_conversion(acme.campaign) for _ in range(4)]
    settle_waiting(now=NOON)
    trip("commissions_decision", bad)
    assert approve_matured(advertiser=acme.advertiser, now=NOON + timedelta(days=99)) == 3
    assert set(Decision.objects.filter(state="APPROVED").values_list("pk", flat=True)) == {row.pk for row in good}


def test_a_row_that_a_trigger_refuses_is_noted_in_its_job_and_the_others_are_decided(acme):
    bad, *good = [make_conversion(acme.campaign) for _ in range(5)]
    settle_waiting(now=NOON)
    trip("commissions_decision", bad)
    call = {"advertiser": acme.advertiser, "actor": SYSTEM, "key": "k", "as_of": NOON, "now": NOON}
    ask_by_filter(selection=Selection(), state="APPROVED", **call)
    work_on_decisions(now=NOON)
    job = Job.objects.get()
    assert (job.state, job.done, job.moved, job.refused) == ("DONE", 5, 4, 1)
    assert set(Decision.objects.filter(state="APPROVED").values_list("pk", flat=True)) == {row.pk for row in good}
    assert "a guard refuses it" in JobItem.objects.get().message
