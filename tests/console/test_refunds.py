"""Recording a refund by hand: whole, by amount or by lines, and what it changes."""

import pytest
from django.urls import reverse

from apps.commissions.models import Commission
from apps.identity.models import Role
from apps.pipeline.services.settling import settle_waiting
from apps.records.models import AuditEntry
from apps.tracking.models import Refund
from tests.cast import NOON
from tests.console.scene import make_scene, member, sell

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme():
    return make_scene()


def address(sale) -> str:
    return reverse("admin:refund", args=[sale.pk])


def test_a_refund_by_amount_is_recorded_and_corrects(acme):
    form = {"refund_ref": "R-1", "way": "amount", "amount": "25.00", "reason": "cancelled"}

    assert acme.owner.post(address(acme.open), form).status_code == 302
    settle_waiting(now=NOON)

    assert [row.amount_minor for row in Commission.objects.filter(conversion=acme.open).order_by("pk")] == [800, -200]
    assert AuditEntry.objects.get(verb="refund").details["refund_ref"] == "R-1"
    page = acme.owner.get(address(acme.open)).text
    assert "25.00 EUR" in page and "−2.00 EUR" in page and "The order was cancelled" in page
    assert (
        reverse("admin:refund", args=[acme.open.pk])
        in acme.owner.get(reverse("admin:tracking_conversion_change", args=[acme.open.pk])).text
    )


def test_a_refund_by_lines_asks_for_pieces(acme):
    sale = sell(acme, order_ref="LINES-1")
    assert "Lines, by pieces" not in acme.owner.get(address(sale)).text
    refused = acme.owner.post(address(sale), {"refund_ref": "R-1", "way": "lines", "reason": "returned"})
    assert refused.status_code == 200
    assert not Refund.objects.exists()


def test_what_cannot_have_come_back_is_said_at_its_field(acme):
    form = {"refund_ref": "R-1", "way": "amount", "amount": "100.01", "reason": "returned"}

    page = acme.owner.post(address(acme.open), form)

    assert (page.status_code, "cost less than is given back" in page.text) == (200, True)
    assert not Refund.objects.exists() and not AuditEntry.objects.filter(verb="refund").exists()


def test_only_managers_record_and_a_neighbor_finds_nothing(acme):
    form = {"refund_ref": "R-1", "way": "whole", "reason": "returned"}

    assert acme.neighbor.get(address(acme.open)).status_code == 404
    assert acme.neighbor.post(address(acme.open), form).status_code == 404
    analyst = member(acme, Role.ANALYST)
    assert analyst.get(address(acme.open)).status_code == 200
    assert analyst.post(address(acme.open), form).status_code == 403
    assert not Refund.objects.exists()


def test_a_form_that_says_two_things_is_refused(acme):
    form = {"refund_ref": "R-1", "way": "whole", "amount": "25.00", "reason": "returned"}
    assert "Leave it empty" in acme.owner.post(address(acme.open), form).text
    assert "This field is required" in acme.owner.post(address(acme.open), {**form, "way": ""}).text
    assert not Refund.objects.exists()
