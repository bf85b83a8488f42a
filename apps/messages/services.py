"""The outbox: written with its cause, delivered at least once, in order per subject; poison is parked."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from apps.core.actors import Actor
from apps.core.ids import uuid7
from apps.identity.models import Advertiser
from apps.messages import mails  # noqa: F401  (registers its kinds)
from apps.messages.kinds import deliver
from apps.messages.models import Attempt, AttemptOutcome, Outbox
from apps.messages.rules import MOST_ATTEMPTS, leased_for, wait_after
from apps.records.services import record_act

logger = logging.getLogger(__name__)

KEPT = timedelta(days=90)
DIED = "The worker died each time it delivered this."


def queue_message(
    *,
    advertiser: Advertiser | None,
    kind: str,
    cause: str,
    subject: str,
    address: str,
    payload: Mapping[str, object],
    now: datetime,
) -> None:
    """Write a message in the caller's transaction, once per kind and cause; it leaves after the commit."""
    row = Outbox(
        uid=uuid7(now),
        advertiser=advertiser,
        kind=kind,
        cause=cause,
        subject=subject,
        address=address,
        payload=dict(payload),
        created_at=now,
        due_at=now,
    )
    Outbox.objects.bulk_create([row], ignore_conflicts=True)


def deliver_waiting(
    *, clock: Callable[[], datetime] = timezone.now, chance: Callable[[], float] = random.random, limit: int = 500
) -> int:
    """Deliver what is due, in the order of each subject; return how many left.

    May run twice, at once, or be killed: a message is claimed before it is sent and marked after it, so that a kill
    in between sends it again, and one that kills its worker every time is parked like one that fails.
    """
    sent = 0
    for _ in range(limit):
        message = _claim(clock(), chance())
        if message is None:
            break
        sent += _deliver(message, clock, chance)
    return sent


@transaction.atomic
def _claim(now: datetime, chance: float) -> Outbox | None:
    """Take the first message that is due and the first of its subject; count the attempt before it is made."""
    earlier = Outbox.objects.waiting().filter(subject=OuterRef("subject"), pk__lt=OuterRef("pk"))
    due = Outbox.objects.waiting().filter(~Exists(earlier), due_at__lte=now)
    while message := due.select_for_update(skip_locked=True, of=("self",)).order_by("due_at", "pk").first():
        if message.attempts < MOST_ATTEMPTS:
            break
        message.parked_at, message.last_error = now, message.last_error or DIED
        message.save(update_fields=["parked_at", "last_error"])
    if message is None:
        return None
    message.attempts += 1
    message.due_at = now + leased_for(message.attempts, chance)
    message.save(update_fields=["attempts", "due_at"])
    _log(message, AttemptOutcome.BEGUN, now)
    return message


def _deliver(message: Outbox, clock: Callable[[], datetime], chance: Callable[[], float]) -> bool:
    """Deliver a claimed message outside of any transaction, then write down how it went."""
    try:
        deliver(message)
    except Exception as error:
        logger.warning("message %s (%s) was not delivered: %s", message.uid, message.kind, error)
        _fail(message, f"{type(error).__name__}: {error}"[:2000], clock(), chance())
        return False
    _done(message, clock())
    return True


@transaction.atomic
def _done(message: Outbox, now: datetime) -> None:
    Outbox.objects.filter(pk=message.pk, sent_at=None, parked_at=None).update(sent_at=now, last_error="")
    _log(message, AttemptOutcome.SENT, now)


@transaction.atomic
def _fail(message: Outbox, error: str, now: datetime, chance: float) -> None:
    """Try again later; after the eighth time leave it to people, so that what comes after it leaves."""
    parked_at = now if message.attempts >= MOST_ATTEMPTS else None
    due_at = now + wait_after(message.attempts, chance)
    row = Outbox.objects.filter(pk=message.pk, sent_at=None, parked_at=None)
    row.update(due_at=due_at, last_error=error, parked_at=parked_at)
    _log(message, AttemptOutcome.FAILED, now, error)


def _log(message: Outbox, outcome: AttemptOutcome, now: datetime, error: str = "") -> None:
    Attempt.objects.create(
        advertiser_id=message.advertiser_id,
        message=message,
        number=message.attempts,
        at=now,
        outcome=outcome,
        error=error,
    )


@transaction.atomic
def resend_message(*, message: Outbox, actor: Actor, now: datetime) -> Outbox:
    """Let a parked or sent message leave again, under the same id; one that waits is due at once."""
    row = Outbox.objects.select_for_update(of=("self",)).select_related("advertiser").get(pk=message.pk)
    row.attempts, row.due_at, row.sent_at, row.parked_at = 0, now, None, None
    row.save(update_fields=["attempts", "due_at", "sent_at", "parked_at"])
    record_act(
        advertiser=row.advertiser,
        actor=actor,
        verb="resend_message",
        subject=f"{row.kind} to {row.address}"[:120],
        now=now,
        details={"message": str(row.uid)},
    )
    return row


def forget_messages(*, now: datetime) -> int:
    """Delete what left more than 90 days ago, with its attempts; return how many messages."""
    old = Outbox.objects.filter(sent_at__lt=now - KEPT)
    return old.delete()[1].get("outbox.Outbox", 0)
