"""Addresses of this door: every page is registered with the console's site by the module that draws it."""

from django.urls import URLPattern, URLResolver, path

from apps.console import (
    bench,
    campaign_tracking,
    campaigns,
    claims,
    closing,
    connect,
    conversions,
    coupons,
    decision_jobs,
    evidence,
    invoices,
    issuing,
    outbox,
    partners,
    parts,
    persons,
    refunds,
    review,
    statements,
    team,
    touches,
)
from apps.console.site import site

PAGES = (
    bench,
    campaign_tracking,
    campaigns,
    claims,
    closing,
    connect,
    conversions,
    coupons,
    decision_jobs,
    evidence,
    invoices,
    issuing,
    outbox,
    partners,
    parts,
    persons,
    refunds,
    review,
    statements,
    team,
    touches,
)

urlpatterns: list[URLPattern | URLResolver] = [path("", site.urls)]
