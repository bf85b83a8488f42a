"""Take in what the shop tells: store the fact, then wake the workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from apps.campaigns.models import Campaign
from apps.commissions.models import DecisionState, HoldReason
from apps.commissions.writing import rejected_among
from apps.core.actors import Actor
from apps.core.ids import moment_of
from apps.core.retrying import retried
from apps.identity.models import Advertiser
from apps.pipeline.bell import settle_bell
from apps.pipeline.selectors import knows_goal
from apps.pipeline.services.refunding import refuse_surplus
from apps.records.services import record_act
from apps.tracking.changing import RecordedUpdate, lock_sale, record_refund, record_update
from apps.tracking.claimed import tell_claimed_order
from apps.tracking.duplicates import original_of
from apps.tracking.identifying import identify_visitor
from apps.tracking.models import Conversion
from apps.tracking.rules.clients import Client
from apps.tracking.rules.conversions import ConversionFact
from apps.tracking.rules.persons import Identity
from apps.tracking.rules.refunds import read_order_name, read_refund
from apps.tracking.rules.signatures import UNSIGNED
from apps.tracking.services import OrderRefConflict, record_conversion

SKEW = timedelta(minutes=10)
TEST, DUPLICATE = "TEST", "DUPLICATE"
PARTS_MISMATCH = "parts_mismatch"
"""The lines and the discount do not come to the amount: the difference is a line of the default category."""
UNKNOWN_GOAL = HoldReason.UNKNOWN_GOAL.value
"""No rule of the campaign's plans names the goal: what it would earn by other rules waits on hold."""
OTHER_CUSTOMER = "other_customer"
"""The order came with another customer than an update names: the first one stays."""
ORDER_BY_CLICK = "order_by_click"
"""The call named no order, so that its click stands for it: the next order of the same click is taken for this one."""
HINTS = (PARTS_MISMATCH, UNKNOWN_GOAL, OTHER_CUSTOMER, ORDER_BY_CLICK)
MILLISECOND = timedelta(milliseconds=1)  # what an id's moment is cut to


@dataclass(frozen=True, slots=True)
class Received:
    """A conversion's id, whether this call wrote something, and what has been decided on it.

    `duplicate_of` is the conversion that it repeats by its campaign's scope, as far as is known. `hints` are codes of
    what the shop may have meant otherwise; `update` says what became of a call that may amend what was told before.
    """

    id: UUID
    created: bool
    status: str
    duplicate_of: str | None = None
    hints: tuple[str, ...] = ()
    update: RecordedUpdate | None = None

    @property
    def answer(self) -> dict[str, object]:
        """Return what the shop is told, by whichever door it called; the same call again is told the same."""
        told: dict[str, object] = {"ok": True, "id": str(self.id), "status": self.status}
        if self.duplicate_of is not None:
            told |= {"duplicate_of": self.duplicate_of}
        if self.update is not None:
            told |= {"sequence": self.update.sequence, "in_force": self.update.in_force}
        if self.hints:
            told |= {"hints": list(self.hints)}
        return told


@dataclass(frozen=True, slots=True)
class ReceivedRefund:
    """A refund's number, the conversion it is of (None while it waits for it), and whether this call wrote it."""

    refund_ref: str
    conversion_id: UUID | None
    created: bool

    @property
    def answer(self) -> dict[str, object]:
        """Return what the shop is told, by whichever door it called."""
        id_ = str(self.conversion_id) if self.conversion_id else None
        return {"ok": True, "refund_ref": self.refund_ref, "conversion": id_, "waits": self.conversion_id is None}


@retried
@transaction.atomic
def receive_conversion(
    *,
    campaign: Campaign,
    fact: ConversionFact,
    now: datetime,
    source: str = "s2s",
    client: Client | None = None,
    payload: Mapping[str, object] | None = None,
) -> Received:
    """Store a conversion, or amend it where the call allows that, and wake the workers once it is committed.

    The first word on an order that a claim told before amends that one.
    While the decision is open an amendment settles the conversion anew; afterwards it becomes a correction.
    Raises OrderRefConflict, OrderWasSigned, and for amendments CurrencyMismatch, SequenceConflict.
    """
    fact, is_signed = placed_in_time(fact, now), source != UNSIGNED
    if fact.is_update:
        update = record_update(campaign=campaign, fact=fact, now=now, is_signed=is_signed)
        if update is not None:
            return _received(campaign, fact, update.conversion_id, update.created, now, update)
    try:
        recorded = record_conversion(
            campaign=campaign, fact=fact, now=now, source=source, client=client, payload=payload
        )
    except OrderRefConflict:
        # Of two updates at once that are the first word on an order, one finds here what the other has written.
        update = record_update(campaign=campaign, fact=fact, now=now, is_signed=is_signed) if fact.is_update else None
        if update is not None:
            return _received(campaign, fact, update.conversion_id, update.created, now, update)
        told = tell_claimed_order(campaign=campaign, fact=fact, now=now, is_signed=is_signed)
        if told is None:
            raise
        return _received(campaign, fact, told.id, told.created, now)
    update = None
    if fact.sequence is not None:
        # Its number is kept from the first word on, so that what comes later with a lower one does not hold.
        update = record_update(campaign=campaign, fact=fact, now=now, is_signed=is_signed)
    created = recorded.created or (update is not None and update.created)
    return _received(campaign, fact, recorded.id, created, now, update)


