"""Persons: undo a merge from a conversion's page; tell a customer what is kept of them, or forget them."""

from __future__ import annotations

import json
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.serializers.json import DjangoJSONEncoder
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.console.access import MANAGERS, OWNERS, access_of, actor_of, may
from apps.console.forms import PlainForm
from apps.console.site import site
from apps.core.errors import NotFound, Refusal
from apps.pipeline.services.erasing import erase_customer, export_customer
from apps.pipeline.services.parting import part_persons
from apps.tracking.forgetting import CustomerName


class CustomerForm(PlainForm):
    customer_id = forms.CharField(label=gettext_lazy("Customer number"), max_length=200, required=False)
    email = forms.EmailField(
        label=gettext_lazy("E-mail"),
        required=False,
        help_text=gettext_lazy("Only its hash is looked for; the address is not kept."),
    )
    email_sha256 = forms.CharField(label=gettext_lazy("or its SHA-256"), max_length=64, required=False)
    visitor = forms.UUIDField(
        label=gettext_lazy("Visitor"), required=False, help_text=gettext_lazy("The id in the browser's cookie.")
    )
    typed = forms.CharField(
        label=gettext_lazy("To erase, type ERASE"),
        max_length=10,
        required=False,
        help_text=gettext_lazy("Keys and raw data are deleted for good. Orders, commissions and the book stay."),
    )

    def clean(self) -> dict:
        cleaned = super().clean() or {}
        if "erase" in self.data and cleaned.get("typed", "").strip() != "ERASE":
            self.add_error("typed", _("Type ERASE to erase."))
        return cleaned

    @property
    def name(self) -> CustomerName:
        fields = ("customer_id", "email", "email_sha256", "visitor")
        return CustomerName(**{field: self.cleaned_data[field] for field in fields})


@site.page("customers/", "customers")
def customers(request: HttpRequest) -> HttpResponse:
    """Ask for a customer; answer with everything that is kept of them as a file, or erase it."""
    if not may(request, OWNERS):
        raise PermissionDenied
    form = CustomerForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        call = {"advertiser": access_of(request).advertiser, "name": form.name, "actor": actor_of(request)}
        try:
            if "erase" not in request.POST:
                return as_file(export_customer(**call, now=timezone.now()))
            gone = erase_customer(**call, now=timezone.now())
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            text = _("Erased: %(keys)d keys, %(raw)d rows of raw data.") if gone else _("Nothing is kept of them.")
            messages.success(request, text % {"keys": gone.keys, "raw": gone.raw} if gone else text)
            return HttpResponseRedirect(reverse("admin:customers"))
    return site.render(request, "console/customers.html", _("Customer data"), form=form)


def as_file(facts: dict) -> HttpResponse:
    content = json.dumps(facts, cls=DjangoJSONEncoder, ensure_ascii=False, indent=2)
    headers = {"Content-Disposition": 'attachment; filename="customer.json"', "Cache-Control": "no-store"}
    return HttpResponse(content, content_type="application/json", headers=headers)


@site.page("merges/<int:merge_id>/undo/", "undo_merge")
def undo(request: HttpRequest, merge_id: int) -> HttpResponse:
    """Part two persons, and return to the conversion from whose page that was asked."""
    if not may(request, MANAGERS) or request.method != "POST":
        raise PermissionDenied
    try:
        apart = part_persons(
            advertiser=access_of(request).advertiser, merge_id=merge_id, actor=actor_of(request), now=timezone.now()
        )
    except NotFound as refusal:
        raise Http404(refusal.message) from None
    except Refusal as refusal:
        messages.error(request, refusal.message)
    else:
        if apart:
            messages.success(request, _("They are two persons again; what is open of them is settled anew."))
        else:
            messages.warning(request, _("The merge is undone, but keys that came later still join them."))
    try:
        back = reverse("admin:tracking_conversion_change", args=[UUID(request.POST.get("conversion", ""))])
    except ValueError:
        back = reverse("admin:tracking_conversion_changelist")
    return HttpResponseRedirect(back)
