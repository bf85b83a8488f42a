"""The sidebar by task, and what stands around it."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from apps.console.access import OWNERS, access_of, may
from apps.console.unfold import ENVIRONMENT_LABELS


def item(title: str, icon: str, name: str, *, query: str = "", exact: bool = False) -> dict:
    link = reverse(f"admin:{name}")
    entry = {"title": title, "icon": icon, "link": link + query}
    if exact:
        entry["active"] = lambda request: request.path == link
    return entry


def sidebar(request: HttpRequest) -> list[dict]:
    if access_of(request).advertiser is None:
        return [{"title": "", "items": [item(_("Advertisers"), "domain", "advertisers")]}]
    return [
        {
            "title": "",
            "items": [
                item(_("Dashboard"), "space_dashboard", "index", exact=True),
                item(_("Campaigns"), "campaign", "campaigns_campaign_changelist"),
                item(_("Partners"), "handshake", "partners_partnership_changelist"),
                item(_("Conversions"), "receipt_long", "tracking_conversion_changelist"),
                item(_("Claims"), "gavel", "claims_claim_changelist"),
                item(_("Coupons"), "sell", "campaigns_coupon_changelist"),
                item(_("Test bench"), "science", "bench"),
            ],
        },
        {
            "title": _("Finance"),
            "separator": True,
            "items": [
                item(_("Close a month"), "event_available", "closing"),
                item(_("Statements"), "account_balance_wallet", "statements_statement_changelist"),
                item(_("Invoices"), "description", "invoices_invoice_changelist"),
                item(_("The book"), "menu_book", "book"),
            ],
        },
        {
            "title": _("Connect"),
            "separator": True,
            "items": [
                item(_("Tracking"), "share_location", "tracking", exact=True),
                item(_("Touches"), "ads_click", "tracking_touchpoint_changelist"),
                item(_("Refused calls"), "report", "tracking_rejectedevent_changelist"),
                item(_("Messages"), "outgoing_mail", "outbox_outbox_changelist"),
                item(_("API keys"), "key", "identity_advertiserkey_changelist"),
            ],
        },
        {
            "title": _("Settings"),
            "separator": True,
            "items": [
                item(_("Team"), "group", "identity_membership_changelist"),
                item(_("Advertiser"), "store", "identity_advertiser_changelist"),
                item(_("Legal entities"), "apartment", "identity_legalentity_changelist"),
                item(_("Partner groups"), "workspaces", "partners_partnergroup_changelist"),
                *([item(_("Customer data"), "person_search", "customers", exact=True)] if may(request, OWNERS) else []),
                item(_("Audit log"), "history", "records_auditentry_changelist"),
            ],
        },
    ]


def subheader(request: HttpRequest) -> str:
    advertiser = access_of(request).advertiser
    return advertiser.name if advertiser else str(_("No advertiser chosen"))


def site_menu(request: HttpRequest) -> list[dict]:
    access = access_of(request)
    menu = [{"icon": "space_dashboard", "title": _("Dashboard"), "link": reverse("admin:index")}]
    if access.has_choice:
        menu.append({"icon": "swap_horiz", "title": _("Switch advertiser"), "link": reverse("admin:advertisers")})
    return menu if access.has_choice else []


def environment(request: HttpRequest) -> list | None:
    label = ENVIRONMENT_LABELS.get(settings.ENVIRONMENT)
    return list(label) if label else None


def account(request: HttpRequest) -> list[dict]:
    return [
        {"title": _("Password"), "link": reverse("account_change_password")},
        {"title": _("Second factor"), "link": reverse("mfa_index")},
    ]
