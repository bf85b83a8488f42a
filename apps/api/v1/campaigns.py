"""Campaigns, read only."""

from __future__ import annotations

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers, viewsets

from apps.campaigns.models import Campaign
from apps.identity.models import Scope


class CampaignSerializer(serializers.ModelSerializer):
    class Meta:
        model = Campaign
        fields = ["id", "slug", "name", "state", "landing_url", "hosts", "currencies", "starts_at", "ends_at"]


@extend_schema_view(
    list=extend_schema(summary="List campaigns", description="Scope: `campaigns:read`."),
    retrieve=extend_schema(summary="Show a campaign", description="Scope: `campaigns:read`."),
)
class CampaignViewSet(viewsets.ReadOnlyModelViewSet):
    scopes = {"*": Scope.CAMPAIGNS_READ}
    serializer_class = CampaignSerializer
    queryset = Campaign.objects.none()
    filterset_fields = ["state", "slug"]

    def get_queryset(self) -> QuerySet[Campaign]:
        return Campaign.objects.for_advertiser(self.request.auth.advertiser)
