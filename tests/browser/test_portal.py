"""A partner's morning: from the overview to the reason of an amount, and to the PDF."""

from datetime import timedelta
from uuid import uuid4

import pytest
from playwright.sync_api import expect

from apps.pipeline.services.settling import settle_waiting
from tests.browser.visits import barriers, look, sign_in
from tests.cast import make_conversion, make_partner_user, make_touch
from tests.portal.stage import NOW, make_stage

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def stage():
    import time_machine

    with time_machine.travel(NOW, tick=True):
        made = make_stage()
        made.user = make_partner_user(made.blog)
        yield made


def test_a_partner_follows_a_sale_to_the_money(stage, page):
    sign_in(page, stage.user.email)
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    look(page)
    for menu in ["Last 30 days", "Language: English", "Account menu"]:
        page.get_by_role("button", name=menu).click()
        assert barriers(page) == []
        page.keyboard.press("Escape")
    page.get_by_role("button", name="Show as QR code").click()
    look(page)
    page.keyboard.press("Escape")

    page.get_by_role("link", name="All conversions").click()
    expect(page.get_by_role("heading", name="Conversions", exact=True)).to_be_visible()
    look(page)

    look(page, "/conversions/?range=year")
    page.get_by_role("link", name="FEB-1").click()
    expect(page.get_by_role("heading", name="Why this amount")).to_be_visible()
    expect(page.get_by_text("Recomputed: the same")).to_be_visible()
    expect(page.get_by_text("40.00").first).to_be_visible()
    look(page)

    page.get_by_role("link", name="Statement 2026-03").click()
    page.get_by_role("link", name="Verify now").click()
    expect(page.get_by_text("Recomputed: unchanged")).to_be_visible()
    look(page)

    look(page, "/payouts/")
    address = page.get_by_role("link", name="Download invoice").get_attribute("href")
    answer = page.request.get(address)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/pdf")
    assert answer.body().startswith(b"%PDF-")


@pytest.mark.parametrize("path", ["/campaigns/", "/account/"])
def test_the_other_pages_are_free_of_barriers(stage, page, path):
    sign_in(page, stage.user.email)
    look(page, path)


@pytest.mark.parametrize("language", ["en", "de", "ru"])
def test_no_page_scrolls_sideways_on_a_phone(stage, chromium, live_server, language):
    space = stage.enrollments.blog
    late = stage.sales.alone.occurred_at
    visitor = uuid4()
    for days in (70, 40, 1):  # the first is too old to count: its badge says why
        make_touch(space, late - timedelta(days=days), visitor, link_id=space.links.get().pk)
    odd = make_conversion(stage.campaign, 100_00, late, "A-VERY-LONG-ORDER-NUMBER-0001", visitor)
    settle_waiting(now=NOW)
    paths = ["/", "/?range=7d", "/?range=year", "/links/", "/conversions/?range=year", f"/conversions/{odd.pk}/"]
    paths += ["/payouts/", f"/statements/{stage.statement.pk}/", "/campaigns/", "/account/"]
    context = chromium.new_context(base_url=live_server.url, viewport={"width": 390, "height": 844}, locale=language)
    page = context.new_page()
    sign_in(page, stage.user.email)
    too_wide = {}
    for path in paths:
        assert page.goto(path).status == 200
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        if wide > 0:
            too_wide[path] = wide
    context.close()
    assert too_wide == {}


def test_a_link_is_built_and_shown_to_copy(stage, page):
    sign_in(page, stage.user.email, "/links/")
    look(page)
    page.get_by_label("Page in the shop").fill("https://shop.acme.example/boots")
    page.get_by_text("Sub-ids and name").click()
    page.get_by_label("sub1").fill("summer")
    code = stage.enrollments.blog.links.get().code
    expect(page.get_by_label("Preview")).to_contain_text(
        f"/c/{code}?url=https%3A%2F%2Fshop.acme.example%2Fboots&sub1=summer"
    )
    page.get_by_role("button", name="Create link").click()
    expect(page.locator("#new-link")).to_have_value(
        f"{page.locator('#new-link').input_value().split('/c/')[0]}/c/{code}"
        "?url=https%3A%2F%2Fshop.acme.example%2Fboots&sub1=summer"
    )
    look(page)


def test_the_sign_in_page_is_free_of_barriers(db, page):
    look(page, "/accounts/login/")


def test_the_check_for_barriers_finds_one(db, page):
    page.goto("/accounts/login/")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<button></button>')")
    assert any("button-name" in barrier for barrier in barriers(page))
