"""Closing a month and issuing its documents: once, in order, without a gap, whoever asks how often."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, transaction

from apps.core.actors import SYSTEM
from apps.invoices.models import Invoice, Settlement
from apps.invoices.services import settle_statement
from apps.partners.models import Partnership, TaxProfile
from apps.pipeline.books import check_books
from apps.pipeline.services.closing import close_month, issue_invoices, render_missing
from apps.pipeline.services.deciding import approve_conversions, reject_conversions
from apps.pipeline.services.settling import settle_waiting
from apps.statements.models import Statement, StatementLine
from apps.statements.selectors import recomputed_hash
from apps.statements.services import LaterPeriodClosed, PeriodNotOver
from tests.cast import join, make_campaign, make_cast, make_conversion, make_partner, make_plan, make_policy, make_touch

pytestmark = pytest.mark.django_db
JANUARY, FEBRUARY, MARCH = date(2026, 1, 1), date(2026, 2, 1), date(2026, 3, 1)
CLOSING = datetime(2026, 3, 1, 8, tzinfo=UTC)


@pytest.fixture
def acme():
    return make_cast()


def earn(acme, enrollment, amount_minor: int, at: datetime = datetime(2026, 1, 15, 10, tzinfo=UTC)):
    """Sell so that the partner earns 8 % of the amount, approved five days later."""
    visitor = uuid4()
    make_touch(enrollment, at - timedelta(hours=1), visitor)
    sale = make_conversion(acme.campaign, amount_minor, at, visitor=visitor)
    settle_waiting(now=at)
    approve_conversions(advertiser=acme.advertiser, conversion_ids=[sale.pk], actor=SYSTEM, now=at + timedelta(days=5))
    return sale


def close(acme, month: date = FEBRUARY, now: datetime = CLOSING):
    return close_month(advertiser=acme.advertiser, month=month, actor=SYSTEM, now=now)


def issue(acme, now: datetime = CLOSING):
    return issue_invoices(advertiser=acme.advertiser, actor=SYSTEM, now=now)


def test_only_the_statements_that_were_seen_are_invoiced(acme):
    earn(acme, acme.enrollments.blog, 1_000_00)
    earn(acme, acme.enrollments.coupons, 1_000_00)
    close(acme)
    seen, unseen = Statement.objects.order_by("place")
    call = {"advertiser": acme.advertiser, "actor": SYSTEM, "now": CLOSING}
    [invoice] = issue_invoices(**call, only=[seen.pk]).issued
    assert [row.statement for row in invoice.settlements.all()] == [seen]
    assert not unseen.settlements.exists()
    assert issue_invoices(**call, only=[]).issued == ()


def test_a_month_that_is_not_over_cannot_close(acme):
    with pytest.raises(PeriodNotOver):
        close(acme, now=datetime(2026, 2, 28, 22, 59, tzinfo=UTC))
    assert close(acme, now=datetime(2026, 2, 28, 23, tzinfo=UTC)).statement_count == 0


def test_months_close_in_order(acme):
    close(acme)
    with pytest.raises(LaterPeriodClosed):
        close(acme, JANUARY)


def test_closing_twice_gives_the_same_statements_once(acme):
    earn(acme, acme.enrollments.blog, 1_000_00)
    first = close(acme)
    again = close(acme, now=CLOSING + timedelta(days=1))
    assert (first, first.statement_count, Statement.objects.count()) == (again, 1, 1)


def test_what_is_decided_late_lands_on_the_next_statement(acme):
    earn(acme, acme.enrollments.blog, 1_000_00)
    close(acme)
    late = make_conversion(acme.campaign, 500_00, datetime(2026, 1, 20, tzinfo=UTC), visitor=(who := uuid4()))
    make_touch(acme.enrollments.blog, datetime(2026, 1, 19, tzinfo=UTC), who)
    settle_waiting(now=CLOSING)
    approve_conversions(advertiser=acme.advertiser, conversion_ids=[late.pk], actor=SYSTEM, now=CLOSING)
    close(acme, MARCH, datetime(2026, 4, 1, tzinfo=UTC))
    assert list(Statement.objects.order_by("place").values_list("earned_minor", flat=True)) == [80_00, 40_00]
    assert StatementLine.objects.get(conversion_id=late.pk).statement.place == 2


def test_a_reversal_before_the_lock_leaves_both_lines_on_the_statement(acme):
    sale = earn(acme, acme.enrollments.blog, 1_000_00)
    reject_conversions(
        advertiser=acme.advertiser, conversion_ids=[sale.pk], actor=SYSTEM, reason="returned",
        now=datetime(2026, 2, 1, tzinfo=UTC),
    )  # fmt: skip
    close(acme)
    statement = Statement.objects.get()
    assert (statement.earned_minor, statement.line_count, statement.payable_minor) == (0, 2, 0)
    assert check_books() == []


def test_exactly_the_minimum_is_paid_and_a_cent_less_is_carried(acme):
    earn(acme, acme.enrollments.blog, 625_00)
    earn(acme, acme.enrollments.coupons, 624_88)
    close(acme)
    rows = dict(Statement.objects.values_list("partner__slug", "payable_minor"))
    assert rows == {"blog": 50_00, "coupons": 0}
    assert len(issue(acme).issued) == 1


def test_statements_form_a_chain_of_hashes(acme):
    earn(acme, acme.enrollments.blog, 1_000_00)
    earn(acme, acme.enrollments.coupons, 1_000_00)
    close(acme)
    first, second = Statement.objects.order_by("place")
    assert (first.previous_sha256, second.previous_sha256) == ("", first.sha256)
    assert recomputed_hash(second) == second.sha256


def test_issuing_twice_gives_each_document_once(acme):
    earn(acme, acme.enrollments.blog, 1_000_00)
    close(acme)
    assert [row.number for row in issue(acme).issued] == ["GS2026-00001"]
    assert issue(acme).issued == ()
    assert Settlement.objects.count() == 1


def test_a_private_person_is_settled_without_a_document(acme):
    TaxProfile.objects.filter(partner=acme.partners.blog).update(status="PRIVATE")
    earn(acme, acme.enrollments.blog, 1_000_00)
    close(acme)
    result = issue(acme)
    assert (result.issued, result.without_document, result.blocked) == ((), 1, ())
    assert check_books() == []


def test_who_cannot_be_invoiced_stays_unsettled_until_it_is_mended(acme):
    Partnership.objects.filter(partner=acme.partners.blog).update(self_billing_version="", self_billing_on=None)
    earn(acme, acme.enrollments.blog, 1_000_00)
    close(acme)
    result = issue(acme)
    assert [row.blocked.code for row in result.blocked] == ["agreement_missing"]
    assert Settlement.objects.count() == 0
    assert check_books() == []
    Partnership.objects.filter(partner=acme.partners.blog).update(
        self_billing_version="1", self_billing_on=date(2026, 1, 1)
    )
    assert len(issue(acme).issued) == 1


def test_an_issued_document_never_changes(acme):
    earn(acme, acme.enrollments.blog, 1_000_00)
    close(acme)
    [invoice] = issue(acme).issued
    render_missing(now=CLOSING)
    for change in ({"gross_minor": 1}, {"number": "X"}, {"content": {}}, {"document": None}):
        with pytest.raises(DatabaseError), transaction.atomic():
            Invoice.objects.filter(pk=invoice.pk).update(**change)
    with pytest.raises(DatabaseError), transaction.atomic():
        invoice.delete()


@pytest.mark.django_db(transaction=True)
def test_runs_at_once_give_every_document_once_and_no_gap():
    acme = make_cast()
    for slug in ("one", "two", "three", "four"):
        earn(acme, join(make_partner(slug), acme.campaign), 1_000_00)

    def work(_: int) -> None:
        try:
            close(acme)
            issue(acme)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert sorted(Invoice.objects.values_list("place", flat=True)) == [1, 2, 3, 4]
    assert (Statement.objects.count(), Settlement.objects.count()) == (4, 4)
    assert check_books() == []


def two_months(acme, enrollment) -> None:
    """Earn 80.00 that is due in February and 160.00 that is due in March."""
    earn(acme, enrollment, 1_000_00)
    earn(acme, enrollment, 2_000_00, datetime(2026, 2, 15, 10, tzinfo=UTC))


def test_what_was_blocked_before_is_billed_and_posted_with_the_next(acme):
    agreed = Partnership.objects.filter(partner=acme.partners.blog)
    agreed.update(self_billing_version="1", self_billing_on=date(2026, 3, 10))
    two_months(acme, acme.enrollments.blog)
    close(acme)
    assert [row.blocked.code for row in issue(acme).blocked] == ["agreement_missing"]
    later = datetime(2026, 4, 1, 8, tzinfo=UTC)
    close(acme, MARCH, later)
    result = issue(acme, later)
    assert [invoice.net_minor for invoice in result.issued] == [240_00]
    assert Settlement.objects.count() == 2
    assert check_books() == []


def test_carried_balances_become_one_document(acme):
    for month, amount in ((1, 375_00), (2, 62_50), (3, 500_00)):
        earn(acme, acme.enrollments.blog, amount, datetime(2026, month, 10, 10, tzinfo=UTC))
    for month in (2, 3, 4):
        close(acme, date(2026, month, 1), datetime(2026, month + 1, 2, tzinfo=UTC))
    [invoice] = issue(acme, datetime(2026, 5, 2, tzinfo=UTC)).issued
    assert (invoice.net_minor, len(invoice.content["lines"])) == (75_00, 3)
    assert Settlement.objects.count() == 3
    assert check_books() == []


def test_a_document_that_comes_late_is_paid_by_the_next_run(acme):
    TaxProfile.objects.filter(partner=acme.partners.blog).update(address="")
    earn(acme, acme.enrollments.blog, 1_000_00)
    close(acme)
    assert issue(acme).issued == ()
    TaxProfile.objects.filter(partner=acme.partners.blog).update(address="Hauptstraße 7")
    [invoice] = issue(acme, datetime(2026, 6, 25, tzinfo=UTC)).issued
    assert (invoice.issued_on, invoice.pay_on) == (date(2026, 6, 25), date(2026, 7, 20))


def test_the_minimum_is_of_the_advertiser_s_currency(acme):
    campaign = make_campaign(acme.advertiser, "nihon", currencies=["JPY"])
    make_policy(campaign)
    make_plan(campaign)
    make_touch(join(acme.partners.blog, campaign), datetime(2026, 1, 10, tzinfo=UTC), who := uuid4())
    at = datetime(2026, 1, 15, tzinfo=UTC)
    sale = make_conversion(campaign, 10_000, at, visitor=who, currency="JPY")
    settle_waiting(now=at)
    approve_conversions(advertiser=acme.advertiser, conversion_ids=[sale.pk], actor=SYSTEM, now=at)
    close(acme)
    assert Statement.objects.values_list("currency", "payable_minor", "minimum_minor").get() == ("JPY", 800, 0)


@pytest.mark.django_db(transaction=True)
def test_runs_at_once_settle_several_statements_of_a_partner_once():
    acme = make_cast()
    for slug in ("one", "two", "three"):
        two_months(acme, join(make_partner(slug), acme.campaign))
    later = datetime(2026, 4, 1, 8, tzinfo=UTC)
    close(acme, FEBRUARY, later)
    close(acme, MARCH, later)
    statements = list(Statement.objects.order_by("place"))

    def work(number: int) -> None:
        try:
            for statement in statements if number % 2 else reversed(statements):
                settle_statement(statement=Statement.objects.get(pk=statement.pk), now=later)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert Settlement.objects.count() == 6
    assert check_books() == []


def test_an_invoice_names_the_months_and_days_of_its_conversions(acme):
    for amount_minor, at in (
        (1_000_00, datetime(2026, 1, 31, 22, 59, tzinfo=UTC)),
        (500_00, datetime(2026, 1, 31, 23, 0, tzinfo=UTC)),  # a minute later it is February in Berlin
        (500_00, datetime(2026, 2, 10, 12, tzinfo=UTC)),
    ):
        earn(acme, acme.enrollments.blog, amount_minor, at)
    close(acme, MARCH, datetime(2026, 4, 1, tzinfo=UTC))
    issue(acme, datetime(2026, 4, 1, tzinfo=UTC))
    content = Invoice.objects.get().content
    assert [(row["detail"], row["quantity"]) for row in content["lines"]] == [("January 2026", 1), ("February 2026", 2)]
    assert (content["supply_from"], content["supply_to"]) == ("2026-01-31", "2026-02-10")
