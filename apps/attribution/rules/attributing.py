"""The whole of attribution, one conversion at a time."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from math import gcd
from types import MappingProxyType

from apps.attribution.rules.adjusting import adjust
from apps.attribution.rules.couponing import CouponGrant, apply_coupons, valid_grants
from apps.attribution.rules.facts import Sale, Touch
from apps.attribution.rules.policy import Policy
from apps.attribution.rules.result import Attribution, Roles, Winner
from apps.attribution.rules.screening import report_roles, screen
from apps.attribution.rules.selecting import drop_repeats, pick_winner
from apps.attribution.rules.weighing import MODELS

NO_GRANTS: Mapping[str, CouponGrant] = MappingProxyType({})
Parts = dict[Hashable, int]


def attribute(
    sale: Sale, touches: Iterable[Touch], policy: Policy, grants: Mapping[str, CouponGrant] = NO_GRANTS
) -> Attribution:
    """Return who a conversion belongs to; the parts and the unpaid part sum to exactly one.

    `grants` holds the campaign's codes by `code_key(code)`. Touches may come in any order. A conversion without
    touches that count has the flag `no_eligible_touches`, also where a code then credits its owner with all.
    """
    journey, reasons = screen(touches, sale.occurred_at, policy)
    live = [place for place, reason in enumerate(reasons) if reason is None]
    roles = report_roles([journey[place] for place in live], policy.single_touch_role)
    flags: set[str] = set()
    parts: Parts = {}
    unpaid = 0
    if live:
        live, weights, skipped = weigh(journey, live, reasons, policy)
        if skipped:
            flags.add("adjustment_skipped")
        parts, unpaid = sum_per_partner(journey, live, weights, policy)
    else:
        flags.add("no_eligible_touches")
    last = {partner: place for place in live if (partner := journey[place].partner) is not None}
    if len(parts) > policy.winner_limit:
        parts, unpaid = limit_winners(parts, unpaid, last, policy.winner_limit)
    valid: list[CouponGrant] = []
    owner_took_all = False
    if sale.coupons:
        valid, leaks = valid_grants(sale, grants)
        flags |= leaks
        parts, unpaid, owner_took_all = apply_coupons(parts, unpaid, last, valid, policy)
    common = gcd(unpaid, *parts.values()) or 1
    denominator = (unpaid + sum(parts.values())) // common or 1
    winners = name_winners({who: part // common for who, part in parts.items() if part}, journey, last, roles, valid)
    return Attribution(
        journey=tuple(journey),
        reasons=tuple(reasons),
        winners=winners,
        unpaid=unpaid // common,
        denominator=denominator,
        roles=roles,
        flags=tuple(sorted(flags)),
        last_click=last_click(journey, live, last, winners, roles, owner_took_all, policy),
    )


def weigh(
    journey: Sequence[Touch], live: list[int], reasons: list[str | None], policy: Policy
) -> tuple[list[int], list[int], bool]:
    """Return the places in play, their weights, and whether an adjustment was skipped.

    The hierarchy comes before the repeats: where the winning touch is dropped as a repeat, the touch that stands for
    it wins in its place, so that a party never loses to another by having come back on a lower level.
    """
    winner = pick_winner(journey, live, policy, policy.model) if policy.single_winner else -1
    if policy.repeats != "ALL" and len(live) > 1:
        live, stands = drop_repeats(journey, live, reasons, policy)
        winner = stands.get(winner, winner)
    model = MODELS[policy.model]
    if model is None:
        weights = [int(place == winner) for place in live]
    else:
        weights = model([journey[place] for place in live], policy)
    if not policy.adjustments:
        return live, weights, False
    return adjust(journey, live, weights, reasons, policy.adjustments)


def sum_per_partner(
    journey: Sequence[Touch], live: Sequence[int], weights: Sequence[int], policy: Policy
) -> tuple[Parts, int]:
    """Return each partner's part (none of zero) in the order they first appear, and the part nobody is paid for."""
    parts: Parts = {}
    unpaid = 0
    for place, weight in zip(live, weights, strict=True):
        partner = journey[place].partner
        if partner is None:
            unpaid += weight
        else:
            parts[partner] = parts.get(partner, 0) + weight
    if 0 in parts.values():
        parts = {partner: part for partner, part in parts.items() if part}
    if unpaid and parts and policy.unpaid == "REDISTRIBUTE":
        unpaid = 0
    return parts, unpaid


def limit_winners(parts: Parts, unpaid: int, last: Mapping[Hashable, int], limit: int) -> tuple[Parts, int]:
    """Leave the largest parts (ties: nearest the conversion) and share the whole paid part among them."""
    largest = sorted(parts, key=lambda partner: (-parts[partner], -last[partner]))[:limit]
    paid, stays = sum(parts.values()), sum(parts[partner] for partner in largest)
    return {partner: part * paid for partner, part in parts.items() if partner in set(largest)}, unpaid * stays


def name_winners(
    parts: Parts, journey: Sequence[Touch], last: Mapping[Hashable, int], roles: Roles, grants: Sequence[CouponGrant]
) -> tuple[Winner, ...]:
    """Return the winners in the order their kept touches first appear, an owner by code alone last."""
    ordered = [partner for partner in last if partner in parts]
    by_code = [partner for partner in parts if partner not in last] if len(ordered) < len(parts) else []
    nearest = by_code + sorted(ordered, key=last.__getitem__, reverse=True)
    ranks = {partner: rank for rank, partner in enumerate(nearest)}
    plans: dict[Hashable, Hashable] = {}
    for grant in grants:
        if grant.plan is not None:
            plans.setdefault(grant.partner, grant.plan)
    return tuple(
        [
            Winner(
                partner,
                parts[partner],
                ranks[partner],
                journey[last[partner]] if partner in last else None,
                roles.of(partner),
                plans.get(partner),
            )
            for partner in ordered + by_code
        ]
    )


def last_click(
    journey: Sequence[Touch],
    live: Sequence[int],
    last: Mapping[Hashable, int],
    winners: Sequence[Winner],
    roles: Roles,
    owner_took_all: bool,
    policy: Policy,
) -> Winner | None:
    """Return who would have won under `LAST_CLICK`, whose plan sets the total of a budget-neutral policy (else None).

    It is the owner where a code took all, else the best partner touch that is kept (own channels have no plan).
    """
    if not policy.budget_neutral:
        return None
    paid = [place for place in live if journey[place].partner is not None]
    if owner_took_all or not paid:
        return winners[0] if winners else None
    touch = journey[pick_winner(journey, paid, policy, "LAST_CLICK")]
    for winner in winners:
        if winner.partner == touch.partner:
            return winner
    return Winner(touch.partner, 0, 0, journey[last[touch.partner]], roles.of(touch.partner))
