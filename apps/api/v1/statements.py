"""Statements, read only."""

from __future__ import annotations

from datetime import date, timedelta

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers, viewsets

from apps.api.fields import AmountField
from apps.identity.models import Scope
from apps.statements.models import Statement


class StatementSerializer(serializers.ModelSerializer):
    partner = serializers.CharField(source="partner.slug", read_only=True)
    first_on = serializers.DateField(source="period.lower", read_only=True)
    last_on = serializers.SerializerMethodField()
    opening = AmountField(source="opening_minor")
    earned = AmountField(source="earned_minor")
    payable = AmountField(source="payable_minor")
    carried = AmountField(source="carried_minor")

    class Meta:
        model = Statement
        fields = [
            *("id", "partner", "first_on", "last_on", "currency", "opening", "earned", "payable", "carried"),
            *("line_count", "issued_at", "sha256"),
        ]

    def get_last_on(self, statement: Statement) -> date:
        return statement.period.upper - timedelta(days=1)


@extend_schema_view(
    list=extend_schema(summary="List statements", description="Scope: `finance:read`."),
    retrieve=extend_schema(summary="Show a statement", description="Scope: `finance:read`."),
)
class StatementViewSet(viewsets.ReadOnlyModelViewSet):
    scopes = {"*": Scope.FINANCE_READ}
    serializer_class = StatementSerializer
    queryset = Statement.objects.none()
    filterset_fields = {"partner__slug": ["exact"], "currency": ["exact"]}

    def get_queryset(self) -> QuerySet[Statement]:
        return Statement.objects.for_advertiser(self.request.auth.advertiser).select_related("partner")
