"""Join the visitors that are one person: keys seen together, the graph they make, merges recorded and undone.

The graph is a function of the set of links, whatever order they came in. It is changed under one lock per
advertiser, which is only taken where something new was seen; everything works on a batch.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import combinations
from uuid import UUID, uuid4

from django.db import transaction

from apps.core.actors import Actor
from apps.core.errors import Conflict
from apps.core.reading import array_of, read_rows, run_sql
from apps.records.services import record_act
from apps.tracking.models import IdentityKey, IdentityLink, Merge, Person
from apps.tracking.rules.persons import VISITOR, Key, groups_of, shared_keys
from apps.tracking.waking import wake_conversions_of_persons

Name = tuple[str, UUID]


class MergeUndone(Conflict):
    code = "merge_undone"
    message = "The merge is undone already."


@dataclass(slots=True)
class Node:
    """A key as the graph sees it; `person` is None for a new or a shared one."""

    id: int
    kind: str
    person: UUID | None
    is_shared: bool
    value: UUID


@dataclass(slots=True)
class Change:
    """What a run over the graph moves: keys to persons, and persons that are gathered or parted."""

    persons: dict[int, UUID] = field(default_factory=dict)
    born: list[UUID] = field(default_factory=list)
    merges: list[Merge] = field(default_factory=list)
    touched: set[UUID] = field(default_factory=set)


FIND = """
SELECT k.id, k.kind, k.person_id, k.shared_at IS NOT NULL, k.value
FROM unnest(%s::text[], %s::uuid[]) AS w(kind, value)
JOIN tracking_identitykey k ON k.advertiser_id = %s AND k.kind = w.kind AND k.value = w.value
"""
RENEW = """
UPDATE tracking_identitykey k SET value = w.value
FROM unnest(%s::text[], %s::uuid[], %s::uuid[]) AS w(kind, value, former)
WHERE k.advertiser_id = %s AND k.kind = w.kind AND k.value = w.former
  AND NOT EXISTS (
    SELECT 1 FROM tracking_identitykey o
    WHERE o.advertiser_id = k.advertiser_id AND o.kind = k.kind AND o.value = w.value
  )
