"""Signing in: by invitation, and honest about mails."""

import pytest
from django.test import Client, override_settings

CONSOLE = "django.core.mail.backends.console.EmailBackend"
pytestmark = pytest.mark.django_db


def test_the_sign_in_page_offers_no_sign_up():
    text = Client().get("/accounts/login/").text
    assert "/accounts/signup/" not in text
    assert "ask their advertiser" in text


def test_whoever_finds_the_sign_up_is_told_whom_to_ask():
    text = Client().get("/accounts/signup/").text
    assert "ask your advertiser for an invitation" in text and "/accounts/login/" in text


@pytest.mark.parametrize("path", ["/accounts/login/", "/accounts/password/reset/", "/accounts/password/reset/done/"])
def test_only_a_demo_says_that_mails_are_logged(path):
    assert "sends no mail" not in Client().get(path).text
    with override_settings(EMAIL_BACKEND=CONSOLE):
        assert "sends no mail" in Client().get(path).text
