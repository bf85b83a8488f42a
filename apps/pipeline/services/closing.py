"""Close a month: statements, then the invoices that settle them, then their PDFs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from django.db import transaction

from apps.core.actors import Actor
from apps.core.periods import Period, day_of
from apps.identity.models import Advertiser
from apps.invoices.models import Invoice
from apps.invoices.selectors import unsettled_statements
from apps.invoices.services import Settled, render_document, settle_statement
from apps.records.services import record_act
from apps.statements.models import ClosedPeriod, Statement
from apps.statements.selectors import StatementPreview, preview_statements
from apps.statements.services import issue_statements


@dataclass(frozen=True, slots=True)
class IssueResult:
    """What an invoice run did: documents issued, statements settled without one, and what is blocked and why."""

    issued: tuple[Invoice, ...]
    without_document: int
    blocked: tuple[Settled, ...]


def preview_month(*, advertiser: Advertiser, month: date) -> list[StatementPreview]:
    """Return what closing a month would give each partner; nothing is written."""
    period = Period.month(month.year, month.month, advertiser.zone)
    return preview_statements(advertiser=advertiser, before=day_of(period.end, advertiser.zone))


@transaction.atomic
def close_month(*, advertiser: Advertiser, month: date, actor: Actor, now: datetime) -> ClosedPeriod:
    """Issue the month's statements; asked again, return what the first run did.

    Raises PeriodNotOver, LaterPeriodClosed.
    """
    period = Period.month(month.year, month.month, advertiser.zone)
    closed = issue_statements(advertiser=advertiser, period=period, by=str(actor), now=now)
    if closed.closed_at == now:
        record_act(
            advertiser=advertiser,
            actor=actor,
            verb="close_month",
            subject=f"month {month:%Y-%m}",
            now=now,
            details={"statements": closed.statement_count},
        )
    return closed


def issue_invoices(
    *, advertiser: Advertiser, actor: Actor, now: datetime, progress: Callable[[int, int], None] = lambda _d, _n: None
) -> IssueResult:
    """Settle every payable statement that is not, each in its own short transaction, and render the PDFs.

    May run twice, at once, or after a crash: each statement is settled once, and a missing PDF is made.
    """
    issued, blocked, without = [], [], 0
    statements = list(
        unsettled_statements(advertiser=advertiser)
        .filter(payable_minor__gt=0)
        .select_related("advertiser", "partner__tax_profile", "partner__payout_profile")
    )
    for done, statement in enumerate(statements, 1):
        settled = _settle(statement, actor, now)
        if settled.blocked:
            blocked.append(settled)
        elif settled.invoice is None:
            without += 1
        else:
            issued.append(settled.invoice)
        progress(done, len(statements))
    for invoice in Invoice.objects.for_advertiser(advertiser).filter(document__isnull=True).order_by("pk"):
        render_document(invoice=invoice, now=now)
    return IssueResult(tuple(issued), without, tuple(blocked))


@transaction.atomic
def _settle(statement: Statement, actor: Actor, now: datetime) -> Settled:
    """Settle one statement and write the act down with it."""
    settled = settle_statement(statement=statement, now=now)
    if settled.blocked is None:
        invoice = settled.invoice
        record_act(
            advertiser=statement.advertiser,
            actor=actor,
            verb="issue_invoice" if invoice else "settle_statement",
            subject=f"invoice {invoice.number}" if invoice else f"statement {statement.pk}",
            now=now,
            details={"payable_minor": statement.payable_minor, "currency": statement.currency},
        )
    return settled
