"""Decisions at scale: by list or by filter, done by a job that tells its progress and what came of each row."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

import django_filters
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.api.access import actor_of
from apps.api.fields import AmountField
from apps.api.idempotency import HEADER, answer_once
from apps.api.paging import KeysetPagination
from apps.api.parsing import ExactJSONParser
from apps.api.schema import once, refusals
from apps.campaigns.models import Campaign
from apps.commissions.models import DecisionState
from apps.commissions.selections import Selection
from apps.core.errors import Invalid
from apps.core.periods import day_of
from apps.identity.models import Advertiser, Scope
from apps.partners.models import Partner
from apps.pipeline.rules.listed import STATES, InvalidDecision
from apps.pipeline.services.deciding import REASONS_OF
from apps.pipeline.services.deciding_jobs import (
    KINDS,
    CountDiffers,
    ask_by_filter,
    ask_by_list,
    cancel_job,
    foresee_filter,
    undo_job,
)
from apps.records.models import Job, JobItem, JobItemOutcome
from apps.tracking.rules.fields import InvalidField, flag_of, text_of

LISTED, FILTERED = {"items"}, {"decision", "reason", "note", "filter", "as_of", "dry_run", "expected"}
FILTERS = ("campaign", "partner", "order_ref", "goal", "occurred_from", "occurred_to", "status")
LOCKED = "LOCKED"
REASONS = sorted({reason for known in REASONS_OF.values() for reason in known})
REASONS_TOLD = " ".join(
    f"To {verb}: {', '.join(f'`{reason}`' for reason in REASONS_OF[state])}."
    for verb, state in (("reject or correct", "REJECTED"), ("hold", "ON_HOLD"))
)
ASKED_WRONG = (
    *("filter_empty", "invalid_body", "invalid_decision", "invalid_field", "items_or_filter", "moment_to_come"),
    *("nothing_asked", "reason_needed", "too_many_items", "unknown_reason"),
)
"""The codes that decisions asked for are refused with."""


class ItemsOrFilter(Invalid):
    code = "items_or_filter"
    message = "Send either `items`, or `decision` with a `filter`."


class FilterEmpty(Invalid):
    code = "filter_empty"
    message = f"An empty filter would be every conversion. Name one of: {', '.join(FILTERS)}."


class ItemInput(serializers.Serializer):
    id = serializers.UUIDField(required=False, help_text="The conversion's id; or:")
    order_ref = serializers.CharField(max_length=120, required=False)
    goal = serializers.CharField(max_length=40, required=False, help_text="Default: SALE.")
    decision = serializers.ChoiceField(choices=list(STATES), help_text="`correct` lowers the amount.")
    reason = serializers.ChoiceField(choices=REASONS, required=False, help_text=REASONS_TOLD)
    note = serializers.CharField(max_length=300, required=False)
    lines = serializers.ListField(
        child=serializers.IntegerField(min_value=1), required=False, help_text="Reject these positions only."
    )
    skus = serializers.ListField(child=serializers.CharField(), required=False, help_text="The same, by SKU.")
    amount = serializers.CharField(required=False, help_text="What the order is worth now, net: `80.00`.")


class FilterInput(serializers.Serializer):
    campaign = serializers.CharField(required=False, help_text="Short name.")
    partner = serializers.CharField(required=False, help_text="Short name: conversions that it has a share in.")
    order_ref = serializers.CharField(required=False)
    goal = serializers.CharField(required=False)
    occurred_from = serializers.DateTimeField(required=False)
    occurred_to = serializers.DateTimeField(required=False, help_text="Excluded itself.")
    status = serializers.CharField(required=False, help_text=f"One of {', '.join([*DecisionState.values, LOCKED])}.")


class DecisionsInput(serializers.Serializer):
    items = ItemInput(many=True, required=False, help_text="At most 40,000.")
    decision = serializers.ChoiceField(choices=["approve", "reject", "hold", "release"], required=False)
    reason = serializers.ChoiceField(choices=REASONS, required=False, help_text=REASONS_TOLD)
    note = serializers.CharField(max_length=300, required=False)
    filter = FilterInput(required=False, help_text="At least one of its fields is named; an empty one is refused.")
    as_of = serializers.DateTimeField(
        required=False, help_text="What came or changed later is left alone. Default: now."
    )
    dry_run = serializers.BooleanField(
        required=False, help_text="Of a filter: answer 200 with what it would move, and write nothing."
    )
    expected = serializers.IntegerField(
        required=False, min_value=0, help_text="Of a filter: how many it is to move; otherwise 409 and nothing is done."
    )


SUMS_TOLD = "Null unless the key has `conversions:read` too."


class SumSerializer(serializers.Serializer):
    currency = serializers.CharField()
    amount = AmountField(source="minor")


class WouldMoveSerializer(serializers.Serializer):
    """What a decision by filter would do now; sums are null for a key that may not read conversions."""

    would_move = serializers.IntegerField(source="weight.count", help_text="Conversions; send it as `expected`.")
    left_out = serializers.IntegerField(help_text="Conversions of the filter that cannot move there.")
    by_status = serializers.DictField(child=serializers.IntegerField(), source="weight.by_state")
    amounts = SumSerializer(
        many=True,
        source="weight.amounts",
        allow_null=True,
        help_text=f"What is left of the orders, by currency. {SUMS_TOLD}",
    )
    commissions = SumSerializer(many=True, source="weight.commissions", allow_null=True, help_text=SUMS_TOLD)
    as_of = serializers.DateTimeField(help_text="Send it as `as_of`, and nothing that came since is decided.")


class JobSerializer(serializers.ModelSerializer):
    asked = serializers.JSONField(source="content", read_only=True)
    asked_by = serializers.CharField(source="actor_name", read_only=True)
    looked_at = serializers.IntegerField(source="done", read_only=True)

    class Meta:
        model = Job
        fields = [
            *("id", "kind", "state", "total", "looked_at", "moved", "refused", "as_of", "asked", "asked_by", "error"),
            *("started_at", "finished_at"),
        ]


class JobItemSerializer(serializers.ModelSerializer):
    asked = serializers.JSONField(source="content", read_only=True)

    class Meta:
        model = JobItem
        fields = ["number", "outcome", "code", "message", "asked"]


class DecisionsView(APIView):
    scopes = {"post": Scope.CONVERSIONS_DECIDE}
    parser_classes = [ExactJSONParser]

    @extend_schema(
        summary="Decide many conversions",
        description="Scope: `conversions:decide`. Answers at once with a job; workers do it in chunks. Rows are told "
        "apart: one that is refused stops none of the others. The same list again changes nothing. With a filter, "
        "`dry_run` answers first how much it is, and `expected` makes sure that it still is so much. The dry run tells "
        "sums of money only to a key that has `conversions:read` too; to others they are null.",
        parameters=[HEADER],
        request=DecisionsInput,
        responses={
            200: OpenApiResponse(WouldMoveSerializer, description="With `dry_run`: what it would do."),
            202: OpenApiResponse(JobSerializer, description="The job; see `/jobs/{id}/`."),
            **once({409: ("count_differs", "job_key_reused"), 422: ASKED_WRONG}),
        },
        examples=[
            OpenApiExample(
                "A list",
                request_only=True,
                value={
                    "items": [
                        {"order_ref": "A-1001", "decision": "approve"},
                        {"order_ref": "A-1002", "decision": "reject", "reason": "cancelled"},
                        {"order_ref": "A-1003", "decision": "reject", "reason": "returned", "lines": [2]},
                    ]
                },
            ),
            OpenApiExample(
                "A filter",
                request_only=True,
                value={
                    "decision": "approve",
                    "filter": {"status": "PENDING", "occurred_to": "2026-03-01T00:00:00Z"},
                    "expected": 75,
                },
            ),
            OpenApiExample(
                "What a filter would move",
                request_only=True,
                value={
                    "decision": "hold",
                    "reason": "suspicious",
                    "filter": {"partner": "wanderblog", "status": "PENDING"},
                    "dry_run": True,
                },
            ),
        ],
    )
    def post(self, request: Request) -> Response:
        told = request.data
        for name in told:
            if name not in LISTED | FILTERED:
                raise InvalidField(f"There is no field {name[:40]!r}.", path=name[:40])
        if "items" in told and (beside := sorted(FILTERED & told.keys() - {"filter"})):
            raise InvalidField(f"`{beside[0]}` goes with a filter; items name their own.", path=beside[0])
        if flag_of(told, "dry_run"):
            return self._foresee(request)
        return answer_once(request, lambda: self._ask(request))

    def _foresee(self, request: Request) -> Response:
        """Answer what a filter would move; nothing is written, not even under the call's key."""
        told, advertiser, now = request.data, request.auth.advertiser, timezone.now()
        foreseen = foresee_filter(advertiser=advertiser, **read_asked(told, advertiser, now), now=now)
        expected = number_of(told, "expected")
        if expected not in (None, foreseen.weight.count):
            raise CountDiffers(f"It would move {foreseen.weight.count:,} conversions, not {expected:,}.")
        answer = dict(WouldMoveSerializer(foreseen).data)
        if Scope.CONVERSIONS_READ not in request.auth.scopes:
            answer |= {"amounts": None, "commissions": None}
        return Response(answer)

    def _ask(self, request: Request) -> Response:
        told: Mapping[str, Any] = request.data
        if ("items" in told) == ("filter" in told):
            raise ItemsOrFilter
        now = timezone.now()
        call: dict[str, Any] = {
            "advertiser": request.auth.advertiser,
            "actor": actor_of(request),
            "key": f"api:{request.headers.get('Idempotency-Key') or uuid4().hex}"[:200],
            "now": now,
        }
        if "items" in told:
            items = told["items"]
            if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
                raise InvalidField("`items` is a list of objects.", path="items")
            asked = ask_by_list(items=[{k: v for k, v in item.items() if k != "row"} for item in items], **call)
        else:
            meant = read_asked(told, call["advertiser"], now)
            asked = ask_by_filter(
                **meant, note=text_of(told, "note", 300), expected=number_of(told, "expected"), **call
            )
        return Response(JobSerializer(asked.job).data, status=202)


