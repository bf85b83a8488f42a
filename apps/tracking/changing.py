"""Store what the web tells of a conversion afterwards: refunds and amendments, once each."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from django.db import IntegrityError, transaction

from apps.campaigns.models import Campaign
from apps.core.errors import Conflict, Invalid
from apps.core.ids import uuid7_from
from apps.identity.models import Advertiser
from apps.partners.models import Partner
from apps.tracking.facts import amendments_of
from apps.tracking.introducing import Introduced, introduce_customer
from apps.tracking.models import (
    Amendment,
    AmendmentOrigin,
    AwaitedSale,
    Conversion,
    CustomerStanding,
    Refund,
    RefundKind,
    StatedTouch,
    TouchKind,
    Touchpoint,
)
from apps.tracking.rules.conversions import ConversionFact
from apps.tracking.rules.links import channel_of
from apps.tracking.rules.refunds import CurrencyMismatch, Sold, ToldRefund, check_against_sale
from apps.tracking.rules.signatures import UNSIGNED, OrderWasSigned
from apps.tracking.services import OrderRefConflict

MILLISECOND = timedelta(milliseconds=1)


class RefundRefConflict(Conflict):
    code = "refund_ref_conflict"
    message = "The refund is already recorded with other content."


class SequenceConflict(Conflict):
    code = "sequence_conflict"
    message = "An amendment of this sequence is already recorded with other content."


class OrderOfOtherCampaign(Invalid):
    code = "order_of_other_campaign"
    message = "The order was told for another campaign."


@dataclass(frozen=True, slots=True)
class RecordedRefund:
    """A refund's id, the conversion it is of (None while it waits for it), and whether this call wrote it."""

    id: int
    conversion_id: UUID | None
    created: bool


@dataclass(frozen=True, slots=True)
class RecordedUpdate:
    """The amended conversion, whether this call wrote something, and whether what it told is in force.

    `sequence` is 0 where the call said again what the conversion said from the start. `is_of_other_customer` tells that
    it named another one than the order came with, who stays.
    """

    conversion_id: UUID
    sequence: int
    created: bool
    in_force: bool
    is_of_other_customer: bool = False


def lock_sale(*, advertiser: Advertiser | int, goal: str, order_ref: str) -> Conversion | None:
    """Return the conversion of an order, held against other changes of it; workers may settle it meanwhile.

    The first telling of an order is held before its second one.
    """
    rows = Conversion.objects.select_for_update(no_key=True, of=("self",))
    named = {"advertiser": advertiser, "goal": goal, "order_ref": order_ref}
    rows.filter(**{f"repeats__conversion__{name}": value for name, value in named.items()}).first()
    return rows.filter(**named).first()


def lock_first(sale: Conversion) -> Conversion:
    """Return the first conversion of a locked order that was told a second time, held too; else the same one.

    Amendments stand at the first, so that their places are in one row.
    """
    rows = Conversion.objects.select_for_update(no_key=True, of=("self",))
    return rows.filter(repeats__conversion=sale).first() or sale


