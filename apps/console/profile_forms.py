"""The forms of a partner and its profiles; the portal asks for the same fields in its own look."""

from __future__ import annotations

from typing import Any

from babel import Locale
from django import forms
from django.core.validators import validate_slug
from django.utils.translation import get_language, gettext_lazy

from apps.console.forms import PlainForm
from apps.partners.models import PartnerKind, TaxStatus

NO_COUNTRIES = frozenset({"EU", "EZ", "QO", "UN", "XA", "XB", "ZZ"})


def countries() -> list[tuple[str, str]]:
    """Return the countries (ISO 3166-1 alpha-2) by their names in the reader's language."""
    names = Locale.parse((get_language() or "en").split("-")[0]).territories
    found = [(code, name) for code, name in names.items() if len(code) == 2 and code.isalpha()]
    return sorted((row for row in found if row[0] not in NO_COUNTRIES), key=lambda row: row[1])


class TaxFields(forms.Form):
    status = forms.ChoiceField(label=gettext_lazy("Status"), choices=TaxStatus.choices)
    legal_name = forms.CharField(
        label=gettext_lazy("Legal name"),
        max_length=200,
        help_text=gettext_lazy("As it stands in the register, or your own name."),
    )
    address = forms.CharField(
        label=gettext_lazy("Street and number"), max_length=200, widget=forms.Textarea({"rows": 2})
    )
    postcode = forms.CharField(label=gettext_lazy("Postcode"), max_length=20, required=False)
    city = forms.CharField(label=gettext_lazy("City"), max_length=100)
    country = forms.ChoiceField(label=gettext_lazy("Country"), choices=countries)
    vat_id = forms.CharField(
        label=gettext_lazy("VAT id"),
        max_length=20,
        required=False,
        help_text=gettext_lazy("With its country, such as DE136695976."),
    )
    tax_number = forms.CharField(
        label=gettext_lazy("Tax number"),
        max_length=40,
        required=False,
        help_text=gettext_lazy("Where there is no VAT id."),
    )


class BankFields(forms.Form):
    holder = forms.CharField(label=gettext_lazy("Account holder"), max_length=140)
    iban = forms.CharField(label="IBAN", max_length=42)
    bic = forms.CharField(
        label="BIC", max_length=14, required=False, help_text=gettext_lazy("Only for accounts outside the euro area.")
    )


class TaxForm(PlainForm, TaxFields):
    pass


class BankForm(PlainForm, BankFields):
    pass


class PartnerForm(PlainForm):
    name = forms.CharField(label=gettext_lazy("Name"), max_length=200)
    slug = forms.CharField(
        label=gettext_lazy("Short name"),
        max_length=80,
        validators=[validate_slug],
        help_text=gettext_lazy("Letters, digits and hyphens; it stands in addresses and documents and stays for ever."),
    )
    kind = forms.ChoiceField(label=gettext_lazy("Kind"), choices=PartnerKind.choices)
    website = forms.URLField(label=gettext_lazy("Website"), required=False, assume_scheme="https")
    email = forms.EmailField(label=gettext_lazy("E-mail"), required=False)
    country = forms.ChoiceField(label=gettext_lazy("Country"), choices=countries)


class AdSpaceForm(PlainForm):
    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=200, help_text=gettext_lazy("A site, an app or a channel.")
    )
    slug = forms.CharField(
        label=gettext_lazy("Short name"),
        max_length=80,
        validators=[validate_slug],
        help_text=gettext_lazy("It stays for ever."),
    )
    url = forms.URLField(label=gettext_lazy("Address"), required=False, assume_scheme="https")
    category = forms.CharField(
        label=gettext_lazy("Category"),
        max_length=60,
        validators=[validate_slug],
        help_text=gettext_lazy("Plans and policies can treat categories apart: editorial, coupon, newsletter …"),
    )


class InviteForm(PlainForm):
    email = forms.EmailField(label=gettext_lazy("E-mail"))
    name = forms.CharField(label=gettext_lazy("Name"), max_length=150, required=False)


def initial_of(profile: Any, fields: type[forms.Form], **usual: str) -> dict[str, Any]:
    """Return what a form shows of a profile, or the usual where there is none yet."""
    if profile is None:
        return usual
    return {name: getattr(profile, name) for name in fields.base_fields}
