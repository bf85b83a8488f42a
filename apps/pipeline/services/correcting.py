"""Correct by adding: what refunds and amendments change stands as signed rows beside the original."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from apps.attribution.rules import Attribution
from apps.commissions.models import Commission, CommissionKind, Decision, DecisionState, Receipt
from apps.commissions.orders import order_of, refund_facts
from apps.commissions.rules import Plan, rate
from apps.core.errors import Refusal
from apps.core.periods import day_of
from apps.core.reading import DATABASE_AWAY
from apps.ledger.services import commission_entry, post_entries
from apps.pipeline.rules.reductions import LINES, amounts_after
from apps.pipeline.selectors import CampaignSettings, load_settings
from apps.pipeline.stored import Stored, place_of, read_stored, stored_plans, stored_sale, told_attribution
from apps.tracking.facts import (
    AmendmentRow,
    ConversionRow,
    RefundRow,
    amended,
    amendments_of,
    refunds_of,
)

AMENDED = "amended"
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Change:
    """What changes a conversion after it was settled: its refunds, and an amendment newer than its receipt."""

    row: ConversionRow
    refunds: Sequence[RefundRow]
    amendment: AmendmentRow | None

    @property
    def reason(self) -> str:
        """Return the reason of what came in last: the amendment's, or a refund's own."""
        last = max(self.refunds, key=lambda row: (row.recorded_at, row.occurred_at, row.refund_ref), default=None)
        if last is None or (self.amendment is not None and self.amendment.recorded_at > last.recorded_at):
            return AMENDED
        return last.reason


def correct_conversions(rows: Sequence[ConversionRow], now: datetime) -> dict[str, str]:
    """Add what refunds and amendments take or give; return the errors of those that could not be corrected, by id.

    The target of each partner is a function of the set of facts, so that asking again adds nothing. Rejected
    conversions owe nothing and are left alone; of approved ones the difference is posted, due on the lock day or today.
    The caller holds the conversions' work-list rows and decisions.
    """
    ids = [row.id for row in rows]
    refunds, amendments = refunds_of(ids), amendments_of(ids)
    touched = [row for row in rows if row.id in refunds or row.id in amendments]
    if not touched:
        return {}
    receipts = {
        str(receipt.pk): receipt
        for receipt in Receipt.objects.filter(pk__in=[row.id for row in touched]).select_related("policy_version")
    }
    decisions = {str(row.pk): row for row in Decision.objects.filter(pk__in=list(receipts))}
    settings = load_settings({row.campaign_id for row in touched})
    stored = read_stored(list(receipts.values()))
    errors: dict[str, str] = {}
    for row in touched:
        receipt = receipts.get(row.id)
        if receipt is None or decisions[row.id].state == DecisionState.REJECTED:
            continue
        change = change_of(row, receipt, refunds.get(row.id, ()), amendments.get(row.id))
        try:
            _correct(change, receipt, decisions[row.id], settings[row.campaign_id], stored, now)
        except Refusal as refusal:
            errors[row.id] = f"{refusal.code}: {refusal.message}"
        except DATABASE_AWAY:
            raise
        except Exception as error:
            logger.exception("conversion %s cannot be corrected", row.id)
            errors[row.id] = f"{type(error).__name__}: {error}"
    return errors


def change_of(
    row: ConversionRow, receipt: Receipt, refunds: Sequence[RefundRow], newest: AmendmentRow | None
) -> Change:
    """Return what changes a conversion after its receipt, which may have been made by the newest amendment already."""
    is_newer = newest is not None and newest.place > place_of(receipt)
    return Change(row, refunds, newest if is_newer else None)


@transaction.atomic
def _correct(
    change: Change, receipt: Receipt, decision: Decision, settings: CampaignSettings, stored: Stored, now: datetime
) -> None:
    targets = target_amounts(change, receipt, settings, stored)
    booked: dict[str, int] = defaultdict(int)
    originals: dict[str, Commission] = {}
    for commission in Commission.objects.filter(conversion_id=change.row.id).select_related("partner").order_by("pk"):
        booked[commission.partner.slug] += commission.amount_minor
        if commission.kind == CommissionKind.SALE:
            originals[commission.partner.slug] = commission
    rows = Commission.objects.bulk_create(
        Commission(
            advertiser_id=original.advertiser_id,
            conversion_id=original.conversion_id,
            campaign_id=original.campaign_id,
            partner_id=original.partner_id,
            kind=CommissionKind.CORRECTION,
            amount_minor=targets[slug] - booked[slug],
            currency=original.currency,
            plan_version_id=original.plan_version_id,
            rule_name=original.rule_name,
            payable=original.payable,
            payable_reason=original.payable_reason,
            corrects=original,
            occurred_at=original.occurred_at,
            reason=change.reason,
            recorded_at=now,
        )
        for slug, original in originals.items()
        if targets[slug] != booked[slug]
    )
    if decision.state == DecisionState.APPROVED:
        due_on = max(decision.locks_on, day_of(now, settings.zone))
        post_entries(
            advertiser=settings.campaign.advertiser,
            entries=[
                commission_entry(
                    partner_id=row.partner_id,
                    amount_minor=row.amount_minor,
                    currency=row.currency,
                    reference=f"commission:{row.pk}",
                    due_on=due_on,
                )
                for row in rows
                if row.payable
            ],
            now=now,
        )


def target_amounts(change: Change, receipt: Receipt, settings: CampaignSettings, stored: Stored) -> dict[str, int]:
    """Return what each winner is to have in all, in cents, from the receipt and what came after it.

    Raises JourneyGone where lines must be rated again by a touch that is no longer kept.
    """
    winners = receipt.body["winners"]
    amounts = [winner[2] for winner in winners]
    row, lines = stored_sale(receipt, stored)
    if change.amendment is not None:
        row, lines = amended(change.row, stored.lines.get(change.row.id, ()), change.amendment.content)
    order = order_of(row, lines, settings.zone)
    facts = refund_facts(change.refunds, row, lines)
    attribution: Attribution | None = None
    plans: dict[str, Plan] | None = None
    if change.amendment is not None or any(fact.kind == LINES for fact in facts):
        plans = stored_plans(receipt, stored)
        attribution = told_attribution(receipt, settings, plans, stored)
    if change.amendment is not None and attribution is not None and plans is not None:
        amounts = [award.commission for award in rate(order, attribution, plans).awards]
    ranks = [w.rank for w in attribution.winners] if attribution else ranks_of(len(winners))
    left = amounts_after(amounts, ranks, order, facts, attribution=attribution, plans=plans)
    return {winner[0]: cents for winner, cents in zip(winners, left, strict=True)}


def ranks_of(count: int) -> list[int]:
    """Return ranks where the journey is not asked: the last winner counts as nearest to the conversion."""
    return list(range(count - 1, -1, -1))
