"""Decisions by filter: frozen, in chunks, resumed, cancelled, undone; a bad row stops nobody."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import SimpleNamespace
from uuid import uuid4

import pgtrigger
import pytest
from django.db import DatabaseError, IntegrityError, OperationalError, connection, transaction

from apps.commissions.models import Commission, Decision, Move
from apps.commissions.selections import Selection, movable, selected, weigh
from apps.core.actors import SYSTEM
from apps.ledger.models import Posting
from apps.ledger.services import commission_entry, post_entries
from apps.pipeline.books import check_books
from apps.pipeline.services import deciding_chunks
from apps.pipeline.services.deciding import (
    ReasonNeeded,
    UnknownReason,
    approve_conversions,
    hold_conversions,
    release_conversions,
)
from apps.pipeline.services.deciding_chunks import work_on_decisions
from apps.pipeline.services.deciding_jobs import (
    JobKeyReused,
    JobOver,
    JobRunning,
    MomentToCome,
    NoSuchJob,
    NotUndoable,
    ask_by_filter,
    cancel_job,
    undo_job,
)
from apps.pipeline.services.settling import settle_waiting
from apps.records.models import AuditEntry, Job, JobItem
from apps.tracking.models import Refund, Unsettled
from tests.cast import NOON, make_advertiser, make_cast, make_conversion, make_touch

pytestmark = pytest.mark.django_db
LATER = NOON + timedelta(hours=1)


@pytest.fixture
def acme():
    return make_cast()


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(deciding_chunks, "CHUNK", 2)
    monkeypatch.setattr(deciding_chunks.Stride.__init__, "__defaults__", (2, False))


def sell(acme, count: int = 1, at=NOON, **fields):
    sales = []
    for number in range(count):
        visitor, moment = uuid4(), at + timedelta(milliseconds=number)
        make_touch(acme.enrollments.blog, moment - timedelta(days=1), visitor)
        sales.append(make_conversion(acme.campaign, at=moment, visitor=visitor, **fields))
    settle_waiting(now=at + timedelta(seconds=1))
    return sales


def ask(acme, state: str = "APPROVED", now=LATER, key: str = "k", **fields) -> Job:
    selection = fields.pop("selection", Selection(states=("PENDING",)))
    call = {"advertiser": acme.advertiser, "actor": SYSTEM, "as_of": now, "now": now, **fields}
    return ask_by_filter(selection=selection, state=state, key=key, **call).job


def states(sales) -> list[str]:
    rows = Decision.objects.in_bulk([sale.pk for sale in sales])
    return [rows[sale.pk].state for sale in sales]


def test_a_filter_is_decided_in_chunks_and_every_move_names_the_job(acme, small_chunks):
    sales = sell(acme, 5)
    job = ask(acme)
    assert (job.total, job.state, states(sales)) == (5, "WAITING", ["PENDING"] * 5)
    assert work_on_decisions(now=LATER) == 3
    job.refresh_from_db()
    assert (job.state, job.done, job.moved, job.refused, job.finished_at) == ("DONE", 5, 5, 0, LATER)
    assert states(sales) == ["APPROVED"] * 5
    assert set(Move.objects.values_list("job", flat=True)) == {job.pk}
    assert (Posting.objects.count(), check_books()) == (5, [])
    assert list(AuditEntry.objects.order_by("pk").values_list("verb", flat=True)) == [
        "asked_for_decisions", "decided_by_job",
    ]  # fmt: skip


def test_a_job_cut_short_goes_on_at_its_place(acme, small_chunks):
    sales = sell(acme, 5)
    job = ask(acme)
    assert work_on_decisions(now=LATER, chunks=1) == 1
    job.refresh_from_db()
    assert (job.state, job.done, job.place) == ("RUNNING", 2, str(sales[1].pk))
    assert work_on_decisions(now=LATER) == 2
    assert work_on_decisions(now=LATER) == 0
    assert (Move.objects.count(), Posting.objects.count()) == (5, 5)


def test_a_kill_within_a_chunk_leaves_neither_its_place_nor_its_effect(acme, small_chunks, monkeypatch):
    sales = sell(acme, 3)
    job = ask(acme)
    monkeypatch.setattr(deciding_chunks, "_keep", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        work_on_decisions(now=LATER)
    job.refresh_from_db()
    assert (job.place, states(sales), Posting.objects.count()) == ("", ["PENDING"] * 3, 0)
    monkeypatch.undo()
    work_on_decisions(now=LATER)
    assert (states(sales), Posting.objects.count()) == (["APPROVED"] * 3, 3)


def test_what_came_changed_or_moved_after_the_moment_is_not_meant(acme):
    meant, held, changed = sell(acme, 3)
    hold_conversions(advertiser=acme.advertiser, conversion_ids=[held.pk], actor=SYSTEM, now=NOON)
    job = ask(acme)
    assert job.total == 2
    late = sell(acme, 1, LATER + timedelta(minutes=1))[0]
    release_conversions(
        advertiser=acme.advertiser, conversion_ids=[held.pk], actor=SYSTEM, now=LATER + timedelta(minutes=1)
    )
    make_touch(acme.enrollments.coupons, NOON - timedelta(hours=1), changed.visitor)
    Unsettled.objects.create(conversion=changed, advertiser=acme.advertiser, marked_at=LATER)
    settle_waiting(now=LATER + timedelta(minutes=2))
    work_on_decisions(now=LATER + timedelta(minutes=3))
    assert states([meant, held, changed, late]) == ["APPROVED", "PENDING", "PENDING", "PENDING"]


def test_what_waits_to_be_settled_is_refused_by_row_and_stops_nobody(acme):
    good, waiting = sell(acme, 2)
    Refund.objects.create(
        advertiser=acme.advertiser, order_ref=waiting.order_ref, refund_ref="r", kind="WHOLE", occurred_at=NOON,
        recorded_at=NOON, content_hash="x",
    )  # fmt: skip
    job = ask(acme)
    work_on_decisions(now=LATER)
    job.refresh_from_db()
    assert (job.done, job.moved, job.refused, states([good, waiting])) == (2, 1, 1, ["APPROVED", "PENDING"])
    item = JobItem.objects.get()
    assert (item.content, item.code) == ({"id": str(waiting.pk)}, "conversion_unsettled")


def test_a_poison_row_is_found_by_halving_and_noted(acme):
    sales = sell(acme, 5)
    commission = Commission.objects.get(conversion=sales[2])
    entry = commission_entry(
        partner_id=commission.partner_id, amount_minor=1, currency="EUR", reference=f"commission:{commission.pk}",
        due_on=NOON.date(),
    )  # fmt: skip
    post_entries(advertiser=acme.advertiser, entries=[entry], now=NOON)
    job = ask(acme)
    work_on_decisions(now=LATER)
    job.refresh_from_db()
    assert (job.state, job.done, job.moved, job.refused) == ("DONE", 5, 4, 1)
    assert states(sales) == ["APPROVED", "APPROVED", "PENDING", "APPROVED", "APPROVED"]
    assert (JobItem.objects.get().code, JobItem.objects.get().content) == ("failed", {"id": str(sales[2].pk)})


def test_a_job_whose_end_fails_is_tried_again_later(acme, monkeypatch):
    sell(acme, 1)
    job = ask(acme)

    def broken(*_):
        raise KeyError("end")

    monkeypatch.setattr(deciding_chunks, "_finish", broken)
    work_on_decisions(now=LATER)
    job.refresh_from_db()
    assert (job.state, job.attempts, job.done) == ("RUNNING", 1, 1)
    monkeypatch.undo()
    work_on_decisions(now=LATER)
    job.refresh_from_db()
    assert (job.state, job.done, job.moved) == ("DONE", 1, 1)


def test_a_job_that_gets_no_further_fails_after_eight_tries_and_says_why(acme, monkeypatch):
    sell(acme, 1)
    job = ask(acme)
    other = ask(make_cast_of("globex"), key="other")

    def broken(*_):
        raise OperationalError("the disk is full")

    monkeypatch.setitem(deciding_chunks.WORK, "decide_filter", broken)
    for _ in range(7):
        work_on_decisions(now=LATER)
    job.refresh_from_db()
    assert (job.state, job.attempts) == ("WAITING", 7)
    work_on_decisions(now=LATER)
    for one in (job, other):
        one.refresh_from_db()
        assert (one.state, one.error) == ("FAILED", "OperationalError: the disk is full")
    assert Decision.objects.get().state == "PENDING"


def test_a_job_whose_locks_were_not_given_in_time_is_not_to_blame(acme, monkeypatch):
    sell(acme, 1)
    job = ask(acme)

    def locked(*_):
        with connection.cursor() as cursor:
            cursor.execute("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = 'lock_not_available'; END $$")

    monkeypatch.setitem(deciding_chunks.WORK, "decide_filter", locked)
    for _ in range(9):
        work_on_decisions(now=LATER)
    job.refresh_from_db()
    assert (job.state, job.attempts) == ("WAITING", 0)


def make_cast_of(slug: str):
    return SimpleNamespace(advertiser=make_advertiser(slug))


def test_the_same_key_is_the_same_job_and_other_content_is_refused(acme):
    sell(acme, 1)
    assert ask(acme).pk == ask(acme).pk
    with pytest.raises(JobKeyReused):
        ask(acme, state="ON_HOLD", reason="review")
    assert Job.objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"state": "REJECTED"}, ReasonNeeded),
        ({"state": "REJECTED", "reason": "review"}, UnknownReason),
        ({"state": "ON_HOLD", "reason": "returned"}, UnknownReason),
        ({"as_of": LATER + timedelta(seconds=1)}, MomentToCome),
    ],
)
def test_a_bad_question_makes_no_job(acme, fields, refusal):
    with pytest.raises(refusal):
        ask(acme, **fields)
    assert not Job.objects.exists()


def test_a_cancelled_job_stops_and_keeps_what_it_did(acme, small_chunks):
    sales = sell(acme, 4)
    job = ask(acme)
    work_on_decisions(now=LATER, chunks=1)
    call = {"advertiser": acme.advertiser, "job_id": job.pk, "actor": SYSTEM, "now": LATER}
    assert cancel_job(**call).state == "CANCELLED"
    assert work_on_decisions(now=LATER) == 0
    assert states(sales) == ["APPROVED", "APPROVED", "PENDING", "PENDING"]
    with pytest.raises(JobOver):
        cancel_job(**call)
    with pytest.raises(NoSuchJob):
        cancel_job(**{**call, "advertiser": make_advertiser("stranger")})


def test_a_hold_is_undone_as_far_as_nobody_has_moved_it_since(acme):
    sales = sell(acme, 3)
    job = ask(acme, state="ON_HOLD", reason="suspicious")
    work_on_decisions(now=LATER)
    approve_conversions(advertiser=acme.advertiser, conversion_ids=[sales[0].pk], actor=SYSTEM, now=LATER)
    call = {"advertiser": acme.advertiser, "job_id": job.pk, "actor": SYSTEM, "now": LATER + timedelta(minutes=1)}
    back = undo_job(**call)
    assert (back.created, undo_job(**call).created, back.job.total) == (True, False, 2)
    work_on_decisions(now=LATER + timedelta(minutes=1))
    assert states(sales) == ["APPROVED", "PENDING", "PENDING"]


def test_a_job_is_undone_only_after_its_end(acme, small_chunks):
    sales = sell(acme, 3)
    job = ask(acme, state="ON_HOLD", reason="review")
    work_on_decisions(now=LATER, chunks=1)
    call = {"advertiser": acme.advertiser, "job_id": job.pk, "actor": SYSTEM, "now": LATER + timedelta(minutes=1)}
    with pytest.raises(JobRunning):
        undo_job(**call)
    assert Job.objects.count() == 1
    work_on_decisions(now=LATER)
    assert undo_job(**call).created
    work_on_decisions(now=LATER + timedelta(minutes=1))
    assert states(sales) == ["PENDING"] * 3


def test_a_release_undone_holds_each_for_its_old_reason(acme):
    sales = sell(acme, 2)
    for sale, reason, note in zip(sales, ("suspicious", "waiting"), ("two in a second", ""), strict=True):
        hold_conversions(
            advertiser=acme.advertiser, conversion_ids=[sale.pk], reason=reason, note=note, actor=SYSTEM, now=LATER
        )
    job = ask(acme, state="PENDING", selection=Selection(states=("ON_HOLD",)))
    work_on_decisions(now=LATER)
    undo_job(advertiser=acme.advertiser, job_id=job.pk, actor=SYSTEM, now=LATER)
    work_on_decisions(now=LATER)
    rows = Decision.objects.in_bulk([sale.pk for sale in sales])
    held = [(rows[sale.pk].state, rows[sale.pk].reason, rows[sale.pk].note) for sale in sales]
    assert held == [("ON_HOLD", "suspicious", "two in a second"), ("ON_HOLD", "waiting", "")]


def test_an_approval_is_not_undone_but_rejected_by_its_job(acme):
    sales = sell(acme, 2)
    job = ask(acme)
    work_on_decisions(now=LATER)
    with pytest.raises(NotUndoable):
        undo_job(advertiser=acme.advertiser, job_id=job.pk, actor=SYSTEM, now=LATER)
    ask(acme, "REJECTED", key="back", reason="cancelled", selection=Selection(states=("APPROVED",), job_id=job.pk))
    work_on_decisions(now=LATER)
    assert (states(sales), Posting.objects.count(), check_books()) == (["REJECTED"] * 2, 4, [])


def test_a_job_decides_nothing_of_another_advertiser(acme):
    sales = sell(acme, 1)
    ask(make_cast_of("globex"), selection=Selection(ids=(str(sales[0].pk),)))
    work_on_decisions(now=LATER)
    assert states(sales) == ["PENDING"]


def test_locked_approvals_are_not_in_a_rejection(acme):
    sales = sell(acme, 2)
    approve_conversions(advertiser=acme.advertiser, conversion_ids=[sales[0].pk], actor=SYSTEM, now=NOON)
    job = ask(acme, "REJECTED", reason="cancelled", selection=Selection(), now=NOON + timedelta(days=60))
    assert job.total == 1
    work_on_decisions(now=NOON + timedelta(days=60))
    assert states(sales) == ["APPROVED", "REJECTED"]


def test_a_selection_survives_its_json_and_weighs_what_it_holds(acme):
    sales = sell(acme, 3)
    selection = Selection(
        states=("PENDING",), campaign_id=acme.campaign.pk, partner_id=acme.partners.blog.pk, goal="SALE", order="A-",
        since=NOON - timedelta(days=1), until=NOON + timedelta(days=1), locks_until=NOON.date() + timedelta(days=99),
        locks_after=NOON.date(), due_until=NOON.date() + timedelta(days=99), is_test=False, is_duplicate=False,
        ids=tuple(str(sale.pk) for sale in sales[:2]),
    )  # fmt: skip
    assert Selection.of(selection.content()) == selection
    found = movable(selected(acme.advertiser, selection, as_of=LATER), "APPROVED", today=NOON.date())
    weight = weigh(found)
    assert (weight.count, weight.by_state, weight.amounts[0].minor) == (2, {"PENDING": 2}, 200_00)
    assert [(row.partner, row.count, row.commission.minor) for row in weight.partners] == [("Blog", 2, 16_00)]
    for narrower in (
        {"goal": "LEAD"}, {"order": "B-"}, {"order_ref": "A"}, {"is_test": True}, {"job_id": 1}, {"campaign_id": 0},
        {"is_duplicate": True},
        {"partner_id": acme.partners.coupons.pk}, {"until": NOON}, {"since": NOON + timedelta(days=1)},
        {"due_until": NOON.date()}, {"locks_until": NOON.date()}, {"states": ("ON_HOLD",)},
    ):  # fmt: skip
        content = {**selection.content(), **Selection(**narrower).content()}
        if "campaign_id" in narrower:
            content["campaign_id"] = 0
        assert not selected(acme.advertiser, Selection.of(content), as_of=LATER).exists(), narrower


@pytest.mark.django_db(transaction=True)
def test_workers_at_once_and_a_person_beside_them_decide_each_conversion_once(small_chunks):
    acme = make_cast()
    sales = sell(acme, 12)
    ask(acme)

    def work(place: int) -> int:
        try:
            if place == 3:
                ids = [sale.pk for sale in sales[6:]]
                call = {"advertiser": acme.advertiser, "conversion_ids": ids, "actor": SYSTEM, "now": LATER}
                return approve_conversions(**call).moved
            return work_on_decisions(now=LATER)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    work_on_decisions(now=LATER)
    assert states(sales) == ["APPROVED"] * 12
    assert (Move.objects.count(), Posting.objects.count(), check_books()) == (12, 12, [])
    job = Job.objects.get()
    assert (job.state, job.refused) == ("DONE", 0)


def test_what_was_asked_stays_and_without_the_guard_it_does_not(acme):
    job = ask(acme)
    with pytest.raises(DatabaseError), transaction.atomic():
        Job.objects.filter(pk=job.pk).update(content={"state": "REJECTED"})
    job.refresh_from_db()
    assert job.content["state"] == "APPROVED"
    with pgtrigger.ignore("records.Job:asked_once"):
        Job.objects.filter(pk=job.pk).update(content={"state": "REJECTED"})
    job.refresh_from_db()
    assert job.content["state"] == "REJECTED"


def test_two_jobs_of_a_key_are_one_and_without_the_constraint_they_are_two(acme):
    ask(acme)
    copy = {"advertiser": acme.advertiser, "kind": "decide_filter", "key": "k"}
    with pytest.raises(IntegrityError), transaction.atomic():
        Job.objects.create(**copy)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE records_job DROP CONSTRAINT one_job_per_key")
    Job.objects.create(**copy)
    assert Job.objects.count() == 2
