"""Connecting a shop: what a page tells to copy is what works."""

import html
import json
import re
import shlex
from itertools import pairwise

import pytest
from django.test import Client
from django.urls import reverse

from apps.identity.models import Scope
from apps.tracking.models import Conversion
from tests.console.scene import make_scene

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme():
    return make_scene()


def snippets(page) -> list[str]:
    return [
        html.unescape(found) for found in re.findall(r"<pre tabindex=\"0\"><code>(.*?)</code>", page.text, re.DOTALL)
    ]


def new_key(acme, *scopes: str) -> list[str]:
    return snippets(acme.owner.post(reverse("admin:identity_advertiserkey_add"), {"name": "till", "scopes": scopes}))


def test_the_header_on_the_page_of_a_new_key_opens_the_api(acme):
    plain, header, _ = new_key(acme, Scope.CONVERSIONS_READ)
    name, _, value = header.partition(": ")
    assert plain in value
    assert Client().get("/api/v1/conversions/", headers={name: value}).status_code == 200


@pytest.mark.parametrize("scope", sorted({*Scope.values} - {Scope.CONVERSIONS_DECIDE}))
def test_the_curl_line_of_a_new_key_is_a_call_that_it_may_make(acme, scope):
    _, _, example = new_key(acme, scope)
    words = shlex.split(example.replace("\\\n", " "))
    given = dict(word.split(": ", 1) for flag, word in pairwise(words) if flag == "-H")
    body = words[words.index("-d") + 1] if "-d" in words else None
    path = re.sub(r"^https?://[^/]+", "", next(word for word in words if word.startswith("http")))
    headers = {name: value for name, value in given.items() if name != "Content-Type"}
    answer = Client().generic(words[2], path, body or "", content_type=given.get("Content-Type", ""), headers=headers)
    assert answer.status_code == (201 if body else 200), answer.text
    if body:
        sale = Conversion.objects.get(order_ref=json.loads(body)["order_ref"])
        assert (sale.campaign, sale.is_test) == (acme.campaign, True)
