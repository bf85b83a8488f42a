"""Issue the numbered document that settles a statement, and keep its bytes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db import transaction
from django.db.models import Max, Min
from django.utils import translation
from django.utils.dates import MONTHS
from django.utils.translation import gettext

from apps.campaigns.models import Campaign
from apps.core.periods import day_of, month_end
from apps.identity.models import Advertiser, LegalEntity
from apps.invoices.documents import render_invoice
from apps.invoices.models import Invoice, InvoiceType, NumberSeries, Settlement
from apps.invoices.rules import (
    Bank,
    Blocked,
    InvoiceContent,
    InvoiceKind,
    InvoiceLine,
    document_language,
    totals,
    vat_treatment,
)
from apps.invoices.selectors import agreement_of, payee_party, payer_party, unsettled_statements
from apps.ledger.models import AccountKind, PostingPurpose
from apps.ledger.reconciling import refuse_while_books_differ
from apps.ledger.services import Entry, post_entries
from apps.partners.models import Partnership
from apps.records.services import keep_document
from apps.statements.models import Statement, StatementLine
from apps.statements.services import lock_statements

PDF = "application/pdf"
STATEMENT_ONLY = "statement_only"


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a payable statement: an invoice, a settlement without a document, or why neither.

    `is_repeat` says that an earlier call has settled it.
    """

    statement: Statement
    invoice: Invoice | None = None
    blocked: Blocked | None = None
    is_repeat: bool = False


@transaction.atomic
def settle_statement(*, statement: Statement, now: datetime) -> Settled:
    """Make a payable statement, and all before it that are not settled, payable money: once, however often it is asked.

    Those before it are what was carried into it, and payable ones that something stood in the way of. A private
    person is settled without a document. Where something still stands in the way the statement stays unsettled and
    the answer says what. One run at a time per advertiser; the PDF is rendered after the commit. Raises BooksDiffer.
    """
    advertiser = statement.advertiser
    lock_statements(advertiser)
    living = Settlement.objects.filter(statement=statement, reversed_at__isnull=True).select_related("invoice").first()
    if living is not None:
        return Settled(statement, living.invoice, is_repeat=True)
    refuse_while_books_differ(advertiser)
    entity = LegalEntity.objects.filter(advertiser=advertiser, is_default=True).first()
    if entity is None:
        return Settled(statement, blocked=Blocked("payer_missing", "The advertiser has no legal entity yet.", "payer"))
    covered = list(
        unsettled_statements(advertiser=advertiser).filter(
            partner=statement.partner_id, currency=statement.currency, place__lte=statement.place
        )
    )
    draft = _draft(advertiser, entity, statement, covered, day_of(now, advertiser.zone))
    if isinstance(draft, Blocked) and draft.code != STATEMENT_ONLY:
        return Settled(statement, blocked=draft)
    invoice = None if isinstance(draft, Blocked) else _number(advertiser, entity, statement, draft, now)
    Settlement.objects.bulk_create(
        [Settlement(advertiser=advertiser, statement=row, invoice=invoice, settled_at=now) for row in covered]
    )
    net_minor = sum(row.earned_minor for row in covered)
    vat_minor = invoice.vat_minor if invoice else 0
    post_entries(advertiser=advertiser, entries=_entries(statement, net_minor, vat_minor), now=now)
    return Settled(statement, invoice)


def _draft(
    advertiser: Advertiser, entity: LegalEntity, statement: Statement, covered: Sequence[Statement], issued_on: date
) -> InvoiceContent | Blocked:
    """Return what the invoice would say, under a stand-in number, or what stands in its way."""
    partner = statement.partner
    partnership = Partnership.objects.for_advertiser(advertiser).filter(partner=partner).first()
    payer, payee = payer_party(entity), payee_party(partner)
    agreement = agreement_of(partnership)
    last_on = statement.period.upper - timedelta(days=1)
    treatment = vat_treatment(payer, payee, last_on, agreement=agreement)
    if isinstance(treatment, Blocked):
        return treatment
    language = document_language(payee)
    lines = _invoice_lines(covered, language)
    first, last = _supply_days(covered)
    profile = getattr(partner, "payout_profile", None)
    return InvoiceContent(
        kind=InvoiceKind.SELF_BILLED,
        number="DRAFT",
        issued_on=issued_on,
        supply_from=first,
        supply_to=last,
        currency=statement.currency,
        issuer=payer,
        recipient=payee,
        lines=lines,
        treatment=treatment,
        totals=totals(lines, treatment.rate),
        brand=advertiser.name,
        language=language,
        pay_on=pay_run(last_on, issued_on, advertiser.pay_days),
        bank=Bank(profile.holder, profile.iban, profile.bic) if profile else None,
        statements=tuple(statement_reference(row) for row in covered),
        agreement=agreement,
    )


