"""Decide once, under a lock, which conversions are duplicates by their campaign's scope."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from django.db import connection

from apps.campaigns.models import Campaign
from apps.tracking.facts import ConversionRow, conversions_by_id
from apps.tracking.models import Conversion, Duplicate, FirstOfScope, KeyKind, LiftedDuplicate, Sighting
from apps.tracking.rules.duplicates import CUSTOMER_GOAL, First, Sold, Verdicts, judge, keys_of

LOCK = "SELECT pg_advisory_xact_lock(hashtext('tracking.duplicates'), %s)"
CUSTOMER_KINDS = (KeyKind.CUSTOMER, KeyKind.EMAIL)


def duplicates_among(
    conversions: Sequence[ConversionRow],
    campaigns: Mapping[int, Campaign],
    *,
    rejected: Callable[[Collection[str]], Collection[str]],
    now: datetime,
) -> frozenset[str]:
    """Return the ids of those that are duplicates, deciding on what is not decided yet; tests are no duplicates.

    `rejected` says which conversions are rejected by now: nothing repeats those, and a verdict that names one is lifted
    where the conversion is still open, as all that are given here are. Any other verdict once given stays.
    Campaigns without a scope cost nothing. The caller holds the conversions' work-list rows and a transaction.
    """
    scoped = [row for row in conversions if campaigns[row.campaign_id].dedup_scope and not row.is_test]
    if not scoped:
        return frozenset()
    groups: dict[int, list[ConversionRow]] = defaultdict(list)
    for row in scoped:
        groups[row.campaign_id].append(row)
    for campaign_id in sorted(groups):
        with connection.cursor() as cursor:
            cursor.execute(LOCK, [campaign_id % 2**31])
        _lift([row.id for row in groups[campaign_id]], rejected, now)
        _judge(groups[campaign_id], campaigns[campaign_id], rejected, now)
    ids = [row.id for row in scoped]
    return frozenset(str(pk) for pk in Duplicate.objects.filter(pk__in=ids).values_list("pk", flat=True))


def original_of(
    conversion_id: UUID, *, campaign: Campaign, rejected: Callable[[Collection[str]], Collection[str]]
) -> str | None:
    """Return what a conversion repeats, by its verdict, or else by what is known now of it and those still to judge.

    Nothing is decided and no lock is taken. Without a scope it asks nothing.
    """
    if not campaign.dedup_scope:
        return None
    verdict = Duplicate.objects.filter(pk=conversion_id).values_list("original_id", flat=True).first()
    if verdict is not None:
        return str(verdict)
    rows = conversions_by_id([conversion_id])
    if rows[0].is_test or FirstOfScope.objects.filter(conversion=conversion_id).exists():
        return None
    alike = Conversion.objects.filter(
        campaign=campaign, is_test=False, unsettled__isnull=False, duplicate__isnull=True, first_of__isnull=True
    ).exclude(pk=conversion_id)
    if campaign.dedup_scope == CUSTOMER_GOAL:
        own = Sighting.objects.filter(conversion=conversion_id, kind__in=CUSTOMER_KINDS, key__isnull=False)
        alike = alike.filter(goal=rows[0].goal, sightings__key__in=own.values("key"))
    else:
        alike = alike.filter(click_ids__overlap=rows[0].click_ids)
    rows += conversions_by_id(list(alike.values_list("pk", flat=True).distinct()))
    return _verdicts(rows, campaign, rejected).duplicates.get(str(conversion_id))


def repeating_rejected(ids: Sequence[str], *, rejected: Callable[[Collection[str]], Collection[str]]) -> frozenset[str]:
    """Return those whose verdict names a conversion that is rejected by now: it is lifted when they are settled."""
    verdicts = list(Duplicate.objects.filter(pk__in=ids).values_list("pk", "original_id")) if ids else []
    fallen = rejected({str(original) for _, original in verdicts}) if verdicts else ()
    return frozenset(str(pk) for pk, original in verdicts if str(original) in fallen)


def _lift(ids: Sequence[str], rejected: Callable[[Collection[str]], Collection[str]], now: datetime) -> None:
    """Lift the verdicts of open conversions that repeat rejected ones; what was judged is kept beside."""
    lifted = list(Duplicate.objects.filter(pk__in=repeating_rejected(ids, rejected=rejected)))
    LiftedDuplicate.objects.bulk_create(
        LiftedDuplicate(
            advertiser_id=verdict.advertiser_id,
            conversion_id=verdict.conversion_id,
            original_id=verdict.original_id,
            scope=verdict.scope,
            recorded_at=verdict.recorded_at,
            lifted_at=now,
        )
        for verdict in lifted
    )
    Duplicate.objects.filter(pk__in=[verdict.pk for verdict in lifted]).delete()


def _judge(
    rows: Sequence[ConversionRow],
    campaign: Campaign,
    rejected: Callable[[Collection[str]], Collection[str]],
    now: datetime,
) -> None:
    """Write the verdicts on a campaign's conversions that have none."""
    ids = [row.id for row in rows]
    judged = {str(pk) for pk in Duplicate.objects.filter(pk__in=ids).values_list("pk", flat=True)}
    firsts = FirstOfScope.objects.filter(conversion__in=ids)
    judged |= {str(pk) for pk in firsts.values_list("conversion_id", flat=True)}
    fresh = [row for row in rows if row.id not in judged]
    if not fresh:
        return
    verdicts = _verdicts(fresh, campaign, rejected)
    times = {row.id: row.occurred_at for row in fresh}
    FirstOfScope.objects.bulk_create(
        FirstOfScope(
            advertiser_id=campaign.advertiser_id, campaign=campaign, conversion_id=id_, key=key, occurred_at=times[id_]
        )
        for id_, own in verdicts.firsts.items()
        for key in own
    )
    Duplicate.objects.bulk_create(
        Duplicate(
            advertiser_id=campaign.advertiser_id,
            conversion_id=id_,
            original_id=original,
            scope=campaign.dedup_scope,
            recorded_at=now,
        )
        for id_, original in verdicts.duplicates.items()
    )


