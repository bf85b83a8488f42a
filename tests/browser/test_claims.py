"""A missing sale: a partner reports it in the portal, a manager answers it in the console."""

from __future__ import annotations

import pytest
import time_machine

from apps.claims.models import Claim
from tests.browser.visits import look, sign_in
from tests.cast import make_member, make_partner_user
from tests.portal.stage import NOW, make_stage

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def stage():
    with time_machine.travel(NOW, tick=True):
        stage = make_stage()
        make_partner_user(stage.blog, "me@blog.example")
        make_member(stage.advertiser)
        yield stage


def test_a_missing_sale_is_reported_and_accepted(stage, page):
    sign_in(page, "me@blog.example")
    look(page, "/claims/")
    page.click("text=Report a missing sale >> nth=0")
    look(page)
    page.fill("#claim-order", "LOST-1")
    page.fill("#claim-at", "2026-03-30T10:00")
    page.fill("#claim-amount", "50.00")
    page.set_input_files("#claim-evidence", {"name": "seen.html", "mimeType": "text/html", "buffer": b"Order LOST-1"})
    page.click("button:has-text('Report it')")
    page.wait_for_url("**/claims/*/")
    look(page)
    with page.expect_download() as saved:
        page.click("a:has-text('seen.html.txt')")
    assert saved.value.suggested_filename == "seen.html.txt"
    page.goto("/claims/upload/")
    content = b"campaign,order_ref,occurred_at,amount\nacme-shop,F-1,2026-03-30 10:00,10.00\nacme-shop,F-2,soon,1\n"
    page.set_input_files("#claim-file", {"name": "claims.csv", "mimeType": "text/csv", "buffer": content})
    page.click("button:has-text('Look at the file')")
    page.wait_for_selector("text=1 row can be reported")
    look(page)
    page.click("button:has-text('Report 1 claim')")
    page.wait_for_url("**/claims/")
    look(page)

    page.context.clear_cookies()
    sign_in(page, "owner@acme.example", "/admin/")
    look(page, "/admin/claims/claim/")
    claim = Claim.objects.get(order_ref="LOST-1")
    look(page, f"/admin/claims/claim/{claim.pk}/change/")
    with page.expect_download():
        page.click("a:has-text('seen.html.txt')")
    page.click("button:has-text('Accept the claim')")
    page.wait_for_selector("text=The claim is accepted")
    look(page)
    assert Claim.objects.get(pk=claim.pk).state == "ACCEPTED"
    look(page, f"/admin/refunds/{Claim.objects.get(pk=claim.pk).conversion_id}/")
