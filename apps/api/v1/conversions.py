"""Conversions: told, listed, explained, decided."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

import django_filters
from django.db.models import BigIntegerField, Case, OuterRef, Prefetch, Q, QuerySet, Subquery, Sum, When
from django.db.models.functions import Coalesce
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_field, extend_schema_view
from rest_framework import serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.access import actor_of
from apps.api.fields import AmountField, LaterAmountField
from apps.api.idempotency import HEADER, answer_once
from apps.api.parsing import ExactJSONParser
from apps.api.schema import once, refusals
from apps.api.v1.refunds import EXAMPLES as REFUND_EXAMPLES
from apps.api.v1.refunds import REFUND, REFUNDED_WRONG, RefundOfInput, RefundTold, refunded
from apps.api.v1.telling import (
    BATCH_ANSWER,
    BATCH_EXAMPLE,
    DUPLICATE,
    LOCKED,
    SALE_EXAMPLE,
    STATUSES,
    TEST,
    TOLD_WRONG,
    UPDATE_EXAMPLE,
    BatchInput,
    BatchTold,
    ConversionInput,
    ConversionTold,
    campaign_of,
    kept_where_refused,
    told,
    told_batch,
)
from apps.commissions.models import Commission, Decision, DecisionState, Reason, is_locked
from apps.commissions.worth import worths_of
from apps.core.periods import day_of
from apps.identity.models import Advertiser, Scope
from apps.pipeline.receipts import explain_conversion
from apps.pipeline.services.deciding import approve_conversions, reject_conversions
from apps.tracking.facts import amendments_of
from apps.tracking.models import Conversion, ConversionLine
from apps.tracking.rules.fields import text_of

TOLD_ANEW = {"amount_minor", "discount_minor", "coupons", "new_customer", "country"}


class RejectionInput(serializers.Serializer):
    reason = serializers.ChoiceField(choices=Reason.choices)
    note = serializers.CharField(max_length=300, required=False)


class LineSerializer(serializers.ModelSerializer):
    unit_price = AmountField(source="unit_price_minor", currency="conversion.currency")

    class Meta:
        model = ConversionLine
        fields = ["position", "sku", "name", "category", "shop_category", "quantity", "unit_price"]


class ConversionSerializer(serializers.ModelSerializer):
    campaign = serializers.CharField(source="campaign.slug", read_only=True)
    amount = AmountField(source="amount_minor", help_text="As it was told last, and so are discount and codes.")
    amount_left = AmountField(source="left_minor", help_text="What refunds have left of the amount.")
    discount = AmountField(source="discount_minor")
    test = serializers.BooleanField(source="is_test", read_only=True)
    status = serializers.SerializerMethodField()
    duplicate_of = serializers.UUIDField(
        source="duplicate.original_id",
        read_only=True,
        default=None,
        allow_null=True,
        help_text="The first.",
    )
    reason = serializers.CharField(source="decision.reason", read_only=True, default=None, allow_null=True)
    decided_at = serializers.DateTimeField(source="decision.decided_at", read_only=True, default=None, allow_null=True)
    decide_by = serializers.DateField(source="decision.decide_by", read_only=True, default=None, allow_null=True)
    locks_on = serializers.DateField(source="decision.locks_on", read_only=True, default=None, allow_null=True)
    pays_on = serializers.DateField(source="decision.pays_on", read_only=True, default=None, allow_null=True)
    commission = LaterAmountField(source="commission_minor", help_text="Null until the conversion is settled.")

    class Meta:
        model = Conversion
        fields = [
            *("id", "campaign", "goal", "order_ref", "occurred_at", "recorded_at", "amount", "discount", "currency"),
            "amount_left",
            *("coupons", "new_customer", "country", "test", "status", "reason", "decided_at", "decide_by"),
            *("locks_on", "pays_on", "commission", "duplicate_of"),
        ]

    @extend_schema_field(serializers.ChoiceField(choices=STATUSES))
    def get_status(self, conversion: Conversion) -> str:
        if conversion.is_test:
            return TEST
        if hasattr(conversion, "duplicate"):
            return DUPLICATE
        return status_of(getattr(conversion, "decision", None), self.context["today"])


class ConversionDetailSerializer(ConversionSerializer):
    lines = serializers.SerializerMethodField()

    class Meta(ConversionSerializer.Meta):
        fields = [*ConversionSerializer.Meta.fields, "lines"]

    @extend_schema_field(LineSerializer(many=True))
    def get_lines(self, conversion: Conversion) -> list[dict[str, Any]]:
        return LineSerializer(lines_of(conversion), many=True).data


class ConversionFilter(django_filters.FilterSet):
    campaign = django_filters.CharFilter(field_name="campaign__slug")
    order_ref = django_filters.CharFilter()
    goal = django_filters.CharFilter()
    occurred_from = django_filters.IsoDateTimeFilter(field_name="occurred_at", lookup_expr="gte")
    occurred_to = django_filters.IsoDateTimeFilter(field_name="occurred_at", lookup_expr="lt", label="excluded itself")
    status = django_filters.ChoiceFilter(choices=[(name, name) for name in STATUSES], method="filter_status")

    def filter_status(self, queryset: QuerySet[Conversion], name: str, status: str) -> QuerySet[Conversion]:
        queryset = queryset.filter(is_test=status == TEST)
        if status != TEST:
            queryset = queryset.filter(duplicate__isnull=status != DUPLICATE)
        if status in {TEST, DUPLICATE}:
            return queryset
        if status == DecisionState.PENDING:
            return queryset.filter(Q(decision__isnull=True) | Q(decision__state=status))
        if status not in {DecisionState.APPROVED, LOCKED}:
            return queryset.filter(decision__state=status)
        locked = Q(decision__locks_on__lte=today_of(self.request.auth.advertiser))
        return queryset.filter(locked if status == LOCKED else ~locked, decision__state=DecisionState.APPROVED)


def today_of(advertiser: Advertiser) -> date:
    return day_of(timezone.now(), advertiser.zone)


def status_of(decision: Decision | None, today: date) -> str:
    """Return the one word a machine asks for: the decision's state, or LOCKED."""
    if decision is None:
        return DecisionState.PENDING
    return LOCKED if is_locked(decision, today) else decision.state


