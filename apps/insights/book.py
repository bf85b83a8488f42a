"""The book against what it must say: accrued and payable per partner, each compared with its own source."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, QuerySet, Sum

from apps.identity.models import Advertiser
from apps.invoices.models import Invoice, InvoiceType, Settlement
from apps.ledger.models import AccountKind, Posting, PostingPurpose
from apps.ledger.selectors import balances_by_partner
from apps.partners.models import Partner
from apps.statements.models import Statement

Key = tuple[int, str]


@dataclass(frozen=True, slots=True)
class BookRow:
    """A partner's accounts in a currency, in minor units.

    `accrued_minor` must be what waits for a statement and what is stated and not settled; `payable_minor` must be
    the settled documents (gross) and settlements without a document, less what was paid.
    """

    partner_id: int
    partner: str
    currency: str
    unstated_minor: int
    stated_minor: int
    accrued_minor: int
    documented_minor: int
    payable_minor: int

    @property
    def accrued_difference(self) -> int:
        return self.accrued_minor - self.unstated_minor - self.stated_minor

    @property
    def payable_difference(self) -> int:
        return self.payable_minor - self.documented_minor


def book_of(*, advertiser: Advertiser) -> list[BookRow]:
    """Return every partner's row of the book, by name and currency. A constant number of queries."""
    living = Settlement.objects.filter(reversed_at__isnull=True)
    stated = _sums(
        Statement.objects.for_advertiser(advertiser).exclude(Exists(living.filter(statement=OuterRef("pk")))),
        "earned_minor",
    )
    documents = _sums(Invoice.objects.for_advertiser(advertiser).filter(kind=InvoiceType.SELF_BILLED), "gross_minor")
    without = Statement.objects.for_advertiser(advertiser).filter(
        Exists(living.filter(statement=OuterRef("pk"), invoice__isnull=True))
    )
    for key, minor in _sums(without, "payable_minor").items():
        documents[key] += minor
    paid = Posting.objects.filter(
        advertiser=advertiser, purpose=PostingPurpose.PAYOUT, debit__kind=AccountKind.PARTNER_PAYABLE
    )
    rows = paid.order_by().values_list("debit__partner_id", "currency").annotate(total=Sum("amount_minor"))
    for partner_id, currency, minor in rows:
        documents[partner_id, currency] -= minor
    balances = balances_by_partner(advertiser=advertiser)
    names = dict(Partner.objects.filter(pk__in=[row.partner_id for row in balances]).values_list("pk", "name"))
    found = [
        BookRow(
            partner_id=row.partner_id,
            partner=names[row.partner_id],
            currency=row.currency,
            unstated_minor=row.unstated_minor,
            stated_minor=stated[row.partner_id, row.currency],
            accrued_minor=row.accrued_minor,
            documented_minor=documents[row.partner_id, row.currency],
            payable_minor=row.payable_minor,
        )
        for row in balances
    ]
    return sorted(found, key=lambda row: (row.partner.casefold(), row.currency))


def _sums(rows: QuerySet, column: str) -> defaultdict[Key, int]:
    sums: defaultdict[Key, int] = defaultdict(int)
    for partner_id, currency, total in (
        rows.order_by().values_list("partner_id", "currency").annotate(total=Sum(column))
    ):
        sums[partner_id, currency] += total
    return sums
