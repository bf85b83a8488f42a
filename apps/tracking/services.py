"""Store what the web tells: conversions once each, and refused calls with their reason."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from apps.campaigns.models import Campaign
from apps.core.errors import Conflict, Refusal
from apps.core.ids import uuid7
from apps.identity.models import Advertiser
from apps.tracking.client_data import keep_client_data
from apps.tracking.identifying import (
    NOBODY,
    Customer,
    Meeting,
    Standing,
    decide_standings,
    meet_customers,
    told_of_others,
    write_meetings,
)
from apps.tracking.models import Conversion, ConversionLine, RejectedEvent
from apps.tracking.rules.clients import Client
from apps.tracking.rules.conversions import ConversionFact
from apps.tracking.rules.presenting import presentable_call, without_addresses

PAYLOAD_FIELDS = 60
PAYLOAD_TEXT = 300
PAYLOAD_BYTES = 4096
REJECTIONS_KEPT = timedelta(days=30)
NO_NUMBER = (
    "Without `order_ref` the click stands for the order, and its order is already recorded with other content. Send "
    "`order_ref`, so that several orders of one click are told apart."
)


class OrderRefConflict(Conflict):
    code = "order_ref_conflict"
    message = "The order is already recorded with other content."


@dataclass(frozen=True, slots=True)
class Recorded:
    """A conversion's id, and whether this call wrote it (else it is an exact repeat)."""

    id: UUID
    created: bool


@transaction.atomic
def record_conversion(
    *,
    campaign: Campaign,
    fact: ConversionFact,
    now: datetime,
    source: str = "s2s",
    client: Client | None = None,
    payload: Mapping[str, object] | None = None,
) -> Recorded:
    """Store a conversion and its lines, or find the same one stored before.

    The natural key is advertiser, goal and order number: of two calls at once the database lets one write,
    the other waits and sees it. `client` and `payload` are kept apart, for some days. Raises OrderRefConflict where the
    key is there with other content.
    """
    owner, id_ = campaign.advertiser_id, uuid7(now)
    natural = {"advertiser_id": owner, "goal": fact.goal, "order_ref": fact.order_ref}
    is_new_of_somebody = fact.identity and not _is_stored(natural)
    meeting, standings = _meet(campaign, fact, id_, now) if is_new_of_somebody else (NOBODY, {})
    row = _row_of(campaign, fact, id_, now=now, source=source, standing=standings.get(id_))
    Conversion.objects.bulk_create([row], ignore_conflicts=True)
    stored = Conversion.objects.only("id", "content_hash").get(**natural)
    if stored.pk != id_:
        told = {stored.pk: fact.identity}
        if stored.content_hash != row.content_hash or told_of_others(advertiser_id=owner, told=told):
            raise OrderRefConflict(
                NO_NUMBER if fact.is_by_click else f"Order {fact.order_ref} is already recorded with other content.",
                path="order_ref",
                conversion_id=str(stored.pk),
            )
        return Recorded(stored.pk, created=False)
    _write_lines(campaign, fact, id_)
    if meeting.met:
        write_meetings(advertiser_id=owner, meeting=meeting, standings=standings, stored={id_}, now=now)
    if client or payload:
        fields = _presentable(payload) if payload else None
        keep_client_data(id_=id_, advertiser_id=owner, client=client, payload=fields)
    return Recorded(id_, created=True)


def _row_of(
    campaign: Campaign, fact: ConversionFact, id_: UUID, *, now: datetime, source: str, standing: Standing | None
) -> Conversion:
    """Return a conversion as it is stored; whether its customer is new is what was decided, else what was told."""
    return Conversion(
        id=id_,
        advertiser_id=campaign.advertiser_id,
        campaign=campaign,
        goal=fact.goal,
        order_ref=fact.order_ref,
        occurred_at=fact.moved_to or fact.occurred_at or now,
        recorded_at=now,
        amount_minor=fact.amount_minor,
        discount_minor=fact.discount_minor,
        currency=fact.currency,
        click_ids=list(fact.click_ids),
        coupons=list(fact.coupons),
        new_customer=standing.is_new if standing else fact.new_customer,
        country=fact.country,
        is_test=fact.is_test,
        source=source,
        content_hash=fact.content_hash(campaign.pk),
    )


