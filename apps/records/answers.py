"""One answer per `Idempotency-Key`: the same key and body are answered alike and take effect once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from apps.core.errors import Conflict, Invalid
from apps.identity.models import Advertiser
from apps.records.models import IdempotencyKey

ABANDONED = timedelta(minutes=2)
"""After so long a call without an answer is taken to have died with its process, and may be made again."""


class IdempotencyKeyReused(Invalid):
    code = "idempotency_key_reused"
    message = "The Idempotency-Key was used before, for another call."


class IdempotencyKeyRunning(Conflict):
    code = "idempotency_key_running"
    message = "A call with this Idempotency-Key is still at work: ask again in a moment."


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    status: int
    body: Any


def claim_key(*, advertiser: Advertiser, key: str, request_hash: str, now: datetime) -> KeptAnswer | None:
    """Take a key for a call about to be made, or return the answer it had before.

    Of two calls at once one takes the key. Raises IdempotencyKeyReused, IdempotencyKeyRunning.
    """
    row, new = IdempotencyKey.objects.get_or_create(
        advertiser=advertiser, key=key, defaults={"request_hash": request_hash, "created_at": now}
    )
    if new:
        return None
    if row.request_hash != request_hash:
        raise IdempotencyKeyReused
    if row.status is not None:
        return KeptAnswer(row.status, row.body)
    abandoned = IdempotencyKey.objects.filter(pk=row.pk, status=None, created_at__lt=now - ABANDONED)
    if not abandoned.update(created_at=now):
        raise IdempotencyKeyRunning
    return None


def keep_answer(*, advertiser: Advertiser, key: str, status: int, body: Any) -> None:
    """Keep what a call was answered; in the transaction of its effect, so that there is no one without the other."""
    IdempotencyKey.objects.filter(advertiser=advertiser, key=key).update(status=status, body=body)


def release_key(*, advertiser: Advertiser, key: str) -> None:
    """Give a key back after a call that failed by a fault of ours."""
    IdempotencyKey.objects.filter(advertiser=advertiser, key=key, status=None).delete()
