"""The least of HTTP that the collector speaks, straight on ASGI."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

LARGEST_BODY = 256 * 1024


class BodyTooLarge(Exception):
    """The body is larger than any call needs to be."""


@dataclass(frozen=True, slots=True)
class Request:
    """A call; header names are in lower case, the last of a repeated header counts."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    source: str

    @classmethod
    def of(cls, scope: Scope, *, behind_proxy: bool) -> Request:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        source = (scope.get("client") or ("", 0))[0]
        if behind_proxy and "x-forwarded-for" in headers:
            source = headers["x-forwarded-for"].rpartition(",")[2].strip()
        return cls(scope["method"], scope["path"], scope["query_string"].decode("latin-1"), headers, source)

    def cookie(self, name: str) -> str:
        for part in self.headers.get("cookie", "").split(";"):
            key, _, value = part.strip().partition("=")
            if key == name:
                return value
        return ""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes = b""
    media_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)

    async def send(self, send: Send, *, method: str) -> None:
        lines = {
            "content-type": self.media_type,
            "content-length": str(len(self.body)),
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
            **self.headers,
        }
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in lines.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": raw})
        await send({"type": "http.response.body", "body": b"" if method == "HEAD" else self.body})


def as_text(status: int, text: str, **headers: str) -> Answer:
    return Answer(status, f"{text}\n".encode(), headers=headers)


def as_json(status: int, content: Mapping[str, object], **headers: str) -> Answer:
    return Answer(status, json.dumps(content, ensure_ascii=False).encode(), "application/json", headers)


def not_allowed(*methods: str) -> Answer:
    return as_text(405, "This address does not take that method.", allow=", ".join(methods))


async def read_body(receive: Receive) -> bytes:
    """Return the whole body. Raises BodyTooLarge."""
    chunks, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"".join(chunks)
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > LARGEST_BODY:
            raise BodyTooLarge
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)
