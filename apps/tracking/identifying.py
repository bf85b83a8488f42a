"""Who a conversion's customer is: hash what was told, join it with the visitors, decide whether the customer is new."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import transaction

from apps.core.reading import array_of, read_rows
from apps.identity.models import Advertiser
from apps.tracking.joining import FIND, join_keys, lock_persons
from apps.tracking.models import AwaitedClick, CustomerStanding, Sighting, StandingReason
from apps.tracking.rules.persons import VISITOR, Identity, Key, hide

Met = Mapping[UUID, Mapping[str, int]]
"""The ids of the keys that conversions came with, by their kind."""


@dataclass(frozen=True, slots=True)
class Customer:
    """Who is told to have bought: the keys of a conversion, its own visitor and the clicks it names."""

    conversion_id: UUID
    goal: str
    occurred_at: datetime
    identity: Identity
    visitor: UUID | None = None
    click_ids: tuple[UUID, ...] = ()
    is_test: bool = False
    told_new: bool | None = None


class Meeting(NamedTuple):
    """The keys that conversions came with, and the clicks they name that were not there when the keys were joined."""

    met: Met
    unmet: Mapping[UUID, Sequence[UUID]]


NOBODY = Meeting({}, {})


class Standing(NamedTuple):
    """Whether a customer is new, and why."""

    is_new: bool
    reason: StandingReason


VISITORS_OF = """
SELECT k.place, t.visitor, t.id FROM unnest(%s::int[], %s::uuid[]) AS k(place, click_id)
JOIN tracking_touchpoint t ON t.id = k.click_id AND t.advertiser_id = %s
"""
PERSONS_OF = "SELECT id, person_id FROM tracking_identitykey WHERE id = ANY(%s::bigint[]) AND person_id IS NOT NULL"
HISTORY = """
SELECT DISTINCT k.person_id, c.id, c.goal, c.occurred_at, c.new_customer
FROM tracking_identitykey k
JOIN tracking_sighting s ON s.key_id = k.id JOIN tracking_conversion c ON c.id = s.conversion_id
WHERE k.person_id = ANY(%s::uuid[]) AND NOT c.is_test
"""


def identity_keys(identity: Identity, advertiser_id: int) -> list[Key]:
    """Return the keys of what a shop told; IDENTITY_SECRETS are the present secret and those before it."""
    secrets = tuple(settings.IDENTITY_SECRETS)
    return [hide(kind, text, advertiser_id=advertiser_id, keyed_by=secrets) for kind, text in identity.told.items()]


@transaction.atomic
def identify_visitor(*, advertiser: Advertiser, visitor: UUID, identity: Identity, now: datetime) -> None:
    """Remember that a visitor is a customer; what is thereby found to be one person is joined."""
    keys = identity_keys(identity, advertiser.pk)
    if keys:
        join_keys(advertiser_id=advertiser.pk, sights=[[Key(VISITOR, visitor), *keys]], now=now)


def visitor_of_click(*, advertiser_id: int, click_id: UUID) -> UUID | None:
    """Return whose click it was, or None where it is not there (yet)."""
    rows = read_rows(VISITORS_OF, [array_of([0]), array_of([click_id]), advertiser_id])
    return UUID(rows[0][1]) if rows else None


def meet_customers(*, advertiser_id: int, customers: Sequence[Customer], now: datetime) -> Meeting:
    """Join the keys of conversions about to be stored with their visitors; return the keys' ids by conversion and kind.

    Runs in the caller's transaction, before the conversions are written. A click that is not there yet is joined when
    it comes, which `write_meetings` sees to.
    """
    told = [identity_keys(customer.identity, advertiser_id) for customer in customers]
    clicks = [(place, click) for place, customer in enumerate(customers) for click in customer.click_ids]
    visitors: dict[int, list[UUID]] = defaultdict(list)
    there: set[UUID] = set()
    for place, customer in enumerate(customers):
        if customer.visitor is not None:
            visitors[place].append(customer.visitor)
    if clicks:
        places, ids = zip(*clicks, strict=True)
        for place, visitor, click in read_rows(VISITORS_OF, [array_of(places), array_of(ids), advertiser_id]):
            visitors[place].append(UUID(visitor))
            there.add(UUID(click))
    sights = [
        [*keys, *(Key(VISITOR, visitor) for visitor in dict.fromkeys(visitors[place]))]
        for place, keys in enumerate(told)
    ]
    ids_by_name = join_keys(advertiser_id=advertiser_id, sights=[sight for sight in sights if sight], now=now)
    known = [(customer, keys) for customer, keys in zip(customers, told, strict=True) if keys]
    return Meeting(
        {one.conversion_id: {key.kind: ids_by_name[key.kind, key.value] for key in keys} for one, keys in known},
        {one.conversion_id: [click for click in one.click_ids if click not in there] for one, _ in known},
    )


def decide_standings(*, advertiser_id: int, customers: Sequence[Customer], met: Met) -> dict[UUID, Standing]:
    """Decide of customers of whom the shop does not say it whether they are new; nobody whom no key joins.

    A person is new once for each goal: an earlier conversion that came with a key of theirs, or one that has counted as
    the first, speaks against it.
    Of two at once the advertiser's lock lets one decide after the other.
    """
    found, is_certain = _standings(customers, met)
    if is_certain:
        return found
    lock_persons(advertiser_id)
    return _standings(customers, met)[0]


def write_meetings(
    *,
    advertiser_id: int,
    meeting: Meeting,
    standings: Mapping[UUID, Standing],
    stored: Collection[UUID],
    now: datetime,
) -> None:
    """Write which keys the stored ones of some conversions came with, and what was decided of their customers.

    Clicks that were not there are awaited from now on: one that comes before the first settling is to join them too.
    """
    AwaitedClick.objects.bulk_create(
        [
            AwaitedClick(advertiser_id=advertiser_id, conversion_id=id_, click_id=click)
            for id_, clicks in meeting.unmet.items()
            if id_ in stored
            for click in clicks
        ],
        ignore_conflicts=True,
    )
    Sighting.objects.bulk_create(
        [
            Sighting(advertiser_id=advertiser_id, conversion_id=id_, kind=kind, key_id=key)
            for id_, keys in meeting.met.items()
            if id_ in stored
            for kind, key in keys.items()
        ],
        batch_size=2_000,
    )
    CustomerStanding.objects.bulk_create(
        [
            CustomerStanding(
                advertiser_id=advertiser_id,
                conversion_id=id_,
                is_new=standing.is_new,
                reason=standing.reason,
                decided_at=now,
            )
            for id_, standing in standings.items()
            if id_ in stored
        ],
        batch_size=2_000,
    )


def told_of_others(*, advertiser_id: int, told: Mapping[UUID, Identity]) -> set[UUID]:
    """Return those conversions that were stored with another customer than is told now; erased ones match any."""
    stored: dict[UUID, dict[str, int | None]] = defaultdict(dict)
    for sighting in Sighting.objects.filter(conversion__in=list(told)):
        stored[sighting.conversion_id][sighting.kind] = sighting.key_id
    keys = {id_: identity_keys(identity, advertiser_id) for id_, identity in told.items()}
    names = {(key.kind, value) for group in keys.values() for key in group for value in (key.value, *key.former)}
    known: dict[tuple[str, str], int] = {}
    if names:
        kinds, values = zip(*names, strict=True)
        rows = read_rows(FIND, [array_of(kinds), array_of(values), advertiser_id])
        known = {(kind, value): id_ for id_, kind, _, _, value in rows}
    return {id_ for id_, group in keys.items() if not _same(stored[id_], group, known)}


def _same(stored: Mapping[str, int | None], told: Iterable[Key], known: Mapping[tuple[str, str], int]) -> bool:
    ids = {key.kind: {known.get((key.kind, str(value))) for value in (key.value, *key.former)} for key in told}
    return stored.keys() == ids.keys() and all(id_ is None or id_ in ids[kind] for kind, id_ in stored.items())


def _standings(customers: Sequence[Customer], met: Met) -> tuple[dict[UUID, Standing], bool]:
    """Return the standings by what is known now, and whether nothing told at the same time could change them."""
    keys = {key for ids in met.values() for key in ids.values()}
    persons = dict(read_rows(PERSONS_OF, [array_of(keys)])) if keys else {}
    whose = array_of(set(persons.values()))
    orders: dict[tuple[str, str], list[tuple[datetime, str, bool | None]]] = defaultdict(list)
    for person, id_, goal, occurred_at, is_new in read_rows(HISTORY, [whose]) if persons else ():
        orders[person, goal].append((occurred_at, id_, is_new))
    found: dict[UUID, Standing] = {}
    is_certain = True
    for customer in sorted(customers, key=lambda one: (one.occurred_at, one.conversion_id)):
        person = next((persons[key] for key in met.get(customer.conversion_id, {}).values() if key in persons), None)
        if person is None:
            continue
        place = (customer.occurred_at, str(customer.conversion_id))
        if customer.told_new is not None:
            orders[person, customer.goal].append((*place, customer.told_new))
            continue
        others = [order for order in orders[person, customer.goal] if order[1] != place[1]]
        if any(order[:2] < place for order in others):
            standing = Standing(False, StandingReason.EARLIER_ORDER)
        elif any(order[2] for order in others):
            standing = Standing(False, StandingReason.NEW_ONCE)
        else:
            standing = Standing(True, StandingReason.FIRST_ORDER)
        is_certain = is_certain and not standing.is_new
        found[customer.conversion_id] = standing
        if not customer.is_test:
            orders[person, customer.goal].append((*place, standing.is_new))
    return found, is_certain
