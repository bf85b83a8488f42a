"""Prove the books: every check reads the live rows and says what differs; an empty list is a clean book."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from django.db import connection, transaction

from apps.commissions.models import Receipt
from apps.ledger.reconciling import last_differences
from apps.pipeline.parsing import forget_parsed
from apps.pipeline.proofs import CHECKS, Check
from apps.pipeline.recomputing import unlike_the_facts
from apps.statements.models import Statement
from apps.statements.selectors import recomputed_hash

SAMPLE = 200
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
    """Return everything that differs; `sample` results and all statement hashes are worked out again."""
    with transaction.atomic():
        _plan_for_whole_tables()
        found = [difference for check in CHECKS for difference in _run(check)]
        found += _chain(advertiser_id)
        _plan_for_single_rows()
        found += _results(sample, advertiser_id)
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


def _run(check: Check) -> Iterator[Difference]:
    with connection.cursor() as cursor:
        cursor.execute(check.sql)
        for advertiser_id, subject, found, expected in cursor.fetchall():
            yield Difference(check.invariant, advertiser_id, subject, f"{check.says}: {found}, expected {expected}")


def _results(sample: int, advertiser_id: int | None) -> Iterator[Difference]:
    """Work a random sample of results out again from the facts, which must give the same (I6).

    With it go those that differed the last time, so that no luck of the draw ends what they hold up.
    """
    forget_parsed()
    receipts = Receipt.objects.all()
    if advertiser_id is not None:
        receipts = receipts.filter(advertiser=advertiser_id)
    ids = set(receipts.order_by("?").values_list("pk", flat=True)[:sample])
    told = {subject.removeprefix("conversion ") for subject in last_differences("I6", advertiser_id=advertiser_id)}
    for receipt, why in unlike_the_facts(ids | {UUID(id_) for id_ in told}):
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