"""
LINKED = """
SELECT l.low_id, l.high_id FROM unnest(%s::bigint[], %s::bigint[]) AS w(low, high)
JOIN tracking_identitylink l ON l.low_id = w.low AND l.high_id = w.high
"""
OF_PERSONS = """
SELECT id, kind, person_id, shared_at IS NOT NULL, value FROM tracking_identitykey WHERE person_id = ANY(%s::uuid[])
"""
LINKS = """
SELECT l.low_id, a.kind, l.high_id, b.kind FROM tracking_identitylink l
JOIN tracking_identitykey a ON a.id = l.low_id JOIN tracking_identitykey b ON b.id = l.high_id
WHERE l.severed_at IS NULL AND l.low_id = ANY(%s::bigint[])
UNION
SELECT l.low_id, a.kind, l.high_id, b.kind FROM tracking_identitylink l
JOIN tracking_identitykey a ON a.id = l.low_id JOIN tracking_identitykey b ON b.id = l.high_id
WHERE l.severed_at IS NULL AND l.high_id = ANY(%s::bigint[])
"""
MOVE = """
UPDATE tracking_identitykey k SET person_id = w.person_id
FROM unnest(%s::bigint[], %s::uuid[]) AS w(id, person_id) WHERE k.id = w.id
"""


def lock_persons(advertiser_id: int) -> None:
    """Hold an advertiser's person graph until the transaction ends; whoever holds it waits for no order's lock."""
    run_sql("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"persons of {advertiser_id}"])


@transaction.atomic
def join_keys(*, advertiser_id: int, sights: Sequence[Collection[Key]], now: datetime) -> dict[Name, int]:
    """Store which keys were seen together and let persons follow; return the ids of the keys by kind and value.

    What was seen before costs two look-ups and no lock. Conversions of persons that are gathered or parted go back on
    the work list.
    """
    keys = list({key[:2]: key for sight in sights for key in sight}.values())
    if not keys:
        return {}
    _renew(advertiser_id, keys)
    nodes = _find(advertiser_id, keys)
    if len(nodes) == len(keys) and not _unlinked(sights, nodes):
        return {name: node.id for name, node in nodes.items()}
    lock_persons(advertiser_id)
    nodes = _find(advertiser_id, keys)
    missing = sorted({key[:2] for key in keys} - nodes.keys(), key=str)
    IdentityKey.objects.bulk_create(
        [
            IdentityKey(advertiser_id=advertiser_id, kind=kind, value=value, first_seen_at=now)
            for kind, value in missing
        ],
        batch_size=2_000,
    )
    if missing:
        nodes = _find(advertiser_id, keys)
    new = _unlinked(sights, nodes)
    IdentityLink.objects.bulk_create(
        [
            IdentityLink(advertiser_id=advertiser_id, low_id=low, high_id=high, first_seen_at=now)
            for low, high in sorted(new)
        ],
        batch_size=2_000,
    )
    linked = {id_ for pair in new for id_ in pair} | {nodes[name].id for name in missing}
    _regroup(advertiser_id, [node for node in nodes.values() if node.id in linked], now)
    return {name: node.id for name, node in nodes.items()}


@transaction.atomic
def undo_merge(*, merge: Merge, actor: Actor, now: datetime) -> bool:
    """Part two persons again: the links between their keys of that day are severed for good.

    Returns whether they are apart; they are not where keys that came later still join them. Raises MergeUndone.
    """
    lock_persons(merge.advertiser_id)
    merge = Merge.objects.select_for_update().get(pk=merge.pk)
    if merge.undone_at is not None:
        raise MergeUndone
    nodes = _of_persons(IdentityKey.objects.filter(pk__in=merge.moved).values_list("person_id", flat=True).distinct())
    older = IdentityKey.objects.filter(pk__in=list(nodes), first_seen_at__lte=merge.at)
    others = set(older.values_list("pk", flat=True)) - set(merge.moved)
    live = IdentityLink.objects.filter(severed_at__isnull=True)
    for moved, kept in ((merge.moved, others), (others, merge.moved)):
        live.filter(low__in=moved, high__in=kept).update(severed_at=now)
    merge.undone_at, merge.undone_by = now, actor.name[:200]
    merge.save(update_fields=["undone_at", "undone_by"])
    _regroup(merge.advertiser_id, nodes.values(), now, parted=[merge])
    record_act(
        advertiser=merge.advertiser,
        actor=actor,
        verb="merge.undone",
        subject=f"person {merge.survivor_id}",
        now=now,
        details={"merge": merge.pk, "joined_by": merge.kind},
    )
    moved_to = set(IdentityKey.objects.filter(pk__in=merge.moved).values_list("person_id", flat=True))
    return not moved_to & set(IdentityKey.objects.filter(pk__in=others).values_list("person_id", flat=True))


def _renew(advertiser_id: int, keys: Iterable[Key]) -> None:
    """Give keys that are stored by the hash of an old secret that of the present one."""
    rows = [(key.kind, key.value, former) for key in keys for former in key.former]
    if rows:
        kinds, values, formers = zip(*rows, strict=True)
        run_sql(RENEW, [array_of(kinds), array_of(values), array_of(formers), advertiser_id])


def _find(advertiser_id: int, keys: Iterable[Key]) -> dict[Name, Node]:
    kinds, values = zip(*(key[:2] for key in keys), strict=True)
    return {
        (node.kind, node.value): node
        for node in map(_node, read_rows(FIND, [array_of(kinds), array_of(values), advertiser_id]))
    }


def _of_persons(persons: Iterable[UUID | None]) -> dict[int, Node]:
    rows = read_rows(OF_PERSONS, [array_of(person for person in persons if person is not None)])
    return {node.id: node for node in map(_node, rows)}


def _node(row: tuple) -> Node:
    return Node(row[0], row[1], UUID(row[2]) if row[2] else None, row[3], UUID(row[4]))


def _unlinked(sights: Sequence[Collection[Key]], nodes: Mapping[Name, Node]) -> set[tuple[int, int]]:
    """Return the pairs of keys seen together that are not stored yet; two visitors are no evidence by themselves."""
    pairs: set[tuple[int, int]] = set()
    for sight in sights:
        found = [node for key in sight if (node := nodes.get((key.kind, key.value)))]
        for one, other in combinations(found, 2):
            if one.id != other.id and not one.kind == other.kind == VISITOR:
                pairs.add((min(one.id, other.id), max(one.id, other.id)))
    if not pairs:
        return pairs
    lows, highs = zip(*pairs, strict=True)
    return pairs - set(read_rows(LINKED, [array_of(lows), array_of(highs)]))


def _regroup(advertiser_id: int, seeds: Iterable[Node], now: datetime, parted: Sequence[Merge] = ()) -> None:
    """Let persons follow the graph around some keys; the caller holds the advertiser's lock."""
    seeds = [node for node in seeds if not node.is_shared]
    nodes = _of_persons({node.person for node in seeds}) | {node.id: node for node in seeds}
    if not nodes:
        return
    ids = array_of(nodes)
    rows = read_rows(LINKS, [ids, ids])
    links = [(low, high) for low, _, high, _ in rows]
    kinds = {id_: kind for row in rows for id_, kind in (row[:2], row[2:])}
    shared = shared_keys(kinds, links) & nodes.keys()
    undone = list(parted)
    if shared:
        IdentityKey.objects.filter(pk__in=shared).update(shared_at=now, person=None)
        merges = list(Merge.objects.filter(key__in=shared, undone_at__isnull=True))
        Merge.objects.filter(pk__in=[merge.pk for merge in merges]).update(undone_at=now)
        undone += merges
    joined = {id_: node for id_, node in nodes.items() if id_ not in shared}
    change = _assign(joined, [pair for pair in links if shared.isdisjoint(pair)], undone, advertiser_id, now)
    Person.objects.bulk_create(Person(id=id_, advertiser_id=advertiser_id, created_at=now) for id_ in change.born)
    moved = {id_: person for id_, person in change.persons.items() if joined[id_].person != person}
    if moved:
        run_sql(MOVE, [array_of(moved), array_of(moved.values())])
    Merge.objects.bulk_create(change.merges)
    if change.touched or shared:
        wake_conversions_of_persons(advertiser_id=advertiser_id, persons=change.touched, keys=shared, now=now)


