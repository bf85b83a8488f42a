"""How a shop is connected: addresses, snippets to copy, and what has just come in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.db.models import Exists, OuterRef
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.campaigns.models import Campaign, TrackingLink
from apps.campaigns.services import rotate_secret
from apps.console.access import access_of, actor_of
from apps.console.campaign_tabs import tabs
from apps.console.site import site
from apps.console.tracking_words import FIELDS, IDENTITY_FIELDS, REFUND_FIELDS, REFUSALS
from apps.identity.models import Advertiser
from apps.tracking.models import Amendment, AmendmentOrigin, Conversion, Refund, RejectedEvent
from apps.tracking.rules.refunds import OWN

LATEST = 50

CURL = """curl -X POST '{address}' \\
  -d order_ref=A-1001 \\
  -d amount=100.00 -d currency={currency} \\
  -d tclid="$TCLID\""""

BASKET = """curl -X POST '{address}' \\
  -H 'Content-Type: application/json' \\
  -d '{{"tclid": "'"$TCLID"'", "order_ref": "A-1002", "currency": "{currency}",
  "lines": [{{"sku": "B-7", "name": "Boots", "category": "SHOES", "quantity": 1, "unit_price": "79.00"}},
            {{"sku": "S-1", "name": "Socks", "quantity": 3, "unit_price": "7.00", "discount": "1.00"}}],
  "discount": "9.00", "amount": "90.00", "coupon": ["SAVE10"], "new_customer": true}}'"""

PYTHON = """import hashlib, hmac, time
from urllib.parse import quote, urlencode
from urllib.request import urlopen

secret = "YOUR SIGNING SECRET"
fields = {{"order_ref": "A-1001", "amount": "100.00", "currency": "{currency}",
          "tclid": tclid, "ts": str(int(time.time()))}}
text = "&".join(sorted(f"{{quote(k, safe='')}}={{quote(v, safe='')}}" for k, v in fields.items()))
fields["sig"] = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
urlopen("{address}", data=urlencode(fields).encode())"""

PHP = """<?php
$secret = 'YOUR SIGNING SECRET';
$fields = ['order_ref' => 'A-1001', 'amount' => '100.00', 'currency' => '{currency}',
           'tclid' => $tclid, 'ts' => (string) time()];
$parts = [];
foreach ($fields as $name => $value) {{
    $parts[] = rawurlencode($name) . '=' . rawurlencode($value);
}}
sort($parts, SORT_STRING);
$fields['sig'] = hash_hmac('sha256', implode('&', $parts), $secret);
$call = curl_init('{address}');
curl_setopt_array($call, [CURLOPT_POSTFIELDS => http_build_query($fields), CURLOPT_RETURNTRANSFER => true]);
echo curl_exec($call);"""


@dataclass(frozen=True, slots=True)
class Event:
    """Something a shop sent: a stored order, update or refund, or a refused call with its code.

    `link` is empty where there is nothing to show yet: a refund may come before its order.
    """

    at: datetime
    title: str
    text: str
    link: str
    accepted: bool


def latest_events(advertiser: Advertiser, campaign: Campaign | None = None, limit: int = LATEST) -> list[Event]:
    """Return what came in last for an advertiser, or for one campaign of it, newest first. Five queries."""
    rows: dict[str, Any] = {"advertiser": advertiser} | ({"campaign": campaign} if campaign else {})
    conversions = Conversion.objects.filter(**rows).order_by("-occurred_at")[:limit]
    refused = RejectedEvent.objects.filter(**rows).order_by("-at")[:limit]
    events = [
        Event(
            at=row.recorded_at,
            title=f"{row.goal} {row.order_ref}",
            text=_("stored"),
            link=reverse("admin:tracking_conversion_change", args=[row.pk]),
            accepted=True,
        )
        for row in conversions
    ] + [
        Event(
            at=row.at,
            title=row.code,
            text=row.message,
            link=reverse("admin:tracking_rejectedevent_change", args=[row.pk]),
            accepted=False,
        )
        for row in refused
    ]
    events += [*_updates(rows, limit), *_refunds(advertiser, campaign, limit)]
    return sorted(events, key=lambda event: event.at, reverse=True)[:limit]


