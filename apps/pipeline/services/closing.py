"""Close a month: statements, then the invoices that settle them, then their PDFs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date, datetime

from django.db import transaction

from apps.core.actors import Actor
from apps.core.periods import Period, day_of
from apps.core.retrying import retried
from apps.identity.models import Advertiser
from apps.invoices.models import Invoice
from apps.invoices.selectors import unsettled_statements
from apps.invoices.services import Settled, render_document, settle_statement
from apps.pipeline.bell import render_bell
from apps.pipeline.services.reconciling import prove_books
from apps.pipeline.services.telling import tell_of_invoice, tell_of_statements
from apps.records.services import fail_job, mend_job, record_act
from apps.statements.models import ClosedPeriod, Statement
from apps.statements.selectors import StatementPreview, preview_statements
from apps.statements.services import issue_statements, lock_statements

logger = logging.getLogger(__name__)

RENDERING = "render_invoice"
"""The kind of the job that says why an invoice has no PDF yet."""


@dataclass(frozen=True, slots=True)
class IssueResult:
    """What an invoice run did: documents issued, statements settled without one, and what is blocked and why."""

    issued: tuple[Invoice, ...]
    without_document: int
    blocked: tuple[Settled, ...]


@dataclass(frozen=True, slots=True)
class RenderResult:
    """How many PDFs were made, and how many could not be."""

    rendered: int
    failed: int


def preview_month(*, advertiser: Advertiser, month: date) -> list[StatementPreview]:
    """Return what closing a month would give each partner; nothing is written."""
    period = Period.month(month.year, month.month, advertiser.zone)
    return preview_statements(advertiser=advertiser, before=day_of(period.end, advertiser.zone))


def close_month(
    *, advertiser: Advertiser, month: date, actor: Actor, now: datetime, tells: bool = True
) -> ClosedPeriod:
    """Issue the month's statements after a proof of the books; asked again, return what the first run did.

    The partners are told, unless `tells` says that it is the past that is lived through.

    Raises PeriodNotOver, LaterPeriodClosed, BooksDiffer.
    """
    prove_books(advertiser=advertiser, now=now)
    return _close_month(advertiser, month, actor, now, tells)


@retried
@transaction.atomic
def _close_month(advertiser: Advertiser, month: date, actor: Actor, now: datetime, tells: bool) -> ClosedPeriod:
    period = Period.month(month.year, month.month, advertiser.zone)
    lock_statements(advertiser)
    days = (period.first_on, day_of(period.end, advertiser.zone))
    is_repeat = ClosedPeriod.objects.filter(advertiser=advertiser, period=days).exists()
    closed = issue_statements(advertiser=advertiser, period=period, by=str(actor), now=now)
    if not is_repeat:
        record_act(
            advertiser=advertiser,
            actor=actor,
            verb="close_month",
            subject=f"month {month:%Y-%m}",
            now=now,
            details={"statements": closed.statement_count},
        )
        if tells:
            issued = Statement.objects.for_advertiser(advertiser).filter(period=days)
            tell_of_statements(advertiser=advertiser, statements=list(issued.order_by("place")), now=now)
    return closed


def issue_invoices(
    *,
    advertiser: Advertiser,
    actor: Actor,
    now: datetime,
    progress: Callable[[int, int], None] = lambda _d, _n: None,
    tells: bool = True,
    only: Collection[int] | None = None,
) -> IssueResult:
    """Settle every payable statement that is not, each in its own short transaction; the workers render the PDFs.

    `only` are the ids of statements that somebody has seen; those that came since are left for another time. The books
    are proved first. May run twice, at once, or after a crash: each statement is settled once.
    Raises BooksDiffer.
    """
    prove_books(advertiser=advertiser, now=now)
    issued, blocked, without = [], [], 0
    open_ones = unsettled_statements(advertiser=advertiser).filter(payable_minor__gt=0)
    if only is not None:
        open_ones = open_ones.filter(pk__in=only)
    statements = list(open_ones.select_related("advertiser", "partner__tax_profile", "partner__payout_profile"))
    for done, statement in enumerate(statements, 1):
        settled = _settle(statement, actor, now, tells)
        if settled.is_repeat:
            continue
        if settled.blocked:
            blocked.append(settled)
        elif settled.invoice is None:
            without += 1
        else:
            issued.append(settled.invoice)
        progress(done, len(statements))
    transaction.on_commit(render_bell.ring)
    return IssueResult(tuple(issued), without, tuple(blocked))


def render_missing(*, now: datetime, advertiser: Advertiser | None = None) -> RenderResult:
    """Render the PDFs of issued invoices that have none, each in its own transaction.

    One that fails is logged, written down as a failed job and left to the next sweep; those after it are rendered.
    """
    missing = Invoice.objects.filter(document__isnull=True)
    if advertiser is not None:
        missing = missing.for_advertiser(advertiser)
    outcomes = [_render(invoice_id, now) for invoice_id in list(missing.order_by("pk").values_list("pk", flat=True))]
    return RenderResult(outcomes.count(True), outcomes.count(False))


def rendering_key(invoice_id: int) -> str:
    """Return what the job of rendering an invoice is called."""
    return f"invoice:{invoice_id}"


@transaction.atomic
def _render(invoice_id: int, now: datetime) -> bool | None:
    """Render one PDF under its invoice's lock; None where somebody else does or has done it."""
    missing = Invoice.objects.filter(pk=invoice_id, document__isnull=True).select_related("advertiser")
    invoice = missing.select_for_update(skip_locked=True, of=("self",)).first()
    if invoice is None:
        return None
    advertiser, key = invoice.advertiser, rendering_key(invoice.pk)
    try:
        render_document(invoice=invoice, now=now)
    except Exception as error:
        logger.exception("the PDF of invoice %s could not be made", invoice.number)
        told = f"{type(error).__name__}: {error}"
        fail_job(advertiser=advertiser, kind=RENDERING, key=key, now=now, error=told)
        return False
    mend_job(advertiser=advertiser, kind=RENDERING, key=key, now=now)
    return True


@retried
@transaction.atomic
def _settle(statement: Statement, actor: Actor, now: datetime, tells: bool) -> Settled:
    """Settle one statement and write the act down with it."""
    settled = settle_statement(statement=statement, now=now)
    if settled.blocked is None and not settled.is_repeat:
        invoice = settled.invoice
        record_act(
            advertiser=statement.advertiser,
            actor=actor,
            verb="issue_invoice" if invoice else "settle_statement",
            subject=f"invoice {invoice.number}" if invoice else f"statement {statement.pk}",
            now=now,
            details={"payable_minor": statement.payable_minor, "currency": statement.currency},
        )
        if tells and invoice is not None:
            tell_of_invoice(invoice=invoice, now=now)
    return settled
