"""Read statements and what would become one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from django.db.models import Count, Sum

from apps.identity.models import Advertiser
from apps.ledger.models import UnstatedPosting
from apps.partners.models import Partner, Partnership
from apps.statements.models import Statement, StatementLine
from apps.statements.rules import balance, statement_hash
from apps.statements.services import minimum_payout, statement_content


@dataclass(frozen=True, slots=True)
class StatementPreview:
    """What closing a period would give a partner, in minor units; nothing is written."""

    partner: Partner
    currency: str
    line_count: int
    opening_minor: int
    earned_minor: int
    payable_minor: int
    carried_minor: int


def preview_statements(*, advertiser: Advertiser, before: date) -> list[StatementPreview]:
    """Return what the statements of a period that ends before a day would say; four queries."""
    due = UnstatedPosting.objects.filter(advertiser=advertiser, due_on__lt=before)
    sums = list(
        due.order_by("partner_id", "currency")
        .values_list("partner_id", "currency")
        .annotate(count=Count("posting_id"), earned=Sum("signed_minor"))
    )
    partners = Partner.objects.in_bulk([row[0] for row in sums])
    minimums = dict(Partnership.objects.for_advertiser(advertiser).values_list("partner_id", "minimum_payout_minor"))
    openings = carried_balances(advertiser=advertiser)
    found = []
    for partner_id, currency, count, earned in sums:
        opening = openings.get((partner_id, currency), 0)
        outcome = balance(opening, earned, minimum_payout(advertiser, minimums.get(partner_id), currency))
        found.append(
            StatementPreview(
                partner=partners[partner_id],
                currency=currency,
                line_count=count,
                opening_minor=opening,
                earned_minor=earned,
                payable_minor=outcome.payable_minor,
                carried_minor=outcome.carried_minor,
            )
        )
    return found


def carried_balances(*, advertiser: Advertiser) -> dict[tuple[int, str], int]:
    """Return what each partner's last statement carried forward, by (partner id, currency)."""
    rows = (
        Statement.objects.for_advertiser(advertiser)
        .order_by("partner_id", "currency", "-place")
        .distinct("partner_id", "currency")
        .values_list("partner_id", "currency", "carried_minor")
    )
    return {(partner, currency): carried for partner, currency, carried in rows}


def recomputed_hash(statement: Statement) -> str:
    """Return the hash a statement's stored content gives now; it equals `sha256` unless something was changed."""
    lines = list(StatementLine.objects.filter(statement=statement).order_by("posting_id"))
    return statement_hash(statement_content(statement, lines), statement.previous_sha256)
