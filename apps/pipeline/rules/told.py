"""The attribution that a compact receipt tells of, so that an order is rated again without asking who it belongs to.

Who a conversion belongs to hangs on things of that day that no version keeps, such as the owner of a code, and so may
what its plans ask of a touch: a partner's group, an ad space's category. The receipt says what came of the one and
remembers the other; what is rated later rests on that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apps.attribution.rules import Attribution, Roles, Touch, Winner


def attribution_told(stored: Mapping[str, Any], touches: Mapping[str, Touch], *, budget_neutral: bool) -> Attribution:
    """Return the attribution of a compact receipt, as far as rating asks; `touches` are those still there, by id.

    Winners have the plan that rated them, and their last kept touch where it is there, standing as it did then where
    the receipt remembers that. Under a budget-neutral policy one plan rates all of them; where that plan asks of the
    winner, only a receipt that names it, else the policy, can say who it asked.
    """
    initiator, assists, closer, touch_count, partner_count = stored["roles"]
    roles = Roles(initiator, tuple(assists), closer, touch_count, partner_count)
    kept = [touches[touch[0]] for touch in stored["touches"] if len(touch) == 1 and touch[0] in touches]
    last = {touch.partner: place for place, touch in enumerate(kept)}
    names = [winner[0] for winner in stored["winners"]]
    by_code = [name for name in names if name not in last]
    nearest = by_code + sorted((name for name in names if name in last), key=last.__getitem__, reverse=True)
    winners = tuple(
        Winner(
            partner=name,
            numerator=numerator,
            rank=nearest.index(name),
            touch=kept[last[name]] if name in last else None,
            roles=roles.of(name),
            plan=plan,
        )
        for name, numerator, _, _, plan, _ in stored["winners"]
    )
    last_click = winners[0] if budget_neutral and winners else None
    if last_click is not None and "last_click" in stored:
        name = stored["last_click"]
        touch = kept[last[name]] if name in last else None
        last_click = last_click._replace(partner=name, touch=touch, roles=roles.of(name))
    return as_remembered(
        stored,
        Attribution(
            journey=(),
            reasons=(),
            winners=winners,
            unpaid=stored["unpaid"][0],
            denominator=stored["den"],
            roles=roles,
            flags=(),
            last_click=last_click,
        ),
    )


def as_remembered(stored: Mapping[str, Any], attribution: Attribution) -> Attribution:
    """Return an attribution of the same journey with those whom the plans ask standing as the receipt remembers."""
    if "asked" not in stored:
        return attribution
    if attribution.last_click is not None:
        return attribution._replace(last_click=_standing(attribution.last_click, stored["asked"][0]))
    asked = dict(zip((winner[0] for winner in stored["winners"]), stored["asked"], strict=True))
    return attribution._replace(
        winners=tuple(_standing(winner, asked.get(winner.partner)) for winner in attribution.winners)
    )


def rated_as_before(stored: Mapping[str, Any], attribution: Attribution) -> Attribution:
    """Return the attribution of an order settled anew with those whom the plans ask standing as its receipt remembers.

    Only where it is still the same touch: a later one of the same partner is asked as it stands today.
    """
    is_one_for_all = attribution.last_click is not None
    if "asked" not in stored or is_one_for_all != ("last_click" in stored):
        return attribution
    partners = {str(touch.id): touch.partner for touch in attribution.journey}
    last = {partners.get(touch[0]): touch[0] for touch in stored["touches"] if len(touch) == 1}
    names = [stored["last_click"]] if is_one_for_all else [winner[0] for winner in stored["winners"]]
    asked = {last[name]: asked for name, asked in zip(names, stored["asked"], strict=True) if name in last}

    def as_then(winner: Winner) -> Winner:
        return winner if winner.touch is None else _standing(winner, asked.get(str(winner.touch.id)))

    if attribution.last_click is not None:
        return attribution._replace(last_click=as_then(attribution.last_click))
    return attribution._replace(winners=tuple(map(as_then, attribution.winners)))


def _standing(winner: Winner, asked: Sequence[Any] | None) -> Winner:
    if asked is None or winner.touch is None:
        return winner
    group, category, *tags = asked
    return winner._replace(
        touch=winner.touch._replace(partner_group=group, ad_space_category=category, partner_tags=frozenset(tags))
    )


def with_plans(stored: Mapping[str, Any], attribution: Attribution) -> Attribution:
    """Return an attribution of the same journey whose winners have the plans that the receipt says rated them."""
    plans = {winner[0]: winner[4] for winner in stored["winners"]}
    winners = tuple(winner._replace(plan=plans.get(winner.partner)) for winner in attribution.winners)
    last_click = attribution.last_click
    if last_click is not None and stored["winners"]:
        last_click = last_click._replace(plan=stored["winners"][0][4])
    return attribution._replace(winners=winners, last_click=last_click)
