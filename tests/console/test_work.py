"""What people do in the console, end to end."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from apps.attribution.models import PolicyVersion
from apps.campaigns.models import Campaign, Enrollment, TrackingLink
from apps.claims.models import Claim
from apps.commissions.models import Decision, PlanVersion
from apps.core.actors import SYSTEM
from apps.identity.models import AdvertiserKey, Membership
from apps.invoices.models import Invoice
from apps.partners.models import AdSpace, Partnership
from apps.pipeline.services.deciding import reject_conversions
from apps.pipeline.services.settling import settle_waiting
from apps.records.models import AuditEntry
from apps.statements.models import ClosedPeriod
from apps.tracking.models import RejectedEvent, Unsettled
from tests.cast import NOON, make_conversion, make_coupon, make_partner, make_touch
from tests.console.scene import make_scene, sell, state_of
from tests.console.test_claims import make_claim

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme():
    return make_scene()


def test_a_conversion_says_why_its_amount_is_what_it_is(acme):
    page = acme.owner.get(reverse("admin:tracking_conversion_change", args=[acme.paid.pk])).content.decode()
    for text in ("Why this amount", "verified", "8 %", "80.00", "everything", acme.invoice.number, "Owed to Blog"):
        assert text in page


def test_approving_and_rejecting_in_the_list(acme):
    changelist = reverse("admin:tracking_conversion_changelist")
    other = sell(acme, at=timezone.now() - timedelta(days=1), order_ref="OPEN-2")
    acme.owner.post(changelist, {"action": "approve", "_selected_action": [str(acme.open.pk)]})
    assert (state_of(acme.open), state_of(other)) == ("APPROVED", "PENDING")

    chosen = {"action": "reject", "_selected_action": [str(other.pk)]}
    assert b"Choose a reason" in acme.owner.post(changelist, chosen).content
    assert state_of(other) == "PENDING"
    acme.owner.post(changelist, {**chosen, "reason": "cancelled", "note": "by mail"})
    assert state_of(other) == "REJECTED"


def test_deciding_on_the_page_of_a_conversion(acme):
    address = reverse("admin:tracking_conversion_decide", args=[acme.open.pk])
    for verb, state in (("hold", "ON_HOLD"), ("release", "PENDING"), ("approve", "APPROVED")):
        acme.owner.post(address, {"verb": verb})
        assert state_of(acme.open) == state
    page = acme.owner.get(reverse("admin:tracking_conversion_change", args=[acme.open.pk])).content.decode()
    assert "On hold" in page and "By Owner, from Pending." in page


def test_filters_live_in_the_address(acme):
    changelist = reverse("admin:tracking_conversion_changelist")
    shown = {
        "?state=open": {"OPEN-1"},
        "?state=approved": {"PAID-1"},
        f"?campaign={acme.campaign.pk}&from=2026-03-01": {"OPEN-1"},
        "?to=2026-02-01": {"PAID-1"},
        f"?partner={acme.partners.comparison.pk}": set(),
        "?q=PAID": {"PAID-1"},
        f"?q={acme.open.pk}": {"OPEN-1"},
        "?partner=x": set(),
        "?state=nonsense": set(),
        "": {"OPEN-1", "PAID-1"},
    }
    for query, orders in shown.items():
        page = acme.owner.get(changelist + query).content.decode()
        assert {order for order in ("OPEN-1", "PAID-1") if order in page} == orders, query


def test_a_campaign_is_opened_in_one_form(acme):
    content = {
        "name": "Acme Outlet",
        "slug": "outlet",
        "landing_url": "https://outlet.acme.example/",
        "currency": "eur",
        "percent": "7.5",
        "model": "LINEAR",
        "starts_at": "2026-01-01T00:00",
    }
    answer = acme.owner.post(reverse("admin:campaigns_campaign_add"), content)
    campaign = Campaign.objects.get(slug="outlet")
    assert answer["Location"] == reverse("admin:campaigns_campaign_partners", args=[campaign.pk])
    version = PlanVersion.objects.get(plan__campaign=campaign)
    assert [(rule.when, rule.pay) for rule in version.rules.all()] == [({}, {"percent": "7.5"})]
    assert PolicyVersion.objects.get(policy__campaign=campaign).settings == {"model": "LINEAR", "repeats": "ONCE"}

    again = acme.owner.post(reverse("admin:campaigns_campaign_add"), content)
    assert b"Another campaign has this short name." in again.content
    assert Campaign.objects.filter(advertiser=acme.advertiser).count() == 2


def test_enrolling_gives_a_link_and_deep_links_stay_at_home(acme):
    space = AdSpace.objects.create(partner=acme.partners.blog, name="News", slug="news")
    acme.owner.post(reverse("admin:campaigns_campaign_partners", args=[acme.campaign.pk]), {"ad_space": space.pk})
    enrollment = Enrollment.objects.get(ad_space=space)
    assert enrollment.links.count() == 1
    address = reverse("admin:campaigns_campaign_make_link", args=[acme.campaign.pk, enrollment.pk])
    refused = acme.owner.post(address, {"landing_url": "https://evil.example/"})
    assert b"own hosts" in refused.content and enrollment.links.count() == 1
    acme.owner.post(address, {"landing_url": "https://shop.acme.example/tents", "name": "Tents"})
    assert TrackingLink.objects.filter(enrollment=enrollment, name="Tents").exists()
    acme.owner.post(reverse("admin:campaigns_campaign_end_enrollment", args=[acme.campaign.pk, enrollment.pk]))
    enrollment.refresh_from_db()
    assert enrollment.state == "ENDED" and enrollment.periods.get().active.upper is not None


def test_an_application_is_decided_with_its_reason(acme):
    partnership = Partnership.objects.create(advertiser=acme.advertiser, partner=make_partner("radio"))
    move = reverse("admin:partners_partnership_move", args=[partnership.pk, "reject"])
    acme.owner.post(move, {"reason": ""})
    partnership.refresh_from_db()
    assert partnership.state == "APPLIED"
    acme.owner.post(move, {"reason": "No audience here"})
    partnership.refresh_from_db()
    assert (partnership.state, partnership.reason) == ("REJECTED", "No audience here")
    acme.owner.post(reverse("admin:partners_partnership_move", args=[partnership.pk, "approve"]))
    partnership.refresh_from_db()
    assert partnership.state == "ACTIVE"
    verbs = list(AuditEntry.objects.filter(verb__startswith="partner_").order_by("pk").values_list("verb", flat=True))
    assert verbs == ["partner_rejected", "partner_active"]


def test_closing_a_month_asks_for_its_name(acme):
    address = f"{reverse('admin:closing')}?month=2026-03"
    assert b"Type 2026-03 to close it." in acme.owner.post(address, {"typed": "2026-02"}).content
    assert ClosedPeriod.objects.count() == 1
    acme.owner.post(address, {"typed": "2026-03"})
    assert ClosedPeriod.objects.count() == 2
    acme.owner.post(reverse("admin:closing_invoices"))
    assert Invoice.objects.count() == 1


def test_a_key_is_shown_once(acme):
    content = {"name": "till", "scopes": ["conversions:write", "conversions:read"]}
    page = acme.owner.post(reverse("admin:identity_advertiserkey_add"), content)
    key = AdvertiserKey.objects.get(name="till")
    assert f"{key.prefix}." in page.content.decode() and "no-store" in page["Cache-Control"]
    plain = page.context["plain"]
    assert plain not in acme.owner.get(reverse("admin:identity_advertiserkey_changelist")).content.decode()
    chosen = {"action": "revoke", "_selected_action": [key.pk]}
    acme.owner.post(reverse("admin:identity_advertiserkey_changelist"), chosen)
    assert not AdvertiserKey.objects.is_valid(plain)


def test_the_team_grows_and_keeps_an_owner(acme):
    acme.owner.post(reverse("admin:identity_membership_add"), {"email": "New@Acme.example", "role": "ANALYST"})
    assert Membership.objects.get(user__email="new@acme.example").role == "ANALYST"
    mine = Membership.objects.get(advertiser=acme.advertiser, role="OWNER")
    change = reverse("admin:identity_membership_change", args=[mine.pk])
    assert b"keeps at least one owner" in acme.owner.post(change, {"role": "ANALYST"}).content
    delete = reverse("admin:identity_membership_delete", args=[mine.pk])
    assert acme.owner.post(delete, {"post": "yes"}).status_code == 403


def test_the_dashboard_reads_its_range_from_the_address(acme):
    page = acme.owner.get("/admin/?range=custom&from=2026-01-01&to=2026-01-31")
    cards = {card.title: card.value for card in page.context["cards"]}
    assert (cards["Conversions"], cards["Net revenue"], cards["Commission"]) == ("1", "1,000.00 EUR", "80.00 EUR")
    assert cards["Effective rate"] == "8.00 %" and cards["Clicks"] == "1"
    wrong = acme.owner.get("/admin/?range=custom&from=2026-02-30&to=x").context["span"]
    assert wrong.preset == "30d"


def test_every_number_of_the_dashboard_leads_to_its_rows(acme):
    make_touch(acme.enrollments.blog, NOON, refusal="bot")
    for number in (1, 2):
        sale = sell(acme, at=NOON - timedelta(hours=number), order_ref=f"MORE-{number}")
    make_conversion(acme.campaign, 5_00, NOON, "TEST-1", is_test=True)
    settle_waiting(now=timezone.now())
    reject_conversions(
        advertiser=acme.advertiser, conversion_ids=[sale.pk], reason="test", actor=SYSTEM, now=timezone.now()
    )
    page = acme.owner.get("/admin/?range=custom&from=2026-03-01&to=2026-03-31")
    for card in page.context["cards"]:
        if card.title in {"Clicks", "Conversions", "Awaiting decision"}:
            rows = acme.owner.get(card.link).context["cl"].result_count
            assert (card.title, str(rows)) == (card.title, card.value)
    (top,) = page.context["partners"]
    query = f"?partner={top.id}&state=live&{page.context['rows_query']}"
    listed = acme.owner.get(reverse("admin:tracking_conversion_changelist") + query).context["cl"].result_count
    assert listed == top.conversions == 2


def test_the_dashboard_names_claims_blocked_statements_and_what_nobody_settles(acme):
    def tasks() -> dict[str, str]:
        return {task.text: task.link for task in acme.owner.get("/admin/").context["tasks"]}

    before = tasks()
    assert not any(word in text for text in before for word in ("claim", "statement", "wait"))
    for number, overdue in (("C-1", False), ("C-2", True)):
        claim = make_claim(acme, order_ref=number)
        if overdue:
            Claim.objects.filter(pk=claim.pk).update(state="ESCALATED", moved_at=timezone.now())
    sale = make_conversion(acme.campaign, 5_00, NOON, "WAITS")
    Unsettled.objects.filter(conversion=sale).update(marked_at=timezone.now() - timedelta(seconds=100))
    assert not any("waited" in text for text in tasks())
    Unsettled.objects.filter(conversion=sale).update(marked_at=timezone.now() - timedelta(seconds=130))
    found = tasks()
    assert next(iter(found)).startswith("1 conversion has waited to be settled for minutes")
    for text, count in (("1 claim is overdue", 1), ("1 claim waits for an answer", 1), (next(iter(found)), 1)):
        assert acme.owner.get(found[text]).context["cl"].result_count == count, text
    others = acme.neighbor.get("/admin/").context["tasks"]
    assert not [task for task in others if "claim" in task.text or "settled" in task.text]


def test_a_refused_call_is_found_by_its_order(acme):
    RejectedEvent.objects.create(
        advertiser=acme.advertiser, campaign=acme.campaign, at=NOON, door="s2s", code="x", message="No.",
        payload={"order_ref": "A-1009"},
    )  # fmt: skip
    address = reverse("admin:tracking_rejectedevent_changelist")
    found = acme.owner.get(address, {"q": "a-1009"})
    assert (found.context["cl"].result_count, "A-1009" in found.text) == (1, True)
    none = acme.owner.get(address, {"q": "A-1008"})
    assert none.context["cl"].result_count == 0
    assert "rejected event" not in none.text


def test_search_finds_by_number_and_name_at_home_only(acme):
    for term, found in (("OPEN-1", "OPEN-1"), (str(acme.open.pk), "OPEN-1"), ("blo", "Blog"), ("SAVE", "SAVE10")):
        address = f"{reverse('admin:search')}?s={term}&extended=1"
        assert found in acme.owner.get(address).content.decode()
        assert found not in acme.neighbor.get(address).content.decode()


def test_amounts_are_written_in_whole_units(acme):
    partnership = Partnership.objects.get(advertiser=acme.advertiser, partner=acme.partners.blog)
    address = reverse("admin:partners_partnership_edit", args=[partnership.pk])
    agreed = {"self_billing_version": "2025-1", "self_billing_on": "2025-01-01"}
    acme.owner.post(address, {**agreed, "minimum_payout_minor": "75.50"})
    partnership.refresh_from_db()
    assert partnership.minimum_payout_minor == 75_50
    assert 'value="75.50"' in acme.owner.get(address).content.decode()
    assert (
        b"no more than 2 decimal places"
        in acme.owner.post(address, {**agreed, "minimum_payout_minor": "1.234"}).content
    )


def test_what_is_there_already_is_said_and_not_run_into(acme):
    group = {"name": "Gold", "slug": "gold"}
    add = reverse("admin:partners_partnergroup_add")
    assert acme.owner.post(add, group).status_code == 302
    assert b"already exists" in acme.owner.post(add, group).content

    other = make_coupon(acme.campaign, "OTHER")
    change = reverse("admin:campaigns_coupon_change", args=[other.pk])
    twice = acme.owner.post(change, {"code": "save10", "valid_from": "2026-01-01T00:00"})
    assert twice.status_code == 200
    other.refresh_from_db()
    assert other.code == "OTHER"

    entity = {"name": "Acme Ltd", "country": "GB", "is_default": "on"}
    second = acme.owner.post(reverse("admin:identity_legalentity_add"), entity)
    assert b"is the default; switch it off there first." in second.content
    assert acme.advertiser.legal_entities.count() == 1


def test_what_never_had_shares_is_rejected_on_its_page(acme):
    sale = make_conversion(acme.campaign, 10_00, NOON, "NEVER-1")
    waits = Unsettled.objects.filter(pk=sale.pk)
    waits.update(parked_at=NOON, attempts=8, last_error="no_plan: The campaign has no commission plan.")
    address = reverse("admin:tracking_conversion_change", args=[sale.pk])
    decide = reverse("admin:tracking_conversion_decide", args=[sale.pk])
    page = acme.owner.get(address).content.decode()
    assert 'value="retry"' in page and 'value="reject"' in page and 'value="approve"' not in page

    acme.owner.post(decide, {"verb": "reject", "reason": "test"})
    assert (Decision.objects.get(pk=sale.pk).state, waits.get().parked_at) == ("REJECTED", None)
    waits.delete()
    page = acme.owner.get(address).content.decode()
    assert "before it had any shares" in page and 'value="reject"' not in page


def test_what_was_tried_in_vain_says_why_and_is_tried_again(acme):
    Unsettled.objects.create(
        conversion=acme.open, advertiser=acme.advertiser, marked_at=NOON, parked_at=NOON, attempts=8,
        last_error="journey_gone: a touch is no longer kept",
    )  # fmt: skip
    address = reverse("admin:tracking_conversion_change", args=[acme.open.pk])
    page = acme.owner.get(address).content.decode()
    assert "journey_gone: a touch is no longer kept" in page
    assert 'value="retry"' in page and 'value="reject"' in page and 'value="approve"' not in page

    acme.owner.post(reverse("admin:tracking_conversion_decide", args=[acme.open.pk]), {"verb": "retry"})
    assert Unsettled.objects.get().parked_at is None
    Unsettled.objects.update(parked_at=NOON)
    chosen = {"action": "retry", "_selected_action": [str(acme.open.pk), str(acme.paid.pk)]}
    changelist = reverse("admin:tracking_conversion_changelist")
    assert b"1 conversion is tried again." in acme.owner.post(changelist, chosen, follow=True).content
    assert b"Nothing here was parked" in acme.owner.post(changelist, chosen, follow=True).content
    assert 'value="retry"' not in acme.owner.get(address).content.decode()