def read_asked(told: Mapping[str, Any], advertiser: Advertiser, now: datetime) -> dict[str, Any]:
    """Return selection, state, reason and moment of a decision by filter.

    Raises ItemsOrFilter, InvalidDecision, InvalidField, FilterEmpty.
    """
    if "filter" not in told:
        raise ItemsOrFilter
    decision = text_of(told, "decision", 10)
    if not STATES.get(decision):
        raise InvalidDecision("`decision` is approve, reject, hold or release.", path="decision")
    selection = read_filter(told["filter"], advertiser, now)
    if selection == Selection():
        raise FilterEmpty(path="filter")
    return {
        "selection": selection,
        "state": STATES[decision],
        "reason": text_of(told, "reason", 20),
        "as_of": _moment(told, "as_of") or now,
    }


def number_of(told: Mapping[str, Any], name: str) -> int | None:
    """Return a whole number of a body whose numbers stay texts, or None. Raises InvalidField."""
    text = text_of(told, name, 10)
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        raise InvalidField(f"`{name}` is a whole number.", path=name)
    return int(text)


def read_filter(told: Any, advertiser: Advertiser, now: datetime) -> Selection:
    """Return what a filter selects; a name that is not known selects nothing. Raises InvalidField."""
    if not isinstance(told, Mapping):
        raise InvalidField("`filter` is an object.", path="filter")
    for name in told:
        if name not in FILTERS:
            raise InvalidField(f"There is no such filter; there are: {', '.join(FILTERS)}.", path=f"filter.{name[:40]}")
    status, today = text_of(told, "status", 10), day_of(now, advertiser.zone)
    if status and status not in (*DecisionState.values, LOCKED):
        raise InvalidField("There is no such status.", path="filter.status")
    state = DecisionState.APPROVED.value if status == LOCKED else status
    campaign, partner = text_of(told, "campaign", 80), text_of(told, "partner", 80)
    campaigns = Campaign.objects.for_advertiser(advertiser).filter(slug=campaign).values_list("pk", flat=True)
    partners = Partner.objects.filter(slug=partner, partnerships__advertiser=advertiser).values_list("pk", flat=True)
    return Selection(
        states=(state,) if state else (),
        campaign_id=campaigns.first() or 0 if campaign else None,
        partner_id=partners.first() or 0 if partner else None,
        order_ref=text_of(told, "order_ref", 120),
        goal=text_of(told, "goal", 40),
        since=_moment(told, "occurred_from"),
        until=_moment(told, "occurred_to"),
        locks_until=today if status == LOCKED else None,
        locks_after=today if status == DecisionState.APPROVED else None,
    )


