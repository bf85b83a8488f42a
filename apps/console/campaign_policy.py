"""A campaign's attribution policy in words, version by version."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from apps.attribution.models import AttributionPolicy, version_at
from apps.campaigns.models import Campaign
from apps.console import words
from apps.console.campaign_tabs import tabs


def policy_page(model_admin: Any, request: HttpRequest, campaign: Campaign) -> HttpResponse:
    now = timezone.now()
    policy = AttributionPolicy.objects.filter(campaign=campaign).first()
    versions = list(policy.versions.all()) if policy else []
    current = version_at(versions, now)
    return model_admin.page(
        request,
        "console/campaign_policy.html",
        campaign.name,
        campaign=campaign,
        policy=policy,
        current=current,
        said=words.policy(current.settings) if current else [],
        versions=[
            (version, words.MODELS.get(version.settings["model"], ("",))[0], words.policy(version.settings))
            for version in versions
        ],
        may_change=model_admin.has_change_permission(request),
        now=now,
        **tabs(campaign.pk, "attribution"),
    )
