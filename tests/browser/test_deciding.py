"""Deciding at the desk and on the phone: the queue by keys, all of a filter, a file."""

import pytest
import time_machine
from django.utils import timezone
from playwright.sync_api import expect

from apps.commissions.models import Decision, Reason
from apps.pipeline.services.deciding_chunks import work_on_decisions
from tests.browser.visits import look, sign_in
from tests.cast import make_member
from tests.portal.stage import NOW, make_stage

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def stage():
    with time_machine.travel(NOW, tick=True):
        made = make_stage()
        made.manager = make_member(made.advertiser)
        Decision.objects.filter(state="ON_HOLD").update(state="PENDING", reason="", decided_at=None)
        yield made


def order_of(page) -> str:
    return page.locator("#order").inner_text()


def state_of(order: str) -> str:
    return Decision.objects.get(conversion__order_ref=order).state


def test_the_queue_is_decided_by_keys(stage, page):
    sign_in(page, stage.manager.email, "/admin/")
    look(page, "/admin/review/")
    first = order_of(page)
    page.keyboard.press("n")
    expect(page.locator("#order")).not_to_have_text(first)
    page.wait_for_load_state()
    second = order_of(page)
    page.keyboard.press("r")
    expect(page.get_by_role("button", name="The order was cancelled")).to_be_visible()
    look(page)
    page.keyboard.press("2")
    expect(page.get_by_text("Rejected.", exact=True)).to_be_visible()
    assert (state_of(first), state_of(second)) == ("PENDING", "REJECTED")
    page.goto("/admin/review/")
    page.fill("[name=note]", "a h n r")
    assert state_of(first) == "PENDING"
    page.locator(".tb-title").first.click()
    page.keyboard.press("a")
    expect(page.get_by_text("Approved.", exact=True)).to_be_visible()
    assert state_of(first) == "APPROVED"


def test_a_hold_is_undone_by_a_key_and_every_way_is_reached_by_tab(stage, page):
    sign_in(page, stage.manager.email, "/admin/")
    page.goto("/admin/review/")
    first, waiting = order_of(page), page.locator("#left").inner_text()
    page.keyboard.press("h")
    expect(page.get_by_text("Put on hold.", exact=True)).to_be_visible()
    assert (state_of(first), page.locator("#left").inner_text()) == ("ON_HOLD", str(int(waiting) - 1))
    look(page)
    page.keyboard.press("u")
    expect(page.locator("#order")).to_have_text(first)
    page.wait_for_load_state()
    assert (state_of(first), page.locator("#left").inner_text()) == ("PENDING", waiting)
    page.locator("#order").focus()
    reached = []
    for _ in range(18):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName === 'SUMMARY' && !document.activeElement.parentNode.open"):
            page.keyboard.press("Enter")
        reached.append(page.evaluate("document.activeElement.value || document.activeElement.dataset.key"))
        if reached[-1]:
            seen = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert seen != "none", f"the focus on {reached[-1]} is not seen"
    assert {"approve", "hold", "n", "r", *Reason.values} <= set(reached)
    page.locator(".tb-title").first.click()
    page.keyboard.press("t")
    expect(page.get_by_text("Rejected.", exact=True)).to_be_visible()
    expect(page.get_by_text("A rejection is final.")).to_be_visible()
    assert Decision.objects.get(conversion__order_ref=first).reason == "test"


def test_all_of_a_filter_is_said_before_it_is_done(stage, page):
    sign_in(page, stage.manager.email, "/admin/")
    look(page, "/admin/tracking/conversion/?state=open")
    waiting = Decision.objects.filter(state="PENDING").count()
    look(page, "/admin/decisions/new/?verb=hold&state=open")
    expect(page.locator("#how-many")).to_have_text(str(waiting))
    page.select_option("[name=reason]", "review")
    page.get_by_role("button", name="Put on hold").click()
    page.wait_for_url("**/admin/decisions/*/")
    work_on_decisions(now=timezone.now())
    look(page, page.url)
    expect(page.locator("#moved")).to_have_text(str(waiting))
    page.get_by_role("button", name="Undo").click()
    work_on_decisions(now=timezone.now())
    assert Decision.objects.filter(state="PENDING").count() == waiting


def test_a_file_says_what_it_would_do(stage, page):
    sign_in(page, stage.manager.email, "/admin/")
    look(page, "/admin/decisions/upload/")
    order = Decision.objects.filter(state="PENDING").values_list("conversion__order_ref", flat=True).first()
    rows = f"order_ref,decision\n{order},approve\nNOBODY,approve\n"
    page.set_input_files("[name=file]", {"name": "d.csv", "mimeType": "text/csv", "buffer": rows.encode()})
    page.get_by_role("button", name="Show what would happen").click()
    expect(page.locator(".tb-badge", has_text="will be done")).to_be_visible()
    look(page)
    look(page, "/admin/decisions/")