def pay_run(last_on: date, issued_on: date, pay_days: int) -> date:
    """Return the first pay run not before the issue: so many days after the end of the month, or of a later one."""
    run = month_end(last_on) + timedelta(days=pay_days)
    while run < issued_on:
        last_on = month_end(last_on) + timedelta(days=1)
        run = month_end(last_on) + timedelta(days=pay_days)
    return run


def statement_reference(statement: Statement) -> str:
    """Return what people call a statement: month, and place in the advertiser's chain."""
    return f"{statement.period.lower:%Y-%m}/{statement.place}"


def _supply_days(covered: Sequence[Statement]) -> tuple[date, date]:
    """Return the first and last day of the conversions that the statements list: when the service was rendered.

    Statements without any stand for their own period.
    """
    days = StatementLine.objects.filter(statement__in=covered).aggregate(
        first=Min("occurred_at"), last=Max("occurred_at")
    )
    if days["first"] is None:
        return min(row.period.lower for row in covered), max(row.period.upper for row in covered) - timedelta(days=1)
    zone = covered[0].advertiser.zone
    return day_of(days["first"], zone), day_of(days["last"], zone)


def _invoice_lines(covered: Sequence[Statement], language: str) -> tuple[InvoiceLine, ...]:
    """Return a line per campaign and month of the conversions; they add up to what the statements earned."""
    sums: dict[tuple[int | None, int, int], list[int]] = defaultdict(lambda: [0, 0])
    rows = StatementLine.objects.filter(statement__in=covered)
    zone = covered[0].advertiser.zone
    for campaign_id, occurred_at, amount in rows.values_list("campaign_id", "occurred_at", "amount_minor"):
        assert occurred_at is not None, "lines of commissions know when their conversion happened"
        day = day_of(occurred_at, zone)
        entry = sums[campaign_id, day.year, day.month]
        entry[0] += 1
        entry[1] += amount
    names = dict(Campaign.objects.filter(pk__in={key[0] for key in sums}).values_list("pk", "name"))
    with translation.override(language):
        return tuple(
            InvoiceLine(
                text=gettext("Commissions: %(campaign)s") % {"campaign": names.get(campaign_id or 0, "")},
                detail=f"{MONTHS[month]} {year}",
                quantity=count,
                net_minor=net,
            )
            for (campaign_id, year, month), (count, net) in sorted(sums.items(), key=lambda item: item[0][1:])
        )


def _number(
    advertiser: Advertiser, entity: LegalEntity, statement: Statement, draft: InvoiceContent, now: datetime
) -> Invoice:
    """Take the next number of the series under its lock, the last one taken, and issue."""
    key = {"legal_entity": entity, "kind": InvoiceType.SELF_BILLED, "year": draft.issued_on.year}
    NumberSeries.objects.get_or_create(**key, defaults={"advertiser": advertiser})
    series = NumberSeries.objects.select_for_update().get(**key)
    series.last_place += 1
    series.save(update_fields=["last_place"])
    number = f"{entity.number_prefix}{series.year}-{series.last_place:05d}"
    content = draft.to_json() | {"number": number}
    return Invoice.objects.create(
        advertiser=advertiser,
        partner=statement.partner,
        series=series,
        place=series.last_place,
        number=number,
        kind=InvoiceType.SELF_BILLED,
        issued_on=draft.issued_on,
        issued_at=now,
        currency=draft.currency,
        net_minor=draft.totals.net_minor,
        vat_minor=draft.totals.vat_minor,
        gross_minor=draft.totals.gross_minor,
        pay_on=draft.pay_on,
        content=content,
    )


def _entries(statement: Statement, net_minor: int, vat_minor: int) -> list[Entry]:
    """Return what turns accrued money into payable money: all that the covered statements earned, and its VAT."""
    partner = statement.partner_id

    def entry(debit: tuple[AccountKind, int | None], amount_minor: int, what: str) -> Entry:
        return Entry(
            debit,
            (AccountKind.PARTNER_PAYABLE, partner),
            amount_minor,
            statement.currency,
            PostingPurpose.SETTLEMENT,
            f"statement:{statement.pk}:{what}",
        )

    net = entry((AccountKind.PARTNER_ACCRUED, partner), net_minor, "net")
    return [net, entry((AccountKind.VAT_INPUT, None), vat_minor, "vat")] if vat_minor else [net]


@transaction.atomic
def render_document(*, invoice: Invoice, now: datetime) -> Invoice:
    """Render an invoice's PDF from its stored content and keep the bytes; once."""
    row = Invoice.objects.select_for_update().get(pk=invoice.pk)
    if row.document_id is None:
        content = render_invoice(InvoiceContent.from_json(row.content))
        row.document = keep_document(
            advertiser=row.advertiser, name=f"{row.number}.pdf", media_type=PDF, content=content, now=now
        )
        row.save(update_fields=["document"])
    return row
