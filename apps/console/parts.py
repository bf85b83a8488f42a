"""Decide on a part of an order: reject lines, lower its amount."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.commissions.models import DecisionState, Reason
from apps.console import display
from apps.console.access import MANAGERS, access_of, actor_of, may
from apps.console.forms import MinorField, PlainForm
from apps.console.refunds import is_outdated
from apps.console.site import site
from apps.core.errors import Refusal
from apps.pipeline.services.deciding_lines import amount_left, correct_amount, reject_lines
from apps.tracking.models import Conversion
from apps.tracking.selectors import ToldLines, lines_told_last

NOTE = gettext_lazy("The partner sees the reason, not the note.")


class PartForm(PlainForm):
    """Which lines fall away, or what the order is worth now; one of the two."""

    def __init__(self, conversion: Conversion, told: ToldLines, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if told.lines:
            choices = [(line.position, f"{line.name} · {line.quantity} ×") for line in told.lines]
            self.fields["lines"] = forms.TypedMultipleChoiceField(
                label=_("Lines to reject"),
                choices=choices,
                coerce=int,
                required=False,
                widget=forms.CheckboxSelectMultiple,
            )
        self.fields["amount"] = MinorField(
            currency=conversion.currency,
            required=False,
            label=(
                _("Or what the order is worth now, in %s") if told.lines else _("What the order is worth now, in %s")
            )
            % conversion.currency,
            help_text=_("Net, in all; it can only be lowered."),
        )
        self.fields["reason"] = forms.ChoiceField(
            label=_("Reason"), choices=[("", _("Choose a reason")), *Reason.choices]
        )
        self.fields["note"] = forms.CharField(label=_("Note"), max_length=300, required=False, help_text=NOTE)
        for name, field in self.fields.items():
            if name != "lines":
                field.widget.attrs["class"] = "tb-select" if name == "reason" else "tb-input"
            field.is_wide = name == "lines"
            if field.help_text:
                field.widget.attrs["aria-describedby"] = f"{name}-help"

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if bool(values.get("lines")) == (values.get("amount") is not None) and not self.errors:
            one = _("Name lines, or an amount: one of the two.") if "lines" in self.fields else _("Write the amount.")
            raise forms.ValidationError(one)
        return values


@site.page("parts/<uuid:conversion_id>/", "parts")
def parts(request: HttpRequest, conversion_id: UUID) -> HttpResponse:
    """Ask which part falls away and why; the order keeps its decision."""
    conversion = get_object_or_404(Conversion.objects.for_advertiser(access_of(request).advertiser), pk=conversion_id)
    if not may(request, MANAGERS):
        raise PermissionDenied
    decision = getattr(conversion, "decision", None)
    if decision is None or decision.state == DecisionState.REJECTED:
        raise Http404
    back = reverse("admin:tracking_conversion_change", args=[conversion.pk])
    told = lines_told_last(conversion)
    if is_outdated(request, told):
        return HttpResponseRedirect(request.path)
    form = PartForm(conversion, told, request.POST or None)
    if request.method == "POST" and form.is_valid() and _reject(request, conversion, form):
        return HttpResponseRedirect(back)
    return site.render(
        request,
        "console/parts.html",
        (_("Reject a part of %s") if told.lines else _("Lower the amount of %s")) % conversion.order_ref,
        crumbs=[{"title": conversion.order_ref, "link": back}],
        form=form,
        told=told,
        back=back,
        left=display.money(amount_left(conversion), conversion.currency),
    )


def _reject(request: HttpRequest, conversion: Conversion, form: PartForm) -> bool:
    """Let the part fall away; show a refusal in the form."""
    values = form.cleaned_data
    call: dict[str, Any] = {
        "advertiser": access_of(request).advertiser,
        "conversion_id": conversion.pk,
        "reason": values["reason"],
        "note": values["note"],
        "actor": actor_of(request),
        "now": timezone.now(),
    }
    try:
        if values.get("lines"):
            result = reject_lines(**call, positions=values["lines"])
        else:
            result = correct_amount(**call, amount_minor=values["amount"])
    except Refusal as refusal:
        form.refuse(refusal)
        return False
    said = _("Done; the commissions follow.") if result.changed else _("That was so already; nothing has changed.")
    messages.success(request, said)
    return True