def _verdicts(
    fresh: Sequence[ConversionRow], campaign: Campaign, rejected: Callable[[Collection[str]], Collection[str]]
) -> Verdicts:
    """Return what conversions without a verdict repeat, or are the first of."""
    customers: dict[str, list[int]] = defaultdict(list)
    sightings = Sighting.objects.filter(conversion__in=[row.id for row in fresh], kind__in=CUSTOMER_KINDS)
    for conversion_id, key in sightings.filter(key__isnull=False).values_list("conversion_id", "key_id"):
        customers[str(conversion_id)].append(key)
    sold = [
        Sold(row.id, row.occurred_at, row.goal, tuple(map(str, row.click_ids)), tuple(sorted(customers[row.id])))
        for row in fresh
    ]
    scope = campaign.dedup_scope
    keys = {key for one in sold for key in keys_of(one, scope)}
    known: dict[str, list[First]] = defaultdict(list)
    found = FirstOfScope.objects.filter(campaign=campaign, key__in=keys)
    rows_found = set(found.values_list("key", "conversion_id", "occurred_at"))
    if customers:
        rows_found |= _told_later({key for own in customers.values() for key in own}, campaign)
    fallen = rejected({str(row[1]) for row in rows_found}) if rows_found else ()
    for key, conversion_id, at in rows_found:
        if str(conversion_id) not in fallen:
            known[key].append(First(str(conversion_id), at))
    return judge(sold, scope, campaign.dedup_days, known)


def _told_later(customers: Collection[int], campaign: Campaign) -> set[tuple[str, UUID, datetime]]:
    """Return firsts by names of their customer that an update told after they were judged: key, conversion, moment."""
    if campaign.dedup_scope != CUSTOMER_GOAL:
        return set()
    seen = Sighting.objects.filter(
        key__in=customers, kind__in=CUSTOMER_KINDS, conversion__campaign=campaign, conversion__first_of__isnull=False
    )
    rows = seen.values_list("conversion_id", "conversion__occurred_at", "conversion__goal", "key_id").distinct()
    return {
        (key, id_, at)
        for id_, at, goal, customer in rows
        for key in keys_of(Sold(str(id_), at, goal, customers=(customer,)), CUSTOMER_GOAL)
    }
