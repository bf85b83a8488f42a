"""Net revenue: what orders are worth as told last, less what refunds gave back, never below zero.

Stored amounts are summed by the database; only the few orders that changed since are looked at one by one, and what
they differ by is added. A partner's revenue is its share of the same, so that partners and the unpaid part add up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from django.db.models import QuerySet

from apps.attribution.models import Share
from apps.commissions.models import DecisionState
from apps.commissions.worth import Worth, changed, worths_of
from apps.core.money import apportion
from apps.tracking.models import Conversion


@dataclass(frozen=True, slots=True)
class Difference:
    """What an order's revenue differs by from the stored one, whole or a partner's part of it, in minor units.

    `stored_minor` is the sum that the database adds up; `told_minor` and `left_minor` are what it would be as told
    last, and after refunds.
    """

    conversion_id: str
    campaign_id: int
    partner_id: int | None
    occurred_at: datetime
    currency: str
    state: str | None
    stored_minor: int
    told_minor: int
    left_minor: int

    @property
    def minor(self) -> int:
        return self.left_minor - self.stored_minor

    @property
    def given_back_minor(self) -> int:
        return self.told_minor - self.left_minor


def differences(conversions: QuerySet[Conversion]) -> list[Difference]:
    """Return what changed orders differ by. One query, and four more where there are any."""
    columns = ("pk", "campaign_id", "occurred_at", "currency", "decision__state", "amount_minor")
    rows = list(changed(conversions).order_by().values_list(*columns))
    worths = worths_of([row[0] for row in rows])
    found = []
    for pk, campaign_id, occurred_at, currency, state, stored in rows:
        worth = worths[str(pk)]
        facts = (str(pk), campaign_id, None, occurred_at, currency, state, stored)
        found.append(Difference(*facts, worth.told_minor, worth.left_minor))
    return found


def share_differences(shares: QuerySet[Share], partners: Iterable[int] | None = None) -> list[Difference]:
    """Return what partners' parts of changed orders differ by. Two queries, and four more where there are any.

    `shares` are those wanted; the others of the same orders are read too, because cents go by largest remainder.
    """
    ids = list(
        changed(Conversion.objects.filter(pk__in=shares.order_by().values("conversion"))).values_list("pk", flat=True)
    )
    worths = worths_of(ids)
    of_conversions: dict[str, list[Share]] = defaultdict(list)
    rows = Share.objects.filter(conversion__in=ids).select_related("conversion__decision")
    for share in rows.order_by("conversion_id", "pk"):
        of_conversions[str(share.conversion_id)].append(share)
    wanted = None if partners is None else set(partners)
    found = []
    for id_, parts in of_conversions.items():
        told, left = split(worths[id_], parts)
        for share, told_minor, left_minor in zip(parts, told, left, strict=True):
            if share.partner_id is None or (wanted is not None and share.partner_id not in wanted):
                continue
            sale = share.conversion
            decision = getattr(sale, "decision", None)
            facts = (id_, sale.campaign_id, share.partner_id, sale.occurred_at, share.currency)
            state = decision.state if decision else None
            found.append(Difference(*facts, state, share.revenue_minor, told_minor, left_minor))
    return found


def split(worth: Worth, shares: Iterable[Share]) -> tuple[list[int], list[int]]:
    """Return each share's part of an order as told last and after refunds; what is stored stays where it still holds.

    Parts are exact shares, rounded once by largest remainder; they add up to the order's amounts to the cent.
    """
    rows = list(shares)
    weights = [Fraction(int(row.numerator), int(row.denominator)) for row in rows]
    stored = [row.revenue_minor for row in rows]
    return (
        stored if sum(stored) == worth.told_minor else apportion(worth.told_minor, weights),
        stored if sum(stored) == worth.left_minor else apportion(worth.left_minor, weights),
    )


def live(rows: Iterable[Difference], currency: str = "") -> list[Difference]:
    """Return the differences of orders that were not rejected, in one currency where it is named."""
    return [row for row in rows if row.state != DecisionState.REJECTED and currency in ("", row.currency)]
