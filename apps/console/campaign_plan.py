"""A campaign's commission plans in words, and the form of a new version."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from apps.campaigns.models import Campaign
from apps.commissions.models import CommissionPlan, PlanVersion
from apps.console import words
from apps.console.access import actor_of
from apps.console.campaign_tabs import tabs
from apps.console.forms import CommaList, PlainForm, StartField
from apps.core.errors import Refusal
from apps.core.money import Money, digits
from apps.pipeline.services.opening import revise_plan

CUSTOMERS = [("", lazy("all customers")), ("new", lazy("new customers")), ("existing", lazy("existing customers"))]
# What the plain form can say; a rule that says more keeps the rest as it was.
KNOWN = {"category", "new_customer", "amount_from", "amount_to"}


def plan_page(model_admin: Any, request: HttpRequest, campaign: Campaign) -> HttpResponse:
    now = timezone.now()
    plans = list(campaign.plans.prefetch_related("versions__rules", "assignments__partner", "assignments__group"))
    for plan in plans:
        plan.shown_versions = [described(version) for version in plan.versions.all()]
        started = [entry for entry in plan.shown_versions if entry["version"].starts_at <= now]
        plan.current = started[0] if started else None
        plan.shown_for = [assigned_to(row) for row in plan.assignments.all()]
    return model_admin.page(
        request,
        "console/campaign_plan.html",
        campaign.name,
        campaign=campaign,
        plans=plans,
        now=now,
        may_change=model_admin.has_change_permission(request),
        **tabs(campaign.pk, "plan"),
    )


def assigned_to(row: Any) -> str:
    for name in ("ad_space", "partner", "group", "coupon"):
        if getattr(row, f"{name}_id"):
            return str(getattr(row, name))
    return _("the whole campaign")


def described(version: PlanVersion) -> dict[str, Any]:
    def text(minor: int | None) -> str:
        return "" if minor is None else f"{Money(minor, version.currency)} {version.currency}"

    return {
        "version": version,
        "rules": words.plan_rules(version.rules.all(), version.currency),
        "per_order": text(version.per_order_minor) if version.per_order_minor else "",
        "minimum": text(version.minimum_minor),
        "maximum": text(version.maximum_minor),
    }


class VersionForm(PlainForm):
    starts_at = StartField()
    per_order = forms.DecimalField(
        label=lazy("Per order, once"), min_value=0, required=False, help_text=lazy("Beside the rules.")
    )
    minimum = forms.DecimalField(label=lazy("At least per order"), min_value=0, required=False)
    maximum = forms.DecimalField(label=lazy("At most per order"), min_value=0, required=False)


class RuleForm(PlainForm):
    name = forms.CharField(label=lazy("Name"), max_length=120)
    customer = forms.ChoiceField(label=lazy("Customers"), choices=CUSTOMERS, required=False)
    category = CommaList(
        label=lazy("Categories"), required=False, help_text=lazy("Tracking categories, separated by commas.")
    )
    amount_from = forms.DecimalField(label=lazy("Order from"), min_value=0, required=False)
    amount_to = forms.DecimalField(label=lazy("Order below"), min_value=0, required=False)
    percent = forms.DecimalField(
        label=lazy("Pays per cent"), min_value=0, max_value=1000, max_digits=8, decimal_places=4, required=False
    )
    per_line = forms.DecimalField(label=lazy("Pays per line"), min_value=0, required=False)
    per_unit = forms.DecimalField(label=lazy("Pays per piece"), min_value=0, required=False)
    position = forms.IntegerField(label=lazy("Position"), min_value=1, max_value=999)
    remove = forms.BooleanField(label=lazy("Leave this rule out"), required=False)

    def __init__(self, *args: Any, next_position: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["position"].initial = next_position

    def clean(self) -> dict[str, Any]:
        values = super().clean()
        pays = [values.get(name) for name in ("percent", "per_line", "per_unit")]
        if not values.get("remove") and not any(value is not None for value in pays):
            self.add_error("percent", _("Say what the rule pays: per cent, per line or per piece."))
        return values


class BaseRules(forms.BaseFormSet):
    def __init__(self, *args: Any, currency: str, kept: list[dict], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.currency, self.kept = currency, kept

    def document(self) -> list[dict[str, Any]]:
        """Return the rules in their order, in the test bench's format."""
        rows = [
            (form.cleaned_data, self.kept[place] if place < len(self.kept) else {"when": {}, "pay": {}})
            for place, form in enumerate(self.forms)
            if form.has_changed() or place < len(self.kept)
        ]
        wanted = [row for row in rows if row[0] and not row[0]["remove"]]
        return [
            rule_of(values, kept, self.currency) for values, kept in sorted(wanted, key=lambda row: row[0]["position"])
        ]


