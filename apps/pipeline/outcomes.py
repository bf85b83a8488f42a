"""What conversions come to: shares, commissions, receipt and open decision, worked out from facts and settings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple

from apps.attribution.rules import Sale, attribute
from apps.attribution.writing import ShareRow
from apps.commissions.orders import order_of
from apps.commissions.rules import Plan, Rating, rate
from apps.commissions.rules.deadlines import LATE, deadlines
from apps.commissions.writing import CommissionRow, DecisionRow, ReceiptRow
from apps.core.periods import day_of
from apps.identity.models import Advertiser
from apps.journeys.selectors import Candidate
from apps.pipeline.rules import Decided, compact, seal
from apps.pipeline.rules.told import rated_as_before
from apps.pipeline.selectors import CampaignSettings
from apps.tracking.facts import AmendmentRow, ConversionRow, LineRow, amended

# So many at a time go through each stage: enough that a stage's code stays at hand, few enough that their rows do.
STRETCH = 50
HISTORY = "history"  # the source of an imported past, which lives by its own days
body_text = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode


class Told(NamedTuple):
    """A conversion with everything that decides it; `amendment` is the one that holds, if any.

    `before` is the compact receipt that is replaced, where it remembers what is asked today as it was then.
    """

    conversion: ConversionRow
    lines: Sequence[LineRow]
    candidates: Sequence[Candidate]
    settings: CampaignSettings
    amendment: AmendmentRow | None = None
    is_duplicate: bool = False
    before: Mapping[str, Any] | None = None


class Settled(NamedTuple):
    """All that is to be written for one conversion; a commission stands at the place of its share.

    `pays_unknown_goal` tells that somebody would earn by rules that were not made for the conversion's goal.
    """

    conversion_id: str
    shares: list[ShareRow]
    commissions: list[CommissionRow]
    receipt: ReceiptRow
    decision: DecisionRow
    pays_unknown_goal: bool

    @property
    def standing(self) -> tuple[str, bool]:
        """Return what tells one result from another: the receipt's hash, and whether it is unpaid as a duplicate's."""
        return self.receipt.sha256, any(row.payable_reason == "duplicate" for row in self.commissions)


def work_out(told: Sequence[Told]) -> Iterator[Settled | Exception]:
    """Yield in their order what conversions come to, or why one comes to nothing: NoPolicy, NoPlanYet, ForeignAmounts.

    A stretch of conversions goes through one stage after the other, which takes a quarter less time than each
    conversion through all stages; where one fails, those beside it are worked out one by one.
    """
    for start in range(0, len(told), STRETCH):
        stretch = told[start : start + STRETCH]
        try:
            yield from work_out_stretch(stretch)
        except Exception:
            for one in stretch:
                try:
                    yield from work_out_stretch([one])
                except Exception as error:
                    yield error


def work_out_stretch(told: Sequence[Told]) -> list[Settled]:
    """Return what conversions come to, as they were last amended, by the versions that hold at their times."""
    told = [as_amended(one) if one.amendment else one for one in told]
    rows = [one.conversion for one in told]
    policies = [one.settings.policy_at(one.conversion.occurred_at) for one in told]
    plans = [one.settings.plans_at(one.conversion.occurred_at) for one in told]
    for row, held in zip(rows, plans, strict=True):
        held.refuse_amounts_of_others(row.currency)
    orders = [order_of(one.conversion, one.lines, one.settings.zone) for one in told]
    journeys = [[one.settings.touch_of(candidate) for candidate in one.candidates] for one in told]
    grants = [one.settings.grants_for(one.conversion.coupons, one.conversion.occurred_at) for one in told]
    attributions = [
        attribute(Sale(row.occurred_at, tuple(row.coupons)), touches, policy, granted)
        for row, touches, (_, policy), granted in zip(rows, journeys, policies, grants, strict=True)
    ]
    attributions = [
        attribution if one.before is None else rated_as_before(one.before, attribution)
        for one, attribution in zip(told, attributions, strict=True)
    ]
    ratings = [
        rate(order, attribution, held.by_key)
        for order, attribution, held in zip(orders, attributions, plans, strict=True)
    ]
    bodies = [
        compact(attribution, rating, order, version.pk, by_group=held.by_group)
        for attribution, rating, order, (version, _), held in zip(
            attributions, ratings, orders, policies, plans, strict=True
        )
    ]
    sealed = [
        seal(body, order, held.by_key, row.currency)
        for body, order, held, row in zip(bodies, orders, plans, rows, strict=True)
    ]
    for body, one, held in zip(sealed, told, plans, strict=True):
        body["plans"] = {key: held.version_ids[key] for key in {winner[4] for winner in body["winners"]}}
        if one.amendment:
            body["amendment"] = one.amendment.sequence
            if one.amendment.turn:
                body["turn"] = one.amendment.turn
    texts = [body_text(body) for body in sealed]
    decided = [Decided(*both) for both in zip(attributions, ratings, strict=True)]
    shares = [
        share_rows(one.conversion, result, version.pk, one.settings)
        for one, result, (version, _) in zip(told, decided, policies, strict=True)
    ]
    commissions = [
        commission_rows(one.conversion, rating, held.version_ids, one.settings.partner_ids, one.is_duplicate)
        for one, rating, held in zip(told, ratings, plans, strict=True)
    ]
    receipts = [
        ReceiptRow(row.advertiser_id, row.id, version.pk, rating.commission, row.currency, text, body["hash"])
        for row, (version, _), rating, text, body in zip(rows, policies, ratings, texts, sealed, strict=True)
    ]
    decisions = [
        decision_row(
            one.conversion,
            order.on or day_of(one.conversion.occurred_at, one.settings.zone),
            one.settings.campaign.advertiser,
        )
        for one, order in zip(told, orders, strict=True)
    ]
    unknown = [
        not held.knows(row.goal) and any(earned.payable and earned.amount_minor for earned in found)
        for row, held, found in zip(rows, plans, commissions, strict=True)
    ]
    ids = [row.id for row in rows]
    return [*map(Settled, ids, shares, commissions, receipts, decisions, unknown)]


def as_amended(told: Told) -> Told:
    if told.amendment is None:
        return told
    conversion, lines = amended(told.conversion, told.lines, told.amendment.content)
    return told._replace(conversion=conversion, lines=lines)


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
    conversion: ConversionRow,
    rating: Rating,
    version_ids: Mapping[str, int],
    partner_ids: Mapping[str, int],
    is_duplicate: bool = False,
) -> list[CommissionRow]:
    """Return what each winner earns, in their order; a test and a duplicate pay nobody."""
    advertiser_id, conversion_id, campaign_id = conversion.advertiser_id, conversion.id, conversion.campaign_id
    reason = "test" if conversion.is_test else "duplicate" if is_duplicate else ""
    payable = not reason
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


def decision_row(conversion: ConversionRow, occurred_on: date, terms: Advertiser) -> DecisionRow:
    """Return the open decision of a conversion, with the days that the advertiser's terms give it."""
    late = conversion.source != HISTORY and conversion.recorded_at - conversion.occurred_at > LATE
    told_on = day_of(conversion.recorded_at, terms.zone) if late else None
    days = deadlines(
        occurred_on, told_on, decide_days=terms.decide_days, lock_days=terms.lock_days, pay_days=terms.pay_days
    )
    return DecisionRow(conversion.advertiser_id, conversion.id, conversion.campaign_id, *days)
