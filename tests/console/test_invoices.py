"""An invoice's page while its PDF is on its way."""

import pytest
from django.urls import reverse

from apps.core.actors import SYSTEM
from apps.invoices.models import Invoice
from apps.pipeline.services.closing import RENDERING, issue_invoices, rendering_key
from apps.records.services import fail_job
from tests.cast import NOON, make_member
from tests.console.scene import sign_in
from tests.pipeline.test_closing import CLOSING, close, earn, make_cast

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme():
    """Acme with an invoice that has no PDF yet."""
    acme = make_cast()
    earn(acme, acme.enrollments.blog, 1_000_00)
    close(acme)
    issue_invoices(advertiser=acme.advertiser, actor=SYSTEM, now=CLOSING)
    acme.owner = sign_in(make_member(acme.advertiser))
    acme.invoice = Invoice.objects.get()
    return acme


@pytest.mark.parametrize("month", ["0001-01", "9999-12", "0000-01", "2026-13", "x", ""])
def test_a_month_that_is_none_is_said_so(acme, month):
    answer = acme.owner.get(f"{reverse('admin:closing')}?month={month}")

    assert answer.status_code == 200
    assert "There is no such month to close" in answer.text
    listed = acme.owner.get(f"{reverse('admin:statements_statement_changelist')}?month={month}-01")
    assert listed.status_code == 200
    assert acme.owner.get(f"{reverse('admin:index')}?range=custom&from={month}-01&to={month}-02").status_code == 200


def pages(acme) -> tuple[str, str]:
    listed = acme.owner.get(reverse("admin:invoices_invoice_changelist"))
    shown = acme.owner.get(reverse("admin:invoices_invoice_change", args=[acme.invoice.pk]))
    return listed.content.decode(), shown.content.decode()


def test_a_pdf_that_is_being_made_is_said_so(acme):
    listed, shown = pages(acme)
    assert "being made" in listed
    assert "The PDF is being made" in shown and "Download PDF" not in shown
    assert acme.owner.get(reverse("admin:invoices_invoice_pdf", args=[acme.invoice.pk])).status_code == 404


def test_a_pdf_that_could_not_be_made_says_why(acme):
    key = rendering_key(acme.invoice.pk)
    fail_job(advertiser=acme.advertiser, kind=RENDERING, key=key, error="ValueError: a glyph is missing", now=NOON)

    listed, shown = pages(acme)
    assert "could not be made" in listed
    assert "The PDF could not be made: ValueError: a glyph is missing" in shown
