"""Balance, expected payments, statements that prove themselves, and the PDF as it was stored."""

from datetime import UTC, date, datetime

import time_machine
from django.urls import reverse

from apps.core.actors import SYSTEM
from apps.core.money import Money
from apps.identity.models import Advertiser
from apps.insights.partner_selectors import (
    Coming,
    PartnerAccount,
    accounts_of_partner,
    blockers_of_partner,
    living_settlements,
    pay_day,
    pay_days_of,
)
from apps.invoices.models import Invoice
from apps.invoices.selectors import payability
from apps.ledger.selectors import balances_by_partner
from apps.partners.models import Partner, Partnership, TaxProfile
from apps.pipeline.services.closing import close_month, issue_invoices
from apps.pipeline.services.deciding import approve_conversions
from apps.pipeline.services.settling import settle_waiting
from apps.portal.accounts import balance
from apps.statements.models import Statement
from tests.cast import make_cast
from tests.portal.stage import NOW, client_of
from tests.portal.stage import sell as make_sale

PAGE = reverse("portal:payouts")


def eur(text: str) -> Money:
    return Money.parse(text, "EUR")


def test_the_balance_says_what_is_open_owed_and_coming(stage, blog):
    [balance] = blog.get(PAGE).context["balances"]
    assert (balance["pending"], balance["on_hold"]) == (eur("4.00"), eur("4.00"))
    assert (balance["approved"], balance["paid"]) == (eur("16.00"), None)
    assert balance["awaiting"] == [{"amount": eur("142.80"), "on": date(2026, 4, 20), "is_past": False}]
    assert balance["invoiced"] == eur("142.80")  # 120.00 and 19 % VAT
    assert (balance["next_pay_on"], balance["next_pay"]) == (date(2026, 4, 20), eur("142.80"))


def test_the_balance_is_the_books(stage):
    [account] = accounts_of_partner(partner=stage.blog, now=NOW)
    [book] = balances_by_partner(advertiser=stage.advertiser, partner_id=stage.blog.pk)
    assert (account.accrued_minor, account.payable_minor) == (book.accrued_minor, book.payable_minor)


def test_expected_payments_are_by_day_and_below_the_minimum_nothing_is_promised(blog):
    coming = blog.get(PAGE).context["coming"]
    assert [(row["pays_on"], row["invoiced"], row["approved"], row["pending"]) for row in coming] == [
        (date(2026, 4, 20), eur("142.80"), eur("0.00"), eur("0.00")),
        (date(2026, 5, 20), eur("0.00"), eur("0.00"), eur("4.00")),
    ]


def test_what_is_invoiced_and_past_its_day_stays_among_the_expected_payments(stage):
    with time_machine.travel(NOW.replace(day=21), tick=False):
        answer = client_of(stage.blog).get(PAGE)
    [row, _] = answer.context["coming"]
    assert (row["pays_on"], row["is_past"], row["invoiced"]) == (date(2026, 4, 20), True, eur("142.80"))
    assert answer.text.count("past its day") == 1 and "Paid so far" not in answer.text
    [balance] = answer.context["balances"]
    assert (balance["invoiced"], balance["next_pay_on"]) == (eur("142.80"), None)
    assert "142.80\N{NO-BREAK SPACE}€ was due on 20 Apr 2026" in answer.text


def test_a_lower_minimum_promises_the_next_payment(stage, blog):
    Partnership.objects.filter(partner=stage.blog).update(minimum_payout_minor=10_00)
    coming = blog.get(PAGE).context["coming"]
    assert [(row["pays_on"], row["approved"]) for row in coming][1] == (date(2026, 5, 20), eur("16.00"))


def test_what_stays_below_the_minimum_is_named_with_it(stage):
    Partnership.objects.filter(partner=stage.blog).update(minimum_payout_minor=50_00)
    client = client_of(stage.blog)
    [shown] = client.get(PAGE).context["balances"]
    assert shown["below_minimum"] == eur("16.00")
    assert "16.00\N{NO-BREAK SPACE}€ of what is approved wait until a payment reaches 50.00" in client.get(PAGE).text
    Partnership.objects.filter(partner=stage.blog).update(minimum_payout_minor=10_00)
    assert client.get(PAGE).context["balances"][0]["below_minimum"] is None


def test_what_is_approved_is_not_added_to_what_is_invoiced_with_vat():
    coming = [Coming(date(2026, 4, 20), invoiced_minor=142_80, approved_minor=16_00)]
    shown = balance(PartnerAccount(Advertiser(name="Acme"), "EUR", 50_00, coming=coming))
    assert (shown["next_pay"], shown["next_besides"], shown["next_is_net"]) == (eur("142.80"), eur("16.00"), False)
    coming = [Coming(date(2026, 4, 20), approved_minor=16_00)]
    shown = balance(PartnerAccount(Advertiser(name="Acme"), "EUR", 50_00, coming=coming))
    assert (shown["next_pay"], shown["next_besides"], shown["next_is_net"]) == (eur("16.00"), None, True)


