"""What leaves: at least once, in order per subject, under one id; what is poison is parked and blocks nobody."""

import os
from datetime import timedelta

import pytest
from django.core import mail
from django.db import IntegrityError, connection, transaction

from apps.core.actors import SYSTEM
from apps.messages import services
from apps.messages.kinds import KINDS
from apps.messages.models import Attempt, AttemptOutcome, Outbox
from apps.messages.rules import MOST_ATTEMPTS, leased_for, wait_after
from apps.messages.services import deliver_waiting, forget_messages, queue_message, resend_message
from apps.pipeline.services.staffing import add_member
from tests.cast import NOON, make_advertiser

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self):
        self.now = NOON

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def left(monkeypatch):
    """A kind that keeps what left; addresses that say so fail."""
    found = []

    def keep(message):
        if message.address == "broken":
            raise OSError("nobody answers")
        found.append((message.payload["n"], message.uid))

    monkeypatch.setitem(KINDS, "kept", keep)
    return found


def queue(n, *, subject="order", address="right", cause=None, advertiser=None):
    queue_message(
        advertiser=advertiser,
        kind="kept",
        cause=cause or f"cause:{n}",
        subject=subject,
        address=address,
        payload={"n": n},
        now=NOON,
    )


def guard_off(statement):
    """Take a guard off until the test's rollback."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET CONSTRAINTS ALL IMMEDIATE; {statement}")


def run(clock):
    return deliver_waiting(clock=clock, chance=lambda: 0.5)


def numbers(left):
    return [n for n, _ in left]


def test_a_cause_that_runs_twice_is_one_message(left, clock):
    queue(1), queue(1)
    assert run(clock) == 1 and run(clock) == 0
    assert numbers(left) == [1]


def test_without_the_unique_cause_a_cause_that_runs_twice_is_told_twice(left, clock):
    guard_off("ALTER TABLE outbox_outbox DROP CONSTRAINT one_message_per_cause")
    queue(1), queue(1)
    run(clock)
    assert numbers(left) == [1, 1]


def test_messages_of_a_subject_leave_in_their_order_and_others_do_not_wait(left, clock):
    queue(1, address="broken"), queue(2), queue(3, subject="other")
    run(clock)
    assert numbers(left) == [3]
    assert Outbox.objects.waiting().count() == 2


def test_a_failure_is_tried_again_and_parked_after_eight_tries_so_that_the_next_leaves(left, clock):
    queue(1, address="broken"), queue(2)
    for _ in range(MOST_ATTEMPTS):
        run(clock)
        clock.now += 2 * DAY
    run(clock)
    parked = Outbox.objects.parked().get()
    assert (parked.payload["n"], parked.attempts, parked.last_error) == (1, 8, "OSError: nobody answers")
    assert parked.log.filter(outcome=AttemptOutcome.FAILED).count() == MOST_ATTEMPTS
    assert numbers(left) == [2]


def test_nothing_is_tried_before_its_time(left, clock):
    queue(1, address="broken")
    run(clock), run(clock)
    assert Outbox.objects.get().attempts == 1


def test_a_message_whose_worker_died_after_sending_leaves_again_under_the_same_id(left, clock, monkeypatch):
    queue(1)
    monkeypatch.setattr(services, "_done", lambda message, now: None)  # the kill between sending and "done"
    run(clock)
    monkeypatch.undo()
    clock.now += DAY
    monkeypatch.setitem(KINDS, "kept", lambda message: left.append((message.payload["n"], message.uid)))
    run(clock)
    assert numbers(left) == [1, 1] and len({uid for _, uid in left}) == 1
    assert Outbox.objects.sent().count() == 1


def test_a_message_that_kills_its_worker_each_time_is_parked(clock, monkeypatch):
    monkeypatch.setitem(KINDS, "kept", lambda message: (_ for _ in ()).throw(SystemExit))
    queue(1)
    for _ in range(MOST_ATTEMPTS):
        with pytest.raises(SystemExit):
            run(clock)
        clock.now += 2 * DAY
    assert run(clock) == 0
    assert Outbox.objects.parked().get().last_error == services.DIED


def test_an_unknown_kind_is_a_failure_and_not_the_end(left, clock):
    queue_message(advertiser=None, kind="pigeon", cause="c", subject="s", address="a", payload={}, now=NOON)
    queue(1)
    assert run(clock) == 1
    assert "unknown" not in numbers(left) and "pigeon" in Outbox.objects.waiting().get().last_error


def test_what_a_cause_undoes_never_leaves(left, clock):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        queue(1)
        1 / 0  # noqa: B018
    assert run(clock) == 0 and not left


@pytest.mark.parametrize("state", ["sent", "parked"])
def test_a_sent_or_parked_message_is_sent_again_when_asked(left, clock, state):
    queue(1)
    run(clock)
    if state == "parked":
        Outbox.objects.update(sent_at=None, parked_at=NOON, attempts=8)
    resend_message(message=Outbox.objects.get(), actor=SYSTEM, now=NOON)
    run(clock)
    assert numbers(left) == [1, 1] and len({uid for _, uid in left}) == 1


def test_old_messages_are_forgotten_and_waiting_ones_kept(left, clock):
    queue(1), queue(2, address="broken", subject="other")
    run(clock)
    assert forget_messages(now=NOON + 89 * DAY) == 0
    assert forget_messages(now=NOON + 91 * DAY) == 1
    assert Outbox.objects.get().payload == {"n": 2}
    assert set(Attempt.objects.values_list("message__payload__n", flat=True)) == {2}


def test_content_never_changes(left):
    queue(1)
    with pytest.raises(Exception, match=r"(?i)cannot update"), transaction.atomic():
        Outbox.objects.update(address="elsewhere")
    assert Outbox.objects.get().address == "right"


def test_with_the_trigger_off_a_message_goes_elsewhere(left):
    queue(1)
    guard_off("ALTER TABLE outbox_outbox DISABLE TRIGGER USER")
    assert Outbox.objects.update(address="elsewhere") == 1


def test_attempts_are_never_changed(left, clock):
    queue(1)
    run(clock)
    with pytest.raises(Exception, match=r"(?i)cannot update"), transaction.atomic():
        Attempt.objects.update(outcome=AttemptOutcome.FAILED)


def test_with_the_trigger_off_attempts_are_rewritten(left, clock):
    queue(1)
    run(clock)
    guard_off("ALTER TABLE outbox_attempt DISABLE TRIGGER USER")
    assert Attempt.objects.update(outcome=AttemptOutcome.FAILED) == 2


def test_a_message_is_not_both_sent_and_parked(left):
    queue(1)
    with pytest.raises(IntegrityError), transaction.atomic():
        Outbox.objects.update(sent_at=NOON, parked_at=NOON)
    guard_off("ALTER TABLE outbox_outbox DROP CONSTRAINT sent_is_not_parked")
    assert Outbox.objects.update(sent_at=NOON, parked_at=NOON) == 1


def test_waits_grow_from_seconds_to_a_day():
    assert (wait_after(1, 0.0), wait_after(1, 1.0)) == (timedelta(seconds=4), timedelta(seconds=6))
    assert wait_after(8, 0.5) == DAY == wait_after(20, 0.5)
    assert leased_for(1, 0.5) == timedelta(seconds=60)


def test_somebody_new_is_mailed_the_way_in_which_stands_nowhere_else(clock):
    add_member(advertiser=make_advertiser(), email="new@acme.example", role="FINANCE", actor=SYSTEM, now=NOON)
    run(clock)
    (letter,) = mail.outbox
    assert letter.to == ["new@acme.example"] and "/key/" in letter.body
    assert Outbox.objects.sent().count() == 1
    assert str(Outbox.objects.get().uid) in letter.extra_headers["Message-ID"]
    assert "/key/" not in str(Outbox.objects.get().payload)


@pytest.mark.parametrize(
    ("language", "words"), [("en", "has issued your statement"), ("de", "Ihre Abrechnung"), ("ru", "ваш расчёт")]
)
def test_a_mail_speaks_its_readers_language(clock, language, words):
    context = {"advertiser": "Acme & Sons", "month": "2026-02"}
    payload = {"template": "statement", "language": language, "context": context}
    queue_message(
        advertiser=None, kind="mail", cause="c", subject="s", address="a@b.example", payload=payload, now=NOON
    )
    run(clock)
    (letter,) = mail.outbox
    assert words in letter.body and "Acme & Sons" in letter.body and "\n" not in letter.subject


@pytest.mark.django_db(transaction=True)
def test_a_kill_between_sending_and_done_sends_again(left, clock, tmp_path):
    """A real process, killed right after the mail is out."""
    log = tmp_path / "sent"

    def send(message):
        with open(log, "a") as file:
            file.write(f"{message.uid}\n")
        if not os.environ.get("SPARED"):
            os._exit(9)

    KINDS["kept"] = send
    queue(1)
    connection.close()
    pid = os.fork()
    if pid == 0:
        run(clock)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 9
    assert Outbox.objects.waiting().count() == 1
    clock.now += DAY
    os.environ["SPARED"] = "1"
    try:
        assert run(clock) == 1
    finally:
        del os.environ["SPARED"]
    first, second = log.read_text().split()
    assert first == second
