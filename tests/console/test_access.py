"""Who gets in, what they see, and what their role lets them do."""

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from apps.identity.models import Role
from apps.partners.models import Partnership
from apps.records.models import AuditEntry
from tests.cast import (
    make_advertiser,
    make_campaign,
    make_cast,
    make_member,
    make_partner,
    make_partner_user,
    make_user,
)
from tests.console.scene import make_scene, member, sign_in, state_of

pytestmark = pytest.mark.django_db

LISTS = [
    "campaigns_campaign",
    "campaigns_coupon",
    "partners_partnership",
    "partners_partnergroup",
    "tracking_conversion",
    "claims_claim",
    "tracking_touchpoint",
    "tracking_rejectedevent",
    "statements_statement",
    "invoices_invoice",
    "identity_advertiserkey",
    "identity_membership",
    "identity_legalentity",
    "records_auditentry",
]
PAGES = ["index", "closing", "book", "tracking", "bench"]


def lists() -> list[str]:
    return [reverse(f"admin:{name}_changelist") for name in LISTS] + [reverse(f"admin:{name}") for name in PAGES]


def details(acme) -> list[str]:
    partnership = acme.advertiser.partnerships.get(partner=acme.partners.blog)
    named = [
        ("campaigns_campaign_change", acme.campaign.pk),
        ("campaigns_campaign_plan", acme.campaign.pk),
        ("campaigns_campaign_attribution", acme.campaign.pk),
        ("campaigns_campaign_new_plan", acme.campaign.pk),
        ("campaigns_campaign_policy_version", acme.campaign.pk),
        ("bench_document", acme.paid.pk),
        ("campaigns_coupon_rule", acme.coupon.pk),
        ("campaigns_campaign_partners", acme.campaign.pk),
        ("campaigns_campaign_coupons", acme.campaign.pk),
        ("campaigns_campaign_holds", acme.campaign.pk),
        ("campaigns_campaign_tracking", acme.campaign.pk),
        ("campaigns_coupon_change", acme.coupon.pk),
        ("partners_partnership_change", partnership.pk),
        ("partners_partnership_edit", partnership.pk),
        ("partners_partnership_history", partnership.pk),
        ("tracking_conversion_change", acme.paid.pk),
        ("tracking_conversion_change", acme.open.pk),
        ("tracking_rejectedevent_change", acme.refused.pk),
        ("statements_statement_change", acme.statement.pk),
        ("invoices_invoice_change", acme.invoice.pk),
        ("invoices_invoice_pdf", acme.invoice.pk),
        ("identity_advertiser_change", acme.advertiser.pk),
        ("identity_legalentity_change", acme.advertiser.legal_entities.get().pk),
        ("identity_membership_change", acme.advertiser.memberships.get().pk),
    ]
    plan = [acme.campaign.pk, acme.plan.plan_id]
    of_plan = [reverse(f"admin:campaigns_campaign_{name}", args=plan) for name in ("plan_version", "assign_plan")]
    bench = reverse("admin:bench")
    started = [f"{bench}?campaign={acme.campaign.pk}", f"{bench}?conversion={acme.paid.pk}"]
    return [reverse(f"admin:{name}", args=[pk]) for name, pk in named] + of_plan + started


def test_strangers_are_sent_to_the_login_and_owners_are_let_in():
    acme = make_scene()
    stranger = Client()
    for address in [*lists(), *details(acme)]:
        answer = stranger.get(address)
        assert answer.status_code == 302 and answer["Location"].startswith("/admin/login/"), address
        assert acme.owner.get(address).status_code == 200, address
    entry = stranger.get("/admin/login/?next=/admin/book/")
    assert entry["Location"] == "/accounts/login/?next=/admin/book/"


def test_a_login_leads_to_no_foreign_place():
    answer = Client().get("/admin/login/?next=https://evil.example/")
    assert answer["Location"] == "/accounts/login/?next=/admin/"


