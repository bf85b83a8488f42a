"""The test bench by HTTP and on the command line: the same answer, precise refusals, nothing stored."""

import io
import json
import sys

import pytest
from django.core.management import call_command

from apps.api.v1.explain import EXAMPLE
from apps.identity.models import Scope
from apps.tracking.models import Conversion, RejectedEvent
from tests.cast import make_advertiser, make_key

pytestmark = pytest.mark.django_db


@pytest.fixture
def post(client):
    def post(body, scope=Scope.CONVERSIONS_READ):
        key = make_key(make_advertiser("acme"), [scope])
        text = body if isinstance(body, str) else json.dumps(body)
        return client.post(
            "/api/v1/explain/", text, content_type="application/json", headers={"Authorization": f"Bearer {key}"}
        )

    return post


def run(text: str, monkeypatch, capsys) -> tuple[int, object]:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    code = 0
    try:
        call_command("explain", "-")
    except SystemExit as stopped:
        code = stopped.code
    return code, json.loads(capsys.readouterr().out)


def test_a_document_is_explained_the_same_by_both(post, monkeypatch, capsys):
    answer = post(EXAMPLE)
    assert answer.status_code == 200
    assert answer.json()["shares"] == [{"partner": "blog", "share": "1", "revenue": "90.00", "commission": "7.20"}]
    assert run(json.dumps(EXAMPLE), monkeypatch, capsys) == (0, answer.json())
    assert (Conversion.objects.count(), RejectedEvent.objects.count()) == (0, 0)


def test_the_first_fault_is_named_by_code_and_path(post, monkeypatch, capsys):
    document = {**EXAMPLE, "conversion": {**EXAMPLE["conversion"], "lines": [{"unit_price": "1.083,29"}]}}
    answer = post(document)
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert (error["code"], error["attr"]) == ("invalid_amount", "conversion.lines[0].unit_price")
    refused = {"error": {"code": "invalid_amount", "path": "conversion.lines[0].unit_price"}}
    assert run(json.dumps(document), monkeypatch, capsys) == (2, refused)


def test_a_list_answers_a_list_in_the_same_order(post):
    answer = post([EXAMPLE, {"conversion": 1}, EXAMPLE])
    assert answer.status_code == 200
    first, refused, last = answer.json()
    assert first == last and refused["error"]["path"] == "conversion"


@pytest.mark.parametrize("text", ["", "{", "NaN", '{"a": 1, "a": 2}', "[" * 100_000, "\x00", '"\\ud800"'])
def test_what_is_no_document_is_refused_without_a_trace(post, text):
    answer = post(text)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["code"]


def test_strangers_and_other_scopes_stay_outside(client, post):
    assert client.post("/api/v1/explain/", "{}", content_type="application/json").status_code == 401
    assert post(EXAMPLE, Scope.FINANCE_READ).status_code == 403
