"""Draw receipts by lot: each as likely as any other, without sorting them all."""

from __future__ import annotations

from collections.abc import Iterable
from random import SystemRandom
from uuid import UUID

from apps.commissions.models import Receipt
from apps.core.reading import read_rows

TABLE = Receipt._meta.db_table
LOT = SystemRandom()
# Pages are drawn, so that few are read; as many as hold the sample some times over, or all of a small table.
PAGES = f"SELECT pg_relation_size('{TABLE}') / current_setting('block_size')::int"
DRAWN = f"SELECT conversion_id FROM {TABLE} TABLESAMPLE SYSTEM (%s)"
PAGES_PER_RECEIPT = 2


class Draw:
    """A lot of at most `size` out of ids that come by one after another (reservoir sampling, algorithm R)."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.seen = 0
        self.kept: list[UUID] = []

    def see(self, ids: Iterable[UUID]) -> None:
        """Let ids come by; whatever their number, each of all seen is kept with the same chance."""
        for id_ in ids:
            self.seen += 1
            if len(self.kept) < self.size:
                self.kept.append(id_)
            elif (place := LOT.randrange(self.seen)) < self.size:
                self.kept[place] = id_


def draw_receipts(size: int) -> set[UUID]:
    """Return at most so many receipts of the whole house; of few receipts all are drawn from.

    Where the pages drawn hold too few, since many are empty, more are drawn, in the end all.
    """
    if size <= 0:
        return set()
    percent = 100 * PAGES_PER_RECEIPT * size / max(1, read_rows(PAGES, [])[0][0])
    while percent < 100:
        found = read_rows(DRAWN, [percent])
        if len(found) >= size:
            return {UUID(row[0]) for row in LOT.sample(found, size)}
        percent *= 4
    draw = Draw(size)
    draw.see(Receipt.objects.values_list("pk", flat=True).iterator(chunk_size=5_000))
    return set(draw.kept)