def _assign(
    nodes: Mapping[int, Node],
    links: Sequence[tuple[int, int]],
    undone: Sequence[Merge],
    advertiser_id: int,
    now: datetime,
) -> Change:
    """Give each connected part one person: that of its oldest key; what is absorbed is written down as a merge."""
    change, taken = Change(), set()
    neighbors: dict[int, list[int]] = {}
    for low, high in links:
        if low in nodes and high in nodes:
            neighbors.setdefault(low, []).append(high)
            neighbors.setdefault(high, []).append(low)
    restored = {id_: merge.absorbed_id for merge in undone for id_ in merge.moved}
    busy = {node.person for node in nodes.values()}
    for group in groups_of(nodes.keys(), links):
        sides = _sides(group, nodes, neighbors)
        homes = {side: side for side in sides if side not in taken}
        born = [side for side in homes if side not in busy]
        if not homes:  # parted from the rest, which has kept the person
            back = [restored[id_] for id_ in group if id_ in restored and restored[id_] not in taken | busy]
            home = back[0] if back else uuid4()
            change.born += [] if back else [home]
        else:
            home = next(iter(homes))
            change.born += born
        taken |= {home, *homes}
        if sides.keys() != {home}:
            change.touched |= {home, *sides}
        for side, keys in sides.items():
            if side != home and side in homes:
                by = _joined_by(keys, sides, nodes, neighbors)
                change.merges.append(
                    Merge(
                        advertiser_id=advertiser_id, survivor_id=home, absorbed_id=side, key_id=by.id, kind=by.kind,
                        moved=sorted(keys), at=now,
                    )
                )  # fmt: skip
        change.persons |= dict.fromkeys(group, home)
    return change


def _sides(group: Sequence[int], nodes: Mapping[int, Node], neighbors: Mapping[int, list[int]]) -> dict[UUID, set[int]]:
    """Return the persons that a part of the graph is made of, the oldest key's first, each with its keys.

    A new visitor is a person of its own; any other new key belongs to a new visitor it was seen with, else to whom
    it was seen with first.
    """
    owners: dict[int, UUID] = {}
    fresh = set()
    for id_ in group:
        if (person := nodes[id_].person) is not None:
            owners[id_] = person
        elif nodes[id_].kind == VISITOR:
            owners[id_] = uuid4()
            fresh.add(id_)
    waiting = [id_ for id_ in group if id_ not in owners]
    while waiting:
        left = []
        for id_ in waiting:
            known = sorted((other not in fresh, other) for other in neighbors.get(id_, ()) if other in owners)
            if known:
                owners[id_] = owners[known[0][1]]
            else:
                left.append(id_)
        if len(left) == len(waiting):
            owners[left[0]] = uuid4()
        waiting = [id_ for id_ in left if id_ not in owners]
    sides: dict[UUID, set[int]] = {}
    for id_ in group:
        sides.setdefault(owners[id_], set()).add(id_)
    return sides


def _joined_by(
    keys: Collection[int], sides: Mapping[UUID, set[int]], nodes: Mapping[int, Node], neighbors: Mapping[int, list[int]]
) -> Node:
    """Return the key that joins one side with the others: the oldest at either end of a link between them."""
    ends = {end for id_ in keys for other in neighbors.get(id_, ()) if other not in keys for end in (id_, other)}
    return nodes[min(end for end in ends if nodes[end].kind != VISITOR)]
