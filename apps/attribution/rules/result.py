"""Who a conversion belongs to, as exact integers over one denominator."""

from __future__ import annotations

from collections.abc import Hashable
from fractions import Fraction
from typing import NamedTuple

from apps.attribution.rules.facts import Party, Touch


class Roles(NamedTuple):
    """Who began, helped and closed, on the touches left after unpaid `IGNORE`, before repeats and adjustments."""

    initiator: Party | None = None
    assists: tuple[Party, ...] = ()
    closer: Party | None = None
    touches: int = 0
    partners: int = 0

    def of(self, partner: Party) -> tuple[str, ...]:
        """Return every role a partner has: `initiator`, `assist`, `closer`."""
        found: tuple[str, ...] = ("initiator",) if partner == self.initiator else ()
        if partner in self.assists:
            found += ("assist",)
        if partner == self.closer:
            found += ("closer",)
        return found


class Winner(NamedTuple):
    """A partner with a part: `numerator` over the attribution's denominator.

    `rank` counts from the winner nearest to the conversion (0), an owner by code alone before all. `touch` is its
    last kept touch, None for an owner by code alone. `plan` is what a valid code of this owner names, if any.
    """

    partner: Hashable
    numerator: int
    rank: int
    touch: Touch | None
    roles: tuple[str, ...] = ()
    plan: Hashable | None = None


class Attribution(NamedTuple):
    """The touches in journey order with the reason each was dropped (None: kept), and the winners.

    The numerators of the winners and `unpaid` sum to `denominator`, or all are zero. Winners stand in the order
    their kept touches first appear, an owner by code alone last. `last_click` is set for budget-neutral policies:
    who would have won under `LAST_CLICK`.
    """

    journey: tuple[Touch, ...]
    reasons: tuple[str | None, ...]
    winners: tuple[Winner, ...]
    unpaid: int
    denominator: int
    roles: Roles
    flags: tuple[str, ...]
    last_click: Winner | None = None

    @property
    def shares(self) -> dict[Hashable, Fraction]:
        return {winner.partner: Fraction(winner.numerator, self.denominator) for winner in self.winners}

    @property
    def unpaid_share(self) -> Fraction:
        return Fraction(self.unpaid, self.denominator)

    @property
    def kept(self) -> tuple[Touch, ...]:
        return tuple(t for t, reason in zip(self.journey, self.reasons, strict=True) if reason is None)
