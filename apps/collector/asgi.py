"""The tracking host: a small ASGI application of its own that answers the collector's addresses and nothing else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime

from django.conf import settings
from django.db import Error
from django.utils import timezone

from apps.collector.clicks import Clicks
from apps.collector.conversions import Conversions, unknown_address
from apps.collector.directory import Directory
from apps.collector.floods import Flood
from apps.collector.http import Answer, Receive, Request, Scope, Send, as_json, as_text, not_allowed
from apps.collector.threads import DatabaseThreads
from apps.tracking.intake import TouchWriter
from apps.tracking.services import record_left_out

logger = logging.getLogger(__name__)

TELL_EVERY = 10.0
PATIENCE = 2.0


class Collector:
    """The application of one process; it opens with the server, or with the first call where nobody says so."""

    def __init__(self, clock: Callable[[], datetime] = timezone.now) -> None:
        self._clock = clock
        self._opening: asyncio.Lock | None = None
        self._open = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self.open()
            request = Request.of(scope, behind_proxy=settings.SECURE_PROXY_SSL_HEADER is not None)
            try:
                answer = await self._answer(request, receive)
            except Exception:
                logger.exception("a call of %s failed", request.path)
                answer = as_text(500, "Something went wrong here; the call is not recorded.")
            await answer.send(send, method=request.method)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})

    async def open(self) -> None:
        if self._open:
            return
        self._opening = self._opening or asyncio.Lock()
        async with self._opening:
            if not self._open:
                self.threads, self.writer = DatabaseThreads(), TouchWriter()
                await self.writer.open()
                self.flood = Flood(self._clock)
                directory = Directory(self.threads)
                self.clicks = Clicks(self.writer, directory, self.threads, self.flood, self._clock)
                self.conversions = Conversions(self.threads, self.flood, self._clock)
                self._telling = asyncio.create_task(self._tell_left_out())
                self._open = True

    async def close(self) -> None:
        if self._open:
            self._open = False
            self._telling.cancel()
            await self._write_left_out(everything=True)
            await self.writer.close()
            await asyncio.to_thread(self.threads.close)

    async def _answer(self, request: Request, receive: Receive) -> Answer:
        _, door, *names = request.path.split("/")
        if door == "c" and len(names) == 1:
            return await self.clicks.answer(request, names[0])
        if door == "s" and len(names) == 1:
            return await self.conversions.answer(request, names[0], receive)
        if door == "s" and names[1:] == ["refund"]:
            return await self.conversions.answer_refund(request, names[0], receive)
        if door == "i" and len(names) == 1:
            return await self.conversions.answer_identity(request, names[0], receive)
        if request.path in {"/health", "/health/"}:
            return await self._health(request)
        return unknown_address() if door in {"s", "i"} else as_text(404, "There is nothing here.")

    async def _health(self, request: Request) -> Answer:
        if request.method not in {"GET", "HEAD"}:
            return not_allowed("GET", "HEAD")
        well = await self.writer.answers()
        return as_json(200 if well else 503, {"ok": well, "database": "ok" if well else "away"})

    async def _tell_left_out(self) -> None:
        while True:
            await asyncio.sleep(TELL_EVERY)
            await self._write_left_out()

    async def _write_left_out(self, *, everything: bool = False) -> None:
        """Write down how many refused calls were not kept, a row per minute and campaign."""
        for row in self.flood.take_left_out(everything=everything):
            try:
                await self.threads.run(PATIENCE, record_left_out, **asdict(row))
            except (Error, TimeoutError) as error:
                logger.error("%d refused calls were not kept, nor this number: %s", row.count, error)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self.open()
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self.close()
                await send({"type": "lifespan.shutdown.complete"})
                return


application = Collector()
