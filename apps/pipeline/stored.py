"""What a receipt was made from: the order, the touches and the versions as they were that day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from apps.attribution.rules import Attribution, Sale, Touch, attribute
from apps.commissions.models import PlanVersion, Receipt
from apps.commissions.orders import order_of
from apps.commissions.rules import Order, Plan
from apps.core.errors import Conflict
from apps.journeys.selectors import Candidate, candidates_of
from apps.pipeline.parsing import parsed_plan, parsed_policy
from apps.pipeline.rules.told import attribution_told
from apps.pipeline.selectors import CampaignSettings
from apps.tracking.facts import (
    AmendmentRow,
    ConversionRow,
    LineRow,
    amended,
    amendments_at,
    conversions_by_id,
    lines_of,
)

# Reasons that the rules find themselves; any other was found by the caller, from facts of that day.
OF_THE_RULES = frozenset(
    "after_conversion outside_window after_freeze soft_click unpaid_channel adjustment goal too_many repeat".split()
)


class JourneyGone(Conflict):
    code = "journey_gone"
    message = "Touches of the journey are no longer kept, so that its lines cannot be rated again."


def place_of(receipt: Receipt) -> tuple[int, int]:
    """Return the place of the amendment a receipt was made by: the shop's number and the house's turn behind it."""
    return receipt.body.get("amendment", 0), receipt.body.get("turn", 0)


@dataclass(frozen=True, slots=True)
class Stored:
    """What is stored of the receipts of a batch: conversions, lines, amendments, plan versions and touches.

    `amendments` are those that receipts were made by; touches are by advertiser and id.
    """

    rows: Mapping[str, ConversionRow]
    lines: Mapping[str, Sequence[LineRow]]
    amendments: Mapping[str, AmendmentRow]
    versions: Mapping[int, PlanVersion]
    touches: Mapping[tuple[int, str], Candidate]


def read_stored(receipts: Sequence[Receipt]) -> Stored:
    """Read what receipts were made from; six queries at most, however many they are."""
    ids = [str(receipt.pk) for receipt in receipts]
    places = {str(receipt.pk): place_of(receipt) for receipt in receipts if "amendment" in receipt.body}
    named: dict[int, set[str]] = defaultdict(set)
    for receipt in receipts:
        named[receipt.advertiser_id].update(touch[0] for touch in receipt.body["touches"])
    plans = {pk for receipt in receipts for pk in receipt.body["plans"].values()}
    return Stored(
        rows={row.id: row for row in conversions_by_id(ids)},
        lines=lines_of(ids),
        amendments=amendments_at(places),
        versions=PlanVersion.objects.prefetch_related("rules").in_bulk(plans),
        touches=candidates_of(named),
    )


def stored_sale(receipt: Receipt, stored: Stored) -> tuple[ConversionRow, Sequence[LineRow]]:
    """Return a conversion and its lines as the receipt knows them: as first told, or as the amendment of that day."""
    id_ = str(receipt.pk)
    row, lines = stored.rows[id_], stored.lines.get(id_, ())
    return amended(row, lines, stored.amendments[id_].content) if "amendment" in receipt.body else (row, lines)


def stored_order(receipt: Receipt, zone: ZoneInfo, stored: Stored) -> Order:
    """Return the order as the receipt knows it."""
    return order_of(*stored_sale(receipt, stored), zone)


def stored_plans(receipt: Receipt, stored: Stored) -> dict[str, Plan]:
    """Return the plan versions the receipt names, by their key."""
    return {key: parsed_plan(stored.versions[pk], key) for key, pk in receipt.body["plans"].items()}


def stored_touches(receipt: Receipt, settings: CampaignSettings, stored: Stored) -> list[Touch]:
    """Return the touches the receipt tells of, with the reasons that were not the rules' own. Raises JourneyGone."""
    kept = _kept_touches(receipt, settings, stored)
    if len(kept) < len(receipt.body["touches"]):
        raise JourneyGone
    return list(kept.values())


def _kept_touches(receipt: Receipt, settings: CampaignSettings, stored: Stored) -> dict[str, Touch]:
    """Return those of the receipt's touches that are still there, by id."""
    told = {touch[0]: touch[1] if len(touch) > 1 else None for touch in receipt.body["touches"]}
    found = {id_: stored.touches.get((receipt.advertiser_id, id_)) for id_ in told}
    return {
        id_: settings.touch_of(touch)._replace(refusal=None if told[id_] in OF_THE_RULES else told[id_])
        for id_, touch in found.items()
        if touch is not None
    }


def attribute_again(receipt: Receipt, settings: CampaignSettings, stored: Stored) -> Attribution:
    """Return what the same touches give under the same version of the policy. Raises JourneyGone."""
    sale, _ = stored_sale(receipt, stored)
    grants = settings.grants_for(sale.coupons, sale.occurred_at)
    touches = stored_touches(receipt, settings, stored)
    return attribute(
        Sale(sale.occurred_at, tuple(sale.coupons)), touches, parsed_policy(receipt.policy_version), grants
    )


def told_attribution(
    receipt: Receipt, settings: CampaignSettings, plans: Mapping[str, Plan], stored: Stored
) -> Attribution:
    """Return the attribution the receipt tells of, as far as rating asks; whose a code is today changes nothing.

    Raises JourneyGone where a plan asks something of touches that are no longer kept, and where only the policy can
    say whom it asked, since an older receipt does not, and no longer says what it said.
    """
    budget_neutral = parsed_policy(receipt.policy_version).budget_neutral
    if not any(plan.asks_winner for plan in plans.values()):
        return attribution_told(receipt.body, _kept_touches(receipt, settings, stored), budget_neutral=budget_neutral)
    if not budget_neutral or "last_click" in receipt.body:
        touches = {touch.id: touch for touch in stored_touches(receipt, settings, stored)}
        return attribution_told(receipt.body, touches, budget_neutral=budget_neutral)
    attribution = attribute_again(receipt, settings, stored)
    again = [(winner.partner, winner.numerator) for winner in attribution.winners]
    if again != [(winner[0], winner[1]) for winner in receipt.body["winners"]]:
        raise JourneyGone("The journey gives other shares today than the receipt says.")
    return attribution
