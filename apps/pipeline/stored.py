"""What a receipt was made from: the order, the touches and the versions as they were that day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

from apps.attribution.rules import Attribution, Sale, Touch, attribute
from apps.commissions.models import PlanVersion, Receipt
from apps.commissions.orders import order_of
from apps.commissions.rules import Order, Plan
from apps.core.errors import Conflict
from apps.journeys.selectors import candidates_by_id
from apps.pipeline.parsing import parsed_plan, parsed_policy
from apps.pipeline.rules.told import attribution_told
from apps.pipeline.selectors import CampaignSettings
from apps.tracking.facts import ConversionRow, LineRow, amended, amendment_at, lines_of

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


def stored_sale(row: ConversionRow, receipt: Receipt) -> tuple[ConversionRow, Sequence[LineRow]]:
    """Return a conversion and its lines as the receipt knows them: as first told, or as the amendment of that day."""
    lines: Sequence[LineRow] = lines_of([row.id]).get(row.id, ())
    if "amendment" not in receipt.body:
        return row, lines
    return amended(row, lines, amendment_at(row.id, *place_of(receipt)).content)


def stored_order(row: ConversionRow, receipt: Receipt, zone: ZoneInfo) -> Order:
    """Return the order as the receipt knows it."""
    return order_of(*stored_sale(row, receipt), zone)


def stored_plans(receipt: Receipt) -> dict[str, Plan]:
    """Return the plan versions the receipt names, by their key."""
    versions = PlanVersion.objects.prefetch_related("rules").in_bulk(set(receipt.body["plans"].values()))
    return {key: parsed_plan(versions[pk], key) for key, pk in receipt.body["plans"].items()}


def stored_touches(receipt: Receipt, settings: CampaignSettings) -> list[Touch]:
    """Return the touches the receipt tells of, with the reasons that were not the rules' own. Raises JourneyGone."""
    kept = _kept_touches(receipt, settings)
    if len(kept) < len(receipt.body["touches"]):
        raise JourneyGone
    return list(kept.values())


def _kept_touches(receipt: Receipt, settings: CampaignSettings) -> dict[str, Touch]:
    """Return those of the receipt's touches that are still there, by id."""
    told = {touch[0]: touch[1] if len(touch) > 1 else None for touch in receipt.body["touches"]}
    kept = candidates_by_id(receipt.advertiser_id, list(told))
    return {
        id_: settings.touch_of(kept[id_])._replace(refusal=None if reason in OF_THE_RULES else reason)
        for id_, reason in told.items()
        if id_ in kept
    }


def attribute_again(row: ConversionRow, receipt: Receipt, settings: CampaignSettings) -> Attribution:
    """Return what the same touches give under the same version of the policy. Raises JourneyGone."""
    sale, _ = stored_sale(row, receipt)
    grants = settings.grants_for(sale.coupons, sale.occurred_at)
    touches = stored_touches(receipt, settings)
    return attribute(
        Sale(sale.occurred_at, tuple(sale.coupons)), touches, parsed_policy(receipt.policy_version), grants
    )


def told_attribution(
    row: ConversionRow, receipt: Receipt, settings: CampaignSettings, plans: Mapping[str, Plan]
) -> Attribution:
    """Return the attribution the receipt tells of, as far as rating asks; whose a code is today changes nothing.

    Raises JourneyGone where a plan asks something of touches that are no longer kept, and where only the policy can
    say whom it asked, since an older receipt does not, and no longer says what it said.
    """
    budget_neutral = parsed_policy(receipt.policy_version).budget_neutral
    if not any(plan.asks_winner for plan in plans.values()):
        return attribution_told(receipt.body, _kept_touches(receipt, settings), budget_neutral=budget_neutral)
    if not budget_neutral or "last_click" in receipt.body:
        touches = {touch.id: touch for touch in stored_touches(receipt, settings)}
        return attribution_told(receipt.body, touches, budget_neutral=budget_neutral)
    attribution = attribute_again(row, receipt, settings)
    again = [(winner.partner, winner.numerator) for winner in attribution.winners]
    if again != [(winner[0], winner[1]) for winner in receipt.body["winners"]]:
        raise JourneyGone("The journey gives other shares today than the receipt says.")
    return attribution
