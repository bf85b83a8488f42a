"""`check_books` is clean on a clean book, and names the invariant when a row is changed behind the guards' back."""

from datetime import UTC, date, datetime, timedelta
from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.commissions.models import Receipt
from apps.core.actors import SYSTEM
from apps.core.reading import array_of
from apps.pipeline import drawing
from apps.pipeline.books import check_books
from apps.pipeline.drawing import Draw, draw_receipts
from apps.pipeline.proofs import CHECKS
from apps.pipeline.services.closing import close_month, issue_invoices, render_missing
from apps.pipeline.services.deciding import approve_conversions
from apps.pipeline.services.settling import settle_waiting
from apps.tracking.models import Unsettled
from tests.cast import START, make_advertiser, make_cast, make_conversion, make_policy, make_touch

pytestmark = pytest.mark.django_db
SOLD = datetime(2026, 1, 15, 10, tzinfo=UTC)
CLOSED = datetime(2026, 3, 2, 8, tzinfo=UTC)

# What a hand in the database would do: (invariant that must speak, statements).
HANDS = {
    "a share changed": ("I1", "UPDATE attribution_share SET numerator = numerator - 1, denominator = denominator + 1"),
    "revenue changed": ("I1", "UPDATE attribution_share SET revenue_minor = revenue_minor + 1"),
    "a commission changed": ("I1", "UPDATE commissions_commission SET amount_minor = amount_minor + 1"),
    "a commission deleted": ("I1", "DELETE FROM commissions_commission"),
    "two commissions swapped": (
        "I1",
        "UPDATE commissions_commission m SET amount_minor = o.amount_minor FROM commissions_commission o "
        "WHERE m.conversion_id = o.conversion_id AND m.partner_id <> o.partner_id",
    ),
    "a receipt deleted": ("I1", "DELETE FROM commissions_receipt"),
    "a decision deleted": ("I1", "DELETE FROM commissions_decision"),
    "a posting raised": (
        "I2",
        "UPDATE ledger_posting SET amount_minor = amount_minor + 1 WHERE purpose = 'COMMISSION'",
    ),
    "a settlement lowered": (
        "I2",
        "UPDATE ledger_posting SET amount_minor = amount_minor - 1 WHERE purpose = 'SETTLEMENT'",
    ),
    "a posting deleted": (
        "I2",
        "DELETE FROM ledger_posting WHERE purpose = 'SETTLEMENT' AND id = (SELECT max(id) FROM ledger_posting)",
    ),
    "a posting of two currencies": ("I2", "UPDATE ledger_posting SET currency = 'USD'"),
    "an approval undone": ("I2", "UPDATE commissions_decision SET state = 'REJECTED', reason = 'test'"),
    "an invoice raised": ("I2", "UPDATE invoices_invoice SET gross_minor = gross_minor + 1, vat_minor = vat_minor + 1"),
    "a currency changed": ("I4", "UPDATE commissions_commission SET currency = 'USD'"),
    "a conversion deleted": ("I4", "DELETE FROM tracking_conversion"),
    "an order told twice": ("I5", "UPDATE tracking_conversion SET order_ref = 'TWICE'"),
    "a receipt's body changed": (
        "I6",
        "UPDATE commissions_receipt SET body = jsonb_set(body, '{winners,0,2}', '1'), total_minor = total_minor",
    ),
    "a conversion changed": ("I6", "UPDATE tracking_conversion SET amount_minor = amount_minor + 100"),
    "a policy changed": ("I6", 'UPDATE attribution_policyversion SET settings = \'{"model": "FIRST_CLICK"}\''),
    "a click moved": (
        "I6",
        "UPDATE tracking_touchpoint SET occurred_at = occurred_at - interval '3 days' WHERE channel = 'coupons'",
    ),
    "a click given to somebody else": (
        "I6",
        "UPDATE tracking_touchpoint t SET partner_id = o.partner_id, ad_space_id = o.ad_space_id "
        "FROM tracking_touchpoint o WHERE o.channel <> t.channel",
    ),
    "a plan changed": ("I6", 'UPDATE commissions_commissionrule SET pay = \'{"percent": "9"}\''),
    "a line taken off a statement": ("I9", "DELETE FROM statements_statementline"),
    "a line changed": ("I9", "UPDATE statements_statementline SET amount_minor = amount_minor + 1"),
    "a line moved before its time": ("I9", "UPDATE ledger_posting SET due_on = '2027-01-01' WHERE due_on IS NOT NULL"),
    "a number skipped": ("I11", "UPDATE invoices_numberseries SET last_place = last_place + 1"),
    "a number changed": ("I11", "UPDATE invoices_invoice SET place = place + 10"),
    "a PDF changed": ("I12", "UPDATE records_document SET content = content || '\\x00'::bytea"),
    "a statement's hash changed": ("I12", "UPDATE statements_statement SET sha256 = repeat('0', 64)"),
    "an opening balance changed": (
        "I14",
        "UPDATE statements_statement SET opening_minor = opening_minor + 1, payable_minor = payable_minor + 1",
    ),
    "a payment below the minimum": ("I14", "UPDATE statements_statement SET minimum_minor = payable_minor + 1"),
    "an invoice's text changed": ("I12", 'UPDATE invoices_invoice SET content = content || \'{"number": "X"}\''),
    "a statement earned more": (
        "I22",
        "UPDATE statements_statement SET earned_minor = earned_minor + 1, payable_minor = payable_minor + 1",
    ),
    "a net amount changed": ("I22", "UPDATE invoices_invoice SET net_minor = net_minor + 1, vat_minor = vat_minor - 1"),
}


