"""The account: who the partner is, who acts for it, and whether it is ready to be paid."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from allauth.mfa.utils import is_mfa_enabled
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from apps.console.profile_forms import BankFields, TaxFields, initial_of
from apps.core.errors import Refusal
from apps.core.periods import day_of
from apps.insights.partner_selectors import blockers_of_partner
from apps.invoices.rules import mask_iban
from apps.partners.models import AdSpace, Partner, PartnerMembership, PartnerRole, PayoutProfile, TaxProfile
from apps.partners.services import write_payout_profile
from apps.pipeline.services.onboarding import keep_tax_profile
from apps.portal.access import actor_of, partner_page, render
from apps.portal.accounts import active
from apps.portal.formats import moment

NOTICE = timedelta(days=30)
"""How long the account says that its bank details are new."""
# What is wrong with a field, by the code of the refusal.
WRONG = {
    "invalid_iban": gettext_lazy("This is not a valid IBAN: check its length and digits."),
    "invalid_bic": gettext_lazy("This is not a valid BIC, such as COBADEFFXXX."),
    "invalid_vat_id": gettext_lazy("This is not a VAT id of the chosen country, such as DE136695976 for Germany."),
}


@require_http_methods(["GET", "POST"])
@partner_page
def account(request: HttpRequest) -> HttpResponse:
    partner, form_name = request.partner, request.POST.get("form_name", "")
    is_owner = any(row.partner_id == partner.pk and row.role == PartnerRole.OWNER for row in request.memberships)
    if request.method == "POST" and (not is_owner or form_name not in {"tax", "bank"}):
        raise PermissionDenied
    forms = _forms(request, form_name) if is_owner else {}
    if form_name and _write(request, form_name, forms[form_name]):
        return redirect(f"{request.path}#{form_name}")
    payout = getattr(partner, "payout_profile", None)
    team = PartnerMembership.objects.filter(partner=partner).select_related("user").order_by("user__email")
    return render(
        request,
        "portal/account.html",
        status=422 if form_name else 200,
        profile=_profile(partner),
        tax=_tax(getattr(partner, "tax_profile", None)),
        tax_form=forms.get("tax"),
        bank={"iban_masked": mask_iban(payout.iban), "holder": payout.holder, "status": "OK"} if payout else None,
        bank_form=forms.get("bank"),
        bank_notice=_notice(payout),
        checks=_checks(request),
        team=[{"name": row.user.name, "email": row.user.email, "role": row.get_role_display()} for row in team],
        ad_spaces=[
            {"name": row.name, "kind": row.category.replace("-", " ").capitalize(), "url": row.url}
            for row in AdSpace.objects.filter(partner=partner).order_by("name")
        ],
        mfa_on=is_mfa_enabled(request.user),
    )


def _forms(request: HttpRequest, sent: str) -> dict[str, Any]:
    """Return the owner's forms, the sent one with what was sent; an account number is typed anew, never shown."""
    partner = request.partner
    usual = {"legal_name": partner.name, "country": partner.country}
    payout = getattr(partner, "payout_profile", None)
    initial = {
        "tax": initial_of(getattr(partner, "tax_profile", None), TaxFields, **usual),
        "bank": {"holder": payout.holder if payout else partner.name},
    }
    return {
        name: form(request.POST if name == sent else None, initial=initial[name], use_required_attribute=False)
        for name, form in (("tax", TaxFields), ("bank", BankFields))
    }


def _write(request: HttpRequest, name: str, form: Any) -> bool:
    """Write what was sent, or put what is wrong at its field."""
    if not form.is_valid():
        return False
    who = {"partner": request.partner, "actor": actor_of(request), "now": timezone.now()}
    try:
        if name == "tax":
            keep_tax_profile(values=form.cleaned_data, **who)
            messages.success(request, _("Your tax data are saved; they stand on the next invoice."))
        else:
            write_payout_profile(**form.cleaned_data, **who)
            messages.success(request, _("Your bank account is saved."))
    except Refusal as refusal:
        form.add_error(refusal.path if refusal.path in form.fields else None, WRONG.get(refusal.code, refusal.message))
        return False
    return True


def _notice(payout: PayoutProfile | None) -> str:
    if payout is None or timezone.now() - payout.changed_at > NOTICE:
        return ""
    text = _("Entered on %s. Was it not you? Change your password and write to your advertiser at once.")
    return text % moment(payout.changed_at)


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
