"""What single pages of the console say and lead to."""

import re
from datetime import date, timedelta

import pytest
import time_machine
from django.urls import reverse

from apps.core.actors import SYSTEM
from apps.pipeline.services.deciding import reject_conversions
from apps.records.models import AuditEntry
from tests.cast import NOON, make_touch
from tests.console.scene import make_scene, sell

pytestmark = pytest.mark.django_db
CLOSING = reverse("admin:closing")


@pytest.fixture
def acme():
    return make_scene()


def test_the_undecided_of_a_month_are_the_rows_that_its_link_shows(acme):
    sell(acme, at=NOON - timedelta(days=1), order_ref="OPEN-2")
    sell(acme, at=NOON + timedelta(days=40), order_ref="LATER")
    page = acme.owner.get(CLOSING, {"month": "2026-04"}).text
    assert "2 conversions that lock before" in page and "are undecided" in page
    link = re.search(r'href="([^"]*locks_before[^"]*)"', page)[1].replace("&amp;", "&")
    rows = acme.owner.get(link).context["cl"].result_list
    assert {row.order_ref for row in rows} == {"OPEN-1", "OPEN-2"}


def test_a_month_that_is_not_over_says_when_it_can_be_closed(acme):
    with time_machine.travel(NOON, tick=False):
        page = acme.owner.get(CLOSING, {"month": "2026-03"}).text
    said = "March 2026 is not over: it can be closed from 1 Apr 2026 on (Europe/Berlin time)."
    assert said in re.sub(r"<[^>]+>", "", page)


def test_issuing_invoices_stays_on_the_month(acme):
    answer = acme.owner.post(reverse("admin:closing_invoices"), {"month": "2026-02"})
    assert answer["Location"] == f"{CLOSING}?month=2026-02"
    assert acme.owner.post(reverse("admin:closing_invoices"), {"month": "x"})["Location"] == CLOSING


def test_a_rejected_conversion_promises_no_payment(acme):
    page = reverse("admin:tracking_conversion_change", args=[acme.open.pk])
    assert "Expected payment" in acme.owner.get(page).text
    call = {"advertiser": acme.advertiser, "conversion_ids": [acme.open.pk], "actor": SYSTEM, "now": NOON}
    reject_conversions(**call, reason="returned")
    text = acme.owner.get(page).text
    assert "Expected payment" not in text and ">Locks<" not in text
    assert AuditEntry.objects.get(verb="rejected").subject == "conversion OPEN-1"


@pytest.mark.parametrize(
    ("query", "preset", "is_told"),
    [
        ("from=2026-03-01&to=2026-03-05", "custom", False),
        ("range=7d", "7d", False),
        ("range=7d&from=2026-03-01&to=2026-03-05", "7d", False),
        ("", "30d", False),
        ("range=soon", "30d", True),
        ("from=x&to=2026-03-05", "30d", True),
        ("range=custom&from=2026-03-05&to=2026-03-01", "30d", True),
    ],
)
def test_a_range_without_sense_is_the_usual_one_and_said(acme, query, preset, is_told):
    with time_machine.travel(NOON, tick=False):
        answer = acme.owner.get(f"{reverse('admin:index')}?{query}")
    assert answer.context["span"].preset == preset
    assert ("There is no such range" in answer.text) is is_told
    if preset == "custom":
        assert (answer.context["span"].first_on, answer.context["span"].last_on) == (date(2026, 3, 1), date(2026, 3, 5))


def test_the_sub_ids_of_a_click_are_shown(acme):
    make_touch(acme.enrollments.blog, NOON, sub1="newsletter", sub3="<b>top</b>")
    with time_machine.travel(NOON, tick=False):
        text = acme.owner.get(reverse("admin:tracking_touchpoint_changelist")).text
    assert '<span title="sub1">newsletter</span> <span title="sub3">&lt;b&gt;top&lt;/b&gt;</span>' in text
