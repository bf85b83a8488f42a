"""Customers who are told of an order afterwards: an update names them where the first word did not."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from apps.core.reading import array_of, run_sql
from apps.tracking.identifying import (
    Customer,
    decide_standings,
    identity_keys,
    meet_customers,
    write_meetings,
)
from apps.tracking.joining import join_keys
from apps.tracking.models import Conversion, CustomerStanding, Sighting
from apps.tracking.rules.conversions import ConversionFact
from apps.tracking.rules.persons import Identity, Key
from apps.tracking.waking import OF_CONVERSIONS


@dataclass(frozen=True, slots=True)
class Introduced:
    """What an update says of its customer: whether all was known, and, where decided, whether they are a new one.

    `is_other` tells that the order came with another customer, who stays: of the one told now nothing is kept.
    """

    is_known: bool = True
    is_other: bool = False
    is_new_customer: bool | None = None


NOTHING_SAID = Introduced()


def introduce_customer(*, sale: Conversion, fact: ConversionFact, now: datetime) -> Introduced:
    """Join the customer of a locked order with its visitors, by those names that it did not come with.

    A second conversion of the order has the same customer. Whoever holds the persons waits for no order, so that it is
    safe to wait for them here; the work list's rows come last.
    """
    if not fact.identity:
        return NOTHING_SAID
    advertiser_id = sale.advertiser_id
    told = identity_keys(fact.identity, advertiser_id)
    seen = dict(Sighting.objects.filter(conversion=sale).values_list("kind", "key__value"))
    if any(seen.get(key.kind) not in (None, key.value, *key.former) for key in told):
        return Introduced(is_other=True)
    added = [key for key in told if key.kind not in seen]
    if not added:
        return NOTHING_SAID
    known = [Key(kind, value) for kind, value in seen.items() if value is not None]
    join_keys(advertiser_id=advertiser_id, sights=[[*known, *added]], now=now)
    orders = [sale, *Conversion.objects.filter(repeat_of__original=sale)]
    standing = _write(advertiser_id, orders, fact, fact.identity.only({key.kind for key in added}), now)
    run_sql(OF_CONVERSIONS, [now, array_of(sorted(str(order.pk) for order in orders))])
    return Introduced(is_known=False, is_new_customer=standing.get(sale.pk))


def _write(
    advertiser_id: int, orders: Collection[Conversion], fact: ConversionFact, added: Identity, now: datetime
) -> Mapping[UUID, bool]:
    """Write the names that are new and what they decide; return whether the customers are new ones, by conversion."""
    customers = [
        Customer(
            order.pk,
            order.goal,
            order.occurred_at,
            added,
            visitor=order.visitor,
            click_ids=tuple(order.click_ids),
            is_test=order.is_test,
            told_new=order.new_customer if fact.new_customer is None else fact.new_customer,
        )
        for order in orders
    ]
    decided = set(CustomerStanding.objects.filter(conversion__in=orders).values_list("conversion_id", flat=True))
    meeting = meet_customers(advertiser_id=advertiser_id, customers=customers, now=now)
    asked = [customer for customer in customers if customer.conversion_id not in decided]
    standings = decide_standings(advertiser_id=advertiser_id, customers=asked, met=meeting.met)
    stored = {order.pk for order in orders}
    write_meetings(advertiser_id=advertiser_id, meeting=meeting, standings=standings, stored=stored, now=now)
    return {id_: standing.is_new for id_, standing in standings.items()}
