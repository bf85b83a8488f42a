"""What accepting a claim would do, found out by doing it and taking it back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import OperationalError, connection, transaction

from apps.claims.selectors import standing_of, standing_of_conversion
from apps.claims.services import lock_claim
from apps.core.actors import SYSTEM
from apps.core.errors import Refusal
from apps.core.retrying import TIMING, sqlstate_of
from apps.identity.models import Advertiser
from apps.pipeline.effects import Effect, digest_of, earned_of, effects_of
from apps.pipeline.services.claiming import accept_claim

BUSY = "What accepting does cannot be worked out just now: the order is being worked on. Look again in a moment."


@dataclass(frozen=True, slots=True)
class Foreseen:
    """Who would get what of an order, or why accepting is refused or cannot be foreseen."""

    effects: Sequence[Effect] = ()
    currency: str = ""
    refusal: str = ""

    @property
    def losers(self) -> list[Effect]:
        return [effect for effect in self.effects if effect.loses]

    @property
    def digest(self) -> str:
        return digest_of(self.effects)


def foresee_acceptance(*, advertiser: Advertiser, claim_id: int, now: datetime) -> Foreseen:
    """Return what accepting a claim would do: by the very verb, in a transaction that is rolled back.

    A look waits half a second for each lock, then says that it cannot tell. Raises ClaimNotFound, ClaimClosed.
    """
    try:
        return _foresee(advertiser, claim_id, now)
    except OperationalError as error:
        if sqlstate_of(error) not in TIMING:
            raise
        return Foreseen(refusal=BUSY)


def _foresee(advertiser: Advertiser, claim_id: int, now: datetime) -> Foreseen:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '500ms'")
        claim = lock_claim(claim_id=claim_id, advertiser=advertiser)
        before = earned_of(standing_of(claim))
        try:
            accepted = accept_claim(advertiser=advertiser, claim_id=claim_id, actor=SYSTEM, now=now)
        except Refusal as refusal:
            foreseen = Foreseen(refusal=refusal.message)
        else:
            assert accepted.conversion is not None, "an accepted claim has its conversion"
            after = earned_of(standing_of_conversion(accepted.conversion.pk))
            foreseen = Foreseen(effects_of(before, after), accepted.conversion.currency)
        transaction.set_rollback(True)
    return foreseen
