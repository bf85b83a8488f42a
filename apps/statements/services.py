"""Freeze what partners earned: claim due postings, carry balances on, chain the hashes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import connection, transaction
from django.db.backends.postgresql.psycopg_any import DateRange

from apps.commissions.models import Commission
from apps.core.errors import Conflict
from apps.core.periods import Period, day_of
from apps.identity.models import Advertiser
from apps.ledger.models import Posting, UnstatedPosting
from apps.ledger.reconciling import refuse_while_books_differ
from apps.partners.models import Partner, Partnership
from apps.statements.models import ClosedPeriod, Statement, StatementLine
from apps.statements.rules import balance, statement_hash

LOCK_SPACE = 7_301  # first key of the advisory locks that serialize an advertiser's statements


class PeriodNotOver(Conflict):
    code = "period_not_over"
    message = "The period has not ended yet."


class LaterPeriodClosed(Conflict):
    code = "later_period_closed"
    message = "A later period is already closed; statements are issued in order."


def lock_statements(advertiser: Advertiser) -> None:
    """Let one run at a time issue statements of an advertiser, until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [LOCK_SPACE, advertiser.pk])


@transaction.atomic
def issue_statements(*, advertiser: Advertiser, period: Period, by: str, now: datetime) -> ClosedPeriod:
    """Issue the statements of a period, a partner and currency each, and close it; the second time, return the first.

    A statement takes every commission posting of its partner that is due before the period's end and on no statement.
    Raises PeriodNotOver, LaterPeriodClosed, BooksDiffer.
    """
    lock_statements(advertiser)
    days = DateRange(period.first_on, day_of(period.end, advertiser.zone))
    closed = ClosedPeriod.objects.filter(advertiser=advertiser, period=days).first()
    if closed is not None:
        return closed
    if period.end > now:
        raise PeriodNotOver
    refuse_while_books_differ(advertiser)
    if ClosedPeriod.objects.filter(advertiser=advertiser, period__startswith__gte=days.upper).exists():
        raise LaterPeriodClosed
    due = UnstatedPosting.objects.filter(advertiser=advertiser, due_on__lt=days.upper)
    accounts = due.order_by("partner_id", "currency").values_list("partner_id", "currency").distinct()
    count = 0
    previous = Statement.objects.for_advertiser(advertiser).order_by("-place").first()
    minimums = dict(Partnership.objects.for_advertiser(advertiser).values_list("partner_id", "minimum_payout_minor"))
    partners = Partner.objects.in_bulk([partner_id for partner_id, _ in accounts])
    for partner_id, currency in accounts:
        previous = _issue_statement(
            advertiser=advertiser,
            partner=partners[partner_id],
            currency=currency,
            days=days,
            minimum_minor=minimum_payout(advertiser, minimums.get(partner_id), currency),
            previous=previous,
            now=now,
        )
        count += 1
    return ClosedPeriod.objects.create(
        advertiser=advertiser, period=days, closed_at=now, closed_by=by[:200], statement_count=count
    )


def minimum_payout(advertiser: Advertiser, own_minor: int | None, currency: str) -> int:
    """Return what a balance must reach to be paid: the partner's own, else the advertiser's.

    Both are amounts of the advertiser's currency; in any other, whatever is there is paid.
    """
    if currency != advertiser.currency:
        return 0
    return advertiser.minimum_payout_minor if own_minor is None else own_minor


def _issue_statement(
    *,
    advertiser: Advertiser,
    partner: Partner,
    currency: str,
    days: DateRange,
    minimum_minor: int,
    previous: Statement | None,
    now: datetime,
) -> Statement:
    due = (
        UnstatedPosting.objects.select_for_update(of=("self",))
        .filter(advertiser=advertiser, partner=partner, currency=currency, due_on__lt=days.upper)
        .order_by("posting_id")
    )
    items = list(due)
    opening = opening_balance(advertiser=advertiser, partner=partner, currency=currency)
    earned = sum(item.signed_minor for item in items)
    outcome = balance(opening, earned, minimum_minor)
    statement = Statement(
        advertiser=advertiser,
        partner=partner,
        currency=currency,
        period=days,
        opening_minor=opening,
        earned_minor=earned,
        payable_minor=outcome.payable_minor,
        carried_minor=outcome.carried_minor,
        minimum_minor=minimum_minor,
        line_count=len(items),
        previous=previous,
        previous_sha256=previous.sha256 if previous else "",
        place=previous.place + 1 if previous else 1,
        issued_at=now,
    )
    lines = _lines(items)
    statement.sha256 = statement_hash(statement_content(statement, lines), statement.previous_sha256)
    statement.save(force_insert=True)
    for line in lines:
        line.statement = statement
    StatementLine.objects.bulk_create(lines, batch_size=2000)
    UnstatedPosting.objects.filter(posting_id__in=[item.posting_id for item in items]).delete()
    return statement


def opening_balance(*, advertiser: Advertiser, partner: Partner, currency: str) -> int:
    """Return what the partner's last statement carried forward, in minor units."""
    last = (
        Statement.objects.for_advertiser(advertiser)
        .filter(partner=partner, currency=currency)
        .order_by("-place")
        .values_list("carried_minor", flat=True)
        .first()
    )
    return last or 0


def _lines(items: Sequence[UnstatedPosting]) -> list[StatementLine]:
    # By their keys: joined to what waits, of which the statistics know little, they are read once for each of them.
    postings = Posting.objects.filter(pk__in=[item.posting_id for item in items]).values_list("pk", "reference")
    ids = {posting_id: int(reference.split(":")[1]) for posting_id, reference in postings}
    commissions = Commission.objects.select_related("conversion").in_bulk(set(ids.values()))
    lines = []
    for item in items:
        commission = commissions[ids[item.posting_id]]
        lines.append(
            StatementLine(
                advertiser_id=item.advertiser_id,
                posting_id=item.posting_id,
                conversion_id=commission.conversion_id,
                campaign_id=commission.campaign_id,
                order_ref=commission.conversion.order_ref,
                occurred_at=commission.occurred_at,
                amount_minor=item.signed_minor,
            )
        )
    return lines


def statement_content(statement: Statement, lines: Iterable[StatementLine]) -> dict[str, object]:
    """Return what the hash of a statement covers: parties, period, balances and every line by its posting."""
    return {
        "advertiser": statement.advertiser_id,
        "partner": statement.partner_id,
        "currency": statement.currency,
        "first_on": statement.period.lower.isoformat(),
        "before": statement.period.upper.isoformat(),
        "opening": statement.opening_minor,
        "earned": statement.earned_minor,
        "payable": statement.payable_minor,
        "carried": statement.carried_minor,
        "minimum": statement.minimum_minor,
        "lines": [[line.posting_id, line.order_ref, line.amount_minor] for line in lines],
    }
