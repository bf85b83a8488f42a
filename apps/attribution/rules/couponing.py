"""Coupons: what a code used at checkout changes."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from apps.attribution.rules.facts import Sale
from apps.attribution.rules.policy import Policy

COUPON_POLICIES = ("ALWAYS", "IF_INVOLVED", "IF_WINNER", "IF_WINNER_STRICT", "SHARE")


@dataclass(frozen=True, slots=True)
class CouponGrant:
    """Whose code it is (None: nobody's), from when (inclusive) to when (exclusive), and what it changes.

    `policy` None means the campaign's; `percent` is for SHARE; `plan` names a plan that replaces the owner's.
    """

    partner: Hashable | None
    policy: str | None = None
    percent: Decimal | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    plan: Hashable | None = None

    def valid_at(self, at: datetime) -> bool:
        return (self.valid_from is None or self.valid_from <= at) and (self.valid_to is None or at < self.valid_to)


def code_key(code: str) -> str:
    """Return what codes are compared by: they compare without case."""
    return code.casefold()


def valid_grants(sale: Sale, grants: Mapping[str, CouponGrant]) -> tuple[list[CouponGrant], set[str]]:
    """Return the grants of the codes sent that are assigned and valid, in their order, and flags for the others.

    `grants` is keyed by `code_key(code)`.
    """
    valid, flags = [], set()
    for code in sale.coupons:
        grant = grants.get(code_key(code))
        if grant is None or grant.partner is None:
            flags.add("coupon_unknown")
        elif not grant.valid_at(sale.occurred_at):
            flags.add("coupon_expired")
        else:
            valid.append(grant)
    return valid, flags


def apply_coupons(
    parts: dict[Hashable, int],
    unpaid: int,
    involved: Mapping[Hashable, object],
    grants: Sequence[CouponGrant],
    policy: Policy,
) -> tuple[dict[Hashable, int], int, bool]:
    """Return the parts and the unpaid part after the first code that has an effect, and whether its owner took all.

    `parts` and `unpaid` are relative; `involved` are the partners with a kept touch.

        click A, code of B: ALWAYS → B · IF_INVOLVED → A · IF_WINNER → A · no click at all, code of B → B

    A code decides also where its owner has everything already; `SHARE 0`, like `IF_WINNER`, has no effect.
    """
    for grant in grants:
        owner, rule = grant.partner, grant.policy or policy.coupon
        if not involved:
            takes_all = rule != "IF_WINNER_STRICT"
        else:
            takes_all = rule == "ALWAYS" or (rule == "IF_INVOLVED" and owner in involved)
        if takes_all:
            return {owner: 1}, 0, True
        percent = Fraction((grant.percent if grant.percent is not None else policy.coupon_percent) or 0) / 100
        if rule == "SHARE" and involved and percent:
            part, whole = percent.numerator, percent.denominator
            first = part * (sum(parts.values()) + unpaid)
            shared = {partner: value * (whole - part) for partner, value in parts.items()}
            shared[owner] = shared.get(owner, 0) + first
            return shared, unpaid * (whole - part), False
    return parts, unpaid, False
