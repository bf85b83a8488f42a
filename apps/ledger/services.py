"""Write the book: open accounts, post entries. Nothing here is ever changed afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import repeat

from django.db import transaction

from apps.core.copying import NULL, copy_lines, escaped, escaped_name, next_ids
from apps.identity.models import Advertiser
from apps.ledger.models import OF_PARTNER, Account, AccountKind, Posting, PostingPurpose, UnstatedPosting

AccountKey = tuple[AccountKind, int | None, str]
POSTINGS, UNSTATED = Posting._meta.db_table, UnstatedPosting._meta.db_table
POSTING_COLUMNS = (
    *("id", "advertiser_id", "debit_id", "credit_id", "currency", "amount_minor", "purpose", "reference", "due_on"),
    "posted_at",
)
UNSTATED_COLUMNS = ("posting_id", "advertiser_id", "partner_id", "currency", "due_on", "signed_minor")


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
) -> dict[AccountKey, int]:
    """Return the ids of accounts by (kind, partner id, currency), opening those that are not there."""
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


def _accounts(advertiser: Advertiser) -> dict[AccountKey, int]:
    rows = Account.objects.filter(advertiser=advertiser).values_list("kind", "partner_id", "currency", "pk")
    return {(AccountKind(kind), partner_id, currency): pk for kind, partner_id, currency, pk in rows}


@transaction.atomic
def post_entries(*, advertiser: Advertiser, entries: Sequence[Entry], now: datetime) -> None:
    """Post all entries or none; commission entries also go on the statements' work list.

    An entry whose reference is already posted raises IntegrityError (constraint `posted_once`):
    callers decide once, under their own lock.
    """
    if not entries:
        return
    accounts = open_accounts(
        advertiser=advertiser,
        wanted={(*side, entry.currency) for entry in entries for side in (entry.debit, entry.credit)},
    )
    ids = next_ids(POSTINGS, len(entries))
    copy_lines(
        POSTINGS,
        POSTING_COLUMNS,
        map(_posting_line, ids, entries, repeat(accounts), repeat(advertiser.pk), repeat(now)),
    )
    owed = [(id_, entry) for id_, entry in zip(ids, entries, strict=True) if entry.due_on is not None]
    if owed:
        copy_lines(UNSTATED, UNSTATED_COLUMNS, (_unstated_line(id_, entry, advertiser.pk) for id_, entry in owed))


def _posting_line(id_: int, entry: Entry, accounts: dict[AccountKey, int], advertiser_id: int, now: datetime) -> str:
    debit, credit = accounts[(*entry.debit, entry.currency)], accounts[(*entry.credit, entry.currency)]
    due_on = NULL if entry.due_on is None else entry.due_on
    return (
        f"{id_}\t{advertiser_id}\t{debit}\t{credit}\t{escaped_name(entry.currency)}\t{entry.amount_minor}\t"
        f"{entry.purpose.value}\t{escaped(entry.reference)}\t{due_on}\t{now}"
    )


def _unstated_line(id_: int, entry: Entry, advertiser_id: int) -> str:
    owed = entry.credit[0] == AccountKind.PARTNER_ACCRUED
    partner_id = entry.credit[1] if owed else entry.debit[1]
    assert partner_id is not None, "commission entries name their partner"
    signed = entry.amount_minor if owed else -entry.amount_minor
    return f"{id_}\t{advertiser_id}\t{partner_id}\t{escaped_name(entry.currency)}\t{entry.due_on}\t{signed}"
