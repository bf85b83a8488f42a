"""Strangers sign in first, neighbours find nothing, owners see their own."""

import pytest
from django.test import Client
from django.urls import reverse

from apps.partners.models import PartnerMembership
from tests.cast import make_advertiser, make_member, make_partner, make_partner_user, make_user
from tests.portal.stage import client_of

LISTS = ["overview", "links", "conversions", "payouts", "campaigns", "account"]


def addresses(stage) -> list[str]:
    return [
        reverse("portal:conversion", args=[stage.sales.shared.pk]),
        reverse("portal:statement", args=[stage.statement.pk]),
        reverse("portal:invoice_pdf", args=[stage.invoice.pk]),
    ]


@pytest.mark.parametrize("name", LISTS)
def test_a_stranger_is_asked_to_sign_in(db, name):
    url = reverse(f"portal:{name}")
    assert Client().get(url).headers["Location"] == f"/accounts/login/?next={url}"


def test_a_stranger_finds_no_single_thing(stage):
    for url in addresses(stage):
        assert Client().get(url).headers["Location"] == f"/accounts/login/?next={url}"


def test_a_neighbour_finds_nothing(stage):
    neighbour = client_of(stage.partners.cashback)
    assert [neighbour.get(url).status_code for url in addresses(stage)] == [404, 404, 404]


@pytest.mark.parametrize("name", LISTS)
def test_the_owner_sees_every_page(blog, name):
    assert blog.get(reverse(f"portal:{name}")).status_code == 200


def test_the_owner_sees_each_of_its_things(stage, blog):
    assert [blog.get(url).status_code for url in addresses(stage)] == [200, 200, 200]


@pytest.mark.parametrize("name", LISTS)
def test_a_partner_without_anything_sees_every_page(db, name):
    newcomer = client_of(make_partner("newcomer"))
    assert newcomer.get(reverse(f"portal:{name}")).status_code == 200


def test_the_advertisers_staff_goes_to_its_console(db):
    client = Client()
    client.force_login(make_member(make_advertiser()))
    assert client.get("/").headers["Location"] == "/admin/"


def test_a_person_of_neither_is_told_what_is_missing(db):
    client = Client()
    client.force_login(make_user("nobody@nowhere.example"))
    answer = client.get("/")
    assert answer.status_code == 200
    assert "nobody@nowhere.example" in answer.text


def test_a_person_of_two_partners_switches_between_them(db):
    first, second, third = (make_partner(slug) for slug in ("alpha", "beta", "gamma"))
    user = make_partner_user(first)
    PartnerMembership.objects.create(partner=second, user=user)
    client = Client()
    client.force_login(user)
    assert client.get("/account/").context["partner"] == first
    assert client.post("/switch/", {"partner": second.pk}).headers["Location"] == "/"
    assert client.get("/account/").context["partner"] == second
    assert client.post("/switch/", {"partner": third.pk}).status_code == 404
    assert client.get("/account/").context["partner"] == second


def test_pages_are_read_only_but_for_the_link_builder_and_the_account(blog):
    written = {"links", "account"}
    answers = {name: blog.post(reverse(f"portal:{name}")).status_code for name in LISTS if name not in written}
    assert set(answers.values()) == {405}


def test_crawlers_are_asked_to_stay_out(db):
    assert Client().get("/robots.txt").text == "User-agent: *\nDisallow: /\n"


@pytest.mark.parametrize(("language", "word"), [("en", "Balance"), ("de", "Guthaben"), ("ru", "Баланс")])
def test_the_language_can_be_chosen(blog, language, word):
    assert blog.post("/i18n/setlang/", {"language": language, "next": "/"}).status_code == 302
    text = blog.get("/").text
    assert f'lang="{language}"' in text
    assert word in text
