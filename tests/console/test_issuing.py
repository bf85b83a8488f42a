"""Invoices are issued after their number, their sums and their partners were shown and the number was typed."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.urls import reverse

from apps.core.actors import SYSTEM
from apps.identity.models import Role
from apps.invoices.models import Invoice
from apps.partners.models import Partnership
from apps.pipeline.services.closing import close_month
from apps.pipeline.services.deciding import approve_conversions
from apps.pipeline.services.settling import settle_waiting
from apps.statements.models import Statement
from tests.cast import make_cast, make_conversion, make_member, make_touch
from tests.console.scene import SOLD_AT, member, sign_in

pytestmark = pytest.mark.django_db
PAGE = reverse("admin:closing_invoices")
CLOSED = datetime(2026, 3, 2, 8, tzinfo=UTC)


def sell_by(acme, *names: str, amount: int = 1000_00) -> None:
    ids = []
    for name in names:
        click = make_touch(getattr(acme.enrollments, name), SOLD_AT - timedelta(days=1))
        ids.append(make_conversion(acme.campaign, amount, SOLD_AT, f"S-{name}", click_ids=[click.pk]).pk)
    settle_waiting(now=SOLD_AT)
    approve_conversions(advertiser=acme.advertiser, conversion_ids=ids, actor=SYSTEM, now=SOLD_AT)


@pytest.fixture
def acme():
    """Acme with three payable statements in March, of which that of the coupon site is blocked."""
    acme = make_cast()
    acme.owner = sign_in(make_member(acme.advertiser))
    sell_by(acme, "blog", "coupons", "cashback")
    close_month(advertiser=acme.advertiser, month=date(2026, 2, 1), actor=SYSTEM, now=CLOSED)
    Partnership.objects.filter(partner=acme.partners.coupons).update(self_billing_on=None, self_billing_version="")
    return acme


def test_the_page_says_how_many_how_much_for_whom_and_what_is_final(acme):
    page = acme.owner.get(PAGE, {"month": "2026-02"})
    run = page.context["run"]
    assert [row.statement.partner.name for row in run.invoices] == ["Blog", "Cashback"]
    assert [row.statement.partner.name for row in run.blocked] == ["Coupons"]
    for text in ("Issue 2 invoices", "160.00", "Numbers are not given back", "Type 2 to issue them", "stays blocked"):
        assert text in page.text, text
    assert not Invoice.objects.exists()
    assert reverse("admin:closing_invoices") in acme.owner.get(reverse("admin:closing")).text


def test_what_was_foretold_is_what_is_issued(acme):
    run = acme.owner.get(PAGE).context["run"]
    answer = acme.owner.post(PAGE, {"typed": "2", "seen": run.seen, "month": "2026-02"})
    assert answer["Location"] == f"{reverse('admin:closing')}?month=2026-02"
    issued = list(Invoice.objects.order_by("pk").values_list("net_minor", "vat_minor", "gross_minor"))
    assert issued == [(row.statement.payable_minor, row.vat_minor, row.gross_minor) for row in run.invoices]
    assert [(one.net_minor, one.gross_minor) for one in run.sums] == [
        (sum(row[0] for row in issued), sum(row[2] for row in issued))
    ]
    assert "2 invoices are issued." in acme.owner.get(reverse("admin:closing")).text
    assert acme.owner.get(PAGE).status_code == 302


@pytest.mark.parametrize(
    ("typed", "said"), [("", "required"), ("3", "Type 2 to issue them."), ("2", "have changed since")]
)
def test_neither_a_wrong_number_nor_other_statements_issue_anything(acme, typed, said):
    seen = acme.owner.get(PAGE).context["run"].seen
    if typed == "2":
        seen = seen.partition(",")[0]
    page = acme.owner.post(PAGE, {"typed": typed, "seen": seen})
    assert said in page.text and not Invoice.objects.exists()


def test_only_finance_sees_it(acme):
    for role, status in ((Role.MANAGER, 403), (Role.ANALYST, 403), (Role.FINANCE, 200)):
        client = member(acme, role)
        assert (client.get(PAGE).status_code, client.post(PAGE, {}).status_code) == (status, status)
    assert not Invoice.objects.exists()


def test_nothing_to_issue_is_said_on_the_month(acme):
    Partnership.objects.update(self_billing_on=None, self_billing_version="")
    assert "Every statement is blocked." in acme.owner.get(PAGE, follow=True).text


@pytest.mark.parametrize("rows", [1, 3])
def test_more_statements_ask_no_more(django_assert_num_queries, rows):
    acme = make_cast()
    owner = sign_in(make_member(acme.advertiser))
    sell_by(acme, *("blog", "coupons", "cashback")[:rows])
    close_month(advertiser=acme.advertiser, month=date(2026, 2, 1), actor=SYSTEM, now=CLOSED)
    assert Statement.objects.count() == rows
    owner.get(PAGE)
    with django_assert_num_queries(7):
        assert owner.get(PAGE).status_code == 200
