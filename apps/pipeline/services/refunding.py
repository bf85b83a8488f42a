"""Keep refunds within what was sold: too much is refused, and told of where it came before its sale."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime

from django.db import transaction

from apps.commissions.orders import as_told_last, order_of, refund_facts
from apps.core.errors import Refusal
from apps.core.money import Money
from apps.core.reading import DATABASE_AWAY
from apps.pipeline.rules.refunding import Surplus, surplus_of, surpluses
from apps.tracking.facts import RefundRow, refunds_of
from apps.tracking.models import Conversion, Refund, vouched_orders
from apps.tracking.rules.refunds import CurrencyMismatch, MoreThanSold, UnknownLine
from apps.tracking.rules.signatures import OrderWasSigned
from apps.tracking.services import record_rejection
from apps.tracking.sweeping import ArrivedRefund

logger = logging.getLogger(__name__)
DOOR = "refund"
"""Where a refund is refused that was taken in before its sale: no call is there to be answered."""


def refuse_surplus(*, sale: Conversion, refund_ref: str) -> None:
    """Refuse a refund just stored of a locked order, if it gives back more than the others leave. Raises MoreThanSold.

    The caller's transaction takes the refund back with it.
    """
    row, lines = as_told_last(sale.pk)
    refunds = refunds_of([sale.pk]).get(str(sale.pk), [])
    told = next(refund for refund in refunds if refund.refund_ref == refund_ref)
    before = refund_facts([refund for refund in refunds if refund.refund_ref != refund_ref], row, lines)
    [fact] = refund_facts([told], row, lines)
    surplus = surplus_of(order_of(row, lines, sale.advertiser.zone), before, fact)
    if surplus is not None:
        raise _too_much(surplus, told, sale.currency)


def tell_surpluses(*, arrived: Sequence[ArrivedRefund], now: datetime) -> int:
    """Keep as refused calls what does not fit of refunds whose sale has come at last; return how many.

    They were stored without their sale and count as far as it goes: the lines that it has, up to what it is worth,
    nothing in another currency, and nothing unsigned of a sale that was signed. Runs in the transaction that ends
    their waiting, so that it is said once.
    """
    came: dict[str, set[tuple[str, bool]]] = defaultdict(set)
    for refund in arrived:
        came[refund.conversion_id].add((refund.refund_ref, refund.is_signed))
    told = 0
    sales = Conversion.objects.filter(pk__in=list(came)).select_related("advertiser")
    for sale in sales.order_by("pk"):
        try:
            with transaction.atomic():
                told += _tell(sale, came[str(sale.pk)], now)
        except DATABASE_AWAY:
            raise
        except Exception:
            # What does not fit takes nothing either way; the other orders' refunds must not wait for this one.
            logger.exception("the refunds of conversion %s cannot be compared with it", sale.pk)
    return told


def _tell(sale: Conversion, came: Collection[tuple[str, bool]], now: datetime) -> int:
    unsigned = [ref for ref, is_signed in came if not is_signed]
    unsigned = unsigned if unsigned and vouched_orders().filter(pk=sale.pk).exists() else []
    names = {"advertiser": sale.advertiser_id, "goal": sale.goal, "order_ref": sale.order_ref}
    untaken = Refund.objects.filter(**names, refund_ref__in=unsigned, is_signed=False) if unsigned else ()
    for refund in untaken:
        _keep(sale, refund, OrderWasSigned(), now)
    own = {refund.refund_ref: refund for refund in refunds_of([sale.pk]).get(str(sale.pk), [])}
    refs = {ref for ref, _ in came}
    refusals = {ref: refusal for ref, refusal in _refusals(sale, own).items() if ref in refs}
    for ref, refusal in refusals.items():
        _keep(sale, own[ref], refusal, now)
    return len(untaken) + len(refusals)


def _refusals(sale: Conversion, refunds: dict[str, RefundRow]) -> dict[str, Refusal]:
    """Return what an order cannot have given back, by the refund's number; a function of the set of its refunds."""
    row, lines = as_told_last(sale.pk)
    found: dict[str, Refusal] = {}
    for ref, refund in refunds.items():
        unknown = [line["position"] for line in refund.lines if (line["position"] or 0) > len(lines)]
        if not refund.is_in(row.currency):
            found[ref] = CurrencyMismatch(f"The order is in {row.currency}: this refund takes nothing back.")
        elif unknown:
            found[ref] = UnknownLine(f"The order has no position {unknown[0]}: nothing is taken back for it.")
    fitting = refund_facts(refunds.values(), row, lines)
    for surplus in surpluses(order_of(row, lines, sale.advertiser.zone), fitting):
        found.setdefault(surplus.ref, _too_much(surplus, refunds[surplus.ref], row.currency))
    return found


def _too_much(surplus: Surplus, refund: RefundRow, currency: str) -> MoreThanSold:
    path = "lines" if refund.lines else "whole" if refund.amount_minor is None else "amount"
    left, beyond = Money(surplus.left, currency), Money(surplus.beyond, currency)
    if not surplus.beyond:
        return MoreThanSold("Nothing of it is left: it was given back before.", path=path)
    return MoreThanSold(f"{left} {currency} are left of the order; {beyond} more would be given back.", path=path)


def _keep(sale: Conversion, refund: RefundRow | Refund, refusal: Refusal, now: datetime) -> None:
    payload: dict[str, object] = {"order_ref": sale.order_ref, "goal": sale.goal, "refund_ref": refund.refund_ref}
    if refund.amount_minor is not None:
        payload |= {"amount": str(Money(refund.amount_minor, refund.currency or sale.currency))}
        payload |= {"currency": refund.currency or sale.currency}
    elif refund.lines:
        payload["lines"] = refund.lines
    else:
        payload["whole"] = True
    record_rejection(
        advertiser=sale.advertiser_id,
        campaign=sale.campaign_id,
        door=DOOR,
        refusal=refusal,
        payload=payload,
        now=now,
    )
