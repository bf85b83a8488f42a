"""The test bench: a document in, its receipt out; nothing is stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.core.errors import Invalid
from apps.identity.models import Scope
from apps.pipeline.rules import explain_text

MOST_BYTES = 8_000_000
EXAMPLE = {
    "conversion": {"occurred_at": "2026-03-10T12:00:00Z", "amount": "90.00"},
    "touches": [{"id": "t1", "kind": "CLICK", "at": "2026-03-01T09:00:00Z", "channel": "content", "partner": "blog"}],
    "policy": {"model": "LAST_CLICK"},
    "plans": {"default": {"rules": [{"name": "all", "when": {}, "pay": {"percent": "8"}}]}},
}


class TooLarge(Invalid):
    code = "too_large"
    message = f"At most {MOST_BYTES} bytes at once."


class TextParser(BaseParser):
    """Hands the body on as it came: the engine reads it, with amounts as text and doubled fields refused."""

    media_type = "application/json"

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> bytes:
        body = stream.read(MOST_BYTES + 1)
        if len(body) > MOST_BYTES:
            raise TooLarge
        return body


class ExplainView(APIView):
    """Answers what one conversion would come to, or a list of them, by the functions that settle real ones."""

    scopes = {"*": Scope.CONVERSIONS_READ}
    parser_classes = [TextParser]

    @extend_schema(
        summary="Explain a document",
        description=(
            "Takes a conversion with its touches, a policy, coupons and plans, and answers the receipt. A list answers "
            "a list in the same order, a refused document `{error: {code, path}}` in its place. Nothing is stored. "
            "Scope: `conversions:read`."
        ),
        request=OpenApiTypes.OBJECT,
        responses={200: OpenApiTypes.OBJECT, 422: OpenApiTypes.OBJECT},
        examples=[OpenApiExample("The smallest document", value=EXAMPLE, request_only=True)],
        operation_id="explain",
    )
    def post(self, request: Request) -> Response:
        body = request.data  # an empty body never meets a parser
        return Response(explain_text(body if isinstance(body, bytes) else b""))