def _updates(rows: dict[str, Any], limit: int) -> list[Event]:
    told = Amendment.objects.filter(
        origin=AmendmentOrigin.SHOP, **{f"conversion__{name}": value for name, value in rows.items()}
    )
    return [
        Event(
            at=row.recorded_at,
            title=_("Update %(number)d of %(order)s") % {"number": row.sequence, "order": row.conversion.order_ref},
            text=_("stored"),
            link=reverse("admin:tracking_conversion_change", args=[row.conversion_id]),
            accepted=True,
        )
        for row in told.select_related("conversion").order_by("-pk")[:limit]
    ]


def _refunds(advertiser: Advertiser, campaign: Campaign | None, limit: int) -> list[Event]:
    """Return the shop's own refunds that count; those that came before their order belong to no campaign yet."""
    told = Refund.objects.that_count().filter(advertiser=advertiser).exclude(refund_ref__startswith=OWN)
    sales = Conversion.objects.filter(advertiser=advertiser)
    if campaign:
        own = {name: OuterRef(name) for name in ("advertiser", "goal", "order_ref")}
        told = told.filter(Exists(Conversion.objects.filter(campaign=campaign, **own)))
    refunds = list(told.order_by("-pk")[:limit])
    known = {
        (goal, order_ref): pk
        for goal, order_ref, pk in sales.filter(order_ref__in={row.order_ref for row in refunds}).values_list(
            "goal", "order_ref", "pk"
        )
    }
    events = []
    for row in refunds:
        sale = known.get((row.goal, row.order_ref))
        events.append(
            Event(
                at=row.recorded_at,
                title=_("Refund %(refund)s of %(order)s") % {"refund": row.refund_ref, "order": row.order_ref},
                text=_("stored") if sale else _("waits for its order"),
                link=reverse("admin:tracking_conversion_change", args=[sale]) if sale else "",
                accepted=True,
            )
        )
    return events


def tracking_page(model_admin: Any, request: HttpRequest, campaign: Campaign) -> HttpResponse:
    events = latest_events(campaign.advertiser, campaign)
    if request.headers.get("HX-Request"):
        return model_admin.page(request, "console/events.html", "", events=events)
    address = f"{settings.TRACKING_URL}/s/{campaign.slug}"
    values = {"address": address, "currency": campaign.currencies[0]}
    link = TrackingLink.objects.filter(enrollment__campaign=campaign, is_active=True).first()
    return model_admin.page(
        request,
        "console/campaign_tracking.html",
        campaign.name,
        campaign=campaign,
        address=address,
        click_address=f"{settings.TRACKING_URL}/c/{link.code if link else '<link>'}",
        snippets=[
            ("curl", CURL.format(**values)),
            (_("curl, with lines and a code"), BASKET.format(**values)),
            (_("Python, signed"), PYTHON.format(**values)),
            (_("PHP, signed"), PHP.format(**values)),
        ],
        fields=FIELDS,
        refund_address=f"{address}/refund",
        identity_address=f"{settings.TRACKING_URL}/i/{campaign.slug}",
        more_calls=[
            (_("Fields of a refund"), "/refund", REFUND_FIELDS),
            (_("Fields of who a visitor is"), "/i/", IDENTITY_FIELDS),
        ],
        refusals=REFUSALS,
        events=events,
        now=timezone.now(),
        may_change=model_admin.has_change_permission(request),
        **tabs(campaign.pk, "tracking"),
    )


def secret_page(model_admin: Any, request: HttpRequest, campaign: Campaign) -> HttpResponse:
    model_admin.require(request, model_admin.has_change_permission(request))
    if request.method == "POST":
        rotate_secret(campaign=campaign, actor=actor_of(request), now=timezone.now())
        messages.success(request, _("There is a new secret; the one before stays valid until the next change."))
    return HttpResponseRedirect(reverse("admin:campaigns_campaign_tracking", args=[campaign.pk]))


@site.page("tracking/", "tracking")
def overview(request: HttpRequest) -> HttpResponse:
    """All campaigns' addresses and the latest calls of the advertiser."""
    advertiser = access_of(request).advertiser
    campaigns = Campaign.objects.for_advertiser(advertiser).order_by("name")
    for campaign in campaigns:
        campaign.address = f"{settings.TRACKING_URL}/s/{campaign.slug}"
    return site.render(
        request,
        "console/tracking.html",
        _("Tracking"),
        campaigns=campaigns,
        events=latest_events(advertiser),
        now=timezone.now(),
    )
