"""What orders are worth: as they were told first and last, and what refunds have left of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Exists, OuterRef, Q, QuerySet

from apps.commissions.orders import order_of, refund_facts
from apps.commissions.rules.remaining import net_after
from apps.tracking.facts import (
    ConversionRow,
    LineRow,
    RefundRow,
    amended,
    amendments_of,
    conversions_by_id,
    lines_of,
    refunds_of,
)
from apps.tracking.models import Amendment, Conversion, Refund, Repeat


@dataclass(frozen=True, slots=True)
class Worth:
    """An order's amounts, net of VAT in minor units: told first, told last, and what is left after refunds."""

    first_minor: int
    told_minor: int
    left_minor: int

    @property
    def given_back_minor(self) -> int:
        return self.told_minor - self.left_minor

    @property
    def changed(self) -> bool:
        return self.left_minor != self.first_minor


def worths_of(ids: Sequence[UUID | str]) -> dict[str, Worth]:
    """Return what conversions are worth, by their ids as text. Four queries, however many there are; none for none.

    A refund in another currency than its order's takes nothing, as the corrections refuse it.
    """
    if not ids:
        return {}
    amendments, refunds, lines = amendments_of(ids), refunds_of(ids), lines_of(ids)
    found = {}
    for row in conversions_by_id(ids):
        told, sold = row, lines.get(row.id, [])
        if row.id in amendments:
            told, sold = amended(row, sold, amendments[row.id][1])
        found[row.id] = Worth(row.amount_minor, told.amount_minor, left_of(told, sold, refunds.get(row.id, [])))
    return found


def changed(conversions: QuerySet[Conversion]) -> QuerySet[Conversion]:
    """Return those of the conversions that were told anew or refunded since, or repeat an order that was."""
    own = {name: OuterRef(name) for name in ("advertiser", "goal", "order_ref")}
    return conversions.filter(
        Q(pk__in=Amendment.objects.values("conversion"))
        | Q(pk__in=Repeat.objects.values("conversion"))
        | Q(Exists(Refund.objects.filter(**own)))
    )


def left_of(row: ConversionRow, lines: Sequence[LineRow], refunds: Sequence[RefundRow]) -> int:
    """Return what refunds leave of an order as it was told last, in minor units; foreign currencies take nothing."""
    if not refunds:
        return row.amount_minor
    order = order_of(row, lines, ZoneInfo("UTC"))  # its day matters to rules of plans, and to no worth
    return net_after(order, refund_facts(refunds, row, lines))
