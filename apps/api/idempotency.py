"""The `Idempotency-Key` header: the same key and body, the same answer and one effect."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from django.db import transaction
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.errors import handle
from apps.core.errors import Invalid, Refusal
from apps.records.answers import claim_key, keep_answer, release_key

HEADER = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="Makes a call safe to repeat: the same key and body are answered alike and take effect once. "
    "Another body under the same key is 422 `idempotency_key_reused`; a call still at work is 409.",
)


class InvalidIdempotencyKey(Invalid):
    code = "invalid_idempotency_key"
    message = "An Idempotency-Key has 1 to 255 printable ASCII characters."


def answer_once(request: Request, act: Callable[[], Response]) -> Response:
    """Make a call, or answer as the same call was answered before; without the header just make it."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return act()
    if not 0 < len(key) <= 255 or not (key.isascii() and key.isprintable()):
        raise InvalidIdempotencyKey
    advertiser = request.auth.advertiser
    digest = hashlib.sha256(f"{request.method} {request.get_full_path()}\n".encode() + request.body).hexdigest()
    before = claim_key(advertiser=advertiser, key=key, request_hash=digest, now=timezone.now())
    if before is not None:
        return Response(before.body, status=before.status, headers={"Idempotency-Replayed": "true"})
    try:
        with transaction.atomic():
            response = act()
            keep_answer(advertiser=advertiser, key=key, status=response.status_code, body=response.data)
    except Refusal as refusal:
        refused = handle(refusal, {})
        keep_answer(advertiser=advertiser, key=key, status=refused.status_code, body=refused.data)
        raise
    except BaseException:
        release_key(advertiser=advertiser, key=key)
        raise
    return response
