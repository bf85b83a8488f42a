"""The proof of the books: a difference parks the advertiser, and only a clean proof releases it."""

from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.urls import reverse

from apps.commissions.models import Commission
from apps.console.books import Books
from apps.core.actors import SYSTEM
from apps.invoices import services as invoicing
from apps.invoices.models import Invoice, Settlement
from apps.ledger.models import Posting, Reconciliation
from apps.ledger.reconciling import BooksDiffer, last_reconciliation, parked_since, refuse_while_books_differ
from apps.pipeline.books import check_books
from apps.pipeline.services.closing import close_month, issue_invoices
from apps.pipeline.services.deciding import approve_conversions
from apps.pipeline.services.reconciling import reconcile_all, reconcile_books
from apps.pipeline.services.settling import settle_waiting
from apps.records.models import AuditEntry
from apps.statements import services as stating
from apps.statements.models import ClosedPeriod, Statement
from apps.tracking.models import Conversion
from tests.cast import make_advertiser, make_cast, make_conversion, make_member, make_touch, make_user
from tests.console.scene import sign_in

pytestmark = pytest.mark.django_db
SOLD = datetime(2026, 1, 15, 10, tzinfo=UTC)
CLOSED = datetime(2026, 3, 2, 8, tzinfo=UTC)
LATER = CLOSED + timedelta(hours=1)
MONTH = date(2026, 2, 1)


@pytest.fixture
def acme():
    """Acme with an approved sale that no statement has taken."""
    acme = make_cast()
    click = make_touch(acme.enrollments.blog, SOLD - timedelta(days=1))
    sale = make_conversion(acme.campaign, 2_000_00, SOLD, click_ids=[click.pk])
    settle_waiting(now=SOLD)
    approve_conversions(advertiser=acme.advertiser, conversion_ids=[sale.pk], actor=SYSTEM, now=SOLD)
    return acme