def _moment(told: Mapping[str, Any], name: str) -> datetime | None:
    text = text_of(told, name, 40)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InvalidField(f"`{name}` is an ISO 8601 time with its zone.", path=name)
    return moment


class JobFilter(django_filters.FilterSet):
    class Meta:
        model = Job
        fields = ["kind", "state"]


DECIDE = "Scope: `conversions:decide`."


@extend_schema_view(
    list=extend_schema(summary="List jobs of decisions", description=DECIDE),
    retrieve=extend_schema(summary="Show how far a job is", description=DECIDE),
)
class JobViewSet(viewsets.ReadOnlyModelViewSet):
    scopes = {"*": Scope.CONVERSIONS_DECIDE}
    serializer_class = JobSerializer
    queryset = Job.objects.none()
    filterset_class = JobFilter
    lookup_value_converter = "int"
    parser_classes = [ExactJSONParser]

    def get_queryset(self) -> QuerySet[Job]:
        return Job.objects.for_advertiser(self.request.auth.advertiser).filter(kind__in=KINDS)

    @extend_schema(
        summary="What came of each row",
        description=f"{DECIDE} `outcome` narrows to WAITING, DONE, UNCHANGED or REFUSED; of a job by filter only "
        "refused conversions are kept.",
        parameters=[],
        responses=JobItemSerializer(many=True),
    )
    @action(detail=True, methods=["get"], filter_backends=[])
    def items(self, request: Request, pk: int) -> Response:
        rows = self.get_object().items.all()
        outcome = request.query_params.get("outcome")
        if outcome is not None:
            if outcome not in JobItemOutcome.values:
                raise InvalidField("There is no such outcome.", path="outcome")
            rows = rows.filter(outcome=outcome)
        pages = ItemPages()
        return pages.get_paginated_response(
            JobItemSerializer(pages.paginate_queryset(rows, request, self), many=True).data
        )

    @extend_schema(
        summary="Stop a job",
        description=f"{DECIDE} What it decided stays.",
        request=None,
        responses={200: JobSerializer, **refusals({409: ("job_over",)})},
    )
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def cancel(self, request: Request, pk: int) -> Response:
        return self._act(request, cancel_job)

    @extend_schema(
        summary="Undo a job",
        description=f"{DECIDE} Holds and releases only, once it is over. Answers with the new job.",
        request=None,
        responses={200: JobSerializer, **refusals({409: ("job_running", "not_undoable")})},
    )
    @action(detail=True, methods=["post"], pagination_class=None, filter_backends=[])
    def undo(self, request: Request, pk: int) -> Response:
        return self._act(request, undo_job)

    def _act(self, request: Request, verb: Any) -> Response:
        found = verb(
            advertiser=request.auth.advertiser,
            job_id=self.get_object().pk,
            actor=actor_of(request),
            now=timezone.now(),
        )
        return Response(JobSerializer(getattr(found, "job", found)).data)


class ItemPages(KeysetPagination):
    ordering = "number"
