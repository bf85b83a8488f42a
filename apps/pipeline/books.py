"""Prove the books: every check reads the live rows and says what differs; an empty list is a clean book."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

from django.db import connection, transaction

from apps.commissions.models import Receipt
from apps.core.reading import array_of
from apps.ledger.reconciling import last_differences
from apps.pipeline.drawing import Draw, draw_receipts
from apps.pipeline.parsing import forget_parsed
from apps.pipeline.proofs import CHECKS, Check
from apps.pipeline.recomputing import unlike_the_facts
from apps.statements.models import Statement
from apps.statements.selectors import recomputed_hash
from apps.tracking.models import Conversion

SAMPLE = 200
AT_ONCE = 5_000
# Those of CHECKS, the sample of results worked out again, and the chain of statements.
CHECK_COUNT = len(CHECKS) + 2


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that does not add up: the invariant, the advertiser it concerns, and what was found."""

    invariant: str
    advertiser_id: int | None
    subject: str
    message: str


def check_books(*, advertiser_id: int | None = None, sample: int = SAMPLE) -> list[Difference]:
    """Return everything that differs; `sample` results and all statement hashes are worked out again.

    Of one advertiser no other's rows are read, however many there are.
    """
    with transaction.atomic():
        _plan_for_whole_tables()
        if advertiser_id is None:
            found = [difference for check in CHECKS for difference in _run(check, check.sql)]
            drawn = draw_receipts(sample)
        else:
            draw = Draw(sample)
            found = list(_of_advertiser(advertiser_id, draw))
            drawn = set(draw.kept)
        found += _chain(advertiser_id)
        _plan_for_single_rows()
        found += _results(drawn, advertiser_id)
    return [row for row in found if advertiser_id is None or row.advertiser_id == advertiser_id]


def _plan_for_whole_tables() -> None:
    """Let the planner join whole tables by hash, and take its time.

    An audit reads everything once. Right after an import the statistics know nothing of it, and loops that look
    cheap to the planner then take hours.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_nestloop = off; SET LOCAL work_mem = '128MB'; SET LOCAL statement_timeout = 0")


def _plan_for_single_rows() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_nestloop = on")


def _of_advertiser(advertiser_id: int, draw: Draw) -> Iterator[Difference]:
    """Run the checks on an advertiser's rows, on its conversions so many at a time; `draw` sees their receipts."""
    for check in CHECKS:
        if not (check.of_conversions or check.of_everybody):
            yield from _run(check, check.sql_of_part, {"advertiser": advertiser_id})
    # In no order: sorted by their ids, everybody's would be walked through.
    own = Conversion.objects.filter(advertiser=advertiser_id).values_list("pk", flat=True)
    conversions = own.iterator(chunk_size=AT_ONCE)
    while ids := list(islice(conversions, AT_ONCE)):
        told = {"ids": array_of(ids)}
        for check in CHECKS:
            if check.of_conversions:
                yield from _run(check, check.sql_of_part, told)
        draw.see(Receipt.objects.filter(pk__in=ids).values_list("pk", flat=True))


def _run(check: Check, sql: str, told: Mapping[str, object] | None = None) -> Iterator[Difference]:
    with connection.cursor() as cursor:
        cursor.execute(sql, told)
        for advertiser_id, subject, found, expected in cursor.fetchall():
            yield Difference(check.invariant, advertiser_id, subject, f"{check.says}: {found}, expected {expected}")


def _results(drawn: Collection[UUID], advertiser_id: int | None) -> Iterator[Difference]:
    """Work results that were drawn out again from the facts, which must give the same (I6).

    With them go those that differed the last time, so that no luck of the draw ends what they hold up.
    """
    forget_parsed()
    told = {subject.removeprefix("conversion ") for subject in last_differences("I6", advertiser_id=advertiser_id)}
    for receipt, why in unlike_the_facts({*drawn, *(UUID(id_) for id_ in told)}):
        yield Difference("I6", receipt.advertiser_id, f"conversion {receipt.pk}", why)


def _chain(advertiser_id: int | None) -> Iterator[Difference]:
    """Recompute each statement's hash and its link to the one before (I12)."""
    previous: dict[int, Statement] = {}
    statements = Statement.objects.order_by("advertiser_id", "place")
    if advertiser_id is not None:
        statements = statements.filter(advertiser=advertiser_id)
    for statement in statements.iterator(chunk_size=500):
        before = previous.get(statement.advertiser_id)
        place, sha256 = (before.place, before.sha256) if before else (0, "")
        subject = f"statement {statement.pk}"
        if (statement.place, statement.previous_sha256) != (place + 1, sha256):
            yield Difference("I12", statement.advertiser_id, subject, "the chain of hashes is broken before it")
        if recomputed_hash(statement) != statement.sha256:
            yield Difference("I12", statement.advertiser_id, subject, "its content has another hash")
        previous[statement.advertiser_id] = statement
