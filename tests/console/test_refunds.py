"""Recording a refund by hand: whole, by amount or by lines, and what it changes."""

from datetime import timedelta

import pytest
from django.urls import reverse

from apps.commissions.models import Commission
from apps.identity.models import Role
from apps.pipeline.services.settling import settle_waiting
from apps.records.models import AuditEntry
from apps.tracking.models import Amendment, Refund
from tests.cast import NOON, make_conversion, make_touch
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

    assert (page.status_code, "More is given back than the order cost" in page.text) == (200, True)
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


@pytest.fixture
def amended(acme):
    """An order of A for 30 and B for 70 that the shop told anew as B for 70 and C for 10."""
    click = make_touch(acme.enrollments.blog, NOON - timedelta(days=1))
    lines = [
        {"sku": "A", "name": "Axe", "unit_price_minor": 30_00},
        {"sku": "B", "name": "Bow", "unit_price_minor": 70_00},
    ]
    sale = make_conversion(acme.campaign, 100_00, NOON, "ANEW", click_ids=[click.pk], lines=lines)
    settle_waiting(now=NOON)
    newer = [
        {"sku": sku, "unit_price_minor": price, "quantity": 1, "category": "DEFAULT", "shop_category": ""}
        for sku, price in (("B", 70_00), ("C", 10_00))
    ]
    content = {"amount_minor": 80_00, "discount_minor": 0, "lines": newer}
    Amendment.objects.create(
        advertiser=acme.advertiser, conversion=sale, sequence=1, content=content, content_hash="x", recorded_at=NOON
    )
    settle_waiting(now=NOON)
    return sale


def earned(sale) -> int:
    return sum(Commission.objects.filter(conversion=sale).values_list("amount_minor", flat=True))


@pytest.mark.parametrize("page", ["refund", "parts"])
def test_the_forms_name_the_lines_that_the_shop_told_last(acme, amended, page):
    text = acme.owner.get(reverse(f"admin:{page}", args=[amended.pk])).text
    assert ("Bow" in text, "Axe" in text, 'name="told" value="1"' in text) == (True, False, True)


def test_the_line_that_was_ticked_is_the_line_that_goes(acme, amended):
    form = {"told": "1", "lines": ["2"], "reason": "returned"}
    assert acme.owner.post(reverse("admin:parts", args=[amended.pk]), form).status_code == 302
    assert earned(amended) == 5_60

    form = {"told": "1", "refund_ref": "R-1", "way": "lines", "line_1": "1", "reason": "returned"}
    assert acme.owner.post(address(amended), form).status_code == 302
    settle_waiting(now=NOON)
    assert earned(amended) == 0


@pytest.mark.parametrize("page", ["refund", "parts"])
def test_a_form_shown_before_the_order_was_told_anew_changes_nothing(acme, amended, page):
    form = {"told": "0", "lines": ["1"], "refund_ref": "R-1", "way": "lines", "line_1": "1", "reason": "returned"}
    answer = acme.owner.post(reverse(f"admin:{page}", args=[amended.pk]), form, follow=True)
    assert "told the order anew meanwhile" in answer.text
    assert (earned(amended), Refund.objects.count()) == (6_40, 0)


def test_of_an_order_that_came_back_whole_nothing_more_comes_back(acme):
    whole = {"refund_ref": "R-1", "way": "whole", "reason": "returned"}
    assert acme.owner.post(address(acme.open), whole).status_code == 302
    page = acme.owner.post(address(acme.open), {**whole, "refund_ref": "R-2", "way": "amount", "amount": "1.00"})
    assert "The whole order was given back before" in page.text
    assert Refund.objects.count() == 1


def test_an_order_whose_lines_do_not_add_up_says_what_is_in_no_line(acme):
    click = make_touch(acme.enrollments.blog, NOON - timedelta(days=1))
    lines = [{"unit_price_minor": 100_00, "category": "TENTS"}, {"unit_price_minor": 50_00, "category": "SHOES"}]
    sale = make_conversion(acme.campaign, 10_00, NOON, "PARTS", click_ids=[click.pk], lines=lines)
    settle_waiting(now=NOON)
    page = acme.owner.get(reverse("admin:tracking_conversion_change", args=[sale.pk])).text
    assert "In no line (#3 of the receipt)" in page and "-140.00 EUR" in page.replace("−", "-")
    assert "The lines do not add up to the order" in page
    assert "In no line" not in acme.owner.get(reverse("admin:tracking_conversion_change", args=[acme.open.pk])).text
