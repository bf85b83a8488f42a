"""PDFs are made after the issue, by the workers: one that fails stops no other and is tried again."""

import pytest
from django.conf import settings
from django.core.management import call_command

from apps.invoices import services
from apps.invoices.models import Invoice
from apps.pipeline.services import closing
from apps.pipeline.services.closing import render_missing
from apps.pipeline.tasks import bill_render_documents
from apps.records.models import Document, Job
from tests.cast import make_cast
from tests.pipeline.test_closing import CLOSING, close, earn, issue

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme():
    """Three partners whose February is closed and invoiced."""
    acme = make_cast()
    for enrollment in (acme.enrollments.blog, acme.enrollments.coupons, acme.enrollments.cashback):
        earn(acme, enrollment, 1_000_00)
    close(acme)
    return acme


@pytest.fixture
def breaking(monkeypatch):
    """Let the PDF of the first invoice fail for as long as its number is in the returned set."""
    broken = {"GS2026-00001"}
    render = services.render_invoice

    def fail(content):
        if content.number in broken:
            raise ValueError("a glyph is missing")
        return render(content)

    monkeypatch.setattr(services, "render_invoice", fail)
    return broken


def test_issuing_takes_numbers_and_leaves_the_pdfs_to_the_workers(
    acme, django_capture_on_commit_callbacks, monkeypatch
):
    rung = []
    monkeypatch.setattr(closing.render_bell, "ring", lambda: rung.append(True))
    with django_capture_on_commit_callbacks(execute=True):
        assert len(issue(acme).issued) == 3

    assert rung == [True]
    assert not Document.objects.exists()
    assert bill_render_documents() == 3
    assert Invoice.objects.filter(document__isnull=True).count() == 0
    assert (bill_render_documents(), Job.objects.count()) == (0, 0)


def test_a_sweep_makes_what_no_bell_announced():
    scheduled = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert "apps.pipeline.tasks.bill_render_documents" in scheduled


def test_a_pdf_that_fails_stops_no_other_and_is_tried_again(acme, breaking):
    issue(acme)

    result = render_missing(now=CLOSING)
    assert (result.rendered, result.failed) == (2, 1)
    first, *others = Invoice.objects.order_by("place")
    assert first.document is None and all(invoice.document for invoice in others)
    job = Job.objects.get()
    assert (job.advertiser, job.key, job.state) == (acme.advertiser, f"invoice:{first.pk}", "FAILED")
    assert job.error == "ValueError: a glyph is missing"

    assert render_missing(now=CLOSING).failed == 1
    breaking.clear()
    assert render_missing(now=CLOSING).rendered == 1
    job.refresh_from_db()
    assert (job.state, job.error, Job.objects.count()) == ("DONE", "", 1)


def test_the_command_renders_in_place(acme, capsys, breaking):
    call_command("close_months", "2026-03", "--history")

    assert Document.objects.count() == 2
    assert "1 PDFs could not be made" in capsys.readouterr().err