@pytest.fixture
def books():
    """A book with two sales shared by two partners, approved, a closed month and two invoices."""
    acme = make_cast()
    make_policy(acme.campaign, START + timedelta(days=1), model="TIME_DECAY")
    for _ in range(2):
        visitor = uuid4()
        make_touch(acme.enrollments.blog, SOLD - timedelta(days=7), visitor)
        make_touch(acme.enrollments.coupons, SOLD - timedelta(hours=2), visitor)
        make_conversion(acme.campaign, 2_000_00, SOLD, visitor=visitor)
    settle_waiting(now=SOLD)
    ids = list(acme.advertiser.conversions.values_list("pk", flat=True))
    approve_conversions(advertiser=acme.advertiser, conversion_ids=ids, actor=SYSTEM, now=SOLD + timedelta(days=5))
    close_month(advertiser=acme.advertiser, month=date(2026, 2, 1), actor=SYSTEM, now=CLOSED)
    assert len(issue_invoices(advertiser=acme.advertiser, actor=SYSTEM, now=CLOSED).issued) == 2
    render_missing(now=CLOSED)
    return acme


def guards_off(cursor) -> None:
    """Take triggers and checks off the tables, as only their owner can; the test's rollback brings them back."""
    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    cursor.execute(
        "SELECT DISTINCT c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
        "WHERE NOT t.tgisinternal AND c.relkind IN ('r', 'p')"
    )
    for (table,) in cursor.fetchall():
        cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    cursor.execute(
        "SELECT c.relname, k.conname FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid "
        "WHERE k.contype IN ('c', 'f', 'u') "
        "AND c.relname ~ '^(attribution|commissions|ledger|statements|invoices|tracking)_'"
    )
    for table, name in cursor.fetchall():
        cursor.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}" CASCADE')


def test_a_clean_book_has_no_difference(books):
    assert check_books() == []
    out = StringIO()
    call_command("check_books", stdout=out)
    assert "clean" in out.getvalue()


@pytest.mark.parametrize("hand", HANDS)
def test_a_changed_row_is_found(books, hand):
    invariant, statement = HANDS[hand]
    neighbor = make_advertiser("globex")
    with connection.cursor() as cursor:
        guards_off(cursor)
        cursor.execute(statement)
        assert cursor.rowcount > 0
    for found in (check_books(), check_books(advertiser_id=books.advertiser.pk)):
        assert invariant in {row.invariant for row in found}
        assert {row.advertiser_id for row in found} == {books.advertiser.pk}
    assert check_books(advertiser_id=neighbor.pk) == []


