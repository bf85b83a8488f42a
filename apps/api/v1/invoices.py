"""Invoices, read only, and their PDF."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request

from apps.api.fields import AmountField
from apps.core.errors import Conflict
from apps.identity.models import Scope
from apps.invoices.models import Invoice


class DocumentNotReady(Conflict):
    code = "document_not_ready"
    message = "The PDF is being made: ask again in a moment."


class InvoiceSerializer(serializers.ModelSerializer):
    partner = serializers.CharField(source="partner.slug", read_only=True)
    net = AmountField(source="net_minor")
    vat = AmountField(source="vat_minor")
    gross = AmountField(source="gross_minor")

    class Meta:
        model = Invoice
        fields = ["id", "number", "kind", "partner", "issued_on", "currency", "net", "vat", "gross", "pay_on"]


@extend_schema_view(
    list=extend_schema(summary="List invoices", description="Scope: `finance:read`."),
    retrieve=extend_schema(summary="Show an invoice", description="Scope: `finance:read`."),
)
class InvoiceViewSet(viewsets.ReadOnlyModelViewSet):
    scopes = {"*": Scope.FINANCE_READ}
    serializer_class = InvoiceSerializer
    queryset = Invoice.objects.none()
    filterset_fields = {"partner__slug": ["exact"], "number": ["exact"], "issued_on": ["gte", "lte"]}

    def get_queryset(self) -> QuerySet[Invoice]:
        invoices = Invoice.objects.for_advertiser(self.request.auth.advertiser)
        return invoices.select_related("partner").defer("content")

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        # `Accept: application/pdf` is what a client of the PDF says; refusals are JSON all the same.
        return super().perform_content_negotiation(request, force=force or self.action == "pdf")

    @extend_schema(
        summary="Download an invoice's PDF",
        description="Scope: `finance:read`. The bytes never change. Right after the issue the PDF is still being "
        "made: 409 `document_not_ready`.",
        responses={(200, "application/pdf"): OpenApiTypes.BINARY},
    )
    @action(detail=True, methods=["get"], pagination_class=None, filter_backends=[])
    def pdf(self, request: Request, pk: str | None = None) -> HttpResponse:
        document = self.get_object().document
        if document is None:
            raise DocumentNotReady
        headers = {"Content-Disposition": f'attachment; filename="{document.name}"', "ETag": f'"{document.sha256}"'}
        return HttpResponse(bytes(document.content), content_type=document.media_type, headers=headers)
