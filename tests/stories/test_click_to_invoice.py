"""From a click to the invoice that contains it, dated, through every room."""

from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest

from apps.commissions.models import Commission, Decision
from apps.core.actors import SYSTEM
from apps.invoices.models import Invoice
from apps.ledger.selectors import balances_by_partner
from apps.pipeline.books import check_books
from apps.pipeline.receipts import explain_conversion, explain_to_partner
from apps.pipeline.services.closing import close_month, issue_invoices, preview_month, render_missing
from apps.pipeline.services.deciding import approve_conversions
from apps.pipeline.services.settling import settle_waiting
from apps.statements.models import Statement
from tests.cast import make_cast, make_conversion, make_policy, make_touch

pytestmark = pytest.mark.django_db


def test_a_click_walks_to_an_invoice():
    acme = make_cast()
    make_policy(acme.campaign, starts_at=datetime(2026, 1, 1, tzinfo=UTC), model="LINEAR")
    visitor = uuid4()

    # 12 January: the blog is read; 14 January: the coupon site is visited; 15 January: 100.00 EUR are spent.
    make_touch(acme.enrollments.blog, datetime(2026, 1, 12, 9, tzinfo=UTC), visitor)
    last = make_touch(acme.enrollments.coupons, datetime(2026, 1, 14, 20, tzinfo=UTC), visitor)
    sold_at = datetime(2026, 1, 15, 10, 30, tzinfo=UTC)
    sale = make_conversion(acme.campaign, 100_00, sold_at, "A-1", click_ids=[last.pk])
    assert settle_waiting(now=sold_at + timedelta(seconds=1)).settled == 1

    # Linear over two touches at 8 %: 4.00 each, not yet in the book.
    earned = dict(Commission.objects.values_list("partner__slug", "amount_minor"))
    assert earned == {"blog": 400, "coupons": 400}
    decision = Decision.objects.get(conversion=sale)
    days = (decision.decide_by, decision.locks_on, decision.pays_on)
    assert days == (date(2026, 2, 14), date(2026, 2, 28), date(2026, 3, 20))
    assert balances_by_partner(advertiser=acme.advertiser) == []

    # The receipt says why, to the advertiser all of it, to the blog its own part.
    receipt = explain_conversion(sale.pk)
    assert receipt["verified"] and receipt["commission"] == "8.00"
    assert [share["share"] for share in receipt["shares"]] == ["1/2", "1/2"]
    own = explain_to_partner(conversion_id=sale.pk, partner=acme.partners.blog)
    assert (own["share"], own["commission"], own["others"]) == ("1/2", "4.00", 1)
    assert "coupons" not in str(own)

    # 20 January: approved, owed, due on the lock day; the January statement does not have it yet.
    approved_at = datetime(2026, 1, 20, 15, tzinfo=UTC)
    approve_conversions(advertiser=acme.advertiser, conversion_ids=[sale.pk], actor=SYSTEM, now=approved_at)
    assert {row.accrued_minor for row in balances_by_partner(advertiser=acme.advertiser)} == {400}
    closing = datetime(2026, 2, 2, 8, tzinfo=UTC)
    assert (
        close_month(advertiser=acme.advertiser, month=date(2026, 1, 1), actor=SYSTEM, now=closing).statement_count == 0
    )

    # 2 March: February closes. 4.00 is below the minimum of 50.00 and is carried.
    closing = datetime(2026, 3, 2, 8, tzinfo=UTC)
    assert [row.carried_minor for row in preview_month(advertiser=acme.advertiser, month=date(2026, 2, 1))] == [
        400,
        400,
    ]
    close_month(advertiser=acme.advertiser, month=date(2026, 2, 1), actor=SYSTEM, now=closing)
    assert issue_invoices(advertiser=acme.advertiser, actor=SYSTEM, now=closing).issued == ()

    # February brings the blog a sale of 1,000.00; with it the carried 4.00 is paid in April.
    make_touch(acme.enrollments.blog, datetime(2026, 2, 10, 9, tzinfo=UTC), reader := uuid4())
    bought_at = datetime(2026, 2, 11, 9, tzinfo=UTC)
    big = make_conversion(acme.campaign, 1_000_00, bought_at, "A-2", visitor=reader)
    settle_waiting(now=bought_at)
    approve_conversions(advertiser=acme.advertiser, conversion_ids=[big.pk], actor=SYSTEM, now=closing)
    closing = datetime(2026, 4, 1, 8, tzinfo=UTC)
    close_month(advertiser=acme.advertiser, month=date(2026, 3, 1), actor=SYSTEM, now=closing)
    result = issue_invoices(advertiser=acme.advertiser, actor=SYSTEM, now=closing)
    render_missing(advertiser=acme.advertiser, now=closing)
    [invoice] = result.issued
    invoice.refresh_from_db()
    assert (invoice.number, invoice.partner) == ("GS2026-00001", acme.partners.blog)
    assert (invoice.net_minor, invoice.vat_minor, invoice.gross_minor) == (84_00, 15_96, 99_96)
    assert bytes(invoice.document.content).startswith(b"%PDF-")
    assert [line["net_minor"] for line in invoice.content["lines"]] == [400, 8000]

    # Twice is once; the books balance at every step's end.
    again = issue_invoices(advertiser=acme.advertiser, actor=SYSTEM, now=closing)
    assert (again.issued, Invoice.objects.count(), Statement.objects.count()) == ((), 1, 3)
    assert check_books() == []