Rules = forms.formset_factory(RuleForm, formset=BaseRules, extra=1, max_num=50, validate_max=True)


def rule_of(values: dict[str, Any], kept: dict[str, Any], currency: str) -> dict[str, Any]:
    """Return a row of the form as a rule; conditions the form does not know stay as they were."""
    when = {name: value for name, value in kept["when"].items() if name not in KNOWN}
    if values["customer"]:
        when["new_customer"] = values["customer"] == "new"
    if values["category"]:
        when["category"] = values["category"]
    for name in ("amount_from", "amount_to"):
        if values[name] is not None:
            when[name] = amount_text(values[name], currency)
    pay: dict[str, Any] = {}
    if values["percent"] is not None:
        pay["percent"] = plain(values["percent"])
        if kept["pay"].get("of"):
            pay["of"] = kept["pay"]["of"]
    for name in ("per_line", "per_unit"):
        if values[name] is not None:
            pay[name] = amount_text(values[name], currency)
    return {"name": values["name"], "when": when, "pay": pay}


def plain(value: Decimal) -> str:
    return f"{value.normalize():f}"


def amount_text(value: Decimal, currency: str) -> str:
    """Return an amount with as many decimals as it needs, so that too many are refused and not rounded."""
    places = digits(currency)
    return f"{value:.{places}f}" if value == round(value, places) else plain(value)


def row_of(rule: Any, position: int) -> dict[str, Any]:
    when, pay = rule.when, rule.pay
    categories = when.get("category") or []
    return {
        "name": rule.name,
        "customer": {True: "new", False: "existing"}.get(when.get("new_customer"), ""),
        "category": ", ".join(categories if isinstance(categories, list) else [categories]),
        "amount_from": when.get("amount_from"),
        "amount_to": when.get("amount_to"),
        "percent": pay.get("percent"),
        "per_line": pay.get("per_line"),
        "per_unit": pay.get("per_unit"),
        "position": position,
    }


def plan_version_page(model_admin: Any, request: HttpRequest, campaign: Campaign, plan_id: int) -> HttpResponse:
    model_admin.require(request, model_admin.has_change_permission(request))
    plan = get_object_or_404(CommissionPlan, campaign=campaign, pk=plan_id)
    currency = campaign.currencies[0]
    latest = plan.versions.first()
    old = list(latest.rules.all()) if latest else []
    form = VersionForm(request.POST or None, initial=first_values(latest))
    rules = Rules(
        request.POST or None,
        prefix="rules",
        initial=[row_of(rule, 10 * place) for place, rule in enumerate(old, 1)],
        form_kwargs={"next_position": 10 * len(old) + 10},
        currency=currency,
        kept=[{"when": rule.when, "pay": rule.pay} for rule in old],
    )
    if request.method == "POST" and form.is_valid() and rules.is_valid():
        amounts = {
            name: None if form.cleaned_data[name] is None else amount_text(form.cleaned_data[name], currency)
            for name in ("per_order", "minimum", "maximum")
        }
        try:
            version = revise_plan(
                plan=plan,
                document={"rules": rules.document(), **amounts},
                starts_at=form.cleaned_data["starts_at"],
                actor=actor_of(request),
                now=timezone.now(),
            )
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, _("Version %s is published.") % version.number)
            return HttpResponseRedirect(reverse("admin:campaigns_campaign_plan", args=[campaign.pk]))
    return model_admin.page(
        request,
        "console/plan_version.html",
        _("New version of %s") % plan,
        campaign=campaign,
        plan=plan,
        form=form,
        rules=rules,
        currency=currency,
        **tabs(campaign.pk, "plan"),
    )


def first_values(latest: PlanVersion | None) -> dict[str, Any]:
    if latest is None:
        return {"starts_at": timezone.localtime()}
    amounts = {name: getattr(latest, f"{name}_minor") for name in ("per_order", "minimum", "maximum")}
    return {
        "starts_at": timezone.localtime(),
        **{name: str(Money(minor, latest.currency)) for name, minor in amounts.items() if minor},
    }
