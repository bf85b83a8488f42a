"""Why this amount: the compact receipt that is stored, and the long one rendered from it.

The compact receipt names touches, numerators and the rule per line; the order's lines and the plan versions, which
never change, say the rest. `explain` renders through it too, so a stored receipt and a fresh one are the same bytes.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from hashlib import sha256
from typing import Any

from apps.attribution.rules import Attribution, Touch
from apps.commissions.rules import Order, Plan, Rating
from apps.core.money import digits
from apps.pipeline.rules.amounts import fixed_text, fraction, major, plain, rate_text
from apps.pipeline.rules.canonical import canonical_text, encode

VERSION = 1


def compact(
    attribution: Attribution, rating: Rating, order: Order, policy_key: Hashable = None, *, by_group: bool = False
) -> dict[str, Any]:
    """Return what must be stored to render the receipt again, in JSON types if all ids are.

        {"v": 1, "policy": 7, "touches": [["t0", "outside_window"], ["t1"]], "den": 4, "unpaid": [0, 0],
         "winners": [["blog", 3, 338, 6750, "partner:blog", [0, null]]],
         "roles": ["blog", [], "blog", 1, 1], "flags": []}

    A touch has its reason where it was dropped; a winner its numerator, cents of commission and of revenue, plan and
    the place of the rule that decided each line. What plans asked that may be another tomorrow is in `remembered`;
    `by_group` tells that groups of partners have plans of their own.
    """
    roles = attribution.roles
    return {
        "v": VERSION,
        "policy": policy_key,
        "touches": [
            [touch.id] if reason is None else [touch.id, reason]
            for touch, reason in zip(attribution.journey, attribution.reasons, strict=True)
        ],
        "den": attribution.denominator,
        "unpaid": [attribution.unpaid, rating.unpaid_revenue],
        "winners": [
            [w.partner, w.numerator, a.commission, a.revenue, a.plan.key, list(a.outcome.picks)]
            for w, a in zip(attribution.winners, rating.awards, strict=True)
        ],
        "roles": [roles.initiator, list(roles.assists), roles.closer, roles.touches, roles.partners],
        "flags": sorted({*attribution.flags, *order.flags}),
        **remembered(attribution, rating, by_group),
    }


def remembered(attribution: Attribution, rating: Rating, by_group: bool) -> dict[str, Any]:
    """Return what is rated by later, where the facts might say another thing then; nothing for most conversions.

        {"asked": [["gold", "editorial"], null]}    two winners, the second without a touch
        {"asked": [["gold", "editorial"]], "last_click": "voucher"}

    `asked` are group, category and tags of the last kept touch of each winner, where a rule or the choice of the plan
    asks for one of them. Under a budget-neutral policy one partner is asked for all: it alone is remembered, and named
    also where a rule asks for anything else of the winner. A result that is settled again and comes out the same keeps
    what it remembers.
    """
    last_click = attribution.last_click
    asked = attribution.winners if last_click is None else (last_click,)
    found: dict[str, Any] = {}
    if rating.awards and (by_group or any(award.plan.asks_standing for award in rating.awards)):
        found["asked"] = [None if winner.touch is None else standing(winner.touch) for winner in asked]
    if last_click is not None and (found or any(award.plan.asks_winner for award in rating.awards)):
        found["last_click"] = last_click.partner
    return found


def standing(touch: Touch) -> list[Any]:
    return [touch.partner_group, touch.ad_space_category, *sorted(touch.partner_tags)]


def render(stored: Mapping[str, Any], order: Order, plans: Mapping[Hashable, Plan], currency: str) -> dict[str, Any]:
    """Return the long receipt in the public format. `plans` are those it names, by their `key`."""
    places = digits(currency)
    denominator = stored["den"]
    unpaid, unpaid_revenue = stored["unpaid"]
    initiator, assists, closer, touches, partners = stored["roles"]
    shares, rating = [], []
    total = 0
    done: dict[Any, list[dict[str, Any]]] = {}
    for partner, numerator, commission, revenue, plan_key, picks in stored["winners"]:
        total += commission
        shares.append(
            {
                "partner": partner,
                "share": fraction(numerator, denominator),
                "revenue": major(revenue, places),
                "commission": major(commission, places),
            }
        )
        known = (plan_key, *picks)
        rows = done.get(known)
        if rows is None:
            rows = done[known] = rating_rows(plans[plan_key], picks, order, places)
        rating += [{"partner": partner, **row} for row in rows]
    return {
        "touches": [
            {"id": t[0], "kept": True} if len(t) == 1 else {"id": t[0], "kept": False, "reason": t[1]}
            for t in stored["touches"]
        ],
        "shares": shares,
        "unpaid_share": fraction(unpaid, denominator),
        "unpaid_revenue": major(unpaid_revenue, places),
        "commission": major(total, places),
        "revenue": major(order.net, places),
        "currency": currency,
        "roles": {
            "initiator": initiator,
            "assists": list(assists),
            "closer": closer,
            "touches": touches,
            "partners": partners,
        },
        "flags": list(stored["flags"]),
        "rating": rating,
    }


def rating_rows(plan: Plan, picks: list[int | None], order: Order, places: int) -> list[dict[str, Any]]:
    """Return a row per line, and a row ORDER where `per_order`, minimum or maximum add or take something."""
    rates = plan.rates.get(places)
    if rates is None:
        rates = plan.rates[places] = tuple(rate_text(rule, places) for rule in plan.rules)
    names = [rule.name for rule in plan.rules]
    point = plan.places + places
    rows: list[dict[str, Any]] = []
    earned = 0
    for line, pick in zip(order.lines, picks, strict=True):
        row: dict[str, Any] = {"plan": plan.key, "line": line.label}
        if pick is None:
            row |= {"rule": None, "base": major(line.net, places), "rate": None, "exact": "0"}
        else:
            rule = plan.ready[pick]
            base = rule.base(line)
            amount = base * rule.rate + rule.per_line + rule.per_unit * line.quantity
            earned += amount
            row |= {
                "rule": names[pick],
                "base": major(base, places),
                "rate": rates[pick],
                "exact": plain(amount, point),
            }
        if pick != 0 and names:
            row["tried"] = names[:pick]
        rows.append(row)
    beside = (plan.total(earned) if order.lines else 0) - earned
    if beside or plan.per_order:
        rows.append(
            {
                "plan": plan.key,
                "line": "ORDER",
                "rule": None,
                "base": major(order.net, places),
                "rate": f"{fixed_text(plan.per_order, places)} per order" if plan.per_order else None,
                "exact": plain(beside, point),
            }
        )
    return rows


def canonical_bytes(receipt: Mapping[str, Any]) -> bytes:
    """Return a receipt as UTF-8 JSON with sorted keys and no spaces; ids that JSON does not know become strings."""
    return encode(receipt).encode()


def seal(stored: Mapping[str, Any], order: Order, plans: Mapping[Any, Plan], currency: str) -> dict[str, Any]:
    """Return the compact receipt with the SHA-256 of its long rendering as `hash`."""
    return {**stored, "hash": sha256(canonical_text(stored, order, plans, currency).encode()).hexdigest()}
