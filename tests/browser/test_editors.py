"""A partner manager changes the rules: the shares follow while one edits, rules are dragged, faults stand at fields."""

import pytest
from playwright.sync_api import expect

from apps.attribution.models import PolicyVersion
from apps.commissions.models import CommissionPlan
from apps.commissions.publishing import publish_plan
from apps.core.actors import SYSTEM
from tests.browser.visits import look, sign_in
from tests.cast import make_member
from tests.portal.stage import NOW, make_stage

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
RULES = [
    {"name": "all", "when": {}, "pay": {"percent": "5"}},
    {"name": "new", "when": {"new_customer": True}, "pay": {"percent": "12"}},
    {"name": "books", "when": {"category": ["BOOK"]}, "pay": {"percent": "3"}},
]


@pytest.fixture
def stage():
    import time_machine

    with time_machine.travel(NOW, tick=True):
        made = make_stage()
        made.manager = make_member(made.advertiser)
        yield made


def test_a_sale_is_put_together_on_the_bench(stage, page):
    sign_in(page, stage.manager.email, "/admin/bench/")
    receipt = page.locator("[data-result]")
    expect(receipt).to_contain_text("3/4")
    look(page)
    page.locator("[data-list=touches] [data-field=at]").nth(0).fill("20")
    expect(receipt).to_contain_text("20 d before")
    amount = page.locator("[data-object=conversion] [data-field=amount]")
    amount.fill("9,00")
    expect(page.locator("[data-fault=invalid_amount]")).to_be_visible()
    expect(amount).to_have_attribute("aria-invalid", "true")
    amount.fill("90.00")
    expect(page.locator("[data-fault]")).to_have_count(0)
    touches = page.locator("[data-list=touches] [data-row]")
    page.get_by_role("button", name="Add touch").click()
    touches.last.locator("[data-field=partner]").fill("creator")
    expect(receipt).to_contain_text("creator Click")
    touches.last.get_by_role("button", name="Remove").click()
    expect(receipt).not_to_contain_text("creator")

    page.get_by_role("tab", name="JSON").click()
    text = page.locator("[data-json]")
    text.fill('{"conversion": {"amount": 5}}')
    expect(page.locator("[data-json-fault]")).to_contain_text("conversion.amount")
    look(page)
    text.fill(
        '{"conversion": {"occurred_at": "2026-03-10T12:00:00Z", "amount": "50.00"}, "policy": {"model": "LINEAR"},'
        '"touches": [{"id": "a", "kind": "CLICK", "at": "2026-03-10T11:00:00Z", "partner": "blog"}],'
        '"plans": {"default": {"rules": [{"pay": {"percent": "10"}}]}}}'
    )
    expect(receipt).to_contain_text("5.00 EUR")
    page.get_by_role("tab", name="Form").click()
    expect(amount).to_have_value("50.00")
    expect(page.locator("[data-list=touches] [data-row]")).to_have_count(1)


def test_a_real_sale_opens_in_the_bench(stage, page):
    sign_in(page, stage.manager.email, "/admin/tracking/conversion/")
    page.goto("/admin/tracking/conversion/?q=FEB-1")
    page.get_by_role("link", name="FEB-1").first.click()
    page.get_by_role("link", name="Open in the test bench").click()
    expect(page.locator("[data-result]")).to_contain_text("1/2")
    expect(page.locator("[data-result]")).to_contain_text("40.00 EUR")
    look(page)


def test_a_policy_shows_how_it_shares_while_it_is_edited(stage, page):
    sign_in(page, stage.manager.email, f"/admin/campaigns/campaign/{stage.campaign.pk}/attribution/new/")
    receipt = page.locator("[data-result]")
    expect(receipt).to_contain_text("1/3")
    page.locator("[data-field=model]").select_option("POSITION")
    expect(receipt).to_contain_text("2/5")
    first = page.locator("[data-object=weights] [data-field=first]")
    first.fill("20")
    expect(receipt).to_contain_text("1/4")
    first.fill("much")
    expect(page.locator("[data-fault=invalid_number]")).to_be_visible()
    look(page)
    first.fill("20")
    page.get_by_role("button", name="Add adjustment").click()
    page.locator("[data-list=adjustments] [data-field=do]").select_option("TAKE_ALL")
    page.locator("[data-list=adjustments] [data-field=position]").first.fill("1")
    expect(page.locator("[data-list=adjustments] [data-said]")).to_contain_text("these take all")
    expect(receipt).to_contain_text("1 (100 %)")
    look(page)
    page.get_by_role("button", name="Publish version").click()
    page.wait_for_url("**/attribution/")
    settings = PolicyVersion.objects.latest("pk").settings
    assert settings["weights"]["first"] == "20"
    assert settings["adjustments"] == [{"do": "TAKE_ALL", "when": {"position": [1]}, "factor": "2"}]


def test_rules_are_dragged_and_moved_by_key(stage, page):
    plan = CommissionPlan.objects.get(campaign=stage.campaign)
    publish_plan(plan=plan, rules=RULES, starts_at=NOW, actor=SYSTEM, now=NOW)
    sign_in(page, stage.manager.email, f"/admin/campaigns/campaign/{stage.campaign.pk}/plan/{plan.pk}/new/")
    checks, said = page.locator("[data-result]"), page.locator("[data-list=rules] [data-said]")
    expect(checks).to_contain_text("Rule 2 (new) never pays")
    look(page)

    handle, last = page.locator("[data-handle]").first, page.locator("[data-list=rules] [data-row]").last
    start, end = handle.bounding_box(), last.bounding_box()
    page.mouse.move(start["x"] + 5, start["y"] + 8)
    page.mouse.down()
    page.mouse.move(end["x"] + 20, end["y"] + end["height"] - 4, steps=8)
    page.mouse.up()
    expect(said.last).to_contain_text("(all)")
    expect(checks).not_to_contain_text("never pays")

    page.get_by_role("button", name="Move up").nth(1).press("Enter")
    expect(said.first).to_contain_text("(books)")
    page.locator("summary", has_text="Edit").first.click()
    page.locator("[data-list=rules] [data-field=amount_from]").first.fill("100")
    expect(said.first).to_contain_text("order from 100 EUR")
    look(page)
    page.get_by_role("button", name="Add rule").click()
    expect(said).to_have_count(4)
    expect(checks).to_contain_text("Rule 4 (#4) never pays")
    page.get_by_role("button", name="Remove").last.click()
    expect(checks).not_to_contain_text("never pays")
    page.get_by_role("button", name="Publish version").click()
    page.wait_for_url("**/plan/")
    assert [rule.name for rule in plan.versions.first().rules.all()] == ["books", "new", "all"]
    look(page)
