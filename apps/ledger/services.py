"""Write the book: open accounts, post entries. Nothing here is ever changed afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from django.db import transaction

from apps.identity.models import Advertiser
from apps.ledger.models import OF_PARTNER, Account, AccountKind, Posting, PostingPurpose, UnstatedPosting


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be posted: a positive amount from a debit to a credit account, both named by kind and partner.

    `reference` makes it unique within the advertiser; commission entries carry `due_on`.
    """

    debit: tuple[AccountKind, int | None]
    credit: tuple[AccountKind, int | None]
    amount_minor: int
    currency: str
    purpose: PostingPurpose
    reference: str
    due_on: date | None = None


def commission_entry(*, partner_id: int, amount_minor: int, currency: str, reference: str, due_on: date) -> Entry:
    """Return the entry that owes a partner a signed amount: expense to accrued, or back for a negative one."""
    expense = (AccountKind.COMMISSION_EXPENSE, None)
    accrued = (AccountKind.PARTNER_ACCRUED, partner_id)
    debit, credit = (expense, accrued) if amount_minor > 0 else (accrued, expense)
    return Entry(debit, credit, abs(amount_minor), currency, PostingPurpose.COMMISSION, reference, due_on)


def open_accounts(
    *, advertiser: Advertiser, wanted: Iterable[tuple[AccountKind, int | None, str]]
) -> dict[tuple[AccountKind, int | None, str], Account]:
    """Return the accounts by (kind, partner id, currency), opening those that are not there."""
    keys = set(wanted)
    for kind, partner_id, _ in keys:
        assert (partner_id is not None) == (kind in OF_PARTNER), "partner accounts, and only they, name a partner"
    found = _accounts(advertiser)
    missing = [key for key in keys if key not in found]
    if missing:
        Account.objects.bulk_create(
            [
                Account(advertiser=advertiser, kind=kind, partner_id=partner_id, currency=currency)
                for kind, partner_id, currency in sorted(missing, key=str)
            ],
            ignore_conflicts=True,
        )
        found = _accounts(advertiser)
    return {key: found[key] for key in keys}


def _accounts(advertiser: Advertiser) -> dict[tuple[AccountKind, int | None, str], Account]:
    rows = Account.objects.filter(advertiser=advertiser)
    return {(AccountKind(row.kind), row.partner_id, row.currency): row for row in rows}


@transaction.atomic
def post_entries(*, advertiser: Advertiser, entries: Sequence[Entry], now: datetime) -> list[Posting]:
    """Post all entries or none; commission entries also go on the statements' work list.

    An entry whose reference is already posted raises IntegrityError (constraint `posted_once`):
    callers decide once, under their own lock.
    """
    if not entries:
        return []
    accounts = open_accounts(
        advertiser=advertiser,
        wanted={(*side, entry.currency) for entry in entries for side in (entry.debit, entry.credit)},
    )
    postings = Posting.objects.bulk_create(
        [
            Posting(
                advertiser=advertiser,
                debit=accounts[(*entry.debit, entry.currency)],
                credit=accounts[(*entry.credit, entry.currency)],
                currency=entry.currency,
                amount_minor=entry.amount_minor,
                purpose=entry.purpose,
                reference=entry.reference,
                due_on=entry.due_on,
                posted_at=now,
            )
            for entry in entries
        ],
        batch_size=2000,
    )
    UnstatedPosting.objects.bulk_create(
        [
            _unstated(posting, entry)
            for posting, entry in zip(postings, entries, strict=True)
            if entry.purpose == PostingPurpose.COMMISSION
        ],
        batch_size=2000,
    )
    return postings


def _unstated(posting: Posting, entry: Entry) -> UnstatedPosting:
    owed = entry.credit[0] == AccountKind.PARTNER_ACCRUED
    partner_id = entry.credit[1] if owed else entry.debit[1]
    assert partner_id is not None and posting.due_on is not None, "commission entries name their partner and their day"
    return UnstatedPosting(
        posting=posting,
        advertiser_id=posting.advertiser_id,
        partner_id=partner_id,
        currency=posting.currency,
        due_on=posting.due_on,
        signed_minor=posting.amount_minor if owed else -posting.amount_minor,
    )
