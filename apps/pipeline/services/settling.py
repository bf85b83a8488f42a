"""Settle: gather the journeys, attribute, award."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from itertools import islice
from typing import NamedTuple
from uuid import UUID

from django.db import DataError, IntegrityError, transaction
from django.db.models import F

from apps.attribution.rules import Sale
from apps.attribution.writing import ShareRow, forget_shares, write_shares
from apps.commissions.models import DecisionState
from apps.commissions.rules import Plan, Rating
from apps.commissions.rules.deadlines import LATE, deadlines
from apps.commissions.writing import (
    CommissionRow,
    DecisionRow,
    ReceiptRow,
    forget_results,
    lock_decisions,
    open_decisions,
    receipt_hashes,
    write_commissions,
    write_receipts,
)
from apps.core.collecting import seldom_collecting
from apps.core.periods import day_of
from apps.journeys.selectors import Candidate, gather_candidates
from apps.pipeline.orders import order_of
from apps.pipeline.rules import Case, Decided, compact, decide, seal
from apps.pipeline.selectors import CampaignSettings, load_settings
from apps.pipeline.services.correcting import correct_conversions
from apps.tracking.facts import (
    ConversionRow,
    LineRow,
    amended,
    amendments_of,
    claim_conversions,
    lines_of,
    take_off_work_list,
)
from apps.tracking.models import Unsettled
from apps.tracking.waking import note_awaited_clicks

BATCH = 1_000
PARKED_AFTER = 8
HISTORY = "history"  # the source of an imported past, which lives by its own days
FINAL = {DecisionState.APPROVED.value, DecisionState.REJECTED.value}
body_text = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SettleResult:
    """How many conversions were settled (their results written or found equal), and how many failed."""

    settled: int = 0
    failed: int = 0

    def __add__(self, other: SettleResult) -> SettleResult:
        return SettleResult(self.settled + other.settled, self.failed + other.failed)


class Settled(NamedTuple):
    """All that is to be written for one conversion; a commission stands at the place of its share."""

    conversion_id: str
    shares: list[ShareRow]
    commissions: list[CommissionRow]
    receipt: ReceiptRow
    decision: DecisionRow


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
    return total


def _settle_or_split(ids: list[str], now: datetime) -> SettleResult:
    """Settle a batch in one transaction; what the database refuses is found by halving."""
    try:
        settled, errors = _settle_batch(ids, now)
    except (DataError, IntegrityError) as error:
        if len(ids) == 1:
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
    states = lock_decisions([row.id for row in claimed])
    batch = _work_out([row for row in claimed if states.get(row.id) not in FINAL])
    _write(batch.settled, states, now)
    batch.errors |= correct_conversions([row for row in claimed if row.id not in batch.errors], now)
    note_awaited_clicks([row.id for row in claimed if row.click_ids])
    take_off_work_list([row.id for row in claimed if row.id not in batch.errors])
    return len(batch.settled), batch.errors


def _work_out(conversions: Sequence[ConversionRow]) -> Batch:
    """Gather the journeys, attribute, award: what each conversion comes to. Nothing is written."""
    batch = Batch()
    ids = [row.id for row in conversions]
    lines, amendments = lines_of(ids), amendments_of(ids)
    settings = load_settings({row.campaign_id for row in conversions})
    journeys = gather_candidates(conversions)
    for row, journey in zip(conversions, journeys, strict=True):
        try:
            facts = settings[row.campaign_id]
            sold: Sequence[LineRow] = lines.get(row.id, ())
            sequence, content = amendments.get(row.id, (0, {}))
            told, sold = amended(row, sold, content) if sequence else (row, sold)
            batch.settled.append(settle_one(told, sold, journey, facts, amendment=sequence))
        except Exception as error:
            logger.exception("conversion %s cannot be settled", row.id)
            batch.errors[row.id] = f"{getattr(error, 'code', type(error).__name__)}: {error}"
    return batch


def settle_one(
    conversion: ConversionRow,
    lines: Sequence[LineRow],
    candidates: Sequence[Candidate],
    settings: CampaignSettings,
    *,
    amendment: int = 0,
) -> Settled:
    """Return what one conversion comes to, by the versions that hold at its time.

    `amendment` is the sequence of the amendment that `conversion` and `lines` follow, 0 for none.
    Raises NoPolicy, NoPlanYet, ForeignAmounts.
    """
    version, policy = settings.policy_at(conversion.occurred_at)
    plans = settings.plans_at(conversion.occurred_at)
    plans.refuse_amounts_of_others(conversion.currency)
    order = order_of(conversion, lines, settings.zone)
    case = Case(
        sale=Sale(conversion.occurred_at, tuple(conversion.coupons)),
        touches=[settings.touch_of(candidate) for candidate in candidates],
        policy=policy,
        grants=settings.grants_for(conversion.coupons, conversion.occurred_at),
        order=order,
        plans=plans.by_key,
        currency=conversion.currency,
    )
    decided = decide(case)
    body = seal(compact(decided.attribution, decided.rating, order, version.pk), order, case.plans, case.currency)
    body["plans"] = {key: plans.version_ids[key] for key in {str(award.plan.key) for award in decided.rating.awards}}
    if amendment:
        body["amendment"] = amendment
    return Settled(
        conversion_id=conversion.id,
        shares=share_rows(conversion, decided, version.pk, settings),
        commissions=commission_rows(conversion, decided.rating, plans.version_ids, settings.partner_ids),
        receipt=ReceiptRow(
            conversion.advertiser_id,
            conversion.id,
            version.pk,
            decided.rating.commission,
            conversion.currency,
            body_text(body),
            body["hash"],
        ),
        decision=decision_row(conversion, order.on or day_of(conversion.occurred_at, settings.zone), settings),
    )


def share_rows(
    conversion: ConversionRow, decided: Decided, policy_version_id: int, settings: CampaignSettings
) -> list[ShareRow]:
    """Return a row per winner, in their order, and after them the part that is nobody's, without a partner."""
    attribution, rating = decided
    ids, spaces = settings.partner_ids, settings.ad_space_ids
    advertiser_id, conversion_id, currency = conversion.advertiser_id, conversion.id, conversion.currency
    denominator = attribution.denominator
    found = [
        ShareRow(
            advertiser_id,
            conversion_id,
            ids[str(winner.partner)],
            winner.numerator,
            denominator,
            award.revenue,
            currency,
            policy_version_id,
            winner.touch.id if winner.touch is not None else None,
            spaces.get(str(winner.touch.ad_space)) if winner.touch is not None else None,
        )
        for winner, award in zip(attribution.winners, rating.awards, strict=True)
    ]
    if attribution.unpaid:
        unpaid = (attribution.unpaid, denominator, rating.unpaid_revenue)
        found.append(ShareRow(advertiser_id, conversion_id, None, *unpaid, currency, policy_version_id, None, None))
    return found


