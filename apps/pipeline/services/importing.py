"""Bring a history in: partners first, then touches, then the conversions they led to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from django.db import transaction

from apps.campaigns.models import Campaign
from apps.core.actors import Actor
from apps.core.collecting import seldom_collecting
from apps.core.statistics import analyze_filled
from apps.imports.models import ImportKind, ImportRun
from apps.imports.rules.conversions import CONVERSIONS, read_conversion
from apps.imports.rules.partners import PARTNERS, read_partner
from apps.imports.rules.tables import Batch, read_batches, read_rows
from apps.imports.rules.touches import TOUCHES, TouchReader
from apps.imports.services.ahead import read_ahead
from apps.imports.services.conversions import store_conversions
from apps.imports.services.partners import ad_spaces_of, store_partners
from apps.imports.services.runs import Stored, add_to_run, close_run, open_run
from apps.imports.services.sources import Source, TouchSurvey, find_source, opened, survey_touches
from apps.imports.services.touches import store_touches
from apps.partners.models import PartnerKind, TaxStatus
from apps.records.services import record_act
from apps.tracking.models import (
    ChannelClass,
    Conversion,
    ConversionLine,
    IdentityKey,
    IdentityLink,
    Sighting,
    TouchKind,
    Touchpoint,
    Unsettled,
)
from apps.tracking.partitions import make_partitions
from apps.tracking.sweeping import wake_stirred

FILLED = (Touchpoint, Conversion, ConversionLine, Unsettled, IdentityKey, IdentityLink, Sighting)
PARTNERS_AT_ONCE, TOUCHES_AT_ONCE, CONVERSIONS_AT_ONCE = 200, 20_000, 5_000
Watch = Callable[[str, int, int], None]
"""Told the kind of file, the rows done and the rows there are about; called after each batch."""


@dataclass(frozen=True, slots=True)
class History:
    """The three files of a folder, all found and readable."""

    partners: Source
    touches: Source
    conversions: Source
    survey: TouchSurvey


def import_history(
    *, campaign: Campaign, folder: Path, actor: Actor, now: datetime, watch: Watch | None = None
) -> list[ImportRun]:
    """Read a folder's partners, touches and conversions into a campaign; return the account of each file.

    Every batch is a transaction, so that an import that was cut short is finished by repeating it; a repeat
    of what is there adds nothing. Bad rows are kept as refused rows and never stop the others. At the end the planner
    is told of what was filled.
    Raises FileMissing, FileUnreadable before anything is stored.
    """
    with seldom_collecting():
        history = find_history(folder, now=now)
        runs = [
            import_partners(campaign=campaign, history=history, now=now, watch=watch),
            import_touches(campaign=campaign, history=history, now=now, watch=watch),
            import_conversions(campaign=campaign, history=history, now=now, watch=watch),
        ]
    record_act(
        advertiser=campaign.advertiser,
        actor=actor,
        verb="history.imported",
        subject=f"campaign {campaign.slug}",
        now=now,
        details={run.file_name: {"added": run.added, "repeated": run.repeated, "refused": run.refused} for run in runs},
    )
    analyze_filled(*FILLED, written=sum(run.added for run in runs))
    return runs


def find_history(folder: Path, *, now: datetime) -> History:
    """Find the three files and look through the touches. Raises FileMissing, FileUnreadable."""
    partners = find_source(folder, "partners.csv", PARTNERS)
    touches = find_source(folder, "touches.csv", TOUCHES)
    conversions = find_source(folder, "conversions.csv", CONVERSIONS)
    return History(partners, touches, conversions, survey_touches(touches, now=now))


def import_partners(*, campaign: Campaign, history: History, now: datetime, watch: Watch | None = None) -> ImportRun:
    """Store the partners, enrolled since the campaign's start or their first touch, if that is earlier."""
    since = min(campaign.starts_at, history.survey.earliest or campaign.starts_at)
    return run_import(
        ImportKind.PARTNERS,
        history.partners,
        partial(read_partner, kinds=set(PartnerKind.values), tax_statuses=set(TaxStatus.values)),
        partial(store_partners, campaign=campaign, since=since, now=now),
        size=PARTNERS_AT_ONCE,
        campaign=campaign,
        now=now,
        watch=watch,
    )


def import_touches(*, campaign: Campaign, history: History, now: datetime, watch: Watch | None = None) -> ImportRun:
    """Make the months that the touches need, then store the touches, and wake conversions that are there already."""
    survey = history.survey
    if survey.earliest and survey.latest:
        make_partitions(first_on=survey.earliest.astimezone(UTC).date(), last_on=survey.latest.astimezone(UTC).date())
    reader = TouchReader(
        advertiser_id=campaign.advertiser_id,
        ad_spaces=ad_spaces_of(campaign),
        kinds=TouchKind.values,
        classes=ChannelClass.values,
        suspects=survey.suspects,
        now=now,
    )
    run = run_import(
        ImportKind.TOUCHES,
        history.touches,
        reader.read,
        partial(store_touches, campaign=campaign, now=now),
        size=TOUCHES_AT_ONCE,
        campaign=campaign,
        now=now,
        watch=watch,
    )
    wake_stirred(now=now)
    return run


def import_conversions(*, campaign: Campaign, history: History, now: datetime, watch: Watch | None = None) -> ImportRun:
    """Store the conversions; the database puts the new ones on the work list of settling."""
    return run_import(
        ImportKind.CONVERSIONS,
        history.conversions,
        partial(
            read_conversion,
            advertiser_id=campaign.advertiser_id,
            campaign_id=campaign.pk,
            currencies=set(campaign.currencies),
            now=now,
        ),
        partial(store_conversions, campaign=campaign, now=now),
        size=CONVERSIONS_AT_ONCE,
        campaign=campaign,
        now=now,
        watch=watch,
    )


def run_import(
    kind: ImportKind,
    source: Source,
    read: Callable[[tuple[str, ...]], Any],
    store: Callable[[Batch[Any]], Stored],
    *,
    size: int,
    campaign: Campaign,
    now: datetime,
    watch: Watch | None,
) -> ImportRun:
    """Read a file batch by batch; store each, and the account of it, in one transaction."""
    run = open_run(campaign=campaign, kind=kind, source=source, now=now)

    def batches() -> Iterator[Batch[Any]]:
        with opened(source.path) as text:
            yield from read_batches(read_rows(text, source.columns, source.name), source.columns, read, size)

    with closing(read_ahead(batches())) as ahead:
        for batch in ahead:
            with transaction.atomic():
                add_to_run(run, store(batch))
            if watch:
                watch(kind, run.rows, source.rows)
    close_run(run, at=now)
    return run