def test_neighbors_find_nothing():
    acme = make_scene()
    for address in details(acme):
        assert acme.neighbor.get(address).status_code == 404, address
    for address in lists():
        page = acme.neighbor.get(address).content.decode()
        assert "Blog" not in page and "PAID-1" not in page and acme.invoice.number not in page, address


def test_neighbors_cannot_act_on_what_they_name():
    acme = make_scene()
    decide = reverse("admin:tracking_conversion_decide", args=[acme.open.pk])
    assert acme.neighbor.post(decide, {"verb": "approve"}).status_code == 404
    chosen = {"action": "approve", "_selected_action": [str(acme.open.pk)]}
    acme.neighbor.post(reverse("admin:tracking_conversion_changelist"), chosen)
    coupon = {"code": "MINE", "campaign": acme.campaign.pk, "valid_from": "2026-01-01T00:00"}
    answer = acme.neighbor.post(reverse("admin:campaigns_coupon_add"), coupon)
    assert b"Select a valid choice" in answer.content
    assert state_of(acme.open) == "PENDING"


def test_partners_and_people_without_a_team_are_refused():
    make_cast()
    for user in (make_user("nobody@house.example"), make_partner_user(make_partner("shop"))):
        client = sign_in(user)
        assert client.get("/admin/", follow=True).status_code == 403


@pytest.mark.parametrize("role", [Role.ANALYST, Role.FINANCE])
def test_only_managers_decide_and_change(role):
    acme = make_scene()
    client = member(acme, role)
    partnership = acme.advertiser.partnerships.first()
    refused = [
        (reverse("admin:campaigns_campaign_add"), {}),
        (reverse("admin:campaigns_campaign_partners", args=[acme.campaign.pk]), {"ad_space": 1}),
        (reverse("admin:campaigns_campaign_policy_version", args=[acme.campaign.pk]), {"document": "{}"}),
        (reverse("admin:campaigns_campaign_secret", args=[acme.campaign.pk]), {}),
        (reverse("admin:tracking_conversion_decide", args=[acme.open.pk]), {"verb": "approve"}),
        (reverse("admin:partners_partnership_move", args=[partnership.pk, "block"]), {"reason": "no"}),
        (reverse("admin:identity_advertiserkey_add"), {"name": "x"}),
        (reverse("admin:identity_membership_add"), {"email": "x@y.example"}),
        (reverse("admin:campaigns_coupon_add"), {"code": "X"}),
    ]
    for address, content in refused:
        assert client.post(address, content).status_code == 403, address
    assert state_of(acme.open) == "PENDING" and acme.advertiser.memberships.count() == 2


def test_only_finance_closes_months():
    acme = make_scene()
    for role, status in ((Role.MANAGER, 403), (Role.ANALYST, 403), (Role.FINANCE, 302)):
        client = member(acme, role)
        assert client.post(reverse("admin:closing_invoices")).status_code == status
    assert member_count(acme) == 4


def member_count(acme) -> int:
    return acme.advertiser.memberships.count()


def test_money_has_no_forms():
    acme = make_scene()
    for name in ("statements_statement", "invoices_invoice", "tracking_conversion", "records_auditentry"):
        assert acme.owner.get(reverse(f"admin:{name}_add")).status_code == 403
    pairs = [("statements_statement", acme.statement.pk), ("invoices_invoice", acme.invoice.pk)]
    for name, pk in [*pairs, ("tracking_conversion", acme.paid.pk)]:
        assert acme.owner.post(reverse(f"admin:{name}_delete", args=[pk]), {"post": "yes"}).status_code == 403


def test_an_operator_enters_by_choice_and_leaves_a_trace():
    acme = make_cast()
    operator = sign_in(make_user("op@house.example", is_staff=True))
    assert operator.get("/admin/")["Location"] == reverse("admin:advertisers")
    assert operator.get(reverse("admin:campaigns_campaign_change", args=[acme.campaign.pk])).status_code == 302
    assert not AuditEntry.objects.exists()

    operator.post(reverse("admin:advertisers"), {"advertiser": acme.advertiser.pk})
    assert operator.get("/admin/").status_code == 200
    entry = AuditEntry.objects.get()
    assert (entry.advertiser, entry.verb, entry.actor_name) == (acme.advertiser, "entered", "Op")


