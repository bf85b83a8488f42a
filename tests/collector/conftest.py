"""The tracking host without a server: an event loop of its own that calls the ASGI application."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest

from apps.collector.asgi import Collector
from tests.cast import NOON, make_cast

BROWSER = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130 Safari/537.36"


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class TrackingHost:
    """Calls the application as a server would; `now` is what its clock says."""

    def __init__(self) -> None:
        self.now = NOON
        self.app = Collector(clock=lambda: self.now)
        self._runner = asyncio.Runner()

    def close(self) -> None:
        self._runner.run(self.app.close())
        self._runner.close()

    def run(self, call: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(call)

    def get(self, path: str, fields: Any = (), **options: Any) -> Reply:
        return self.run(self.call("GET", path, fields, **options))

    def post(self, path: str, fields: Any = (), **options: Any) -> Reply:
        return self.run(self.call("POST", path, fields, **options))

    def head(self, path: str, fields: Any = (), **options: Any) -> Reply:
        return self.run(self.call("HEAD", path, fields, **options))

    async def call(
        self,
        method: str,
        path: str,
        fields: Any = (),
        *,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        query: str | None = None,
        source: str = "192.0.2.1",
    ) -> Reply:
        sent: list[dict[str, Any]] = []
        lines = {"user-agent": BROWSER, **(headers or {})}
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": (urlencode(fields) if query is None else query).encode(),
            "headers": [(name.encode(), value.encode()) for name, value in lines.items()],
            "client": (source, 40000),
        }

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Reply(sent[0]["status"], found, b"".join(message.get("body", b"") for message in sent[1:]))


@pytest.fixture
def host(transactional_db: None) -> Iterator[TrackingHost]:
    host = TrackingHost()
    yield host
    host.close()


@pytest.fixture
def cast(transactional_db: None) -> Any:
    return make_cast()
