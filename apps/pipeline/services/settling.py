"""Settle: gather the journeys, attribute, award."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from uuid import UUID

from django.db import transaction
from django.db.models import F

from apps.attribution.models import Share
from apps.attribution.writing import forget_shares, write_shares
from apps.commissions.holding import hold_by_rule
from apps.commissions.models import Commission, Decision, DecisionState, Receipt
from apps.commissions.writing import (
    lock_decisions,
    open_decisions,
    receipt_hashes,
    receipt_touches,
    rejected_among,
    remembering_receipts,
    supersede_results,
    write_commissions,
    write_receipts,
)
from apps.core.collecting import seldom_collecting
from apps.core.reading import DATABASE_AWAY
from apps.core.statistics import analyze_filled
from apps.journeys.selectors import Candidate, candidates_by_id, gather_candidates
from apps.pipeline.outcomes import Settled, Told, work_out
from apps.pipeline.selectors import load_settings
from apps.pipeline.services.correcting import correct_conversions
from apps.tracking.duplicates import duplicates_among
from apps.tracking.facts import (
    ConversionRow,
    amendments_of,
    claim_conversions,
    lines_of,
    take_off_work_list,
)
from apps.tracking.forgetting import kept_journeys
from apps.tracking.models import Unsettled
from apps.tracking.waking import note_awaited_clicks

BATCH = 2_000
PARKED_AFTER = 8
FINAL = {DecisionState.APPROVED.value, DecisionState.REJECTED.value}
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SettleResult:
    """How many conversions were settled (their results written or found equal), and how many failed."""

    settled: int = 0
    failed: int = 0

    def __add__(self, other: SettleResult) -> SettleResult:
        return SettleResult(self.settled + other.settled, self.failed + other.failed)


@dataclass(slots=True)
class Batch:
    """What a run over some conversions found out; `errors` are by conversion id."""

    settled: list[Settled] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)


def settle_conversions(*, conversion_ids: Sequence[UUID], now: datetime) -> SettleResult:
    """Settle those of the named conversions that wait on the work list; may run twice, at once, or be killed.

    A conversion whose decision has fallen is left as it is. One that cannot be settled keeps its place on the list
    with the error, is tried again, and is parked after eight tries; it never holds up the others.
    """
    result = SettleResult()
    for start in range(0, len(conversion_ids), BATCH):
        result += _settle_or_split([str(id_) for id_ in conversion_ids[start : start + BATCH]], now)
    return result


def settle_waiting(
    *, now: datetime, limit: int | None = None, progress: Callable[[int], None] = lambda _done: None
) -> SettleResult:
    """Settle what waits, oldest first, until nothing is left but what failed or is in other hands.

    `limit` bounds how many are tried; `progress` hears the number settled so far.
    """
    total = SettleResult()
    passed_over: set[UUID] = set()
    while limit is None or total.settled + total.failed < limit:
        waiting = Unsettled.objects.filter(parked_at__isnull=True).exclude(pk__in=passed_over)
        ids = list(waiting.order_by("marked_at", "pk").values_list("pk", flat=True)[:BATCH])
        if not ids:
            break
        total += _settle_or_split([str(id_) for id_ in ids], now)
        passed_over |= set(Unsettled.objects.filter(pk__in=ids).values_list("pk", flat=True))
        progress(total.settled)
    analyze_filled(Share, Commission, Receipt, Decision, Unsettled, written=total.settled)
    return total


def _settle_or_split(ids: list[str], now: datetime) -> SettleResult:
    """Settle a batch in one transaction; whatever fails in it is found by halving, and kept from the others.

    Where the database is away or somebody's lock is in the way, nothing is counted against anyone: it is raised.
    """
    try:
        settled, errors = _settle_batch(ids, now)
    except DATABASE_AWAY:
        raise
    except Exception as error:
        if len(ids) == 1:
            logger.exception("conversion %s cannot be settled", ids[0])
            _note_failures({ids[0]: f"{type(error).__name__}: {error}"}, now)
            return SettleResult(failed=1)
        middle = len(ids) // 2
        return _settle_or_split(ids[:middle], now) + _settle_or_split(ids[middle:], now)
    _note_failures(errors, now)
    return SettleResult(settled, len(errors))


@seldom_collecting()
@transaction.atomic
def _settle_batch(ids: list[str], now: datetime) -> tuple[int, dict[str, str]]:
    """Return how many were settled, and the errors of the others; the batch itself is gone before it is collected."""
    claimed = claim_conversions(ids)
    if not claimed:
        return 0, {}
    # Before anything is gathered: a click that comes in between is then seen by the gathering or by the sweep.
    note_awaited_clicks([row.id for row in claimed if row.click_ids])
    states = lock_decisions([row.id for row in claimed])
    for row in claimed:
        if states.get(row.id) in FINAL:
            logger.info("conversion %s is decided: its shares stay, whatever has come since", row.id)
    batch = _work_out([row for row in claimed if states.get(row.id) not in FINAL], states, now)
    _write(batch.settled, states, now)
    batch.errors |= correct_conversions([row for row in claimed if row.id not in batch.errors], now)
    take_off_work_list([row.id for row in claimed if row.id not in batch.errors])
    return len(batch.settled), batch.errors


def _work_out(conversions: Sequence[ConversionRow], decided: Collection[str], now: datetime) -> Batch:
    """Gather the journeys, attribute, award: what each conversion comes to. Only duplicates are written, once each."""
    batch = Batch()
    ids = [row.id for row in conversions]
    lines, amendments = lines_of(ids), amendments_of(ids)
    settings = load_settings({row.campaign_id for row in conversions})
    campaigns = {pk: facts.campaign for pk, facts in settings.items()}
    repeated = duplicates_among(conversions, campaigns, rejected=rejected_among, now=now)
    before = remembering_receipts([row.id for row in conversions if row.id in decided])
    told = [
        Told(
            row,
            lines.get(row.id, ()),
            journey,
            settings[row.campaign_id],
            amendments.get(row.id),
            row.id in repeated,
            before.get(row.id),
        )
        for row, journey in zip(conversions, _journeys(conversions, decided), strict=True)
    ]
    for row, outcome in zip(conversions, work_out(told), strict=True):
        if isinstance(outcome, Exception):
            logger.error("conversion %s cannot be settled", row.id, exc_info=outcome)
            batch.errors[row.id] = f"{getattr(outcome, 'code', type(outcome).__name__)}: {outcome}"
        else:
            batch.settled.append(outcome)
    return batch


def _journeys(conversions: Sequence[ConversionRow], decided: Collection[str]) -> list[list[Candidate]]:
    """Gather the journeys; those of erased customers keep the touches of their receipt, to which no key leads now."""
    journeys = gather_candidates(conversions)
    # Asked after the gathering: where that no longer found the keys, the marks that went with them are seen here.
    kept = kept_journeys([row.id for row in conversions if row.id in decided])
    if kept:
        touches = receipt_touches(sorted(kept))
        for place, row in enumerate(conversions):
            if row.id in touches:
                own = candidates_by_id(row.advertiser_id, touches[row.id])
                journeys[place] = list((own | {touch.id: touch for touch in journeys[place]}).values())
    return journeys


def _write(settled: Sequence[Settled], decided: Mapping[str, str], now: datetime) -> None:
    """Replace the results of pending conversions as a whole, and keep what stood; one that is there stays as it is."""
    # A receipt never comes without its decision: most conversions have neither yet.
    present = receipt_hashes([row.conversion_id for row in settled if row.conversion_id in decided])
    changed = [row for row in settled if present.get(row.conversion_id) != row.standing]
    stale = [row.conversion_id for row in changed if row.conversion_id in present]
    if stale:
        supersede_results(stale, now=now)
        forget_shares(stale)
    ids = iter(write_shares([share for row in changed for share in row.shares]))
    share_ids = [share_id for row in changed for share_id in list(islice(ids, len(row.shares)))[: len(row.commissions)]]
    write_commissions([commission for row in changed for commission in row.commissions], share_ids)
    write_receipts([row.receipt for row in changed], settled_at=now)
    open_decisions([row.decision for row in settled if row.conversion_id not in decided])
    hold_by_rule(
        {row.conversion_id: row.decision.campaign_id for row in settled},
        held={id_ for id_, state in decided.items() if state == DecisionState.ON_HOLD},
        of_unknown_goals={row.conversion_id for row in settled if row.pays_unknown_goal},
        now=now,
    )


def _note_failures(errors: Mapping[str, str], now: datetime) -> None:
    """Count a try against each row that failed by itself, and park it after the last."""
    for id_, error in errors.items():
        rows = Unsettled.objects.filter(pk=UUID(id_))
        rows.update(attempts=F("attempts") + 1, last_error=error[:2000])
        rows.filter(attempts__gte=PARKED_AFTER).update(parked_at=now)
