"""Orders that claims have told: once more after their rejection, and by the shop itself after a claim."""

from __future__ import annotations

import hashlib
from copy import copy
from datetime import datetime
from itertools import count

from django.db import IntegrityError, transaction

from apps.campaigns.models import Campaign
from apps.core.ids import uuid7
from apps.tracking.changing import lock_sale
from apps.tracking.identifying import Customer, decide_standings, meet_customers, told_of_others, write_meetings
from apps.tracking.models import (
    Amendment,
    AmendmentOrigin,
    Conversion,
    ConversionLine,
    CustomerStanding,
    Repeat,
    Sighting,
    StatedTouch,
    Touchpoint,
)
from apps.tracking.rules.conversions import AMENDED_LINE, ConversionFact
from apps.tracking.rules.signatures import OrderWasSigned
from apps.tracking.services import Recorded

CLAIM = "claim"
LINE_FIELDS = (*AMENDED_LINE, "name")
LONGEST_NUMBER = 120


def repeat_of(conversion: Conversion) -> Conversion | None:
    """Return the second conversion of an order, held against other changes, where there is one."""
    rows = Conversion.objects.select_for_update(no_key=True, of=("self",))
    return rows.filter(repeat_of__original=conversion).first()


@transaction.atomic
def repeat_conversion(*, conversion: Conversion, now: datetime) -> Conversion:
    """Return the second conversion of a locked order, as the first was told, writing it where it is new.

    The link is what ties them: refunds and amendments of the order reach it by that, and its customer's keys are
    copied. Its number is the order's with a mark, the first one that the shop has not used itself.
    """
    known = repeat_of(conversion)
    if known is not None:
        return known
    again = _write_again(conversion, now)
    of_it = {"advertiser_id": conversion.advertiser_id, "conversion": again}
    lines = conversion.lines.order_by("position").values("position", *LINE_FIELDS)
    ConversionLine.objects.bulk_create(ConversionLine(**of_it, **line) for line in lines)
    seen = conversion.sightings.values("kind", "key_id")
    Sighting.objects.bulk_create(Sighting(**of_it, **sighting) for sighting in seen)
    decided = CustomerStanding.objects.filter(conversion=conversion).values("is_new", "reason")
    CustomerStanding.objects.bulk_create(CustomerStanding(**of_it, decided_at=now, **row) for row in decided)
    Repeat.objects.create(**of_it, original=conversion, recorded_at=now)
    return again


def _write_again(conversion: Conversion, now: datetime) -> Conversion:
    for number in count(2):
        mark = f"~{number}"
        again = copy(conversion)
        again.pk, again.recorded_at, again.source = uuid7(now), now, CLAIM
        again.order_ref = conversion.order_ref[: LONGEST_NUMBER - len(mark)] + mark
        again.content_hash = hashlib.sha256(f"{conversion.content_hash} {again.order_ref}".encode()).hexdigest()
        try:
            with transaction.atomic():
                again.save(force_insert=True)
        except IntegrityError:
            continue  # the shop has an order of this number
        return again
    raise AssertionError("numbers do not end")


@transaction.atomic
def tell_claimed_order(
    *, campaign: Campaign, fact: ConversionFact, now: datetime, is_signed: bool = True
) -> Recorded | None:
    """Let the shop's own first word of an order amend what a claim told of it; None where it may not.

    The amounts, lines, codes and country are then the shop's, its clicks and its customer count too; the moment stays
    the claim's. The same word again adds nothing. Another campaign or currency, a test, another word than the first,
    and an order that is the repeat of another one are not taken. Raises OrderWasSigned where nobody signed the word.
    """
    sale = lock_sale(advertiser=campaign.advertiser_id, goal=fact.goal, order_ref=fact.order_ref)
    if sale is None or sale.source != CLAIM or (sale.campaign_id, sale.currency) != (campaign.pk, fact.currency):
        return None
    if fact.is_test or Repeat.objects.filter(conversion=sale).exists():
        return None
    digest = fact.content_hash(campaign.pk)
    known = sale.amendments.filter(origin=AmendmentOrigin.ORDER).first()
    if known is not None:
        others = told_of_others(advertiser_id=sale.advertiser_id, told={sale.pk: fact.identity})
        return None if known.content_hash != digest or others else Recorded(sale.pk, created=False)
    if not is_signed:
        raise OrderWasSigned  # what a person accepted would else be anybody's to raise
    content = {**fact.as_amendment(), "coupons": list(fact.coupons), "country": fact.country}
    if fact.identity:
        content |= _meet(sale, fact, now)
    turns = sale.amendments.filter(sequence=0).values_list("turn", flat=True)
    Amendment.objects.create(
        advertiser_id=sale.advertiser_id,
        conversion=sale,
        sequence=0,
        turn=max(turns, default=0) + 1,
        origin=AmendmentOrigin.ORDER,
        content=content,
        content_hash=digest,
        recorded_at=now,
    )
    clicks = Touchpoint.objects.filter(advertiser=sale.advertiser_id, id__in=fact.click_ids)
    StatedTouch.objects.bulk_create(
        (
            StatedTouch(
                advertiser_id=sale.advertiser_id, conversion=sale, touch_id=id_, visitor=visitor, recorded_at=now
            )
            for id_, visitor in clicks.values_list("id", "visitor")
        ),
        ignore_conflicts=True,
    )
    return Recorded(sale.pk, created=True)


def _meet(sale: Conversion, fact: ConversionFact, now: datetime) -> dict[str, object]:
    """Write the customer whom the shop names; return whether it is a new one, where that was decided here."""
    customer = Customer(
        sale.pk, fact.goal, sale.occurred_at, fact.identity, click_ids=fact.click_ids, told_new=fact.new_customer
    )
    owner = sale.advertiser_id
    meeting = meet_customers(advertiser_id=owner, customers=[customer], now=now)
    standings = decide_standings(advertiser_id=owner, customers=[customer], met=meeting.met)
    write_meetings(advertiser_id=owner, meeting=meeting, standings=standings, stored={sale.pk}, now=now)
    return {"new_customer": standings[sale.pk].is_new} if sale.pk in standings else {}