@retried
@transaction.atomic
def receive_refund(
    *,
    advertiser: Advertiser,
    fields: Mapping[str, object],
    now: datetime,
    campaign: Campaign | None = None,
    actor: Actor | None = None,
    is_signed: bool = True,
) -> ReceivedRefund:
    """Read and store a refund, and wake the workers once it is committed; one before its sale waits for it.

    `campaign` is the one the call was made for; without it any campaign's currencies are taken. `actor` is the person
    or key behind the refund, whose act is written down. One that nobody signed does not count once its sale comes
    signed. Raises what `read_refund` and `record_refund` raise.
    """
    goal, order_ref = read_order_name(fields)
    sale = lock_sale(advertiser=advertiser, goal=goal, order_ref=order_ref)
    accepted = [campaign] if campaign else Campaign.objects.for_advertiser(advertiser)
    currencies = sorted({currency for one in accepted for currency in one.currencies}) if sale is None else []
    refund = read_refund(fields, sold_in=sale.currency if sale else None, currencies=currencies, now=now)
    recorded = record_refund(advertiser=advertiser, refund=refund, now=now, campaign=campaign, is_signed=is_signed)
    if recorded.created:
        if sale is not None:
            refuse_surplus(sale=sale, refund_ref=refund.refund_ref)
        transaction.on_commit(settle_bell.ring)
        if actor is not None:
            record_act(
                advertiser=advertiser,
                actor=actor,
                verb="refund",
                subject=f"conversion {order_ref}"[:120],
                now=now,
                details={"refund_ref": refund.refund_ref, "reason": refund.reason, "goal": goal},
            )
    return ReceivedRefund(refund.refund_ref, recorded.conversion_id, recorded.created)


@retried
@transaction.atomic
def receive_identity(*, advertiser: Advertiser, visitor: UUID, identity: Identity, now: datetime) -> None:
    """Remember that a visitor is a customer, and wake the workers: conversions of who is thereby one person wait."""
    identify_visitor(advertiser=advertiser, visitor=visitor, identity=identity, now=now)
    transaction.on_commit(settle_bell.ring)


def _received(
    campaign: Campaign,
    fact: ConversionFact,
    id_: UUID,
    created: bool,
    now: datetime,
    update: RecordedUpdate | None = None,
) -> Received:
    """Ring the bell for what is new, and say where the conversion stands."""
    if created:
        transaction.on_commit(settle_bell.ring)
    original = original_of(id_, campaign=campaign, rejected=rejected_among)
    is_test, state = Conversion.objects.values_list("is_test", "decision__state").get(pk=id_)
    return Received(
        id=id_,
        created=created,
        status=TEST if is_test else DUPLICATE if original else state or DecisionState.PENDING,
        duplicate_of=original,
        hints=_hints(campaign, fact, now, update),
        update=update,
    )


def _hints(campaign: Campaign, fact: ConversionFact, now: datetime, update: RecordedUpdate | None) -> tuple[str, ...]:
    """Return the codes of what is stored as it was told, though the shop may have meant it otherwise."""
    at = fact.moved_to or fact.occurred_at or now
    found = {
        PARTS_MISMATCH: fact.has_other_parts,
        UNKNOWN_GOAL: not knows_goal(campaign, fact.goal, at),
        OTHER_CUSTOMER: update is not None and update.is_of_other_customer,
        ORDER_BY_CLICK: fact.is_by_click,
    }
    return tuple(code for code, holds in found.items() if holds)


def placed_in_time(fact: ConversionFact, now: datetime) -> ConversionFact:
    """Return a conversion that lies neither ahead of its telling nor before a click it names.

    What lies ahead has happened now: a click that comes in between would count or not by when the sale is settled.
    Click ids carry the moment of this house's own clock; a shop's clock that has only whole seconds, or is some minutes
    behind, must not put the sale before its click. Beyond ten minutes the shop's word stands.
    """
    told = fact.occurred_at or now
    at = min(told, now)
    last = max((moment_of(id_) + MILLISECOND for id_ in fact.click_ids), default=at)
    if at < last <= at + SKEW:
        at = last
    return fact if at == told else replace(fact, moved_to=at)
