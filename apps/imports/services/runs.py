"""Keep account of a file: how many of its rows were added, there already, or refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F

from apps.campaigns.models import Campaign
from apps.imports.models import ImportRun, RefusedRow
from apps.imports.rules.cells import Refused
from apps.imports.services.sources import Source

MOST_KEPT = 10_000  # refused rows kept with their content; the rest is counted


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a batch."""

    added: int
    repeated: int
    refused: Sequence[Refused]


def open_run(*, campaign: Campaign, kind: str, source: Source, now: datetime) -> ImportRun:
    """Begin the account of a file."""
    return ImportRun.objects.create(
        advertiser_id=campaign.advertiser_id,
        campaign=campaign,
        kind=kind,
        file_name=source.name[:200],
        sha256=source.sha256,
        started_at=now,
    )


def add_to_run(run: ImportRun, stored: Stored) -> None:
    """Write down what became of a batch, in the batch's own transaction."""
    count = len(stored.refused)
    room = max(0, MOST_KEPT - run.refused)
    RefusedRow.objects.bulk_create(
        [
            RefusedRow(
                advertiser_id=run.advertiser_id,
                run=run,
                row=refused.line,
                code=refused.code,
                message=refused.message,
                content=refused.content,
            )
            for refused in stored.refused[:room]
        ],
        batch_size=1000,
    )
    size = stored.added + stored.repeated + count
    ImportRun.objects.filter(pk=run.pk).update(
        rows=F("rows") + size,
        added=F("added") + stored.added,
        repeated=F("repeated") + stored.repeated,
        refused=F("refused") + count,
    )
    run.rows += size
    run.added += stored.added
    run.repeated += stored.repeated
    run.refused += count


def close_run(run: ImportRun, *, at: datetime) -> None:
    """End the account: every row of the file has been seen."""
    run.finished_at = at
    run.save(update_fields=["finished_at"])