def commission_rows(
    conversion: ConversionRow, rating: Rating, version_ids: Mapping[str, int], partner_ids: Mapping[str, int]
) -> list[CommissionRow]:
    """Return what each winner earns, in their order; a test pays nobody."""
    advertiser_id, conversion_id, campaign_id = conversion.advertiser_id, conversion.id, conversion.campaign_id
    payable, reason = (False, "test") if conversion.is_test else (True, "")
    currency, occurred_at = conversion.currency, str(conversion.occurred_at)
    return [
        CommissionRow(
            advertiser_id,
            conversion_id,
            campaign_id,
            partner_ids[str(award.partner)],
            award.commission,
            currency,
            version_ids[str(award.plan.key)],
            rule_names(award.plan, award.outcome.picks),
            payable,
            reason,
            occurred_at,
        )
        for award in rating.awards
    ]


@lru_cache(maxsize=4096)
def rule_names(plan: Plan, picks: tuple[int | None, ...]) -> str:
    """Return the names of the rules that decided the lines, as far as a commission keeps them."""
    return ", ".join(sorted({plan.rules[pick].name for pick in picks if pick is not None}))[:120]


def decision_row(conversion: ConversionRow, occurred_on: date, settings: CampaignSettings) -> DecisionRow:
    terms = settings.campaign.advertiser
    late = conversion.source != HISTORY and conversion.recorded_at - conversion.occurred_at > LATE
    told_on = day_of(conversion.recorded_at, settings.zone) if late else None
    days = deadlines(
        occurred_on, told_on, decide_days=terms.decide_days, lock_days=terms.lock_days, pay_days=terms.pay_days
    )
    return DecisionRow(conversion.advertiser_id, conversion.id, conversion.campaign_id, *days)


def _write(settled: Sequence[Settled], decided: Collection[str], now: datetime) -> None:
    """Replace the results of pending conversions as a whole; a result that is already there stays as it is."""
    present = receipt_hashes([row.conversion_id for row in settled])
    changed = [row for row in settled if present.get(row.conversion_id) != row.receipt.sha256]
    stale = [row.conversion_id for row in changed if row.conversion_id in present]
    if stale:
        forget_results(stale)
        forget_shares(stale)
    ids = iter(write_shares([share for row in changed for share in row.shares]))
    share_ids = [share_id for row in changed for share_id in list(islice(ids, len(row.shares)))[: len(row.commissions)]]
    write_commissions([commission for row in changed for commission in row.commissions], share_ids)
    write_receipts([row.receipt for row in changed], settled_at=now)
    open_decisions([row.decision for row in settled if row.conversion_id not in decided])


def _note_failures(errors: Mapping[str, str], now: datetime) -> None:
    """Count a try against each row that failed by itself, and park it after the last."""
    for id_, error in errors.items():
        rows = Unsettled.objects.filter(pk=UUID(id_))
        rows.update(attempts=F("attempts") + 1, last_error=error[:2000])
        rows.filter(attempts__gte=PARKED_AFTER).update(parked_at=now)
