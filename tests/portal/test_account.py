"""A partner's owner says who it is to the tax office and where its money goes."""

from datetime import timedelta

import pytest
import time_machine
from django.urls import reverse

from apps.partners.models import PartnerMembership, PayoutProfile, TaxProfile
from tests.portal.stage import NOW, client_of

PAGE = reverse("portal:account")
TAX = {
    "form_name": "tax",
    "status": "SMALL_BUSINESS",
    "legal_name": "Blog UG",
    "address": "Weg 1",
    "postcode": "10115",
    "city": "Berlin",
    "country": "DE",
    "vat_id": "",
    "tax_number": "12/345/67890",
}
BANK = {"form_name": "bank", "holder": "Blog UG", "iban": "gb33 bukb 2020 1555 5555 55", "bic": "BUKBGB22"}


def test_the_owner_writes_its_tax_data(stage, blog):
    answer = blog.post(PAGE, TAX, follow=True)
    assert "Your tax data are saved" in answer.text
    profile = TaxProfile.objects.get(partner=stage.blog)
    assert (profile.status, profile.legal_name, profile.tax_number) == ("SMALL_BUSINESS", "Blog UG", "12/345/67890")


def test_the_owner_writes_its_bank_account_and_the_page_says_so_for_a_month(stage, blog):
    assert "Was it not you?" in blog.post(PAGE, BANK, follow=True).text
    profile = PayoutProfile.objects.get(partner=stage.blog)
    assert (profile.iban, profile.bic, profile.changed_at) == ("GB33BUKB20201555555555", "BUKBGB22", NOW)
    assert "GB33BUKB20201555555555" not in blog.get(PAGE).text
    with time_machine.travel(NOW + timedelta(days=31), tick=False):
        assert "Was it not you?" not in client_of(stage.blog, "later@blog.example").get(PAGE).text


@pytest.mark.parametrize(
    ("sent", "field", "said"),
    [
        (TAX | {"vat_id": "DE136695977"}, "vat_id", "not a VAT id"),
        (TAX | {"legal_name": ""}, "legal_name", "required"),
        (BANK | {"iban": "GB33BUKB20201555555556"}, "iban", "not a valid IBAN"),
        (BANK | {"bic": "BUKB"}, "bic", "not a valid BIC"),
    ],
)
def test_what_is_wrong_stands_at_its_field_and_nothing_changes(stage, blog, sent, field, said):
    answer = blog.post(PAGE, sent)
    assert answer.status_code == 422
    [error] = answer.context[f"{sent['form_name']}_form"].errors[field]
    assert said in error and error in answer.text
    assert TaxProfile.objects.get(partner=stage.blog).legal_name == "Blog GmbH"
    assert PayoutProfile.objects.get(partner=stage.blog).iban == "DE89370400440532013000"


def test_a_member_who_is_no_owner_reads_only(stage, blog):
    PartnerMembership.objects.update(role="MEMBER")
    shown = blog.get(PAGE)
    assert shown.status_code == 200 and "Only an owner of your team can change it." in shown.text
    assert {blog.post(PAGE, sent).status_code for sent in (TAX, BANK)} == {403}
    assert TaxProfile.objects.get(partner=stage.blog).legal_name == "Blog GmbH"


def test_no_other_form_is_known(blog):
    assert [blog.post(PAGE, sent).status_code for sent in ({}, {"form_name": "profile"})] == [403, 403]


def test_what_is_wrong_is_said_in_the_readers_language(blog):
    answer = blog.post(PAGE, BANK | {"iban": "GB33"}, headers={"accept-language": "de"})
    assert "Das ist keine gültige IBAN" in answer.text