@transaction.atomic
def record_refund(
    *,
    advertiser: Advertiser,
    refund: ToldRefund,
    now: datetime,
    campaign: Campaign | None = None,
    is_signed: bool = True,
) -> RecordedRefund:
    """Store a refund, or find the same one stored before; one whose sale is not there yet waits for it.

    `campaign` is the one the call was made for, where it was made for one. What nobody signed (`is_signed`) stands in
    the way of nothing that somebody did, unless it counts. An order told a second time has two numbers, by which a
    refund is one and the same. Raises RefundRefConflict where its number is there with other content,
    OrderOfOtherCampaign, OrderWasSigned, CurrencyMismatch, UnknownLine, MoreThanSold.
    """
    sale = lock_sale(advertiser=advertiser, goal=refund.goal, order_ref=refund.order_ref)
    if sale is not None and campaign is not None and sale.campaign_id != campaign.pk:
        raise OrderOfOtherCampaign(path="order_ref")
    first = sale and lock_first(sale)
    is_order_signed = first is not None and first.source != UNSIGNED
    if is_order_signed and not is_signed:
        raise OrderWasSigned  # it was told while this call was on its way
    numbers = [refund.order_ref]
    if sale is not None and first is not None:
        numbers += [first.order_ref] if first.pk != sale.pk else _numbers_of_repeats(sale)
    told = Refund.objects.filter(advertiser=advertiser, goal=refund.goal, order_ref__in=numbers)
    if is_order_signed or (is_signed and sale is None):
        told = told.filter(is_signed=True)
    known = told.filter(refund_ref=refund.refund_ref).only("order_ref", "content_hash").order_by("-is_signed")
    before = known.first()
    if before is not None:
        return _same(before, refund, sale)
    if sale is not None:
        if refund.currency not in ("", sale.currency):
            raise CurrencyMismatch(f"The order is in {sale.currency}.", path="currency")
        # What came before the sale may be in another currency: it takes nothing, and leaves all to be given back. The
        # refunds of a second telling are not the first one's.
        counted = told.that_count() if first != sale else told.that_count().filter(order_ref=sale.order_ref)
        check_against_sale(refund, _sold(sale, [row for row in counted if row.currency in ("", sale.currency)]))
    row = Refund(
        advertiser=advertiser,
        goal=refund.goal,
        order_ref=refund.order_ref,
        refund_ref=refund.refund_ref,
        kind=RefundKind.AMOUNT if refund.amount_minor else RefundKind.LINES if refund.lines else RefundKind.WHOLE,
        amount_minor=refund.amount_minor,
        currency=refund.currency,
        lines=[{"position": line.position, "quantity": line.quantity} for line in refund.lines],
        reason=refund.reason,
        is_signed=is_signed,
        occurred_at=min(refund.occurred_at or now, now),
        recorded_at=now,
        content_hash=refund.content_hash,
    )
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        # Where the sale is not there yet, nothing holds two calls apart but the key itself.
        return _same(known.get(order_ref=refund.order_ref, is_signed=is_signed), refund, sale)
    if sale is None:
        # Also where the sale has come since it was looked for: nobody has compared the two.
        AwaitedSale.objects.bulk_create([AwaitedSale(refund=row, advertiser=advertiser)], ignore_conflicts=True)
    return RecordedRefund(row.pk, sale.pk if sale else None, created=True)


def _numbers_of_repeats(sale: Conversion) -> list[str]:
    return list(Conversion.objects.filter(repeat_of__original=sale).values_list("order_ref", flat=True))


def _same(stored: Refund, refund: ToldRefund, sale: Conversion | None) -> RecordedRefund:
    if stored.content_hash != replace(refund, order_ref=stored.order_ref).content_hash:
        raise RefundRefConflict(
            f"Refund {refund.refund_ref} is already recorded with other content.", path="refund_ref"
        )
    return RecordedRefund(stored.pk, sale.pk if sale else None, created=False)


def _sold(sale: Conversion, refunds: list[Refund]) -> Sold:
    """Return what an order sold by its last amendment, and what refunds gave back of it."""
    newest = amendments_of([sale.pk]).get(str(sale.pk))
    newer = newest.content if newest else {}
    lines = newer.get("lines")
    if isinstance(lines, list):
        quantities = [line["quantity"] for line in lines]
    else:
        quantities = list(sale.lines.order_by("position").values_list("quantity", flat=True))
    returned: dict[int, int] = defaultdict(int)
    for refund in refunds:
        for line in refund.lines:
            position = line["position"]
            pieces = quantities[position - 1] if position <= len(quantities) else 0
            returned[position] += pieces if line["quantity"] is None else line["quantity"]
    amount = newer.get("amount_minor")
    return Sold(
        currency=sale.currency,
        amount_minor=amount if isinstance(amount, int) else sale.amount_minor,
        quantities=quantities,
        given_back_minor=sum(refund.amount_minor or 0 for refund in refunds),
        returned=returned,
        is_whole_back=any(refund.kind == RefundKind.WHOLE for refund in refunds),
    )


@transaction.atomic
def record_update(
    *, campaign: Campaign, fact: ConversionFact, now: datetime, is_signed: bool = True
) -> RecordedUpdate | None:
    """Store new content of a conversion that is there, or find the same said before; None where there is none.

    Without a `sequence` it takes the next one; a lower one than the highest is kept without effect. A customer whom
    nobody named before is joined with the order's visitors.
    Raises CurrencyMismatch, OrderRefConflict, OrderWasSigned, SequenceConflict.
    """
    sale = lock_sale(advertiser=campaign.advertiser_id, goal=fact.goal, order_ref=fact.order_ref)
    if sale is None:
        return None
    sale = lock_first(sale)
    if sale.source != UNSIGNED and not is_signed:
        raise OrderWasSigned
    if sale.campaign_id != campaign.pk:
        raise OrderRefConflict(f"Order {fact.order_ref} is recorded for another campaign.", path="order_ref")
    if sale.currency != fact.currency:
        raise CurrencyMismatch(f"The order is in {sale.currency}.", path="currency")
    who = introduce_customer(sale=sale, fact=fact, now=now)
    told = _keep_update(sale, fact, who, now)
    known = {"new_customer": who.is_new_customer}
    newest = amendments_of([sale.pk]).get(str(sale.pk)) if who.is_new_customer is not None else None
    if newest is not None and not known.items() <= newest.content.items():
        # The content that holds was told before: what is known of the customer now stands behind it.
        _amend_by_house(sale, known, now)
    return told


