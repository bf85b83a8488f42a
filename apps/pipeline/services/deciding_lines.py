"""Decide on a part of an order: reject lines, or lower its amount. The order itself stays what it is.

A part that falls away is a refund of this house's own making: a fact with a key and a coded reason, which the
corrections follow before the decision and after it, also after the lock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from apps.commissions.models import ConversionAlreadyDecided, Decision, DecisionState, Receipt
from apps.commissions.orders import as_told_last
from apps.commissions.worth import left_of
from apps.core.actors import Actor
from apps.core.errors import Conflict, Invalid
from apps.core.retrying import retried
from apps.identity.models import Advertiser
from apps.pipeline.services.deciding import ConversionUnsettled, NoSuchConversion, check_reason
from apps.pipeline.services.settling import settle_conversions
from apps.records.services import record_act
from apps.tracking.changing import lock_sale, record_refund
from apps.tracking.facts import (
    ConversionRow,
    LineRow,
    amended,
    amendments_of,
    conversions_by_id,
    lines_of,
    refunds_of,
)
from apps.tracking.models import Conversion, Refund, Unsettled
from apps.tracking.rules.refunds import OWN, ReturnedLine, ToldRefund, UnknownLine
from apps.tracking.selectors import refunds_told

LINE_PREFIX = OWN + "line:"
LINE_REF, AMOUNT_REF = LINE_PREFIX + "{}", OWN + "amount:{}"


class NoLinesNamed(Invalid):
    code = "no_lines_named"
    message = "Name at least one line by its position."


class UnknownSku(Invalid):
    code = "unknown_sku"
    message = "The order has no line of this SKU."


class AmountAbove(Invalid):
    code = "amount_above"
    message = "A correction lowers an amount; a higher one comes from the shop as an amendment."


class NotCorrected(Conflict):
    code = "not_corrected"
    message = "The commissions cannot be worked out without this part."


@dataclass(frozen=True, slots=True)
class PartResult:
    """Whether anything was written: False where the part had fallen away before."""

    changed: bool


@retried
@transaction.atomic
def reject_lines(
    *,
    advertiser: Advertiser,
    conversion_id: UUID,
    positions: Sequence[int],
    reason: str,
    actor: Actor,
    now: datetime,
    note: str = "",
) -> PartResult:
    """Reject lines of an order, by their positions from 1, and book the difference as linked corrections.

    The order keeps its decision and its other lines. A line rejected before stays as it is. Raises NoLinesNamed,
    ReasonNeeded, NoSuchConversion, ConversionAlreadyDecided, UnknownLine, NotCorrected.
    """
    check_reason(DecisionState.REJECTED, reason)
    if not positions or min(positions) < 1:
        raise NoLinesNamed(path="lines")
    sale = _open_sale(advertiser, conversion_id)
    before = set(_own_refunds(sale).values_list("refund_ref", flat=True))
    wanted = [position for position in sorted(set(positions)) if LINE_REF.format(position) not in before]
    for position in wanted:
        line = ReturnedLine(position)
        refund = ToldRefund(sale.goal, sale.order_ref, LINE_REF.format(position), lines=(line,), reason=reason)
        record_refund(advertiser=advertiser, refund=refund, now=now)
    if wanted:
        details = {"conversion": str(sale.pk), "lines": wanted, "reason": reason, "note": note[:300]}
        _write_down(sale, "rejected_lines", details, actor, now)
    return PartResult(bool(wanted))


@retried
@transaction.atomic
def correct_amount(
    *,
    advertiser: Advertiser,
    conversion_id: UUID,
    amount_minor: int,
    reason: str,
    actor: Actor,
    now: datetime,
    note: str = "",
) -> PartResult:
    """Lower what an order is worth in all (net, minor units), and take from each partner in proportion.

    Raises ReasonNeeded, AmountAbove, NoSuchConversion, ConversionAlreadyDecided, NotCorrected.
    """
    check_reason(DecisionState.REJECTED, reason)
    sale = _open_sale(advertiser, conversion_id)
    left = amount_left(sale)
    if not 0 <= amount_minor <= left:
        raise AmountAbove(path="amount")
    if amount_minor == left:
        return PartResult(False)
    ref = AMOUNT_REF.format(_own_refunds(sale).count() + 1)
    refund = ToldRefund(sale.goal, sale.order_ref, ref, left - amount_minor, sale.currency, (), reason)
    record_refund(advertiser=advertiser, refund=refund, now=now)
    details = {"conversion": str(sale.pk), "from": left, "to": amount_minor, "reason": reason, "note": note[:300]}
    _write_down(sale, "corrected_amount", details, actor, now)
    return PartResult(True)


def positions_of(conversion_id: UUID, skus: Sequence[str]) -> list[int]:
    """Return the positions of the lines that carry these SKUs, as the last amendment tells them. Raises UnknownSku."""
    _, lines = as_told_last(str(conversion_id))
    return _places([line.sku for line in lines], skus)


def _places(sold: Sequence[str], skus: Sequence[str]) -> list[int]:
    found = {sku: [place for place, one in enumerate(sold, 1) if one == sku] for sku in skus}
    for sku, places in found.items():
        if not places:
            raise UnknownSku(f"The order has no line of the SKU {sku[:60]}.", path="skus")
    return sorted(place for places in found.values() for place in places)


@dataclass(frozen=True, slots=True)
class PartsLeft:
    """What an order is worth now, in minor units, the SKUs of its lines in order, and the lines rejected before."""

    left_minor: int
    skus: tuple[str, ...]
    rejected: frozenset[int]

    def would_change(self, *, lines: Sequence[int] = (), skus: Sequence[str] = (), amount_minor: int = 0) -> bool:
        """Tell whether lines and SKUs are yet to be rejected, or without them the amount yet to be lowered.

        Raises UnknownLine, UnknownSku, AmountAbove.
        """
        if lines or skus:
            if any(place > len(self.skus) for place in lines):
                raise UnknownLine(f"The order has no position {max(lines)}.", path="lines")
            return not self.rejected.issuperset([*lines, *_places(self.skus, skus)])
        if amount_minor > self.left_minor:
            raise AmountAbove(path="amount")
        return amount_minor < self.left_minor


def parts_left(ids: Sequence[str]) -> dict[str, PartsLeft]:
    """Return what is left of orders by their conversions' ids. Four queries; none for none."""
    if not ids:
        return {}
    sold, refunds, amendments = lines_of(ids), refunds_of(ids), amendments_of(ids)
    found = {}
    for row in conversions_by_id(ids):
        told: ConversionRow = row
        lines: Sequence[LineRow] = sold.get(row.id, [])
        if row.id in amendments:
            told, lines = amended(row, lines, amendments[row.id].content)
        own = [refund.refund_ref for refund in refunds.get(row.id, []) if refund.refund_ref.startswith(LINE_PREFIX)]
        found[row.id] = PartsLeft(
            left_minor=left_of(told, lines, refunds.get(row.id, [])),
            skus=tuple(line.sku for line in lines),
            rejected=frozenset(int(ref.removeprefix(LINE_PREFIX)) for ref in own),
        )
    return found


