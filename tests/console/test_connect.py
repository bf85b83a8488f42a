"""Connecting a shop: what a page tells to copy is what works."""

import html
import json
import re
import shlex
from importlib import import_module
from itertools import pairwise

import pytest
from django.test import Client
from django.urls import reverse

from apps.console.campaign_tracking import latest_events
from apps.console.tracking_words import FIELDS as FIELDS_SAID
from apps.console.tracking_words import REFUND_FIELDS as REFUND_FIELDS_SAID
from apps.console.tracking_words import REFUSALS
from apps.core.errors import Refusal
from apps.identity.models import Scope
from apps.tracking.changing import record_refund
from apps.tracking.models import Amendment, Conversion
from apps.tracking.rules.basket import LINE_FIELDS
from apps.tracking.rules.conversions import FIELDS, read_conversion
from apps.tracking.rules.fields import read_json
from apps.tracking.rules.refunds import FIELDS as REFUND_FIELDS
from apps.tracking.rules.refunds import ToldRefund
from apps.tracking.selectors import terms_of
from tests.cast import NOON, make_advertiser
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


def test_the_table_of_a_call_names_every_field_that_is_read(acme):
    named = [name for name, _ in FIELDS_SAID]
    assert set(named) == {*FIELDS, *(f"lines[].{name}" for name in LINE_FIELDS)}
    page = acme.owner.get(reverse("admin:campaigns_campaign_tracking", args=[acme.campaign.pk])).text
    assert all(f">{name}</code>" in page for name in [*named, *(code for _, code, _ in REFUSALS)])


def test_the_tables_of_the_other_calls_name_what_is_read_and_where(acme):
    page = acme.owner.get(reverse("admin:campaigns_campaign_tracking", args=[acme.campaign.pk])).text
    assert {name for name, _ in REFUND_FIELDS_SAID} == {*REFUND_FIELDS} - {"campaign", "sig", "ts"}
    assert f"/s/{acme.campaign.slug}/refund" in page and f"/i/{acme.campaign.slug}" in page
    given = {code for _, code, _ in REFUSALS}
    assert {"more_than_sold", "unknown_line", "refund_ref_conflict", "sequence_conflict", "unknown_click"} <= given


def test_the_table_of_refusals_has_only_codes_that_are_given_with_their_status(acme):
    statuses = import_module("apps.collector.conversions").STATUS  # a refusal is known once its room is loaded

    def answers(kind: type[Refusal]) -> set[tuple[int, str]]:
        own = next((status for base, status in statuses.items() if issubclass(kind, base)), 400)
        return {(own, kind.code)}.union(*(answers(one) for one in kind.__subclasses__()))

    assert {(status, code) for status, code, _ in REFUSALS} - {(503, "unavailable")} <= answers(Refusal)


def test_the_snippet_with_lines_and_a_code_is_read_whole(acme):
    page = acme.owner.get(reverse("admin:campaigns_campaign_tracking", args=[acme.campaign.pk]))
    basket = shlex.split(next(text for text in snippets(page) if '"lines"' in text).replace("\\\n", " "))
    fields = read_json(basket[basket.index("-d") + 1].replace("$TCLID", "").encode())
    fact = read_conversion(fields, terms=terms_of(acme.campaign), now=NOON)
    assert (fact.amount_minor, fact.discount_minor, fact.coupons, fact.ignored) == (90_00, 9_00, ("SAVE10",), [])
    assert sum(line.quantity * line.unit_price_minor for line in fact.lines) - fact.discount_minor == fact.amount_minor


def test_what_has_just_come_in_has_updates_and_refunds_too(acme, django_assert_num_queries):
    sale = acme.open
    Amendment.objects.create(
        advertiser=acme.advertiser, conversion=sale, sequence=2, content={"amount_minor": 90_00}, content_hash="x",
        recorded_at=NOON,
    )  # fmt: skip
    for order_ref, refund_ref in (("OPEN-1", "R-1"), ("LATER-1", "R-2"), ("OPEN-1", "tributary:line:1")):
        record_refund(
            advertiser=acme.advertiser, refund=ToldRefund("SALE", order_ref, refund_ref, 1_00, "EUR"), now=NOON
        )
    with django_assert_num_queries(5):
        events = {event.title: event for event in latest_events(acme.advertiser)}
    assert events["Update 2 of OPEN-1"].link == events["Refund R-1 of OPEN-1"].link == events["SALE OPEN-1"].link
    assert (events["Refund R-2 of LATER-1"].link, events["Refund R-2 of LATER-1"].text) == ("", "waits for its order")
    assert not any("tributary" in title for title in events)
    assert "Refund R-2 of LATER-1" in acme.owner.get(reverse("admin:tracking")).text
    page = acme.owner.get(reverse("admin:campaigns_campaign_tracking", args=[acme.campaign.pk])).text
    assert "Refund R-1 of OPEN-1" in page and "Update 2 of OPEN-1" in page and "R-2" not in page
    assert not latest_events(make_advertiser("stranger"))