def put_what_was_told_last(conversions: Sequence[Conversion]) -> None:
    """Let rows show what was told last, and what refunds have left; five queries, however many there are."""
    ids = [row.pk for row in conversions]
    amendments, worths = amendments_of(ids), worths_of(ids)
    for row in conversions:
        newest = amendments.get(str(row.pk))
        content = newest.content if newest else {}
        for name in TOLD_ANEW & content.keys():
            setattr(row, name, content[name])
        row.left_minor = worths[str(row.pk)].left_minor
        row.anew = content.get("lines")


def lines_of(conversion: Conversion) -> list[ConversionLine]:
    """Return the lines told last; an amendment tells no names, and a line keeps that of its SKU."""
    first = list(conversion.lines.all())
    if not isinstance(conversion.anew, list):
        return first
    names = {line.sku: line.name for line in first if line.sku}
    return [
        ConversionLine(conversion=conversion, position=place, name=names.get(line["sku"], ""), **line)
        for place, line in enumerate(conversion.anew, 1)
    ]


READ = "Scope: `conversions:read`."
UNDECIDABLE = ("already_decided", "conversion_unsettled")
UNREASONED = ("invalid_body", "invalid_field", "reason_needed", "unknown_reason")
DECIDE = "Scope: `conversions:decide`. The same decision again changes nothing."


