"""The API's description is valid and complete, and its page obeys the browser's strict rules; health."""

from __future__ import annotations

import re

import pytest
from django.core.management import call_command
from django.db import OperationalError
from drf_spectacular.generators import SchemaGenerator
from redis import Redis

from apps.api import health
from apps.api.access import HasScope
from apps.api.v1.refunds import RefundInput
from apps.api.v1.telling import ConversionInput
from apps.core.errors import Refusal
from apps.tracking.rules.conversions import FIELDS
from apps.tracking.rules.refunds import FIELDS as REFUND_FIELDS


def test_description_is_valid_and_without_warnings(tmp_path):
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "schema.yml"))

    text = (tmp_path / "schema.yml").read_text()
    assert "/api/v1/conversions/{id}/receipt/" in text
    assert "Idempotency-Key" in text


@pytest.fixture(scope="module")
def described():
    return SchemaGenerator().get_schema(request=None, public=True)


def test_every_call_says_whom_it_refuses_and_changes_say_with_which_codes(described):
    calls = [
        (path, method, call["responses"])
        for path, methods in described["paths"].items()
        for method, call in methods.items()
    ]
    assert all({"401", "403"} <= answers.keys() for _, _, answers in calls)
    assert all("404" in answers for path, _, answers in calls if "{" in path)
    wrong = {path.removeprefix("/api/v1"): answers for path, method, answers in calls if method == "post"}
    assert {"409", "422"} <= wrong["/conversions/"].keys() & wrong["/refunds/"].keys() & wrong["/decisions/"].keys()
    assert {"404", "409", "422"} <= wrong["/conversions/{id}/refund/"].keys() & wrong[
        "/conversions/{id}/reject/"
    ].keys()
    assert "`order_ref_conflict`" in wrong["/conversions/"]["409"]["description"]
    assert "`more_than_sold`" in wrong["/refunds/"]["422"]["description"]
    schema = wrong["/conversions/"]["422"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/Refused"}


def test_only_codes_that_are_given_are_described(described):
    def codes(kind: type[Refusal]) -> set[str]:
        return {kind.code}.union(*(codes(one) for one in kind.__subclasses__()))

    text = " ".join(
        answer["description"]
        for methods in described["paths"].values()
        for call in methods.values()
        for status, answer in call["responses"].items()
        if status in {"403", "404", "409", "422"}
    )
    assert set(re.findall(r"`(\w+)`", text)) - {HasScope.code} <= codes(Refusal)


def test_every_field_that_is_read_of_a_conversion_and_a_refund_is_described():
    assert ConversionInput().fields.keys() == {*FIELDS, "campaign"} - {"sig", "ts"}
    assert RefundInput().fields.keys() == {*REFUND_FIELDS} - {"sig", "ts"}


def test_description_and_its_page_are_open_to_everybody(client):
    assert client.get("/api/schema/").status_code == 200
    page = client.get("/api/docs/")
    assert page.status_code == 200
    assert "https://" not in page.text
    assert "'unsafe-eval'" not in page.headers["Content-Security-Policy"]
    assert client.get("/api/docs/?script").status_code == 200


@pytest.fixture
def dead_redis(monkeypatch):
    monkeypatch.setattr(Redis, "ping", lambda *_: (_ for _ in ()).throw(ConnectionError()))


def test_health_asks_database_and_redis(client, db):
    reply = client.get("/health/")

    assert (reply.status_code, reply.json()) == (200, {"ok": True, "database": "ok", "redis": "ok"})
    assert "no-store" in reply.headers["Cache-Control"]


def test_health_is_good_without_redis(client, db, dead_redis):
    reply = client.get("/health/")

    assert (reply.status_code, reply.json()["redis"]) == (200, "away")


def test_health_is_bad_without_the_database(client, db, monkeypatch):
    class Away:
        def cursor(self):
            raise OperationalError("the server closed the connection")

    monkeypatch.setattr(health, "connection", Away())
    reply = client.get("/health/")

    assert (reply.status_code, reply.json()["database"]) == (503, "away")
