"""`GET|POST /s/<campaign>` and `/s/<campaign>/refund`: the shop's server tells of a conversion or a refund."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import InterfaceError, OperationalError

from apps.campaigns.models import Campaign
from apps.collector.floods import Flood
from apps.collector.http import Answer, BodyTooLarge, Receive, Request, as_json, read_body
from apps.collector.identities import store_identity
from apps.collector.threads import DatabaseThreads
from apps.commissions.holding import holds_unsigned
from apps.core.errors import Conflict, Invalid, NotFound, Refusal
from apps.pipeline.services.receiving import receive_conversion, receive_refund
from apps.tracking.models import vouched_orders
from apps.tracking.rules.clients import UNKNOWN, Client, client_of
from apps.tracking.rules.conversions import read_conversion
from apps.tracking.rules.fields import InvalidBody, gather, read_json, read_pairs
from apps.tracking.rules.refunds import read_order_name
from apps.tracking.rules.signatures import SIGNED, UNSIGNED, OrderWasSigned, body_digest, check_signature
from apps.tracking.selectors import terms_of
from apps.tracking.services import record_rejection

logger = logging.getLogger(__name__)

PATIENCE = 15.0
"""Seconds that a shop's server waits for the database."""
FORM, JSON = "application/x-www-form-urlencoded", "application/json"


class UnknownCampaign(NotFound):
    code = "unknown_campaign"
    message = "There is no campaign of this name."


class MethodNotAllowed(Invalid):
    code = "method_not_allowed"
    message = "This address does not take that method."


class PayloadTooLarge(Invalid):
    code = "payload_too_large"
    message = "A call has at most 256 KB."


STATUS = {MethodNotAllowed: 405, PayloadTooLarge: 413, NotFound: 404, Conflict: 409, Invalid: 422}


@dataclass(slots=True)
class Call:
    """What was sent: the parameters that are signed, the fields that are read, and whether it was signed validly."""

    pairs: list[tuple[str, str]] = field(default_factory=list)
    fields: dict[str, object] = field(default_factory=dict)
    is_vouched: bool = False
    client: Client = UNKNOWN


@dataclass(frozen=True, slots=True)
class Asks:
    """What an address asks of a call: a method of these, and a signature also where the campaign asks for none."""

    methods: Sequence[str] = ("GET", "POST")
    signature: bool = False


# Whoever says who a visitor is can lead a customer's later sales to that visitor's touches.
IDENTITIES = Asks(("POST",), signature=True)
Store = Callable[[Campaign, Call, datetime], Answer]


class Conversions:
    def __init__(self, threads: DatabaseThreads, flood: Flood, clock: Callable[[], datetime]) -> None:
        self._threads, self._flood, self._clock = threads, flood, clock

    async def answer(self, request: Request, slug: str, receive: Receive) -> Answer:
        return await self._answer(request, slug, receive, _store)

    async def answer_refund(self, request: Request, slug: str, receive: Receive) -> Answer:
        return await self._answer(request, slug, receive, _store_refund)

    async def answer_identity(self, request: Request, slug: str, receive: Receive) -> Answer:
        return await self._answer(request, slug, receive, _store_identity, IDENTITIES)

    async def _answer(
        self, request: Request, slug: str, receive: Receive, store: Store, asks: Asks | None = None
    ) -> Answer:
        body: bytes | None
        try:
            body = await read_body(receive) if request.method == "POST" else b""
        except BodyTooLarge:
            body = None
        try:
            return await self._threads.run(PATIENCE, self._take, request, slug, body, store, asks or Asks())
        except (OperationalError, InterfaceError, TimeoutError):
            logger.exception("a call for %s is not known to be stored: the database is away", slug)
            message = "Send the same call again: however often it is sent, it is recorded once."
            return _refused(503, "unavailable", message, **{"retry-after": "5"})
        except Exception:
            logger.exception("a call for %s is not stored", slug)
            return _refused(500, "internal_error", "Nothing is stored, by a fault of ours.")

    def _take(self, request: Request, slug: str, body: bytes | None, store: Store, asks: Asks) -> Answer:
        now = self._clock()
        call = Call(client=client_of(request.headers, request.source))
        named = len(slug) <= 80 and slug.isascii() and slug.isprintable()
        campaign = Campaign.objects.filter(slug=slug).first() if named else None
        try:
            _read(call, request, body)
            if request.method not in asks.methods:
                allowed = asks.methods
                raise MethodNotAllowed(f"This address takes {' and '.join(allowed)} only.", allow=", ".join(allowed))
            if campaign is None:
                raise UnknownCampaign
            _vouch(campaign, call, now, always=asks.signature)
            return store(campaign, call, now)
        except Refusal as refusal:
            advertiser_id, campaign_id = (campaign.advertiser_id, campaign.pk) if campaign else (None, None)
            if call.is_vouched or self._flood.lets_in(
                request.source, advertiser_id=advertiser_id, campaign_id=campaign_id
            ):
                record_rejection(
                    advertiser=advertiser_id,
                    campaign=campaign_id,
                    door="s2s",
                    refusal=refusal,
                    payload={"campaign": slug, **call.fields},
                    now=now,
                )
            status = next((number for kind, number in STATUS.items() if isinstance(refusal, kind)), 400)
            headers = {"allow": str(refusal.details["allow"])} if isinstance(refusal, MethodNotAllowed) else {}
            return _refused(status, refusal.code, refusal.message, refusal.path, refusal.details, **headers)