def _keep_update(sale: Conversion, fact: ConversionFact, who: Introduced, now: datetime) -> RecordedUpdate:
    """Store what an update tells of a locked order, or find it told before. Raises SequenceConflict."""
    content = fact.as_amendment()
    digest = _digest(content)
    rows = list(sale.amendments.values_list("sequence", "turn", "origin", "content_hash"))
    hashes = {row[0]: row[3] for row in rows if row[2] == AmendmentOrigin.SHOP}
    first = next((row[3] for row in rows if row[2] == AmendmentOrigin.ORDER), sale.content_hash)
    overruled = bool(rows) and max(rows)[2] == AmendmentOrigin.HOUSE
    last = max(hashes, default=0)
    sequence = fact.sequence
    if sequence is None:
        same = hashes[last] == digest if last else first == fact.content_hash(sale.campaign_id)
        sequence = last if same and who.is_new_customer is None else last + 1
    is_new = who.is_new_customer if who.is_new_customer is not None else _decided_before(sale)
    if is_new is not None:
        content.setdefault("new_customer", is_new)
    if sequence in hashes or sequence == 0:
        if sequence and hashes[sequence] != digest:
            raise SequenceConflict(f"Amendment {sequence} is already recorded with other content.", path="sequence")
        in_force = sequence == last and not overruled
        return RecordedUpdate(sale.pk, sequence, not who.is_known, in_force, who.is_other)
    Amendment.objects.create(
        advertiser_id=sale.advertiser_id,
        conversion=sale,
        sequence=sequence,
        content=content,
        content_hash=digest,
        recorded_at=now,
    )
    return RecordedUpdate(sale.pk, sequence, True, sequence > last, who.is_other)


@transaction.atomic
def state_touch(*, conversion: Conversion, partner: Partner, ad_space_id: int | None, now: datetime) -> UUID:
    """Write a touch of kind MANUAL for a partner, the last before a conversion, and wake it; the touch's id.

    It is made of the conversion and the partner, so that stating it twice is stating it once.
    """
    at = conversion.occurred_at - MILLISECOND
    id_ = uuid7_from(at, "stated", str(conversion.pk), str(partner.pk))
    touch = Touchpoint(
        id=id_,
        advertiser_id=conversion.advertiser_id,
        campaign_id=conversion.campaign_id,
        partner_id=partner.pk,
        ad_space_id=ad_space_id,
        visitor=id_,
        occurred_at=at,
        recorded_at=now,
        kind=TouchKind.MANUAL,
        channel=channel_of(partner.kind),
    )
    Touchpoint.objects.bulk_create([touch], ignore_conflicts=True)
    stated = StatedTouch(
        advertiser_id=conversion.advertiser_id, conversion=conversion, touch_id=id_, visitor=id_, recorded_at=now
    )
    StatedTouch.objects.bulk_create([stated], ignore_conflicts=True)
    return id_


def _decided_before(sale: Conversion) -> bool | None:
    """Return whether the customer was found to be a new one after the order was first told; None where not."""
    if sale.new_customer is not None:
        return None
    return CustomerStanding.objects.filter(conversion=sale).values_list("is_new", flat=True).first()


def amend_amount(*, sale: Conversion, amount_minor: int, now: datetime) -> None:
    """Add what this house knows better of a locked order: the content that holds, but for its amount."""
    _amend_by_house(sale, {"amount_minor": amount_minor}, now)


def _amend_by_house(sale: Conversion, known: dict[str, object], now: datetime) -> None:
    """Add the content that holds of a locked order with what this house knows better.

    It stands behind the shop's last number and takes none of the shop's: what the shop tells next holds again.
    """
    newest = amendments_of([sale.pk]).get(str(sale.pk))
    content = {**(newest.content if newest else {}), **known}
    sequence, turn = newest.place if newest else (0, 0)
    first = lock_first(sale)
    Amendment.objects.create(
        advertiser_id=first.advertiser_id,
        conversion=first,
        sequence=sequence,
        turn=turn + 1,
        origin=AmendmentOrigin.HOUSE,
        content=content,
        content_hash=_digest(content),
        recorded_at=now,
    )


def _digest(content: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