def _is_stored(natural: Mapping[str, object]) -> bool:
    return Conversion.objects.filter(**natural).exists()


def _meet(campaign: Campaign, fact: ConversionFact, id_: UUID, now: datetime) -> tuple[Meeting, dict[UUID, Standing]]:
    """Join the customer of a conversion with its visitors, and decide whether it is a new one where nobody says so."""
    customer = Customer(
        id_,
        fact.goal,
        fact.moved_to or fact.occurred_at or now,
        fact.identity,
        click_ids=fact.click_ids,
        is_test=fact.is_test,
        told_new=fact.new_customer,
    )
    meeting = meet_customers(advertiser_id=campaign.advertiser_id, customers=[customer], now=now)
    return meeting, decide_standings(advertiser_id=campaign.advertiser_id, customers=[customer], met=meeting.met)


def _write_lines(campaign: Campaign, fact: ConversionFact, id_: UUID) -> None:
    ConversionLine.objects.bulk_create(
        ConversionLine(
            advertiser_id=campaign.advertiser_id,
            conversion_id=id_,
            position=position,
            sku=line.sku,
            name=line.name,
            category=line.category,
            shop_category=line.shop_category,
            quantity=line.quantity,
            unit_price_minor=line.unit_price_minor,
        )
        for position, line in enumerate(fact.lines, 1)
    )


def record_rejection(
    *,
    advertiser: Advertiser | int | None,
    campaign: Campaign | int | None,
    door: str,
    refusal: Refusal,
    payload: Mapping[str, object],
    now: datetime,
) -> RejectedEvent:
    """Keep a refused call for the shop's developer: its code, and of its fields what may be kept."""
    return RejectedEvent.objects.create(
        advertiser_id=getattr(advertiser, "pk", advertiser),
        campaign_id=getattr(campaign, "pk", campaign),
        at=now,
        door=door,
        code=refusal.code,
        message=without_addresses(refusal.message[:300]),
        payload=presentable_call(payload),
    )


def record_left_out(
    *, advertiser_id: int | None, campaign_id: int | None, since: datetime, count: int
) -> RejectedEvent:
    """Keep how many refused calls of a minute were not kept, so that a flood hides nothing silently."""
    return RejectedEvent.objects.create(
        advertiser_id=advertiser_id,
        campaign_id=campaign_id,
        at=since,
        door="flood",
        code="left_out",
        message=f"{count} more calls were refused in the minute from here on and are only counted.",
        payload={"count": count},
    )


def forget_rejections(*, now: datetime) -> int:
    """Delete the refused calls of more than 30 days ago; return how many."""
    return RejectedEvent.objects.filter(at__lt=now - REJECTIONS_KEPT).delete()[0]


def _presentable(payload: Mapping[str, object]) -> dict[str, object]:
    """Return as many fields as 4 kB of JSON hold, each cut short; the last entry says how many more there were.

    It is kept apart, for some days, and goes where the customer is erased; the signature is no part of it.
    """
    fields = list(payload.items())
    shown: dict[str, object] = {}
    room = PAYLOAD_BYTES - 40
    for name, value in fields[:PAYLOAD_FIELDS]:
        key, text = _storable(name[:80]), "…" if name.lower() == "sig" else _cut(value)
        room -= len(json.dumps({key: text}, ensure_ascii=False).encode())
        if room < 0:
            break
        shown[key] = text
    return shown if len(shown) == len(fields) else {**shown, "…": f"{len(fields) - len(shown)} more"}


def _cut(value: object) -> object:
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = ", ".join(str(item) for item in value[:20])
    text = value if isinstance(value, str) else str(value)
    return _storable(text if len(text) <= PAYLOAD_TEXT else f"{text[:PAYLOAD_TEXT]}…")


def _storable(text: str) -> str:
    """Return a text that PostgreSQL's JSON takes: without NUL and halves of surrogate pairs."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()
