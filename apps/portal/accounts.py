"""The partner's money as the overview and the payouts page show it."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.core.money import Money
from apps.insights.partner_selectors import PartnerAccount, blockers_of_partner

# What stands in the way of an invoice, said to the partner who can mend it.
BLOCKERS = {
    "statement_only": None,
    "agreement_missing": lambda name: _("%s has no self-billing agreement with you yet, so it cannot invoice.") % name,
    "address_incomplete": lambda name: _("Your address is not complete; an invoice needs all of it."),
    "vat_id_missing": lambda name: _("Your VAT id is missing; without it no invoice can be written."),
    "vat_id_invalid": lambda name: _("Your VAT id does not have the form of its country."),
    "tax_id_missing": lambda name: _("Your VAT id or tax number is missing; without one no invoice can be written."),
}


def balance(account: PartnerAccount) -> dict[str, Any]:
    def money(minor: int) -> Money:
        return Money(minor, account.currency)

    coming = account.next_payment
    besides = coming.approved_minor if coming and coming.invoiced_minor else 0
    return {
        "advertiser": account.advertiser.name,
        "on_hold": money(account.on_hold_minor),
        "pending": money(account.pending_minor),
        "approved": money(account.accrued_minor),
        "carried": money(account.carried_minor) if account.carried_minor else None,
        "invoiced": money(account.payable_minor),
        "awaiting": [
            {"amount": money(row.invoiced_minor), "on": row.pays_on, "is_past": row.is_past}
            for row in account.coming
            if row.invoiced_minor
        ],
        "paid": money(account.paid_minor) if account.paid_minor else None,
        "next_pay_on": coming.pays_on if coming else None,
        # Invoiced is with VAT, approved without: two amounts that no sum holds.
        "next_pay": money(coming.invoiced_minor or coming.approved_minor) if coming else money(0),
        "next_is_net": bool(coming and not coming.invoiced_minor),
        "next_besides": money(besides) if besides else None,
        "minimum": money(account.minimum_minor),
        "below_minimum": money(account.below_minimum_minor) if account.below_minimum_minor else None,
    }


def blockers(request: HttpRequest, today: date) -> list[dict[str, Any]]:
    """Return a sentence for everything the partner can mend, each once."""
    account_url = reverse("portal:account")
    found = blockers_of_partner(partner=request.partner, partnerships=active(request), today=today)
    names = {row.advertiser_id: row.advertiser.name for row in request.partnerships}
    sentences = []
    for advertiser_id, rows in found.items():
        for row in rows:
            say = BLOCKERS.get(row.code) if row.side == "payee" else None
            if say and (text := say(names[advertiser_id])) not in sentences:
                sentences.append(text)
    if getattr(request.partner, "payout_profile", None) is None:
        sentences.append(_("There is no bank account to pay to yet."))
    word = _("See your account")
    return [
        {"text": text, "url": account_url, "url_word": word, "tone": "warning", "icon": "triangle-alert"}
        for text in sentences
    ]


def active(request: HttpRequest) -> list[Any]:
    return [row for row in request.partnerships if row.state == "ACTIVE"]