def test_a_month_stated_late_is_paid_on_the_invoices_day_on_every_page(db):
    cast = make_cast()
    sale = make_sale(cast, "LATE-1", 1_000_00, datetime(2026, 1, 10, 12, tzinfo=UTC), "blog")
    settle_waiting(now=NOW)
    ids = [sale.pk]
    approve_conversions(advertiser=cast.advertiser, conversion_ids=ids, actor=SYSTEM, now=sale.occurred_at)
    close_month(advertiser=cast.advertiser, month=date(2026, 2, 1), actor=SYSTEM, now=NOW)
    statement = Statement.objects.prefetch_related(living_settlements("")).get()
    assert pay_day(statement, NOW.date()) == date(2026, 4, 20)  # the run of 20 March has gone by
    client = client_of(cast.partners.blog)
    [stated] = client.get(PAGE).context["coming"]
    assert (stated["pays_on"], stated["approved"]) == (date(2026, 4, 20), eur("80.00"))  # no invoice needed to be owed
    issue_invoices(advertiser=cast.advertiser, actor=SYSTEM, now=NOW)
    printed = Invoice.objects.get().pay_on

    page = client.get(PAGE).context
    assert [row["pays_on"] for row in page["statements"]] == [printed]
    assert [row["pays_on"] for row in page["coming"]] == [printed]
    assert client.get(reverse("portal:conversion", args=ids)).context["conversion"].pays_on == printed
    assert pay_days_of(sale, NOW.date()) == [printed] == [date(2026, 4, 20)]


def test_the_account_runs_line_by_line_to_the_balance(blog):
    entries = list(blog.get(PAGE).context["entries"])
    assert [(entry["text"], entry["ref"], entry["amount"], entry["balance"]) for entry in entries] == [
        ("VAT of invoice", "GS2026-00001", eur("22.80"), eur("158.80")),
        ("Commission", "MAR-4", eur("16.00"), eur("136.00")),
        ("Commission", "FEB-2", eur("80.00"), eur("120.00")),
        ("Commission", "FEB-1", eur("40.00"), eur("40.00")),
    ]


def test_a_statement_shows_its_lines_and_proves_itself(stage, blog):
    url = reverse("portal:statement", args=[stage.statement.pk])
    answer = blog.get(url)
    assert answer.context["statement"]["verified"] is None
    assert [(line["order_ref"], line["amount"]) for line in answer.context["lines"]] == [
        ("FEB-1", eur("40.00")),
        ("FEB-2", eur("80.00")),
    ]
    answer = blog.get(url, {"verify": "1"})
    assert answer.context["statement"]["verified"] is True
    assert "Recomputed: unchanged" in answer.text
    statement = Statement.objects.prefetch_related(living_settlements("")).get(pk=stage.statement.pk)
    assert pay_day(statement, NOW.date()) == stage.invoice.pay_on


def test_the_pdf_is_the_stored_document(stage, blog):
    answer = blog.get(reverse("portal:invoice_pdf", args=[stage.invoice.pk]))
    assert answer.content == bytes(stage.invoice.document.content)
    assert answer.content.startswith(b"%PDF-")
    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.headers["Content-Disposition"] == f'inline; filename="{stage.invoice.number}.pdf"'


def test_a_missing_vat_id_is_said_on_overview_payouts_and_account(stage, blog):
    TaxProfile.objects.filter(partner=stage.blog).update(vat_id="")
    said = "Your VAT id or tax number is missing; without one no invoice can be written."
    assert said in blog.get("/").text
    assert said in blog.get(PAGE).text
    checks = blog.get(reverse("portal:account")).context["checks"]
    assert [check["status"] for check in checks] == ["OK", "MISSING", "OK", "OK"]


def test_what_stands_in_the_way_is_what_invoicing_says(stage):
    TaxProfile.objects.filter(partner=stage.blog).update(city="", vat_id="DE1")
    Partnership.objects.filter(partner=stage.blog).update(self_billing_version="", self_billing_on=None)
    partner = Partner.objects.get(pk=stage.blog.pk)
    rows = Partnership.objects.filter(partner=partner)
    today = NOW.date()
    assert blockers_of_partner(partner=partner, partnerships=rows, today=today) == {
        stage.advertiser.pk: payability(advertiser=stage.advertiser, partner=partner, on=today)
    }
