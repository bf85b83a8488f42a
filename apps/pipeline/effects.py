"""What partners have of an order now and would have then, and what tells one such result from another."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from apps.claims.selectors import Standing
from apps.commissions.models import Commission, DecisionState
from apps.partners.models import Partner

Earned = Mapping[Partner, tuple[Fraction, int]]


@dataclass(frozen=True, slots=True)
class Effect:
    """What a partner has of an order now and would have then, in minor units."""

    partner: Partner
    share: Fraction
    minor: int
    new_share: Fraction
    new_minor: int

    @property
    def loses(self) -> bool:
        return self.new_minor < self.minor


def earned_of(standing: Standing) -> Earned:
    """Return each partner's share and commission of an order; of a rejected one nobody has any."""
    if standing.conversion is None or standing.decision is None:
        return {}
    if standing.decision.state == DecisionState.REJECTED:
        return {}
    minor: dict[int, int] = defaultdict(int)
    rows = Commission.objects.filter(conversion=standing.conversion, payable=True)
    for partner_id, amount in rows.values_list("partner", "amount_minor"):
        minor[partner_id] += amount
    return {credit.partner: (credit.share, minor[credit.partner.pk]) for credit in standing.credits}


def effects_of(before: Earned, after: Earned) -> list[Effect]:
    none = (Fraction(0), 0)
    return [Effect(partner, *before.get(partner, none), *after.get(partner, none)) for partner in {**before, **after}]


def digest_of(effects: Sequence[Effect]) -> str:
    """Return what tells one result from another; empty where nobody loses."""
    told = [f"{row.partner.pk} {row.minor} {row.new_minor}" for row in effects]
    lost = any(row.loses for row in effects)
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16] if lost else ""
