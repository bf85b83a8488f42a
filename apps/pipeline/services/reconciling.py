"""Prove an advertiser's books and write down what came of it: hourly, and before documents are issued."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from apps.core.actors import SYSTEM
from apps.identity.models import Advertiser
from apps.ledger.models import Reconciliation
from apps.ledger.reconciling import last_reconciliation, record_reconciliation
from apps.pipeline.books import Difference, check_books
from apps.pipeline.services.telling import tell_of_books
from apps.records.services import record_act

logger = logging.getLogger(__name__)


def reconcile_books(*, advertiser: Advertiser, now: datetime) -> Reconciliation:
    """Prove the advertiser's books; a difference parks it until a later proof finds none.

    The result is kept in a transaction of its own, so that it stays when what it was asked for is then refused.
    """
    began = time.perf_counter()
    differences = check_books(advertiser_id=advertiser.pk)
    return _keep(advertiser, differences, time.perf_counter() - began, now)


def prove_books(*, advertiser: Advertiser, now: datetime) -> Reconciliation:
    """Return the proof of this very moment, made now unless the same run has just made it."""
    last = last_reconciliation(advertiser)
    return last if last is not None and last.at == now else reconcile_books(advertiser=advertiser, now=now)


def reconcile_all(*, now: datetime) -> int:
    """Prove the books of every advertiser in one reading; return how many differ."""
    began = time.perf_counter()
    found = check_books()
    seconds = time.perf_counter() - began
    advertisers = list(Advertiser.objects.order_by("pk"))
    for difference in found:
        if difference.advertiser_id is None:
            logger.error("the books differ: %s %s: %s", difference.invariant, difference.subject, difference.message)
    kept = [
        _keep(advertiser, [row for row in found if row.advertiser_id == advertiser.pk], seconds, now)
        for advertiser in advertisers
    ]
    return sum(row.difference_count > 0 for row in kept)


@transaction.atomic
def _keep(advertiser: Advertiser, differences: Sequence[Difference], seconds: float, now: datetime) -> Reconciliation:
    """Write the result down, and where it parks or releases the advertiser, that as an act too."""
    Advertiser.objects.select_for_update(no_key=True).get(pk=advertiser.pk)
    before = last_reconciliation(advertiser)
    kept = record_reconciliation(
        advertiser=advertiser,
        differences=[(row.invariant, row.subject, row.message) for row in differences],
        milliseconds=round(seconds * 1000),
        now=now,
    )
    was_parked = before is not None and before.difference_count > 0
    if bool(differences) == was_parked:
        return kept
    verb = "park_books" if differences else "release_books"
    record_act(
        advertiser=advertiser,
        actor=SYSTEM,
        verb=verb,
        subject=f"the books of {advertiser.slug}"[:120],
        now=now,
        details={"differences": len(differences), "reconciliation": kept.pk},
    )
    tell_of_books(kept=kept, now=now)
    if differences:
        first = differences[0]
        logger.error("%s is parked: %s %s: %s", advertiser.slug, first.invariant, first.subject, first.message)
    return kept
