"""Record a refund of a conversion, and see what refunds and amendments have changed."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from apps.commissions.models import Commission, CommissionKind, Reason
from apps.console import display
from apps.console.access import MANAGERS, access_of, actor_of, may
from apps.console.forms import MinorField, PlainForm
from apps.console.site import site
from apps.core.errors import Refusal
from apps.core.money import Money
from apps.pipeline.services.receiving import receive_refund
from apps.tracking.models import Conversion, Refund
from apps.tracking.rules.refunds import OWN
from apps.tracking.selectors import ToldLines, amendments_told, lines_told_last, refunds_told

WAYS = [("whole", gettext_lazy("The whole order")), ("amount", gettext_lazy("An amount"))]
BY_LINES = ("lines", gettext_lazy("Lines, by pieces"))


class RefundForm(PlainForm):
    """A refund in people's words; a field per line of the order asks how many pieces came back."""

    def __init__(self, conversion: Conversion, told: ToldLines, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conversion, self.lines = conversion, told.lines
        ways = [*WAYS, BY_LINES] if told.lines else WAYS
        text = _("The shop's own number: the same refund told twice counts once.")
        self.fields["refund_ref"] = forms.CharField(label=_("Refund number"), max_length=120, help_text=text)
        self.fields["way"] = forms.ChoiceField(label=_("What came back"), choices=[("", _("Choose")), *ways])
        self.fields["amount"] = MinorField(
            currency=conversion.currency, required=False, label=_("Amount in %s, net") % conversion.currency
        )
        for line in told.lines:
            self.fields[f"line_{line.position}"] = forms.IntegerField(
                label=_("Pieces of %(name)s") % {"name": line.name},
                required=False,
                min_value=0,
                max_value=line.quantity,
                help_text=ngettext("%d was sold.", "%d were sold.", line.quantity) % line.quantity,
            )
        self.fields["reason"] = forms.ChoiceField(label=_("Reason"), choices=Reason.choices)
        for name, field in self.fields.items():
            field.widget.attrs["class"] = "tb-select" if isinstance(field, forms.ChoiceField) else "tb-input"
            field.is_wide = False
            if field.help_text:
                field.widget.attrs.setdefault("aria-describedby", f"{name}-help")

    def clean(self) -> dict[str, Any]:
        """Refuse what says two things: an amount beside the whole order would give back more than was meant."""
        values = super().clean() or self.cleaned_data
        way = values.get("way")
        pieces = [f"line_{line.position}" for line in self.lines]
        if way in {"whole", "lines"} and values.get("amount"):
            self.add_error("amount", _("Leave it empty, or choose an amount as what came back."))
        if way in {"whole", "amount"} and any(values.get(name) for name in pieces):
            self.add_error("way", _("Pieces are given: choose the lines as what came back, or leave them empty."))
        return values

    def told(self) -> dict[str, object]:
        """Return the refund as a shop would tell it."""
        values = self.cleaned_data
        told: dict[str, object] = {"refund_ref": values["refund_ref"], "reason": values["reason"]}
        if values["way"] == "whole":
            return {**told, "whole": "1"}
        if values["way"] == "amount":
            amount = Money(values["amount"] or 0, self.conversion.currency)
            return {**told, "amount": str(amount)}
        pieces = {line.position: values[f"line_{line.position}"] for line in self.lines}
        return {**told, "lines": [{"position": str(p), "quantity": str(n)} for p, n in pieces.items() if n]}


@site.page("refunds/<uuid:conversion_id>/", "refund")
def refund(request: HttpRequest, conversion_id: UUID) -> HttpResponse:
    advertiser = access_of(request).advertiser
    conversion = get_object_or_404(Conversion.objects.for_advertiser(advertiser), pk=conversion_id)
    back = reverse("admin:tracking_conversion_change", args=[conversion.pk])
    may_write = may(request, MANAGERS)
    told = lines_told_last(conversion)
    if is_outdated(request, told):
        return HttpResponseRedirect(request.path)
    form = RefundForm(conversion, told, request.POST or None) if may_write else None
    if request.method == "POST":
        if form is None:
            raise PermissionDenied
        if form.is_valid() and _record(request, conversion, form):
            return HttpResponseRedirect(back)
    refunds = list(refunds_told(conversion).order_by("occurred_at", "refund_ref"))
    for row in refunds:
        row.is_own = row.refund_ref.startswith(OWN)
    corrections = (
        Commission.objects.filter(conversion=conversion)
        .exclude(kind=CommissionKind.SALE)
        .select_related("partner")
        .order_by("pk")
    )
    reasons = {**dict(Reason.choices), "amended": _("The order was told anew")}
    return site.render(
        request,
        "console/refund.html",
        _("Refund of %s") % conversion.order_ref,
        crumbs=[{"title": conversion.order_ref, "link": back}],
        conversion=conversion,
        refunds=[(row, what_of(row, conversion.currency), reasons.get(row.reason, row.reason)) for row in refunds],
        corrections=[(row, reasons.get(row.reason, row.reason)) for row in corrections],
        amendments=amendments_told(conversion),
        form=form,
        told=told,
        cancel_url=back,
        submit=_("Record the refund"),
    )


def _record(request: HttpRequest, conversion: Conversion, form: RefundForm) -> bool:
    """Store the refund; show a refusal in the form."""
    try:
        received = receive_refund(
            advertiser=access_of(request).advertiser,
            fields={**form.told(), "order_ref": conversion.order_ref, "goal": conversion.goal},
            actor=actor_of(request),
            now=timezone.now(),
        )
    except Refusal as refusal:
        form.refuse(refusal)
        return False
    text = _("The refund is recorded; what the partners earn follows in a moment.")
    messages.success(request, text if received.created else _("This refund was recorded before."))
    return True


def is_outdated(request: HttpRequest, told: ToldLines) -> bool:
    """Tell whether a form was shown before the shop told the order anew, so that its lines are others; say so."""
    sent = request.POST.get("told", "")
    if sent in ("", told.version):
        return False
    messages.error(request, _("The shop has told the order anew meanwhile; look at its lines again."))
    return True


def what_of(refund: Refund, currency: str) -> str:
    """Say what a refund gave back."""
    if refund.amount_minor is not None:
        return display.amount(refund.amount_minor, refund.currency or currency)
    if not refund.lines:
        return _("the whole order")
    parts = [
        _("all of line %d") % line["position"]
        if line["quantity"] is None
        else _("%(n)d × line %(line)d") % {"n": line["quantity"], "line": line["position"]}
        for line in refund.lines
    ]
    return ", ".join(parts)
