"""A campaign's attribution policy in words, and the form of a new version."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from apps.attribution.models import AttributionPolicy, version_at
from apps.campaigns.models import Campaign
from apps.console import words
from apps.console.access import actor_of
from apps.console.campaign_tabs import tabs
from apps.console.forms import PlainForm, StartField
from apps.core.errors import Refusal
from apps.pipeline.services.opening import revise_policy


class PolicyForm(PlainForm):
    wide = ("repeats", "unpaid", "coupon")
    model = forms.ChoiceField(label=lazy("Model"), choices=[(key, word[0]) for key, word in words.MODELS.items()])
    click_window_days = forms.IntegerField(label=lazy("Click window in days"), min_value=0, max_value=36_500)
    view_window_days = forms.IntegerField(
        label=lazy("View window in days"), min_value=0, max_value=36_500, help_text=lazy("0: views do not count.")
    )
    repeats = forms.ChoiceField(
        label=lazy("Repeated clicks"),
        choices=list(words.REPEATS.items()),
        help_text=lazy("Counting every click pays for clicking; once per partner is recommended."),
    )
    unpaid = forms.ChoiceField(label=lazy("Own and organic channels"), choices=list(words.UNPAID.items()))
    coupon = forms.ChoiceField(
        label=lazy("Codes"), choices=[(key, text) for key, text in words.COUPONS.items() if key != "SHARE"]
    )
    first = forms.DecimalField(
        label=lazy("Weight of the first"),
        min_value=0,
        max_digits=6,
        required=False,
        help_text=lazy("Position and roles."),
    )
    middle = forms.DecimalField(label=lazy("Weight of those between"), min_value=0, max_digits=6, required=False)
    last = forms.DecimalField(label=lazy("Weight of the last"), min_value=0, max_digits=6, required=False)
    starts_at = StartField()

    def settings(self, before: dict[str, Any]) -> dict[str, Any]:
        """Return the settings of the new version; what the form does not ask stays as it was."""
        values = self.cleaned_data
        names = ("model", "click_window_days", "view_window_days", "repeats", "unpaid", "coupon")
        settings = {**before, **{name: values[name] for name in names}}
        weights = {
            name: f"{values[name].normalize():f}" for name in ("first", "middle", "last") if values[name] is not None
        }
        if weights and values["model"] in {"POSITION", "ROLES"}:
            settings["weights"] = {**before.get("weights", {}), **weights}
        return settings


def policy_page(model_admin: Any, request: HttpRequest, campaign: Campaign) -> HttpResponse:
    now = timezone.now()
    may_change = model_admin.has_change_permission(request)
    policy = AttributionPolicy.objects.filter(campaign=campaign).first()
    versions = list(policy.versions.all()) if policy else []
    current = version_at(versions, now)
    latest = versions[0] if versions else None
    form = PolicyForm(request.POST or None, initial=first_values(latest.settings if latest else {}))
    if request.method == "POST":
        model_admin.require(request, may_change)
        if form.is_valid():
            try:
                version = revise_policy(
                    campaign=campaign,
                    settings=form.settings(latest.settings if latest else {}),
                    starts_at=form.cleaned_data["starts_at"],
                    actor=actor_of(request),
                    now=now,
                )
            except Refusal as refusal:
                form.refuse(refusal)
            else:
                messages.success(request, _("Version %s is published.") % version.number)
                return HttpResponseRedirect(request.path)
    return model_admin.page(
        request,
        "console/campaign_policy.html",
        campaign.name,
        campaign=campaign,
        policy=policy,
        current=current,
        said=words.policy(current.settings) if current else [],
        versions=[(version, words.MODELS.get(version.settings["model"], ("",))[0]) for version in versions],
        form=form,
        may_change=may_change,
        now=now,
        **tabs(campaign.pk, "attribution"),
    )


def first_values(settings: dict[str, Any]) -> dict[str, Any]:
    weights = settings.get("weights") or {}
    return {
        "model": settings.get("model", "LAST_CLICK"),
        "click_window_days": settings.get("click_window_days", 30),
        "view_window_days": settings.get("view_window_days", 0),
        "repeats": settings.get("repeats", "ALL" if settings else "ONCE"),
        "unpaid": settings.get("unpaid", "IGNORE"),
        "coupon": settings.get("coupon", "IF_WINNER"),
        "first": weights.get("first"),
        "middle": weights.get("middle"),
        "last": weights.get("last"),
        "starts_at": timezone.localtime(),
    }
