"""`GET /c/<link>`: remember the click, then send the visitor on to the shop."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from uuid import UUID, uuid4

from django.conf import settings
from django.db import Error

from apps.collector.directory import PATIENCE, Directory
from apps.collector.floods import Flood
from apps.collector.http import Answer, Request, as_text, not_allowed
from apps.collector.pages import gone
from apps.collector.threads import DatabaseThreads
from apps.core.errors import Invalid, NotFound, Refusal
from apps.core.ids import uuid7
from apps.tracking.intake import TouchFact, TouchWriter
from apps.tracking.models import ChannelClass, TouchKind
from apps.tracking.rules.addresses import allowed_address, with_click
from apps.tracking.rules.clicks import sign_click
from apps.tracking.rules.clients import client_of
from apps.tracking.rules.fields import InvalidBody, read_pairs
from apps.tracking.rules.links import PAUSED, LinkTarget, subs_of
from apps.tracking.rules.visits import device_of, visit_refusal
from apps.tracking.selectors import click_keys
from apps.tracking.services import record_rejection

logger = logging.getLogger(__name__)

COOKIE = "tributary_visitor"
YEAR = 365 * 24 * 3600
LONGEST_CODE = 40


class UnknownLink(NotFound):
    code = "unknown_link"
    message = "There is no such tracking link."


class DeepLinkRefused(Invalid):
    code = "deeplink_refused"
    message = "The deep link leads to no host of the campaign; the click went to the landing page."


class Clicks:
    """The redirect; `lost` counts clicks that could not be stored and so went on without a click id."""

    def __init__(
        self,
        writer: TouchWriter,
        directory: Directory,
        threads: DatabaseThreads,
        flood: Flood,
        clock: Callable[[], datetime],
    ) -> None:
        self._writer, self._directory, self._threads, self._clock = writer, directory, threads, clock
        self._flood = flood
        self.lost = 0

    async def answer(self, request: Request, code: str) -> Answer:
        if request.method not in {"GET", "HEAD"}:
            return not_allowed("GET", "HEAD")
        try:
            named = 0 < len(code) <= LONGEST_CODE and code.isascii() and code.isprintable()
            target = await self._directory.find(code) if named else None
        except (Error, TimeoutError):
            logger.error("the link %s cannot be looked up: the database is away", code)
            return as_text(503, "Please try again in a moment.", **{"retry-after": "5"})
        if target is None:
            await self._report(request, None, UnknownLink(), {"link": code})
            return as_text(404, "There is no such link.")
        fields = _fields(request.query)
        landing = await self._landing(request, target, fields.get("url", ""))
        now = self._clock()  # after whatever may have to wait, so that the click is stored about when it happened
        ended = target.refusal_at(now)
        refusal = ended or visit_refusal(request.method, request.headers)
        visitor = _visitor(request)
        touch = _touch(request, target, fields, refusal=refusal, visitor=visitor, now=now)
        stored = await self._writer.write(touch, client_of(request.headers, request.source))
        if not stored:
            self.lost += 1
            logger.error("a click on link %s is not stored: the database is away (%d so far)", code, self.lost)
        if ended and ended != PAUSED:
            return gone()
        if refusal or not stored:
            return _redirect(landing)
        key = click_keys()[0]
        return _redirect(with_click(landing, sign_click(touch.id, target.campaign_id, key)), visitor)

    async def _landing(self, request: Request, target: LinkTarget, wanted: str) -> str:
        """Return the page the click leads to: the wanted one where the campaign allows it, else the link's own."""
        if not wanted:
            return target.landing
        allowed = allowed_address(wanted, landing=target.home, hosts=target.hosts)
        if allowed is None:
            await self._report(request, target, DeepLinkRefused(path="url"), {"link": target.link_id, "url": wanted})
        return allowed or target.landing

    async def _report(
        self, request: Request, target: LinkTarget | None, refusal: Refusal, payload: Mapping[str, object]
    ) -> None:
        advertiser_id, campaign_id = (target.advertiser_id, target.campaign_id) if target else (None, None)
        if not self._flood.lets_in(request.source, advertiser_id=advertiser_id, campaign_id=campaign_id):
            return
        try:
            await self._threads.run(
                PATIENCE,
                record_rejection,
                advertiser=advertiser_id,
                campaign=campaign_id,
                door="click",
                refusal=refusal,
                payload=payload,
                now=self._clock(),
            )
        except (Error, TimeoutError) as error:
            logger.error("a refused click (%s) is not kept: %s", refusal.code, error)


def _fields(query: str) -> dict[str, str]:
    """Return the query's fields; the first of a repeated name counts, an unreadable query has none."""
    try:
        return dict(reversed(read_pairs(query)))
    except InvalidBody:
        return {}


def _visitor(request: Request) -> UUID:
    """Return the visitor of the cookie, or a new one."""
    try:
        return UUID(hex=request.cookie(COOKIE))
    except ValueError:
        return uuid4()


def _touch(
    request: Request, target: LinkTarget, fields: Mapping[str, str], *, refusal: str, visitor: UUID, now: datetime
) -> TouchFact:
    sub1, sub2, sub3, sub4, sub5 = subs_of(fields, target.subs)
    return TouchFact(
        id=uuid7(now),
        advertiser_id=target.advertiser_id,
        campaign_id=target.campaign_id,
        partner_id=target.partner_id,
        ad_space_id=target.ad_space_id,
        link_id=target.link_id,
        visitor=visitor,
        occurred_at=now,
        recorded_at=now,
        kind=TouchKind.SOFT_CLICK if fields.get("soft") == "1" else TouchKind.CLICK,
        channel=target.channel,
        channel_class=ChannelClass.PAID,
        refusal=refusal,
        device=device_of(request.headers.get("user-agent", "")),
        sub1=sub1,
        sub2=sub2,
        sub3=sub3,
        sub4=sub4,
        sub5=sub5,
    )


def _redirect(address: str, visitor: UUID | None = None) -> Answer:
    headers = {"location": address, "referrer-policy": "strict-origin-when-cross-origin"}
    if visitor:
        secure = "; Secure" if settings.HTTPS else ""
        headers["set-cookie"] = f"{COOKIE}={visitor.hex}; Max-Age={YEAR}; Path=/; HttpOnly; SameSite=Lax{secure}"
    return Answer(302, headers=headers)