@pytest.mark.parametrize("table", ["attribution_share", "commissions_receipt", "commissions_commission"])
def test_a_result_of_no_conversion_is_found(books, table):
    """Whatever else went with the conversion: everything that is joined with it says nothing of such a row."""
    with connection.cursor() as cursor:
        guards_off(cursor)
        for other in {"attribution_share", "commissions_receipt", "commissions_commission"} - {table}:
            cursor.execute(f"DELETE FROM {other}")
        cursor.execute("DELETE FROM tracking_conversion")
    found = {(row.advertiser_id, row.message.split(":")[0]) for row in check_books() if row.invariant == "I4"}
    of_commission = table == "commissions_commission"
    says = "a commission has its conversion" if of_commission else "a share and a receipt have their conversion"
    assert found == {(books.advertiser.pk, says)}


def test_a_commission_in_another_advertiser_s_name_is_found_from_both_sides(books):
    neighbor = make_advertiser("globex")
    with connection.cursor() as cursor:
        guards_off(cursor)
        cursor.execute("UPDATE commissions_commission SET advertiser_id = %s", [neighbor.pk])
    for advertiser in (books.advertiser, neighbor):
        found = [row for row in check_books(advertiser_id=advertiser.pk) if row.invariant == "I4"]
        assert {row.advertiser_id for row in found} == {advertiser.pk}
    assert {books.advertiser.pk, neighbor.pk} <= {row.advertiser_id for row in check_books()}


def scans_of(plan: dict) -> set[str]:
    """Return the tables that a plan reads from end to end."""
    found = {plan["Relation Name"]} if plan["Node Type"] == "Seq Scan" else set()
    return found.union(*(scans_of(inner) for inner in plan.get("Plans", ())))


@pytest.mark.parametrize("check", [check for check in CHECKS if not check.of_everybody], ids=lambda check: check.says)
def test_the_proof_of_one_advertiser_can_find_its_rows_by_index(books, check):
    told = {
        "advertiser": books.advertiser.pk,
        "ids": array_of(books.advertiser.conversions.values_list("pk", flat=True)),
    }
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_nestloop = off")
        cursor.execute(f"EXPLAIN (FORMAT JSON) {check.sql_of_part}", told)
        [explained] = cursor.fetchone()[0]
    assert scans_of(explained["Plan"]) == set()


@pytest.mark.parametrize("sales", [1, 3])
def test_the_proof_of_one_advertiser_takes_as_many_queries_for_three_sales_as_for_one(sales):
    acme = make_cast()
    for number in range(sales):
        click = make_touch(acme.enrollments.blog, SOLD - timedelta(days=1))
        make_conversion(acme.campaign, 100_00, SOLD, f"A-{number}", click_ids=[click.pk])
    settle_waiting(now=SOLD)
    with CaptureQueriesContext(connection) as queries:
        assert check_books(advertiser_id=acme.advertiser.pk) == []
    assert len(queries) == 50


def test_every_receipt_can_be_drawn_whatever_is_there(books, monkeypatch):
    every = set(Receipt.objects.values_list("pk", flat=True))
    assert len(every) == 2
    assert (draw_receipts(0), draw_receipts(2), draw_receipts(200)) == (set(), every, every)
    for pages in (2, 0.4):  # all are read, or the pages are drawn first, of which there is one
        monkeypatch.setattr(drawing, "PAGES_PER_RECEIPT", pages)
        drawn = [draw_receipts(1) for _ in range(60)]
        assert {len(one) for one in drawn} == {1} and set().union(*drawn) == every


def test_a_lot_is_as_large_as_it_may_be_and_leaves_nobody_out():
    found = set()
    for _ in range(200):
        draw = Draw(3)
        draw.see(range(5))
        draw.see(range(5, 8))
        assert len(set(draw.kept)) == 3
        found |= set(draw.kept)
    assert found == set(range(8))
    few = Draw(3)
    few.see(range(2))
    assert few.kept == [0, 1]


def test_the_command_fails_on_a_difference(books):
    with connection.cursor() as cursor:
        guards_off(cursor)
        cursor.execute("UPDATE statements_statement SET sha256 = repeat('0', 64)")
    out = StringIO()
    with pytest.raises(SystemExit) as stopped:
        call_command("check_books", stdout=out, stderr=StringIO())
    assert stopped.value.code == 1
    assert "I12 acme: statement" in out.getvalue()


def test_a_conversion_lost_from_the_work_list_is_found():
    make_conversion(make_cast().campaign)
    assert check_books() == []
    Unsettled.objects.all().delete()
    assert [row.invariant for row in check_books()] == ["I1"]
