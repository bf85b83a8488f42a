"""A partner's morning: from the overview to the reason of an amount, and to the PDF."""

import pytest
from playwright.sync_api import expect

from tests.browser.visits import barriers, look, sign_in
from tests.cast import make_partner_user
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
