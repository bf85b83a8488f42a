"""Which conversions repeat another one, by the scope that their campaign has chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

CLICK, CLICK_GOAL, CUSTOMER_GOAL = "CLICK", "CLICK_GOAL", "CUSTOMER_GOAL"


@dataclass(frozen=True, slots=True)
class Sold:
    """A conversion as far as its being a duplicate is concerned; `customers` are the ids of its customer's keys."""

    id: str
    occurred_at: datetime
    goal: str
    clicks: tuple[str, ...] = ()
    customers: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class First:
    """A conversion that something may be a duplicate of, under one of its keys."""

    id: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Duplicates with their originals, and the keys under which others are the first."""

    duplicates: Mapping[str, str]
    firsts: Mapping[str, tuple[str, ...]]


def keys_of(sold: Sold, scope: str) -> tuple[str, ...]:
    """Return the keys a conversion is compared by; without any it is nobody's duplicate.

    >>> keys_of(Sold("a", datetime.min, "SALE", clicks=("c1",)), CLICK_GOAL)
    ('click:c1:SALE',)
    """
    if scope == CLICK:
        return tuple(f"click:{click}" for click in sold.clicks)
    if scope == CLICK_GOAL:
        return tuple(f"click:{click}:{sold.goal}" for click in sold.clicks)
    if scope == CUSTOMER_GOAL:
        return tuple(f"customer:{key}:{sold.goal}" for key in sold.customers)
    return ()


def judge(sold: Sequence[Sold], scope: str, days: int, known: Mapping[str, Sequence[First]]) -> Verdicts:
    """Return what repeats what: of those judged together the earliest (by time, then id) is the first.

    `known` are the firsts of earlier judgements, by key; those stay what they are, also where something older comes
    later. With a customer's scope only what lies within `days` of the first, before or after, repeats it; a click
    repeats for ever.
    """
    firsts = {key: list(found) for key, found in known.items()}
    duplicates: dict[str, str] = {}
    originals: dict[str, tuple[str, ...]] = {}
    for one in sorted(sold, key=lambda row: (row.occurred_at, row.id)):
        keys = keys_of(one, scope)
        near = [
            first
            for key in keys
            for first in firsts.get(key, ())
            if scope != CUSTOMER_GOAL or abs(one.occurred_at - first.occurred_at) <= timedelta(days=days)
        ]
        if near:
            duplicates[one.id] = min(near, key=lambda first: (first.occurred_at, first.id)).id
            continue
        if keys:
            originals[one.id] = keys
        for key in keys:
            firsts.setdefault(key, []).append(First(one.id, one.occurred_at))
    return Verdicts(duplicates, originals)
