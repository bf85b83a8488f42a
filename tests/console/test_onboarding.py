"""A partner is brought in from nothing: added, given an ad space, enrolled, invited, and paid."""

import re
from zoneinfo import ZoneInfo

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.identity.models import Role
from apps.partners.models import AdSpace, Partner, PartnerMembership, PayoutProfile, TaxProfile
from tests.console.scene import make_scene, member

TODAY = timezone.localdate(timezone=ZoneInfo("Europe/Berlin")).isoformat()
pytestmark = pytest.mark.django_db
NEW = {"name": "Trail", "slug": "trail", "kind": "CONTENT", "website": "https://trail.example", "country": "DE"}
SPACE = {"name": "Trail", "slug": "trail-main", "url": "https://trail.example", "category": "editorial"}
BANK = {"holder": "Trail GmbH", "iban": "DE89 3704 0044 0532 0130 00", "bic": ""}
TAX = {
    "status": "BUSINESS",
    "legal_name": "Trail GmbH",
    "address": "Weg 1",
    "postcode": "10115",
    "city": "Berlin",
    "country": "DE",
    "vat_id": "DE136695976",
    "tax_number": "",
}


@pytest.fixture
def acme():
    return make_scene()


def page(name: str, partnership) -> str:
    return reverse(f"admin:partners_partnership_{name}", args=[partnership.pk])


def add(acme):
    acme.owner.post(reverse("admin:partners_partnership_add"), NEW)
    return acme.advertiser.partnerships.get(partner__slug="trail")


def test_a_partner_is_brought_in_from_nothing(acme):
    partnership = add(acme)
    acme.owner.post(page("space", partnership), SPACE)
    space = AdSpace.objects.get(slug="trail-main")
    acme.owner.post(reverse("admin:campaigns_campaign_partners", args=[acme.campaign.pk]), {"ad_space": space.pk})
    link = space.enrollments.get().links.get()
    acme.owner.post(page("tax", partnership), TAX)
    acme.owner.post(page("bank", partnership), BANK)
    acme.owner.post(page("edit", partnership), {"self_billing_version": "1", "self_billing_on": TODAY})
    shown = acme.owner.get(page("change", partnership)).text
    assert link.code in shown and "Can be paid" in shown and "Nobody can sign in" in shown
    assert PayoutProfile.objects.get(partner=partnership.partner).iban == "DE89370400440532013000"


def test_an_invited_person_sets_a_password_and_sees_the_portal(acme):
    partnership = add(acme)
    answer = acme.owner.post(page("invite", partnership), {"email": "ann@trail.example", "name": "Ann"})
    [sent] = mail.outbox
    assert (sent.to, "Acme" in sent.subject) == (["ann@trail.example"], True)
    [link] = set(re.findall(r"https?://[^\s\"<]+/accounts/password/reset/key/[^\s\"<]+", sent.body))
    assert link in answer.text
    browser = Client()
    form = browser.get(re.sub(r"^https?://[^/]+", "", link), follow=True)
    password = {"password1": "correct horse battery", "password2": "correct horse battery"}
    browser.post(form.request["PATH_INFO"], password)
    assert browser.login(email="ann@trail.example", password=password["password1"])
    assert browser.get("/account/").context["partner"] == partnership.partner
    assert "invited, no password yet" not in acme.owner.get(page("change", partnership)).text
    assert acme.owner.post(page("tax", partnership), TAX).status_code == 403
    acme.owner.post(page("invite", partnership), {"email": "mallory@trail.example"})
    assert PartnerMembership.objects.filter(partner=partnership.partner).count() == 1


def test_the_link_of_somebody_elses_account_is_mailed_and_not_shown(acme):
    known = acme.advertiser.memberships.get().user
    answer = acme.owner.post(page("invite", add(acme)), {"email": known.email})
    assert answer.status_code == 200 and "password/reset/key" not in answer.text + mail.outbox[0].body


def test_what_is_wrong_stands_at_its_field_and_nothing_changes(acme):
    partnership = add(acme)
    assert "short name" in acme.owner.post(reverse("admin:partners_partnership_add"), NEW).text
    assert "not a VAT id" in acme.owner.post(page("tax", partnership), TAX | {"vat_id": "FR123"}).text
    assert "not a valid IBAN" in acme.owner.post(page("bank", partnership), BANK | {"iban": "DE00"}).text
    assert Partner.objects.filter(slug="trail").count() == 1
    assert not TaxProfile.objects.filter(partner=partnership.partner).exists()
    assert not PayoutProfile.objects.filter(partner=partnership.partner).exists()


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        (Role.MANAGER, {"add", "space", "invite"}),
        (Role.FINANCE, {"tax", "bank"}),
        (Role.ANALYST, set()),
        (Role.OWNER, {"add", "space", "invite", "tax", "bank"}),
    ],
)
def test_each_role_has_its_part(acme, role, allowed):
    partnership = add(acme)
    client = acme.owner if role == Role.OWNER else member(acme, role)
    pages = {name: page(name, partnership) for name in ("space", "invite", "tax", "bank")}
    pages["add"] = reverse("admin:partners_partnership_add")
    assert {name for name, url in pages.items() if client.get(url).status_code == 200} == allowed
    del pages["add"]
    assert {acme.neighbor.get(url).status_code for url in pages.values()} == {404}
