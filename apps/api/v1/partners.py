"""The advertiser's partners, read only: the partner and the relationship with it."""

from __future__ import annotations

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers, viewsets

from apps.identity.models import Scope
from apps.partners.models import Partnership, PartnershipState


class PartnerSerializer(serializers.ModelSerializer):
    id = serializers.IntegerField(source="partner_id", read_only=True)
    slug = serializers.CharField(source="partner.slug", read_only=True)
    name = serializers.CharField(source="partner.name", read_only=True)
    kind = serializers.CharField(source="partner.kind", read_only=True)
    website = serializers.CharField(source="partner.website", read_only=True)
    group = serializers.CharField(source="group.slug", read_only=True, default=None, allow_null=True)

    class Meta:
        model = Partnership
        fields = ["id", "slug", "name", "kind", "website", "group", "state", "state_since", "self_billing_on"]


class PartnerFilter(django_filters.FilterSet):
    state = django_filters.ChoiceFilter(choices=PartnershipState.choices)
    group = django_filters.CharFilter(field_name="group__slug")


@extend_schema_view(
    list=extend_schema(summary="List partners", description="Scope: `partners:read`."),
    retrieve=extend_schema(summary="Show a partner", description="Scope: `partners:read`."),
)
class PartnerViewSet(viewsets.ReadOnlyModelViewSet):
    scopes = {"*": Scope.PARTNERS_READ}
    serializer_class = PartnerSerializer
    queryset = Partnership.objects.none()
    filterset_class = PartnerFilter
    lookup_field = "partner_id"
    lookup_url_kwarg = "id"
    lookup_value_converter = "int"

    def get_queryset(self) -> QuerySet[Partnership]:
        return Partnership.objects.for_advertiser(self.request.auth.advertiser).select_related("partner", "group")