def amount_left(sale: Conversion) -> int:
    """Return what an order is worth after its amendments and refunds, net in minor units."""
    id_ = str(sale.pk)
    row, lines = as_told_last(id_)
    return left_of(row, lines, refunds_of([id_]).get(id_, []))


def _own_refunds(sale: Conversion) -> QuerySet[Refund]:
    """Return this house's own refunds of an order, of its first telling too, so that their numbers go on."""
    return refunds_told(sale).filter(refund_ref__startswith=OWN)


def _open_sale(advertiser: Advertiser, conversion_id: UUID) -> Conversion:
    """Return a conversion held against other changes, settled and not rejected.

    Its decision is not locked yet: settling takes the work list's row first, then the decision, and so does this.
    """
    named = Conversion.objects.for_advertiser(advertiser).filter(pk=conversion_id).values_list("goal", "order_ref")
    if not named:
        raise NoSuchConversion
    sale = lock_sale(advertiser=advertiser, goal=named[0][0], order_ref=named[0][1])
    state = Decision.objects.filter(pk=conversion_id).values_list("state", flat=True).first()
    if sale is None or state is None or not Receipt.objects.filter(pk=conversion_id).exists():
        raise ConversionUnsettled
    if state == DecisionState.REJECTED:
        raise ConversionAlreadyDecided("A rejected conversion owes nothing; there is no part left to reject.")
    return sale


def _write_down(sale: Conversion, verb: str, details: Mapping[str, object], actor: Actor, now: datetime) -> None:
    """Write the act, and let the corrections follow in the same transaction."""
    record_act(
        advertiser=sale.advertiser,
        actor=actor,
        verb=verb,
        subject=f"conversion {sale.order_ref}"[:120],
        now=now,
        details=details,
    )
    settle_conversions(conversion_ids=[sale.pk], now=now)
    waiting = Unsettled.objects.filter(pk=sale.pk).first()
    if waiting is not None:
        raise NotCorrected(waiting.last_error or None)
