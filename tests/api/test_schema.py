"""The API's description is valid and complete, and its page obeys the browser's strict rules; health."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.db import OperationalError
from redis import Redis

from apps.api import health


def test_description_is_valid_and_without_warnings(tmp_path):
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "schema.yml"))

    text = (tmp_path / "schema.yml").read_text()
    assert "/api/v1/conversions/{id}/receipt/" in text
    assert "Idempotency-Key" in text


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
