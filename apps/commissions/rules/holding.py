"""Which rule puts a new conversion on hold, if any."""

from __future__ import annotations

from dataclasses import dataclass

from apps.tracking.rules.signatures import UNSIGNED

UNTRUSTED_DOORS = frozenset({UNSIGNED, "pixel", "tag", "token"})


@dataclass(frozen=True, slots=True)
class HoldRules:
    """What a campaign holds back; None and False ask nothing. `first_sale_above` is in minor units."""

    under_review: bool = True
    too_fast_seconds: int | None = None
    unowned_code: bool = False
    untrusted_door: bool = False
    first_sale_above: int | None = None


@dataclass(frozen=True, slots=True)
class Sold:
    """What the rules ask of a conversion, as it is worked out from what is known.

    `seconds_after_touch` is since the last counted touch that somebody made, None where there is none: what a claim
    states stands right before its sale and says nothing of haste. `amount` is in minor units; the limit of a first
    sale is in the campaign's first currency.
    """

    seconds_after_touch: float | None
    has_partner_under_review: bool
    has_unowned_code: bool
    door: str
    amount: int
    is_first_of_a_partner: bool
    is_paid_for_unknown_goal: bool = False
    is_in_limit_currency: bool = True


def hold_reason(rules: HoldRules, sold: Sold) -> str | None:
    """Return the code of the first rule that holds a conversion back; None lets it pass."""
    return next(iter(hold_reasons(rules, sold)), None)


def hold_reasons(rules: HoldRules, sold: Sold) -> tuple[str, ...]:
    """Return the codes of all rules that hold a conversion back, in this order.

    under review → too fast (fewer seconds than the floor) → unowned code → untrusted door → large first sale (more
    than the limit, or anything in a currency that it is not in) → unknown goal, whatever the rules: no rule of a plan
    names what would be paid.
    """
    after, floor, limit = sold.seconds_after_touch, rules.too_fast_seconds, rules.first_sale_above
    passes = limit is None or sold.amount <= (limit if sold.is_in_limit_currency else 0)
    found = {
        "under_review": rules.under_review and sold.has_partner_under_review,
        "too_fast": floor is not None and after is not None and after < floor,
        "unowned_code": rules.unowned_code and sold.has_unowned_code,
        "untrusted_door": rules.untrusted_door and sold.door in UNTRUSTED_DOORS,
        "large_first_sale": sold.is_first_of_a_partner and not passes,
        "unknown_goal": sold.is_paid_for_unknown_goal,
    }
    return tuple(code for code, holds in found.items() if holds)
