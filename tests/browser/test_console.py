"""A partner manager's morning: from the dashboard to one conversion and its decision."""

import pytest
from playwright.sync_api import expect

from tests.browser.visits import look, sign_in
from tests.cast import make_member
from tests.portal.stage import NOW, make_stage

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def stage():
    import time_machine

    with time_machine.travel(NOW, tick=True):
        made = make_stage()
        made.manager = make_member(made.advertiser)
        yield made


def test_a_manager_follows_a_sale_from_the_dashboard(stage, page):
    sign_in(page, stage.manager.email, "/admin/")
    look(page)
    look(page, "/admin/tracking/conversion/")
    page.get_by_role("link", name="MAR-1").first.click()
    expect(page.get_by_text("MAR-1").first).to_be_visible()
    look(page)