def test_a_person_of_two_teams_switches_and_others_cannot():
    acme, globex = make_cast().advertiser, make_advertiser("globex")
    user = make_member(acme)
    globex.memberships.create(user=user, role=Role.ANALYST)
    make_campaign(globex, "globex-shop", name="Globex Shop")
    client = sign_in(user)
    campaigns = reverse("admin:campaigns_campaign_changelist")
    assert "Globex Shop" not in client.get(campaigns).content.decode()
    client.post(reverse("admin:advertisers"), {"advertiser": globex.pk})
    assert "Globex Shop" in client.get(campaigns).content.decode()
    assert client.get(reverse("admin:campaigns_campaign_add")).status_code == 403
    assert not AuditEntry.objects.exists()

    third = make_advertiser("initech")
    assert client.post(reverse("admin:advertisers"), {"advertiser": third.pk}).status_code == 404


def test_only_the_console_may_evaluate_scripts():
    acme = make_scene()
    assert "'unsafe-eval'" in acme.owner.get("/admin/")["Content-Security-Policy"]
    assert "unsafe-eval" not in Client().get("/accounts/login/")["Content-Security-Policy"]
    pdf = acme.owner.get(reverse("admin:invoices_invoice_pdf", args=[acme.invoice.pk]))
    assert pdf["Content-Type"] == "application/pdf" and pdf["X-Frame-Options"] == "SAMEORIGIN"
    assert (
        "frame-ancestors 'self'" in pdf["Content-Security-Policy"]
        and "unsafe-eval" not in pdf["Content-Security-Policy"]
    )


def test_pages_name_no_foreign_host():
    acme = make_scene()
    for address in lists():
        page = acme.owner.get(address).content.decode()
        assert 'src="http' not in page and '<link href="http' not in page, address
    assert settings.UNFOLD["SITE_TITLE"] == "Tributary"


def test_people_leave_by_the_house_s_own_door():
    acme = make_scene()
    assert acme.owner.get("/admin/password_change/")["Location"] == "/accounts/password/change/"
    assert acme.owner.get("/admin/logout/").status_code == 405
    assert acme.owner.post("/admin/logout/")["Location"] == "/accounts/login/"
    assert acme.owner.get("/admin/").status_code == 302


@pytest.mark.parametrize(
    ("role", "written"),
    [
        (Role.OWNER, {"minimum_payout_minor": 75_00, "notes": "new"}),
        (Role.FINANCE, {"minimum_payout_minor": 75_00, "notes": ""}),
        (Role.MANAGER, {"minimum_payout_minor": None, "notes": "new"}),
        (Role.ANALYST, {"minimum_payout_minor": None, "notes": ""}),
    ],
)
def test_money_terms_are_finance_s_and_the_relationship_is_the_managers(role, written):
    acme = make_scene()
    client = acme.owner if role == Role.OWNER else member(acme, role)
    partnership = Partnership.objects.get(partner=acme.partners.blog)
    content = {"minimum_payout_minor": "75", "self_billing_version": "2026", "self_billing_on": "2026-01-02"}

    client.post(reverse("admin:partners_partnership_edit", args=[partnership.pk]), {**content, "notes": "new"})

    partnership.refresh_from_db()
    assert {name: getattr(partnership, name) for name in written} == written
    assert (partnership.self_billing_version == "2026") is (role in {Role.OWNER, Role.FINANCE})
    shown = client.get(reverse("admin:partners_partnership_change", args=[partnership.pk])).text
    assert ("/edit/" in shown) is (role != Role.ANALYST)


def test_a_misdated_agreement_is_said_at_its_field():
    acme = make_scene()
    partnership = Partnership.objects.get(partner=acme.partners.blog)
    content = {"self_billing_version": "1", "self_billing_on": "2020-01-01"}

    answer = acme.owner.post(reverse("admin:partners_partnership_edit", args=[partnership.pk]), content)

    assert "between the partnership" in str(answer.context["adminform"].form.errors["self_billing_on"])
