"""What a campaign holds back for a person to look at: its rules, and the partners under review."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.campaigns.models import Campaign
from apps.commissions.holding import review_partner, rules_at, set_hold_rules
from apps.commissions.models import HoldPolicy, PartnerReview
from apps.commissions.rules.holding import HoldRules
from apps.console.access import actor_of
from apps.console.campaign_tabs import tabs
from apps.console.forms import MinorField, PlainForm
from apps.partners.models import Partner

SHOWN = 10


class HoldForm(PlainForm):
    under_review = forms.BooleanField(
        label=gettext_lazy("Conversions of partners under review"), required=False, initial=True
    )
    too_fast_seconds = forms.IntegerField(
        label=gettext_lazy("Fewer seconds after the click than"),
        required=False,
        min_value=1,
        max_value=86_400,
        help_text=gettext_lazy("Empty: any time is fine."),
    )
    unowned_code = forms.BooleanField(
        label=gettext_lazy("A partner's code was used, and the partner has no touch"), required=False
    )
    untrusted_door = forms.BooleanField(label=gettext_lazy("Told without a signature"), required=False)

    def __init__(self, currency: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["first_sale_above"] = MinorField(
            currency=currency,
            required=False,
            label=_("A partner's first sale above, in %s") % currency,
            help_text=_(
                "First: nothing of the partner is approved yet. One in another currency waits, whatever it is. "
                "Empty: any amount is fine."
            ),
        )
        amount = self.fields["first_sale_above"].widget
        amount.attrs["class"], amount.attrs["aria-describedby"] = "tb-input", "first_sale_above-help"
        self.fields["first_sale_above"].is_wide = False


class ReviewForm(PlainForm):
    partner = forms.ModelChoiceField(label=gettext_lazy("Partner"), queryset=Partner.objects.none())
    reason = forms.CharField(
        label=gettext_lazy("Reason"), max_length=300, help_text=gettext_lazy("The partner does not see it.")
    )


def holds_page(model_admin: Any, request: HttpRequest, campaign: Campaign) -> HttpResponse:
    """Show the rules that hold now, set others from now on, put partners under review and end it."""
    advertiser, now = campaign.advertiser, timezone.now()
    policies = list(HoldPolicy.objects.filter(campaign=campaign)[:SHOWN])
    current = rules_at(policies, now)
    initial = {name: getattr(current, name) for name in HoldRules.__slots__} if current else None
    verb = request.POST.get("verb", "")
    form = HoldForm(campaign.currencies[0], request.POST if verb == "rules" else None, initial=initial)
    review_form = ReviewForm(request.POST if verb == "review" else None, prefix="review")
    partners = Partner.objects.filter(partnerships__advertiser=advertiser).order_by("name")
    review_form.fields["partner"].queryset = partners
    if request.method == "POST":
        model_admin.require(request, model_admin.has_change_permission(request))
        call: dict[str, Any] = {"advertiser": advertiser, "actor": actor_of(request), "now": now}
        done = ""
        if verb == "rules" and form.is_valid():
            set_hold_rules(campaign=campaign, rules=HoldRules(**form.cleaned_data), **call)
            done = _("The rules hold from now on; what is worked out already keeps its state.")
        elif verb == "review" and review_form.is_valid():
            review_partner(**review_form.cleaned_data, **call)
            done = _("New conversions of the partner wait on hold where the campaign asks for it.")
        elif verb == "end" and request.POST.get("partner", "").isdecimal():
            partner = partners.filter(pk=int(request.POST["partner"][:18])).first()
            if partner is not None:
                review_partner(partner=partner, reason="", **call)
                done = _("The review has ended.")
        if done:
            messages.success(request, done)
            return HttpResponseRedirect(reverse("admin:campaigns_campaign_holds", args=[campaign.pk]))
    reviews = PartnerReview.objects.filter(advertiser=advertiser, until=None).select_related("partner")
    return model_admin.page(
        request,
        "console/campaign_holds.html",
        campaign.name,
        campaign=campaign,
        form=form,
        review_form=review_form,
        reviews=reviews.order_by("-since"),
        policies=[(policy, said(policy)) for policy in policies],
        currency=campaign.currencies[0],
        may_change=model_admin.has_change_permission(request),
        **tabs(campaign.pk, "holds"),
    )


def said(policy: HoldPolicy) -> list[str]:
    """Return a version's rules in words."""
    words = []
    if policy.under_review:
        words.append(_("partners under review"))
    if policy.too_fast_seconds is not None:
        words.append(_("fewer than %d seconds after the click") % policy.too_fast_seconds)
    if policy.unowned_code:
        words.append(_("codes whose owner has no touch"))
    if policy.untrusted_door:
        words.append(_("calls without a signature"))
    if policy.first_sale_above_minor is not None:
        words.append(_("large first sales"))
    return words or [_("nothing")]
