"""Find what has become known of stored conversions since, in whatever order it all was committed.

Level-triggered: every turn looks at the rows that wait and at the marks that transactions left, never at what is newer.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple, Protocol
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from apps.core.reading import array_of, read_rows, run_sql
from apps.tracking.joining import join_keys
from apps.tracking.models import AwaitedClick, AwaitedSale, Stirred
from apps.tracking.rules.persons import VISITOR, Key
from apps.tracking.waking import OF_CONVERSIONS, mark_persons, mark_repeats, mark_visitors

AT_ONCE = 100
LOOKED_FOR = 5_000
# Found and forgotten in one statement, so that nothing is forgotten that was not found. What is not found is looked for
# again once it has waited twice as long, or in six hours, and in its first minutes at each turn, until it is `over`.
LOOK = """
WITH due AS (
    SELECT {id} FROM {table} WHERE advertiser_id = %s AND look_at <= statement_timestamp()
    ORDER BY look_at LIMIT %s FOR UPDATE SKIP LOCKED
), came AS (
    DELETE FROM {table} a USING due, {of}
    WHERE a.{id} = due.{id} AND {came}
    RETURNING a.{id}, {told}
), ended AS (
    DELETE FROM {table} a USING due WHERE a.{id} = due.{id} AND {over} AND a.{id} NOT IN (SELECT {id} FROM came)
), later AS (
    UPDATE {table} a SET look_at = statement_timestamp() + LEAST(statement_timestamp() - a.since, interval '6 hours')
    FROM due
    WHERE a.{id} = due.{id} AND a.since < statement_timestamp() - interval '5 minutes'
      AND NOT {over} AND a.{id} NOT IN (SELECT {id} FROM came)
)
SELECT {names} FROM came
"""
CLICKED = LOOK.format(
    table="tracking_awaitedclick",
    id="id",
    of="tracking_touchpoint t",
    came="t.id = a.click_id AND t.advertiser_id = a.advertiser_id",
    over="a.since < statement_timestamp() - interval '366 days'",  # as far as a journey looks back
    told="a.conversion_id, t.visitor",
    names="conversion_id, visitor",
)
CAME_WITH = """
SELECT s.conversion_id, k.kind, k.value FROM tracking_sighting s JOIN tracking_identitykey k ON k.id = s.key_id
WHERE s.conversion_id = ANY(%s::uuid[])
"""
ARRIVED = LOOK.format(
    table="tracking_awaitedsale",
    id="refund_id",
    of="tracking_refund r, tracking_conversion c",
    came="r.id = a.refund_id AND c.advertiser_id = r.advertiser_id AND c.goal = r.goal AND c.order_ref = r.order_ref",
    over="false",  # a refund counts whenever its sale comes
    told="c.id AS conversion_id, r.refund_ref, r.is_signed",
    names="conversion_id, refund_ref, is_signed",
)
STIRRED = """
DELETE FROM tracking_stirred WHERE id IN (
    SELECT id FROM tracking_stirred WHERE advertiser_id = %s ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
)
RETURNING id, visitors, since, persons, keys, firsts
"""
logger = logging.getLogger(__name__)


class ArrivedRefund(NamedTuple):
    """A refund that came before its sale, and the conversion that it waited for."""

    conversion_id: str
    refund_ref: str
    is_signed: bool = True


class Hear(Protocol):
    """Hears of refunds whose sale has come, in the transaction that ends their waiting."""

    def __call__(self, *, arrived: Sequence[ArrivedRefund], now: datetime) -> object: ...


def wake_awaited(*, now: datetime, hear: Hear | None = None) -> int:
    """Mark conversions whose awaited click or refund has come, or whose touches or person changed; return how many.

    What comes in between is heard at the next turn. A step that fails is logged and tried again then; it holds up none
    of the others. `hear` is told of refunds that had waited, once.
    """
    due = {"look_at__lte": Now()}
    steps: tuple[tuple[QuerySet, Callable[[int, datetime], int]], ...] = (
        (AwaitedClick.objects.filter(**due), _wake_clicked),
        (AwaitedSale.objects.filter(**due), partial(_wake_sales, hear)),
        (Stirred.objects.all(), _wake_stirred),
    )
    return sum(_each(waiting, wake, now) for waiting, wake in steps)


def wake_stirred(*, now: datetime) -> int:
    """Mark conversions of the visitors and persons that committed transactions have stirred; return how many."""
    return _each(Stirred.objects.all(), _wake_stirred, now)


def _each(waiting: QuerySet, wake: Callable[[int, datetime], int], now: datetime) -> int:
    """Take a step for each advertiser that has something waiting, each in transactions of its own."""
    woken = 0
    for advertiser_id in sorted(set(waiting.values_list("advertiser_id", flat=True).distinct())):
        try:
            woken += wake(advertiser_id, now)
        except Exception:
            logger.exception(
                "%s of advertiser %s cannot be woken", waiting.model._meta.verbose_name_plural, advertiser_id
            )
    return woken


@transaction.atomic
def _wake_clicked(advertiser_id: int, now: datetime) -> int:
    """Join the customers of conversions with the visitors of clicks that have come, and mark the conversions."""
    visitors: dict[str, set[Key]] = defaultdict(set)
    for conversion_id, visitor in read_rows(CLICKED, [advertiser_id, LOOKED_FOR]):
        visitors[conversion_id].add(Key(VISITOR, UUID(visitor)))
    if not visitors:
        return 0
    ids = array_of(sorted(visitors))
    sights: dict[str, set[Key]] = {}
    for conversion_id, kind, value in read_rows(CAME_WITH, [ids]):
        sights.setdefault(conversion_id, set(visitors[conversion_id])).add(Key(kind, UUID(value)))
    if sights:
        join_keys(advertiser_id=advertiser_id, sights=list(sights.values()), now=now)
    return run_sql(OF_CONVERSIONS, [now, ids])


@transaction.atomic
def _wake_sales(hear: Hear | None, advertiser_id: int, now: datetime) -> int:
    """Mark the conversions of refunds that came before them."""
    arrived = [ArrivedRefund._make(row) for row in read_rows(ARRIVED, [advertiser_id, LOOKED_FOR])]
    if not arrived:
        return 0
    if hear is not None:
        hear(arrived=arrived, now=now)
    return run_sql(OF_CONVERSIONS, [now, array_of(sorted({refund.conversion_id for refund in arrived}))])


def _wake_stirred(advertiser_id: int, now: datetime) -> int:
    """Follow the marks of transactions that have committed by now, so many at a time."""
    woken = 0
    while True:
        with transaction.atomic():
            marks = read_rows(STIRRED, [advertiser_id, AT_ONCE])
            for _, visitors, since, *_ in marks:
                if since is not None:
                    woken += mark_visitors(advertiser_id=advertiser_id, visitors=visitors, since=since, now=now)
            persons = {person for _, _, _, stirred, _, _ in marks for person in stirred}
            keys = {key for _, _, _, _, parted, _ in marks for key in parted}
            if persons or keys:
                woken += mark_persons(advertiser_id=advertiser_id, persons=persons, keys=keys, now=now)
            if firsts := {first for *_, rejected in marks for first in rejected}:
                woken += mark_repeats(firsts=firsts, now=now)
        if len(marks) < AT_ONCE:
            return woken
