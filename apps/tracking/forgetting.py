"""Find what is known of a customer, tell it, and forget it: keys and raw data go, facts and books stay."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from apps.core.errors import Invalid
from apps.core.reading import array_of, read_rows, run_sql
from apps.identity.models import Advertiser
from apps.tracking.identifying import identity_keys
from apps.tracking.joining import FIND, lock_persons
from apps.tracking.models import (
    ClientData,
    Conversion,
    IdentityKey,
    KeptJourney,
    Merge,
    Person,
    Refund,
    Sighting,
    Touchpoint,
)
from apps.tracking.rules.persons import VISITOR, Identity, Key, email_hash, read_email_hash

# What of a touch is the customer's own story; the partner's sub-ids are not.
TOLD_OF_TOUCHES = ("id", "occurred_at", "kind", "channel", "channel_class", "goal", "country", "device", "visitor")
TOLD_OF_ORDERS = (
    "id",
    "goal",
    "order_ref",
    "occurred_at",
    "amount_minor",
    "currency",
    "coupons",
    "new_customer",
    "country",
)
CLICKED = """
SELECT id FROM tracking_conversion WHERE advertiser_id = %s AND click_ids <> '{}' AND click_ids && %s::uuid[]
"""


class UnnamedCustomer(Invalid):
    code = "unnamed_customer"
    message = "Name the customer by number, e-mail, e-mail hash, device or visitor."


@dataclass(frozen=True, slots=True)
class CustomerName:
    """How somebody asks for their data: by any of these, all of which are then theirs."""

    customer_id: str = ""
    email: str = ""
    email_sha256: str = ""
    device_id: str = ""
    visitor: UUID | None = None

    def __bool__(self) -> bool:
        return bool(self.customer_id or self.email or self.email_sha256 or self.device_id or self.visitor)


@dataclass(frozen=True, slots=True)
class Customer:
    """What is known of somebody: persons, keys, visitors, and the touches and conversions that are theirs."""

    persons: frozenset[UUID]
    keys: frozenset[int]
    visitors: frozenset[UUID]
    touches: frozenset[UUID]
    conversions: frozenset[UUID]


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How many keys and rows of raw data were deleted."""

    keys: int = 0
    raw: int = 0

    def __bool__(self) -> bool:
        return bool(self.keys or self.raw)


def find_customer(*, advertiser: Advertiser, name: CustomerName) -> Customer:
    """Find everything that hangs on a name, by its keys and all that are joined with them.

    Raises UnnamedCustomer, InvalidEmailHash.
    """
    if not name:
        raise UnnamedCustomer
    named = _keys(advertiser, name)
    rows = []
    if named:
        kinds, values = zip(*((key.kind, value) for key in named for value in (key.value, *key.former)), strict=True)
        rows = read_rows(FIND, [array_of(kinds), array_of(values), advertiser.pk])
    persons = {UUID(row[2]) for row in rows if row[2]}
    own = IdentityKey.objects.filter(advertiser=advertiser)
    keys = own.filter(pk__in=[row[0] for row in rows]) | own.filter(person__in=persons)
    ids, visitors = set(), {name.visitor} if name.visitor else set()
    for id_, kind, value in keys.values_list("pk", "kind", "value"):
        ids.add(id_)
        visitors |= {value} if kind == VISITOR else set()
    touches = set(Touchpoint.objects.filter(advertiser=advertiser, visitor__in=visitors).values_list("pk", flat=True))
    return Customer(
        persons=frozenset(persons),
        keys=frozenset(ids),
        visitors=frozenset(visitors),
        touches=frozenset(touches),
        conversions=frozenset(_conversions(advertiser, ids, visitors, touches)),
    )