def _read(call: Call, request: Request, body: bytes | None) -> None:
    """Fill a call as far as it can be read. Raises InvalidBody, InvalidField, PayloadTooLarge."""
    call.pairs = read_pairs(request.query)
    call.fields = gather(call.pairs)
    if body is None:
        raise PayloadTooLarge
    media_type = request.headers.get("content-type", FORM).partition(";")[0].strip().lower()
    if not body:
        return
    if media_type == JSON:
        content = read_json(body)
        call.fields = gather(call.pairs, content)
        call.pairs.append(body_digest(body))
    elif media_type == FORM:
        call.pairs += read_pairs(body.decode("utf-8", "replace"))
        call.fields = gather(call.pairs)
    else:
        raise InvalidBody(f"Send {FORM} or {JSON}, not {media_type[:60]}.")


def _vouch(campaign: Campaign, call: Call, now: datetime, *, always: bool) -> None:
    """Check the signature of a call, and remember that it had one. Raises BadSignature."""
    secrets = (campaign.secret, campaign.previous_secret)
    check_signature(call.pairs, secrets=secrets, required=always or campaign.signature_required, now=now)
    call.is_vouched = any(name == "sig" for name, _ in call.pairs)


def _store(campaign: Campaign, call: Call, now: datetime) -> Answer:
    fact = read_conversion(call.fields, terms=terms_of(campaign), now=now)
    if fact.is_update:
        _vouch_for_change(campaign, call)
    source = SIGNED if call.is_vouched else UNSIGNED
    received = receive_conversion(
        campaign=campaign, fact=fact, now=now, source=source, client=call.client, payload=call.fields
    )
    content = received.answer
    if not call.is_vouched and holds_unsigned(campaign, at=now):
        content["hints"] = [*received.hints, UNSIGNED]
    if fact.ignored:
        content["ignored"] = fact.ignored
    return as_json(201 if received.created else 200, content)


def _vouch_for_change(campaign: Campaign, call: Call) -> None:
    """Let nobody change without a signature what somebody vouched for. Raises OrderWasSigned."""
    if call.is_vouched:
        return
    goal, order_ref = read_order_name(call.fields)
    if vouched_orders().filter(advertiser=campaign.advertiser_id, goal=goal, order_ref=order_ref).exists():
        raise OrderWasSigned


def _store_refund(campaign: Campaign, call: Call, now: datetime) -> Answer:
    _vouch_for_change(campaign, call)
    received = receive_refund(
        advertiser=campaign.advertiser, campaign=campaign, fields=call.fields, is_signed=call.is_vouched, now=now
    )
    return as_json(201 if received.created else 200, received.answer)


def _store_identity(campaign: Campaign, call: Call, now: datetime) -> Answer:
    return store_identity(campaign, call.fields, now)


def unknown_address() -> Answer:
    """Return what is answered to a call at an address that looks like one of these."""
    return _refused(404, "not_found", "Calls go to /s/CAMPAIGN, /s/CAMPAIGN/refund or /i/CAMPAIGN.")


def _refused(
    status: int, code: str, message: str, path: str = "", details: Mapping[str, object] | None = None, **headers: str
) -> Answer:
    content: dict[str, object] = {"ok": False, "code": code, "message": message}
    if path:
        content["field"] = path
    return as_json(status, {**content, **(details or {})}, **headers)
