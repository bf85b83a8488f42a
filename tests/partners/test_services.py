"""Partners come in, keep themselves once somebody of them can sign in, and every change leaves a trace."""

from __future__ import annotations

from datetime import timedelta

import pytest

from apps.core.actors import SYSTEM
from apps.core.errors import Refusal
from apps.identity.models import User
from apps.partners.models import AdSpace, Partner, PartnerMembership, Partnership, PayoutProfile, TaxProfile
from apps.partners.services import add_ad_space, add_partner, invite_person, is_in_care, write_payout_profile
from apps.pipeline.services.onboarding import keep_tax_profile
from apps.records.models import AuditEntry
from tests.cast import NOON, join, make_advertiser, make_campaign, make_member, make_partner, make_partner_user

pytestmark = pytest.mark.django_db
IBAN = "GB33BUKB20201555555555"
TAX = {
    "status": "BUSINESS",
    "legal_name": "Trail GmbH",
    "address": "Weg 1",
    "postcode": "10115",
    "city": "Berlin",
    "country": "DE",
    "vat_id": "de 136 695 976",
    "tax_number": "",
}


@pytest.fixture
def acme():
    return make_advertiser()


@pytest.fixture
def trail(acme) -> Partnership:
    return add(acme)


def add(advertiser, slug="trail") -> Partnership:
    told = {"name": "Trail", "kind": "CONTENT", "website": "", "email": "", "country": "DE"}
    return add_partner(advertiser=advertiser, slug=slug, **told, actor=SYSTEM, now=NOON)


def invite(partnership, email="ann@trail.example"):
    return invite_person(partnership=partnership, email=email, name="Ann", actor=SYSTEM, now=NOON)


def bank(partner, iban=IBAN, now=NOON, **more):
    return write_payout_profile(partner=partner, holder="Trail", iban=iban, bic="", actor=SYSTEM, now=now, **more)


def refused(act, *args, **kwargs) -> tuple[str, str]:
    with pytest.raises(Refusal) as caught:
        act(*args, **kwargs)
    return caught.value.code, caught.value.path


def test_an_added_partner_works_with_the_advertiser_at_once(acme, trail):
    assert (trail.state, trail.state_since, trail.partner.slug) == ("ACTIVE", NOON, "trail")
    assert AuditEntry.objects.get(verb="add_partner").advertiser == acme


def test_a_short_name_is_one_on_the_platform(trail):
    assert refused(add, make_advertiser("globex")) == ("partner_slug_taken", "slug")
    assert (Partner.objects.count(), Partnership.objects.count()) == (1, 1)


def test_an_ad_space_is_added_once(trail):
    space = {"name": "Trail", "slug": "trail", "url": "", "category": "editorial", "actor": SYSTEM, "now": NOON}
    assert add_ad_space(partnership=trail, **space).partner == trail.partner
    assert refused(add_ad_space, partnership=trail, **space) == ("ad_space_taken", "slug")
    assert AdSpace.objects.count() == 1


def test_a_new_person_is_invited_once_and_has_no_password(trail):
    first, again = invite(trail, "Ann@Trail.example"), invite(trail)
    assert (first.is_new, again.is_new, first.membership) == (True, False, again.membership)
    assert (first.membership.role, first.owns_link, again.owns_link) == ("OWNER", True, True)
    assert not User.objects.get(email="ann@trail.example").has_usable_password()
    assert AuditEntry.objects.filter(verb="invite_person").count() == 1


def test_nobody_gets_the_link_that_sets_a_known_persons_password(acme, trail):
    make_member(make_advertiser("globex"), email="ann@trail.example")
    assert not invite(trail).owns_link


def test_nobody_gets_the_link_of_a_person_invited_by_another(trail):
    invite(add(make_advertiser("globex"), "other"))
    assert not invite(trail).owns_link


def test_a_partner_that_can_sign_in_keeps_itself(trail):
    make_partner_user(trail.partner)
    assert not is_in_care(partnership=trail)
    assert refused(invite, trail, "mallory@trail.example") == ("partner_keeps_itself", "")
    assert refused(bank, trail.partner, partnership=trail) == ("partner_keeps_itself", "")
    assert refused(keep_tax_profile, partner=trail.partner, values=TAX, actor=SYSTEM, now=NOON, partnership=trail) == (
        "partner_keeps_itself",
        "",
    )
    assert (PartnerMembership.objects.count(), PayoutProfile.objects.count(), TaxProfile.objects.count()) == (1, 0, 0)


def test_a_partner_of_two_advertisers_is_in_nobodys_care(acme):
    partner = make_partner()
    enrollments = [
        join(partner, make_campaign(acme)),
        join(partner, make_campaign(make_advertiser("globex"), "globex")),
    ]
    for enrollment in enrollments:
        partnership = Partnership.objects.get(advertiser=enrollment.advertiser)
        assert refused(invite, partnership) == ("partner_keeps_itself", "")
    assert PartnerMembership.objects.count() == 0


def test_a_vat_id_is_kept_in_its_normal_form(trail):
    profile = keep_tax_profile(partner=trail.partner, values=TAX, actor=SYSTEM, now=NOON)
    assert profile.vat_id == "DE136695976"
    entry = AuditEntry.objects.get(verb="write_tax_profile")
    assert (entry.advertiser, "vat_id" in entry.details["fields"]) == (trail.advertiser, True)


@pytest.mark.parametrize("vat_id", ["DE136695977", "ATU13585627", "hello"])
def test_a_vat_id_of_another_form_is_refused_and_nothing_changes(trail, vat_id):
    values = TAX | {"vat_id": vat_id}
    assert refused(keep_tax_profile, partner=trail.partner, values=values, actor=SYSTEM, now=NOON) == (
        "invalid_vat_id",
        "vat_id",
    )
    assert not TaxProfile.objects.exists()


def test_writing_the_same_tax_profile_again_leaves_no_trace(trail):
    for _ in range(2):
        keep_tax_profile(partner=trail.partner, values=TAX, actor=SYSTEM, now=NOON)
    assert AuditEntry.objects.filter(verb="write_tax_profile").count() == 1


def test_a_bank_account_remembers_when_it_changed_and_the_trail_only_its_end(trail):
    later = NOON + timedelta(days=1)
    bank(trail.partner)
    bank(trail.partner, now=later)
    assert PayoutProfile.objects.get().changed_at == NOON
    bank(trail.partner, "DE89 3704 0044 0532 0130 00", later)
    profile = PayoutProfile.objects.get()
    assert (profile.iban, profile.changed_at) == ("DE89370400440532013000", later)
    entry = AuditEntry.objects.filter(verb="write_payout_profile").last()
    assert entry.details == {"before": "…5555", "after": "…3000"}


def test_a_wrong_account_is_refused_and_nothing_changes(trail):
    bank(trail.partner)
    assert refused(bank, trail.partner, "DE89370400440532013001") == ("invalid_iban", "iban")
    assert PayoutProfile.objects.get().iban == IBAN


def test_every_advertiser_that_works_with_a_partner_sees_its_bank_change(acme):
    partner = make_partner()
    join(partner, make_campaign(acme))
    join(partner, make_campaign(make_advertiser("globex"), "globex"))
    bank(partner)
    entries = AuditEntry.objects.filter(verb="write_payout_profile")
    assert {entry.advertiser.slug for entry in entries} == {"acme", "globex"}