@extend_schema_view(
    list=extend_schema(summary="List conversions", description=READ),
    retrieve=extend_schema(summary="Show a conversion with its lines", description=READ),
)
class ConversionViewSet(viewsets.ReadOnlyModelViewSet):
    scopes = {
        "create": Scope.CONVERSIONS_WRITE,
        "batch": Scope.CONVERSIONS_WRITE,
        "refund": Scope.CONVERSIONS_WRITE,
        "list": Scope.CONVERSIONS_READ,
        "retrieve": Scope.CONVERSIONS_READ,
        "receipt": Scope.CONVERSIONS_READ,
        "approve": Scope.CONVERSIONS_DECIDE,
        "reject": Scope.CONVERSIONS_DECIDE,
    }
    queryset = Conversion.objects.none()
    parser_classes = [ExactJSONParser]
    filterset_class = ConversionFilter
    lookup_value_converter = "uuid"

    def get_serializer(self, *args: Any, **options: Any) -> serializers.BaseSerializer:
        if args:
            put_what_was_told_last(args[0] if options.get("many") else [args[0]])
        return super().get_serializer(*args, **options)

    def get_serializer_class(self) -> type[serializers.BaseSerializer]:
        return ConversionSerializer if self.action == "list" else ConversionDetailSerializer

    def get_serializer_context(self) -> dict[str, Any]:
        context = super().get_serializer_context()
        auth = getattr(self.request, "auth", None)
        return {**context, "today": today_of(auth.advertiser)} if auth else context

    def get_queryset(self) -> QuerySet[Conversion]:
        payable = Commission.objects.filter(conversion=OuterRef("pk"), payable=True).order_by().values("conversion")
        total = Subquery(payable.annotate(total=Sum("amount_minor")).values("total"), output_field=BigIntegerField())
        conversions = (
            Conversion.objects.for_advertiser(self.request.auth.advertiser)
            .select_related("campaign", "decision", "duplicate")
            .annotate(commission_minor=Case(When(receipt__isnull=False, then=Coalesce(total, 0))))
        )
        if self.action == "list":
            return conversions
        lines = ConversionLine.objects.order_by("position").select_related("conversion")
        return conversions.prefetch_related(Prefetch("lines", lines))

    @extend_schema(
        summary="Tell of a conversion",
        description="Scope: `conversions:write`. The natural key is advertiser, goal and `order_ref`: an exact repeat "
        "is answered 200 with the same id, the same key with other content 409 `order_ref_conflict`. "
        "Amounts are decimal strings with a point; `1.083,29` and `1,083.29` are 422 `invalid_amount`. "
        "With `update` it amends what was told: while the decision is open the conversion is settled anew, afterwards "
        "the difference is booked as a correction. A customer whom only the update names joins the order; once it is "
        "decided, nothing is shared anew. The call's fields are kept apart for thirty days; of the caller's address "
        "and program nothing is: it is the shop's server, not the customer's browser.",
        parameters=[HEADER],
        request=ConversionInput,
        examples=[SALE_EXAMPLE, UPDATE_EXAMPLE],
        responses={
            201: ConversionTold,
            200: OpenApiResponse(ConversionTold, description="An exact repeat."),
            **once(TOLD_WRONG),
        },
    )
    def create(self, request: Request) -> Response:
        with kept_where_refused(request) as call:
            call.fields = request.data
            campaign = call.campaign = campaign_of(call.advertiser, request.data)
            return answer_once(request, lambda: told(campaign, request.data))

    @extend_schema(
        summary="Tell of many conversions",
        description="Scope: `conversions:write`. Each row is taken in by itself and answered as it would be alone; "
        "sending the same batch again changes nothing.",
        parameters=[HEADER],
        request=BatchInput,
        examples=[BATCH_EXAMPLE, BATCH_ANSWER],
        responses={200: BatchTold, **once({422: ("invalid_batch", "invalid_body")})},
    )
    @action(detail=False, methods=["post"], pagination_class=None, filter_backends=[])
    def batch(self, request: Request) -> Response:
        with kept_where_refused(request) as call:
            call.fields = {"batch": "conversions"}
            content = request.data
            return answer_once(request, lambda: told_batch(call.advertiser, content))

    @extend_schema(
        summary="Refund a conversion",
        description=f"{REFUND} Whole, by amount or by lines: one of the three. After approval it becomes a correction.",
        parameters=[HEADER],
        request=RefundOfInput,
        examples=REFUND_EXAMPLES,
        responses={
            201: RefundTold,
            200: OpenApiResponse(RefundTold, description="An exact repeat."),
            **once({404: ("not_found",), **REFUNDED_WRONG}),
        },
    )
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def refund(self, request: Request, pk: UUID) -> Response:
        return refunded(request, self.get_object())

    @extend_schema(
        summary="Explain a conversion", description=f"{READ} The long receipt.", responses=OpenApiTypes.OBJECT
    )
    @action(detail=True, methods=["get"], pagination_class=None, filter_backends=[])
    def receipt(self, request: Request, pk: UUID) -> Response:
        return Response(explain_conversion(self.get_object().pk))

    @extend_schema(
        summary="Approve a conversion",
        description=DECIDE,
        request=None,
        responses={200: ConversionDetailSerializer, **refusals({409: UNDECIDABLE})},
    )
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def approve(self, request: Request, pk: UUID) -> Response:
        approve_conversions(
            advertiser=request.auth.advertiser,
            conversion_ids=[self.get_object().pk],
            actor=actor_of(request),
            now=timezone.now(),
        )
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(
        summary="Reject a conversion",
        description=DECIDE,
        request=RejectionInput,
        responses={
            200: ConversionDetailSerializer,
            **refusals({409: (*UNDECIDABLE, "conversion_locked"), 422: UNREASONED}),
        },
    )
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def reject(self, request: Request, pk: UUID) -> Response:
        reject_conversions(
            advertiser=request.auth.advertiser,
            conversion_ids=[self.get_object().pk],
            reason=text_of(request.data, "reason", 20),
            note=text_of(request.data, "note", 300),
            actor=actor_of(request),
            now=timezone.now(),
        )
        return Response(self.get_serializer(self.get_object()).data)