def customer_facts(*, advertiser: Advertiser, customer: Customer) -> dict[str, Any]:
    """Return what this room holds of somebody, as plain values; keys without their hashes."""
    ids = list(customer.conversions)
    orders = Conversion.objects.filter(advertiser=advertiser, pk__in=ids).order_by("occurred_at", "pk")
    references = [(order.goal, order.order_ref) for order in orders]
    refunds = Refund.objects.filter(advertiser=advertiser, order_ref__in=[ref for _, ref in references])
    keys = IdentityKey.objects.filter(pk__in=customer.keys).order_by("pk")
    touches = Touchpoint.objects.filter(pk__in=customer.touches).order_by("occurred_at", "pk")
    raw = ClientData.objects.filter(pk__in=[*customer.touches, *ids]).order_by("pk")
    return {
        "persons": sorted(str(person) for person in customer.persons),
        "keys": list(keys.values("kind", "first_seen_at", "shared_at")),
        "visitors": sorted(str(visitor) for visitor in customer.visitors),
        "touches": list(touches.values(*TOLD_OF_TOUCHES)),
        "orders": [
            {
                **{name: getattr(order, name) for name in TOLD_OF_ORDERS},
                "lines": list(order.lines.order_by("position").values("sku", "name", "quantity", "unit_price_minor")),
            }
            for order in orders.prefetch_related("lines")
        ],
        "refunds": [
            {"order_ref": row.order_ref, "kind": row.kind, "amount_minor": row.amount_minor, "at": row.occurred_at}
            for row in refunds.order_by("occurred_at", "pk")
            if (row.goal, row.order_ref) in references
        ],
        "raw": list(raw.values("id", "user_agent", "address", "referrer", "payload")),
    }


@transaction.atomic
def forget_person(*, advertiser: Advertiser, customer: Customer, now: datetime) -> Forgotten:
    """Delete somebody's keys and raw data; what is decided, and what their conversions were, stays without them.

    Merges and sightings stay too, with nothing in them that leads to anybody; open conversions keep the touches they
    were shared by. Doing it again does nothing. The caller holds the advertiser's persons since it found the customer.
    """
    lock_persons(advertiser.pk)
    ids = list(customer.keys)
    Merge.objects.filter(key__in=ids).update(key=None)
    Merge.objects.filter(survivor__in=customer.persons, undone_at__isnull=True).update(undone_at=now)
    Sighting.objects.filter(key__in=ids).update(key=None)
    run_sql("DELETE FROM tracking_identitylink WHERE low_id = ANY(%s) OR high_id = ANY(%s)", [ids, ids])
    gone = run_sql("DELETE FROM tracking_identitykey WHERE id = ANY(%s)", [ids])
    raw = [*customer.touches, *customer.conversions]
    deleted = run_sql("DELETE FROM tracking_clientdata WHERE id = ANY(%s::uuid[])", [array_of(raw)])
    KeptJourney.objects.bulk_create(
        [KeptJourney(conversion_id=id_, advertiser=advertiser) for id_ in sorted(customer.conversions)],
        ignore_conflicts=True,
    )
    emptied = Person.objects.filter(pk__in=customer.persons, keys__isnull=True, erased_at__isnull=True)
    emptied.update(erased_at=now)
    return Forgotten(gone, deleted)


def kept_journeys(conversion_ids: Collection[str]) -> set[str]:
    """Return which conversions are of erased customers."""
    if not conversion_ids:
        return set()
    return {str(pk) for pk in KeptJourney.objects.filter(pk__in=conversion_ids).values_list("pk", flat=True)}


def is_order_erased(*, advertiser_id: int, goal: str, order_ref: str) -> bool:
    """Tell whether an order is an erased customer's, whom no name finds any more."""
    orders = Conversion.objects.filter(advertiser=advertiser_id, goal=goal, order_ref=order_ref)
    return KeptJourney.objects.filter(pk__in=orders.values("pk")).exists()


def _keys(advertiser: Advertiser, name: CustomerName) -> list[Key]:
    hashes = {read_email_hash(name.email_sha256), email_hash(name.email) if name.email.strip() else ""} - {""}
    told = [Identity(name.customer_id.strip(), "", name.device_id.strip())]
    told += [Identity(email_sha256=value) for value in sorted(hashes)]
    keys = [key for identity in told for key in identity_keys(identity, advertiser.pk)]
    return [*keys, Key(VISITOR, name.visitor)] if name.visitor else keys


def _conversions(
    advertiser: Advertiser, keys: Collection[int], visitors: Collection[UUID], touches: Collection[UUID]
) -> set[UUID]:
    own = Conversion.objects.filter(advertiser=advertiser)
    found = set(Sighting.objects.filter(key__in=keys).values_list("conversion_id", flat=True))
    found |= set(own.filter(visitor__in=visitors).values_list("pk", flat=True))
    if touches:
        found |= {UUID(row[0]) for row in read_rows(CLICKED, [advertiser.pk, array_of(touches)])}
    return found
