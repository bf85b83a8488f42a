"""What accepting a claim would do, found out by doing it and taking it back."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from django.db import transaction

from apps.claims.selectors import Standing, standing_of, standing_of_conversion
from apps.claims.services import lock_claim
from apps.commissions.models import Commission, DecisionState
from apps.core.actors import SYSTEM
from apps.core.errors import Refusal
from apps.identity.models import Advertiser
from apps.partners.models import Partner
from apps.pipeline.services.claiming import accept_claim


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


@dataclass(frozen=True, slots=True)
class Foreseen:
    """Who would get what of an order, or why accepting is refused."""

    effects: Sequence[Effect] = ()
    currency: str = ""
    refusal: str = ""

    @property
    def losers(self) -> list[Effect]:
        return [effect for effect in self.effects if effect.loses]

    @property
    def digest(self) -> str:
        """Return what tells one foreseen result from another; empty where nobody loses."""
        told = [f"{row.partner.pk} {row.minor} {row.new_minor}" for row in self.effects]
        return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16] if self.losers else ""


def foresee_acceptance(*, advertiser: Advertiser, claim_id: int, now: datetime) -> Foreseen:
    """Return what accepting a claim would do: by the very verb, in a transaction that is rolled back.

    Raises ClaimNotFound, ClaimClosed.
    """
    with transaction.atomic():
        claim = lock_claim(claim_id=claim_id, advertiser=advertiser)
        before = _earned(standing_of(claim))
        try:
            accepted = accept_claim(advertiser=advertiser, claim_id=claim_id, actor=SYSTEM, now=now)
        except Refusal as refusal:
            foreseen = Foreseen(refusal=refusal.message)
        else:
            assert accepted.conversion is not None, "an accepted claim has its conversion"
            after = _earned(standing_of_conversion(accepted.conversion.pk))
            foreseen = Foreseen(_effects(before, after), accepted.conversion.currency)
        transaction.set_rollback(True)
    return foreseen


def _earned(standing: Standing) -> dict[Partner, tuple[Fraction, int]]:
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


def _effects(before: dict[Partner, tuple[Fraction, int]], after: dict[Partner, tuple[Fraction, int]]) -> list[Effect]:
    none = (Fraction(0), 0)
    return [Effect(partner, *before.get(partner, none), *after.get(partner, none)) for partner in {**before, **after}]
