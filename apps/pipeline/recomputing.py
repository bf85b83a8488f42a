"""Work results out again from the facts, as a proof: what is stored must be what the rules say.

Only what the facts and the versions decide is compared. Groups and categories of ad spaces and the owners of codes are
kept as they are today, not by version: where a policy or the order asks for them, shares are not asked again. What
plans ask of them stands in the receipt, and older receipts that do not say it are passed by.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from uuid import UUID

from django.db import transaction
from django.db.models import Max

from apps.attribution.rules import Policy
from apps.attribution.rules.policy import Condition
from apps.commissions.models import Commission, Decision, DecisionState, Receipt
from apps.commissions.orders import order_of
from apps.commissions.rules import Plan, rate
from apps.core.errors import Refusal
from apps.core.reading import DATABASE_AWAY
from apps.journeys.selectors import gather_candidates
from apps.pipeline.parsing import parsed_policy
from apps.pipeline.receipts import rendered
from apps.pipeline.rules.told import as_remembered, with_plans
from apps.pipeline.selectors import CampaignSettings, load_settings
from apps.pipeline.services.correcting import change_of, target_amounts
from apps.pipeline.stored import JourneyGone, Stored, attribute_again, read_stored, stored_plans, stored_sale
from apps.tracking.facts import amendments_of, refunds_of
from apps.tracking.forgetting import kept_journeys
from apps.tracking.models import AwaitedClick, AwaitedSale, Stirred, Unsettled

BATCH = 500
OPEN = (DecisionState.PENDING, DecisionState.ON_HOLD)


def unlike_the_facts(ids: Collection[UUID]) -> Iterator[tuple[Receipt, str]]:
    """Yield the receipts of conversions that are not what the facts give, and why.

    Asked are the bytes of the receipt, its shares and cents, what corrections left of them, and, where nothing is
    decided yet, whether every touch that is there now was heard. Conversions with work waiting are passed by.
    A batch takes the same number of queries however many it holds.
    """
    places = sorted(ids)
    for start in range(0, len(places), BATCH):
        yield from _unlike_among(places[start : start + BATCH])


def _unlike_among(ids: Sequence[UUID]) -> Iterator[tuple[Receipt, str]]:
    receipts = list(_receipts(ids))
    before = _last_commissions(ids)
    found = _found(receipts)
    # Asked last: whatever came in between has left its mark by now, or has been settled into other rows.
    wrong = [receipt for receipt in receipts if found[receipt.pk]]
    waiting = _waiting(wrong)
    hashes = {receipt.pk: receipt.sha256 for receipt in _receipts([receipt.pk for receipt in wrong])}
    after = _last_commissions([receipt.pk for receipt in wrong])
    for receipt in wrong:
        same = hashes.get(receipt.pk) == receipt.sha256 and before.get(receipt.pk) == after.get(receipt.pk)
        if same and receipt.pk not in waiting:
            yield receipt, found[receipt.pk]


def _found(receipts: Sequence[Receipt]) -> dict[UUID, str]:
    """Return by conversion why it is not what the facts give; whatever cannot even be read is found by halving."""
    try:
        with transaction.atomic():
            stored = read_stored(receipts)
            settings = load_settings({row.campaign_id for row in stored.rows.values()})
            found = {receipt.pk: _unlike(receipt, settings, stored) for receipt in receipts}
            for id_, why in [*_uncorrected(receipts, settings, stored), *_unheard(receipts, stored)]:
                found[id_] = found[id_] or why
            return found
    except DATABASE_AWAY:
        raise
    except Exception as error:
        if len(receipts) == 1:
            return {receipts[0].pk: f"cannot be worked out again: {type(error).__name__}: {error}"}
        middle = len(receipts) // 2
        return _found(receipts[:middle]) | _found(receipts[middle:])


def _receipts(ids: Collection[UUID]) -> Sequence[Receipt]:
    return Receipt.objects.select_related("conversion__advertiser", "policy_version").filter(pk__in=ids).order_by("pk")


def _last_commissions(ids: Collection[UUID]) -> dict[UUID, int]:
    """Return the newest commission of each conversion; whatever is settled or corrected writes a newer one."""
    rows = Commission.objects.filter(conversion__in=ids).order_by().values_list("conversion_id")
    return dict(rows.annotate(newest=Max("pk")))


def _unlike(receipt: Receipt, settings: Mapping[int, CampaignSettings], stored: Stored) -> str:
    try:
        if not rendered(receipt, stored)[1]:
            return "rendered again it has another hash"
    except Exception as error:
        return f"cannot be rendered: {error}"
    try:
        again = _worked_out(receipt, settings[stored.rows[str(receipt.pk)].campaign_id], stored)
    except Exception as error:
        return f"cannot be worked out again: {type(error).__name__}: {error}"
    kept = [winner[:4] for winner in receipt.body["winners"]]
    return "" if again in (None, kept) else f"worked out again it gives {again}, stored is {kept}"


def _worked_out(receipt: Receipt, settings: CampaignSettings, stored: Stored) -> list[list[object]] | None:
    """Return partner, numerator, cents and revenue of each winner; None where the facts of that day are not kept."""
    sale, lines = stored_sale(receipt, stored)
    plans = stored_plans(receipt, stored)
    if sale.coupons or _policy_asks(parsed_policy(receipt.policy_version)) or not _remembers(receipt, plans):
        return None
    try:
        attribution = as_remembered(receipt.body, attribute_again(receipt, settings, stored))
    except JourneyGone:
        return None
    if "asked" not in receipt.body and any(key.startswith("group:") for key in plans):
        attribution = with_plans(receipt.body, attribution)
    rating = rate(order_of(sale, lines, settings.zone), attribution, plans)
    return [
        [winner.partner, winner.numerator, award.commission, award.revenue]
        for winner, award in zip(attribution.winners, rating.awards, strict=True)
    ]


def _policy_asks(policy: Policy) -> bool:
    """Tell whether shares hang on a partner's group or an ad space's category, of which no version is kept."""
    return bool(policy.category_levels) or any(_asks(adjustment.when) for adjustment in policy.adjustments)


def _remembers(receipt: Receipt, plans: Mapping[str, Plan]) -> bool:
    """Tell whether what the plans ask of groups and categories stands in the receipt, as in all newer ones."""
    return "asked" in receipt.body or not any(plan.asks_standing for plan in plans.values())


def _asks(condition: Condition) -> bool:
    inner = condition.journey_contains
    return bool(condition.partner_group or condition.ad_space_category) or (inner is not None and _asks(inner))


def _uncorrected(
    receipts: Sequence[Receipt], settings: Mapping[int, CampaignSettings], stored: Stored
) -> Iterator[tuple[UUID, str]]:
    """Yield the conversions whose refunds and amendments leave other amounts than are booked."""
    ids = list(stored.rows)
    refunds, amendments = refunds_of(ids), amendments_of(ids)
    changed = [receipt for receipt in receipts if str(receipt.pk) in refunds.keys() | amendments.keys()]
    booked: dict[UUID, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for commission in Commission.objects.filter(conversion__in=[receipt.pk for receipt in changed]).select_related(
        "partner"
    ):
        booked[commission.conversion_id][commission.partner.slug] += commission.amount_minor
    rejected = set(Decision.objects.filter(pk__in=ids, state=DecisionState.REJECTED).values_list("pk", flat=True))
    for receipt in changed:
        row = stored.rows[str(receipt.pk)]
        if not _remembers(receipt, stored_plans(receipt, stored)):
            continue
        change = change_of(row, receipt, refunds.get(row.id, ()), amendments.get(row.id))
        try:
            targets = target_amounts(change, receipt, settings[row.campaign_id], stored)
        except Refusal:  # it waits on the work list with this, for whoever can help it
            continue
        except DATABASE_AWAY:
            raise
        except Exception as error:
            yield receipt.pk, f"its corrections cannot be worked out again: {type(error).__name__}: {error}"
            continue
        if receipt.pk not in rejected and targets != booked[receipt.pk]:
            yield receipt.pk, f"corrected it comes to {targets}, booked is {dict(booked[receipt.pk])}"


def _unheard(receipts: Sequence[Receipt], stored: Stored) -> Iterator[tuple[UUID, str]]:
    """Yield the undecided conversions before which there are touches that their receipt does not know."""
    undecided = set(Decision.objects.filter(pk__in=list(stored.rows), state__in=OPEN).values_list("pk", flat=True))
    asked = [receipt for receipt in receipts if receipt.pk in undecided]
    erased = kept_journeys([str(receipt.pk) for receipt in asked])
    asked = [receipt for receipt in asked if str(receipt.pk) not in erased]
    journeys = gather_candidates([stored.rows[str(receipt.pk)] for receipt in asked])
    for receipt, journey in zip(asked, journeys, strict=True):
        unheard = {touch.id for touch in journey} - {touch[0] for touch in receipt.body["touches"]}
        if unheard:
            yield receipt.pk, f"{len(unheard)} touches before it were not heard: {', '.join(sorted(unheard)[:3])}"


def _waiting(receipts: Sequence[Receipt]) -> set[UUID]:
    """Return which conversions have work waiting, or an advertiser whose marks the sweep has not followed yet."""
    ids = [receipt.pk for receipt in receipts]
    stirred = set(Stirred.objects.values_list("advertiser_id", flat=True))
    found = {receipt.pk for receipt in receipts if receipt.advertiser_id in stirred}
    found |= set(AwaitedClick.objects.filter(conversion__in=ids).values_list("conversion_id", flat=True))
    told = AwaitedSale.objects.values_list("refund__advertiser_id", "refund__goal", "refund__order_ref")
    awaited = set(told.filter(refund__order_ref__in=[receipt.conversion.order_ref for receipt in receipts]))
    found |= {
        receipt.pk
        for receipt in receipts
        if (receipt.advertiser_id, receipt.conversion.goal, receipt.conversion.order_ref) in awaited
    }
    return found | set(Unsettled.objects.filter(conversion__in=ids).values_list("conversion_id", flat=True))
