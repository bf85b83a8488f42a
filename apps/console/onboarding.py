"""Bring a partner in: add it, give it ad spaces, write its profiles while it has no login, invite its people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import gettext as _

from apps.console.access import FINANCE, MANAGERS, access_of, actor_of, may
from apps.console.profile_forms import (
    AdSpaceForm,
    BankFields,
    BankForm,
    InviteForm,
    PartnerForm,
    TaxFields,
    TaxForm,
    initial_of,
)
from apps.core.errors import Refusal
from apps.identity.invitations import mail_invitation, password_link
from apps.partners.models import Partnership
from apps.partners.services import (
    add_ad_space,
    add_partner,
    invite_person,
    is_in_care,
    write_payout_profile,
)
from apps.pipeline.services.onboarding import keep_tax_profile


class Onboarding:
    """The pages of a partnership that fill in what the partner has not told itself."""

    def onboarding_urls(self) -> list:
        view = self.admin_site.admin_view
        pages = {"space": self.space_view, "tax": self.tax_view, "bank": self.bank_view, "invite": self.invite_view}
        return [
            path(f"<int:object_id>/{name}/", view(page), name=f"partners_partnership_{name}")
            for name, page in pages.items()
        ]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict | None = None) -> HttpResponse:
        self.require(request, self.has_add_permission(request))
        advertiser = access_of(request).advertiser

        def write(values: dict[str, Any]) -> HttpResponse:
            partnership = add_partner(advertiser=advertiser, actor=actor_of(request), now=timezone.now(), **values)
            messages.success(request, _("%s is there and active. Next: an ad space.") % partnership.partner)
            return HttpResponseRedirect(reverse("admin:partners_partnership_space", args=[partnership.pk]))

        form = PartnerForm(request.POST or None, initial={"country": "DE"})
        lead = _("For a partner you have agreed with. It needs no login; you can invite its people later.")
        return self._fill(request, form, write, _("Add a partner"), _("Add"), self.list_url(), lead)

    def space_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        self.require(request, may(request, MANAGERS))
        partnership = self.row(request, object_id)
        partner, back = partnership.partner, _page_of(partnership)

        def write(values: dict[str, Any]) -> HttpResponse:
            space = add_ad_space(partnership=partnership, actor=actor_of(request), now=timezone.now(), **values)
            text = _("%s is there. Next: enroll it in a campaign, under “Partners and links”.")
            messages.success(request, text % space.name)
            return HttpResponseRedirect(back)

        first = not partner.ad_spaces.exists()
        initial = {"category": "editorial"}
        if first:
            initial |= {"name": partner.name, "slug": slugify(partner.slug), "url": partner.website}
        form = AdSpaceForm(request.POST or None, initial=initial)
        return self._fill(request, form, write, _("New ad space: %s") % partner, _("Add ad space"), back)

    def tax_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        partnership = self._cared_for(request, object_id)
        partner, back = partnership.partner, _page_of(partnership)

        def write(values: dict[str, Any]) -> HttpResponse:
            keep_tax_profile(
                partner=partner, values=values, partnership=partnership, actor=actor_of(request), now=timezone.now()
            )
            messages.success(request, _("Saved."))
            return HttpResponseRedirect(back)

        profile = getattr(partner, "tax_profile", None)
        initial = initial_of(profile, TaxFields, legal_name=partner.name, country=partner.country)
        form = TaxForm(request.POST or None, initial=initial)
        lead = _("It stands on every invoice from now on. Once the partner can sign in, only its owner changes it.")
        return self._fill(request, form, write, _("Tax data: %s") % partner, _("Save tax data"), back, lead)

    def bank_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        partnership = self._cared_for(request, object_id)
        partner, back = partnership.partner, _page_of(partnership)

        def write(values: dict[str, Any]) -> HttpResponse:
            write_payout_profile(
                partner=partner, partnership=partnership, actor=actor_of(request), now=timezone.now(), **values
            )
            messages.success(request, _("Saved."))
            return HttpResponseRedirect(back)

        initial = initial_of(getattr(partner, "payout_profile", None), BankFields, holder=partner.name)
        form = BankForm(request.POST or None, initial=initial)
        lead = _("Where the partner's money goes. Each change stands in the audit log.")
        return self._fill(request, form, write, _("Bank account: %s") % partner, _("Save bank account"), back, lead)

    def invite_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        self.require(request, may(request, MANAGERS))
        partnership = self.row(request, object_id)
        partner, back = partnership.partner, _page_of(partnership)
        if not is_in_care(partnership=partnership):
            return _kept_by_itself(request, back)

        def write(values: dict[str, Any]) -> HttpResponse:
            invited = invite_person(partnership=partnership, actor=actor_of(request), now=timezone.now(), **values)
            user = invited.membership.user
            login = request.build_absolute_uri(reverse("account_login"))
            link = login if user.has_usable_password() else password_link(user)
            host = access_of(request).advertiser.name
            return self.page(
                request,
                "console/invited.html",
                _("Invited: %s") % user,
                person=user,
                is_mailed=mail_invitation(user=user, host=host, link=link),
                link=link if invited.owns_link else "",
                back_url=back,
            )

        form = InviteForm(request.POST or None, initial={"email": partner.email})
        lead = _("The person sees all of the partner's figures, changes its tax and bank data, and gets a mail.")
        return self._fill(request, form, write, _("Invite a person: %s") % partner, _("Invite"), back, lead)

    def _cared_for(self, request: HttpRequest, object_id: int) -> Partnership:
        self.require(request, may(request, FINANCE))
        partnership = self.row(request, object_id)
        self.require(request, is_in_care(partnership=partnership))
        return partnership

    def _fill(
        self,
        request: HttpRequest,
        form: forms.Form,
        write: Callable[[dict[str, Any]], HttpResponse],
        title: str,
        submit: str,
        cancel_url: str,
        lead: str = "",
    ) -> HttpResponse:
        """Ask until what is written is accepted; a refusal stands at the field that it names."""
        if request.method == "POST" and form.is_valid():
            try:
                return write(form.cleaned_data)
            except Refusal as refusal:
                form.refuse(refusal)
        return self.page(
            request, "console/form.html", title, form=form, submit=submit, cancel_url=cancel_url, lead=lead
        )


def _page_of(partnership: Partnership) -> str:
    return reverse("admin:partners_partnership_change", args=[partnership.pk])


def _kept_by_itself(request: HttpRequest, back: str) -> HttpResponse:
    messages.warning(request, _("The partner has people who sign in; its owner invites others."))
    return HttpResponseRedirect(back)
