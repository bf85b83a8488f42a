"""Refunds: of a conversion by its id, or of an order by its number, also before its sale is known."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.api.idempotency import HEADER, answer_once
from apps.api.parsing import ExactJSONParser
from apps.api.schema import once
from apps.api.v1.telling import Call, campaign_of, kept_where_refused
from apps.campaigns.models import Campaign
from apps.identity.models import Scope
from apps.pipeline.services.receiving import receive_refund
from apps.tracking.models import Conversion
from apps.tracking.rules.fields import InvalidField
from apps.tracking.rules.refunds import REASONS, read_order_name

REFUND = (
    "Scope: `conversions:write`. `refund_ref` is the shop's own number of the refund: an exact repeat is answered 200, "
    "the same number with other content 409. Lines and amounts together give back no more than was sold; what a refund "
    "told before its sale says too much of is kept as a refused call once the sale comes."
)
REFUNDED_WRONG = {
    409: ("refund_ref_conflict",),
    422: (
        *("currency_mismatch", "currency_not_accepted", "invalid_amount", "invalid_body", "invalid_currency"),
        *("invalid_field", "invalid_lines", "invalid_occurred_at", "invalid_refund", "missing_field", "more_than_sold"),
        "reserved_refund_ref",
        *("order_of_other_campaign", "unknown_campaign", "unknown_line"),
    ),
}
"""The codes that a refund is refused with, by status."""
EXAMPLES = [
    OpenApiExample(
        "An amount",
        request_only=True,
        value={"order_ref": "A-1001", "refund_ref": "R-1", "amount": "25.00", "currency": "EUR"},
    ),
    OpenApiExample(
        "Lines",
        request_only=True,
        value={"order_ref": "A-1001", "refund_ref": "R-2", "lines": [{"position": 2, "quantity": 1}, {"position": 3}]},
    ),
    OpenApiExample(
        "The whole order",
        request_only=True,
        value={"order_ref": "A-1001", "refund_ref": "R-3", "whole": True, "reason": "cancelled"},
    ),
]


class ReturnedLineInput(serializers.Serializer):
    position = serializers.IntegerField(min_value=1, help_text="The line's place in the order, from 1.")
    quantity = serializers.IntegerField(min_value=1, required=False, help_text="Without it: all of it.")


class RefundOfInput(serializers.Serializer):
    """Describes the body; it is read by the same rules as a server-to-server call."""

    refund_ref = serializers.CharField(max_length=120, help_text="The refund's own number.")
    whole = serializers.BooleanField(required=False, help_text="All that is left of the order.")
    amount = serializers.CharField(required=False, help_text="Decimal string, net of VAT: `25.00`.")
    currency = serializers.CharField(max_length=3, required=False, help_text="The order's own; needed before the sale.")
    lines = ReturnedLineInput(many=True, required=False)
    reason = serializers.CharField(required=False, help_text=f"Default: returned. {', '.join(REASONS)}.")
    occurred_at = serializers.DateTimeField(required=False, help_text="With its zone. Default: now.")


class RefundInput(RefundOfInput):
    order_ref = serializers.CharField(max_length=120, help_text="The shop's order number.")
    goal = serializers.CharField(max_length=40, required=False, help_text="Default: SALE.")
    campaign = serializers.CharField(required=False, help_text="The campaign's short name: only its currencies count.")


class RefundTold(serializers.Serializer):
    ok = serializers.BooleanField()
    refund_ref = serializers.CharField()
    conversion = serializers.UUIDField(allow_null=True)
    waits = serializers.BooleanField(help_text="The order is not known yet; the refund counts once it is.")


def refunded(request: Request, conversion: Conversion) -> Response:
    """Take in a refund of a conversion known by its id."""
    with kept_where_refused(request) as call:
        call.fields = request.data
        call.campaign = conversion.campaign
        for name in ("order_ref", "goal", "campaign"):
            if name in request.data:
                raise InvalidField(f"The address says what is refunded: leave `{name}` out.", path=name)
        named = {**request.data, "order_ref": conversion.order_ref, "goal": conversion.goal}
        return answer_once(request, lambda: _told(call, named, conversion.campaign))


def _told(call: Call, fields: Mapping[str, object], campaign: Campaign | None) -> Response:
    received = receive_refund(advertiser=call.advertiser, campaign=campaign, fields=fields, now=timezone.now())
    return Response(received.answer, status=201 if received.created else 200)


class RefundsView(APIView):
    scopes = {"*": Scope.CONVERSIONS_WRITE}
    parser_classes = [ExactJSONParser]

    @extend_schema(
        operation_id="refunds_create",
        tags=["refunds"],
        summary="Refund an order by its number",
        description=f"{REFUND} A refund may come before its sale: it is kept and counts once the sale is known.",
        parameters=[HEADER],
        request=RefundInput,
        examples=EXAMPLES,
        responses={
            201: RefundTold,
            200: OpenApiResponse(RefundTold, description="An exact repeat."),
            **once(REFUNDED_WRONG),
        },
    )
    def post(self, request: Request) -> Response:
        with kept_where_refused(request) as call:
            fields = call.fields = request.data
            named = campaign_of(call.advertiser, fields) if "campaign" in fields else None
            call.campaign = named or _campaign_of_order(call, fields)
            return answer_once(request, lambda: _told(call, fields, named))


def _campaign_of_order(call: Call, fields: Mapping[str, object]) -> Campaign | None:
    """Return the campaign of the order that a call names, for the developer to see if the call is refused."""
    goal, order_ref = read_order_name(fields)
    orders = Conversion.objects.for_advertiser(call.advertiser).select_related("campaign")
    sale = orders.filter(goal=goal, order_ref=order_ref).first()
    return sale.campaign if sale else None
