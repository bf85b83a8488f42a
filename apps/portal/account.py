"""The account: who the partner is, who acts for it, and whether it is ready to be paid."""

from __future__ import annotations

from typing import Any

from allauth.mfa.utils import is_mfa_enabled
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from apps.core.periods import day_of
from apps.insights.partner_selectors import blockers_of_partner
from apps.invoices.rules import mask_iban
from apps.partners.models import AdSpace, Partner, PartnerMembership, TaxProfile
from apps.portal.access import partner_page, render
from apps.portal.accounts import active


@require_GET
@partner_page
def account(request: HttpRequest) -> HttpResponse:
    partner = request.partner
    payout = getattr(partner, "payout_profile", None)
    team = PartnerMembership.objects.filter(partner=partner).select_related("user").order_by("user__email")
    return render(
        request,
        "portal/account.html",
        profile=_profile(partner),
        tax=_tax(getattr(partner, "tax_profile", None)),
        bank={"iban_masked": mask_iban(payout.iban), "holder": payout.holder, "status": "OK"} if payout else None,
        checks=_checks(request),
        team=[{"name": row.user.name, "email": row.user.email, "role": row.get_role_display()} for row in team],
        ad_spaces=[
            {"name": row.name, "kind": row.category.replace("-", " ").capitalize(), "url": row.url}
            for row in AdSpace.objects.filter(partner=partner).order_by("name")
        ],
        mfa_on=is_mfa_enabled(request.user),
    )


def _profile(partner: Partner) -> list[tuple[str, Any]]:
    return [
        (_("Name"), partner.name),
        (_("Kind"), partner.get_kind_display()),
        (_("Website"), partner.website),
        (_("E-mail"), partner.email),
        (_("Country"), partner.country),
        (_("Short name"), partner.slug),
    ]


def _tax(profile: TaxProfile | None) -> list[tuple[str, Any]]:
    if profile is None:
        return []
    place = " ".join(part for part in (profile.postcode, profile.city) if part)
    return [
        (_("Status"), profile.get_status_display()),
        (_("Legal name"), profile.legal_name),
        (_("Address"), ", ".join(part for part in (*profile.address.splitlines(), place, profile.country) if part)),
        (_("VAT id"), profile.vat_id),
        (_("Tax number"), profile.tax_number),
    ]


def _checks(request: HttpRequest) -> list[dict[str, str]]:
    """Return what a payout needs, each with its light."""
    partner = request.partner
    today = day_of(timezone.now(), timezone.get_current_timezone())
    found = blockers_of_partner(partner=partner, partnerships=active(request), today=today)
    codes = {row.code for rows in found.values() for row in rows if row.side == "payee"}
    checks = [
        _check(_("Address"), "address_incomplete" not in codes, _("Name, street, postcode, city and country.")),
        _check(
            _("VAT id or tax number"),
            not codes & {"vat_id_missing", "vat_id_invalid", "tax_id_missing"},
            _("Without it no invoice can be written for you."),
        ),
        _check(_("Bank account"), getattr(partner, "payout_profile", None) is not None, _("Where your money goes.")),
    ]
    if "statement_only" in codes:
        checks.pop(1)
        return checks
    for row in active(request):
        missing = any(one.code == "agreement_missing" for one in found[row.advertiser_id])
        title = _("Self-billing with %s") % row.advertiser.name
        checks.append(_check(title, not missing, _("The advertiser writes your invoices; both sides agree to it.")))
    return checks


def _check(title: str, is_there: bool, text: str) -> dict[str, str]:
    return {"title": title, "status": "OK" if is_there else "MISSING", "text": "" if is_there else text}