def write(statement: str, *, table: str = "ledger_posting") -> None:
    """Do what only a hand in the database can."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(statement)
        assert cursor.rowcount


def raise_posting() -> None:
    write("UPDATE ledger_posting SET amount_minor = amount_minor + 1 WHERE purpose = 'COMMISSION'")


def mend_posting() -> None:
    write("UPDATE ledger_posting SET amount_minor = amount_minor - 1 WHERE purpose = 'COMMISSION'")


def test_a_clean_proof_is_written_down_and_parks_nobody(acme):
    kept = reconcile_books(advertiser=acme.advertiser, now=CLOSED)
    assert (kept.difference_count, kept.differences, kept.at) == (0, [], CLOSED)
    refuse_while_books_differ(acme.advertiser)
    assert not AuditEntry.objects.filter(verb__in=["park_books", "release_books"]).exists()


def test_a_difference_stops_statements_and_says_what_differs(acme):
    raise_posting()
    with pytest.raises(BooksDiffer) as refused:
        close_month(advertiser=acme.advertiser, month=MONTH, actor=SYSTEM, now=CLOSED)
    assert refused.value.code == "books_differ"
    assert not Statement.objects.exists() and not ClosedPeriod.objects.exists()
    last = last_reconciliation(acme.advertiser)
    assert "I2" in {row["invariant"] for row in last.differences}
    assert AuditEntry.objects.filter(verb="park_books", advertiser=acme.advertiser).count() == 1


def test_without_the_refusal_a_wrong_book_is_stated(acme, monkeypatch):
    raise_posting()  # and with it what waits to be stated, or the guard of the statement's lines would stop it too
    write("UPDATE ledger_unstatedposting SET signed_minor = signed_minor + 1", table="ledger_unstatedposting")
    monkeypatch.setattr(stating, "refuse_while_books_differ", lambda advertiser: None)
    close_month(advertiser=acme.advertiser, month=MONTH, actor=SYSTEM, now=CLOSED)
    assert Statement.objects.exists() and check_books()


def test_a_difference_stops_invoices(acme):
    close_month(advertiser=acme.advertiser, month=MONTH, actor=SYSTEM, now=CLOSED)
    raise_posting()
    postings = Posting.objects.count()
    with pytest.raises(BooksDiffer):
        issue_invoices(advertiser=acme.advertiser, actor=SYSTEM, now=LATER)
    assert not Invoice.objects.exists() and not Settlement.objects.exists() and Posting.objects.count() == postings


def test_without_the_refusal_a_wrong_book_is_invoiced(acme, monkeypatch):
    close_month(advertiser=acme.advertiser, month=MONTH, actor=SYSTEM, now=CLOSED)
    raise_posting()
    monkeypatch.setattr(invoicing, "refuse_while_books_differ", lambda advertiser: None)
    assert issue_invoices(advertiser=acme.advertiser, actor=SYSTEM, now=LATER).issued


def test_a_clean_proof_releases_and_both_stand_in_the_audit_log_once(acme):
    raise_posting()
    reconcile_books(advertiser=acme.advertiser, now=CLOSED)
    reconcile_books(advertiser=acme.advertiser, now=CLOSED + timedelta(minutes=1))
    mend_posting()
    assert reconcile_books(advertiser=acme.advertiser, now=LATER).difference_count == 0
    assert close_month(advertiser=acme.advertiser, month=MONTH, actor=SYSTEM, now=LATER).statement_count == 1
    acts = AuditEntry.objects.filter(verb__in=["park_books", "release_books"]).order_by("pk")
    assert list(acts.values_list("verb", flat=True)) == ["park_books", "release_books"]


def test_a_neighbor_is_not_parked(acme):
    neighbor = make_advertiser("globex")
    raise_posting()
    assert reconcile_all(now=CLOSED) == 1
    refuse_while_books_differ(neighbor)
    with pytest.raises(BooksDiffer):
        refuse_while_books_differ(acme.advertiser)
    assert Reconciliation.objects.count() == 2


@pytest.mark.parametrize(
    "page", ["index", "closing", "book", "statements_statement_changelist", "invoices_invoice_changelist"]
)
def test_the_pages_say_that_the_books_differ(acme, page):
    owner = sign_in(make_member(acme.advertiser))
    assert "do not add up" not in owner.get(reverse(f"admin:{page}")).content.decode()
    raise_posting()
    reconcile_books(advertiser=acme.advertiser, now=CLOSED)
    text = owner.get(reverse(f"admin:{page}")).content.decode()
    assert "The books do not add up" in text
    assert ("I2" in text) == (page == "book")


def test_the_operator_sees_who_is_parked(acme):
    make_advertiser("globex")
    operator = sign_in(make_user("operator@house.example", is_staff=True))
    raise_posting()
    reconcile_all(now=CLOSED)
    text = operator.get(reverse("admin:advertisers")).content.decode()
    assert text.count("The books do not add up") == 1


def test_issuing_in_the_console_is_refused_in_words(acme):
    owner = sign_in(make_member(acme.advertiser))
    close_month(advertiser=acme.advertiser, month=MONTH, actor=SYSTEM, now=CLOSED)
    raise_posting()
    run = owner.get(reverse("admin:closing_invoices")).context["run"]
    content = {"month": "2026-02", "typed": str(len(run.invoices)), "seen": run.seen}
    answer = owner.post(reverse("admin:closing_invoices"), content, follow=True)
    assert "The books do not add up" in answer.content.decode()
    assert not Invoice.objects.exists()


def test_a_month_closed_twice_is_one_act_and_invoices_issued_twice_are_one(acme):
    for _ in range(2):
        close_month(advertiser=acme.advertiser, month=MONTH, actor=SYSTEM, now=CLOSED)
        issue_invoices(advertiser=acme.advertiser, actor=SYSTEM, now=CLOSED)
    for verb in ("close_month", "issue_invoice"):
        assert AuditEntry.objects.filter(verb=verb).count() == 1


def test_parked_since_is_the_first_of_the_proofs_that_differ_in_a_row(acme):
    moments = [CLOSED + timedelta(hours=hour) for hour in range(5)]
    raise_posting()
    for at in moments[:2]:
        reconcile_books(advertiser=acme.advertiser, now=at)
    assert parked_since(last_reconciliation(acme.advertiser)) == moments[0]
    mend_posting()
    reconcile_books(advertiser=acme.advertiser, now=moments[2])
    raise_posting()
    for at in moments[3:]:
        reconcile_books(advertiser=acme.advertiser, now=at)
    assert parked_since(last_reconciliation(acme.advertiser)) == moments[3]


def test_the_book_names_and_links_the_rows_that_differ(acme):
    owner = sign_in(make_member(acme.advertiser))
    raise_posting()
    reconcile_books(advertiser=acme.advertiser, now=CLOSED)
    book = owner.get(reverse("admin:book"))
    sale = Conversion.objects.get()
    linked = {row["word"]: row["link"] for row in book.context["books"].told}
    assert linked[f"commission of order {sale.order_ref}"] == reverse(
        "admin:tracking_conversion_change", args=[sale.pk]
    )
    assert linked["Blog"] in book.text and "Parked since" in book.text


def test_every_row_that_a_proof_can_name_is_found(acme):
    sale = Conversion.objects.get()
    reconcile_books(advertiser=acme.advertiser, now=CLOSED)
    close_month(advertiser=acme.advertiser, month=MONTH, actor=SYSTEM, now=CLOSED)
    [invoice] = issue_invoices(advertiser=acme.advertiser, actor=SYSTEM, now=LATER).issued
    named = [
        *(f"conversion {sale.pk}", f"conversion {sale.pk} partner {acme.partners.blog.pk}"),
        *(f"statement {Statement.objects.get().pk}", f"invoice {invoice.number}"),
        *(f"partner {acme.partners.blog.pk} EUR", f"commission:{Commission.objects.get().pk}"),
    ]
    unknown = [f"conversion {uuid4()}", "conversion x", "statement 0", "series 4", "partner 9", f"statement {10**30}"]

    def told(advertiser):
        rows = [{"invariant": "I2", "subject": subject, "message": "?"} for subject in (*named, *unknown)]
        return [bool(row.get("link")) for row in Books(advertiser, LATER, len(rows), rows, LATER).told]

    assert told(acme.advertiser) == [True] * len(named) + [False] * len(unknown)
    assert not any(told(make_advertiser("globex")))
