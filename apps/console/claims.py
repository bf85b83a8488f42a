"""Claims: what partners say is missing or wrong, with what is known of the order, and the answer."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.claims.models import AWAITED, AtEnd, Claim, ClaimKind, ClaimReason, ClaimState
from apps.claims.selectors import Standing, counts_by_state, evidence_of, standing_of, terms_of
from apps.claims.services import set_claim_terms
from apps.console import display
from apps.console.access import MANAGERS, OWNERS, access_of, actor_of, may
from apps.console.amounts import Amounts, amounts_of
from apps.console.base import ReadOnlyAdmin
from apps.console.conversion_changes import with_changes
from apps.console.conversion_story import story_of
from apps.console.filters import Filter, campaign_filter, moment_filters, partner_filter
from apps.console.forms import PlainForm
from apps.console.site import site
from apps.core.errors import Refusal
from apps.core.periods import day_of
from apps.pipeline.services.claiming import accept_claim, decline_claim
from apps.pipeline.services.foreseeing import Foreseen, foresee_acceptance
from apps.tracking.models import Touchpoint

TABS = {
    "": gettext_lazy("All"),
    "open": gettext_lazy("To answer"),
    "escalated": gettext_lazy("Overdue"),
    "accepted": gettext_lazy("Accepted"),
    "declined": gettext_lazy("Declined"),
    "withdrawn": gettext_lazy("Withdrawn"),
}
BADGES = {
    "OPEN": "PENDING",
    "ESCALATED": "PARKED",
    "ACCEPTED": "APPROVED",
    "DECLINED": "REJECTED",
    "WITHDRAWN": "ENDED",
}
TOUCHES_SHOWN = 20


def by_state(rows: QuerySet, value: str, request: HttpRequest) -> QuerySet:
    return rows.filter(state=value.upper()) if value.upper() in ClaimState.values else rows.none()


class AcceptForm(PlainForm):
    note = forms.CharField(label=gettext_lazy("Note"), max_length=300, required=False)


class DeclineForm(PlainForm):
    reason = forms.ChoiceField(
        label=gettext_lazy("Reason"), choices=[("", gettext_lazy("Choose a reason")), *ClaimReason.choices]
    )
    note = forms.CharField(
        label=gettext_lazy("Note"),
        max_length=300,
        required=False,
        help_text=gettext_lazy("The partner sees the reason, not the note."),
    )


class TermsForm(PlainForm):
    answer_days = forms.IntegerField(
        label=gettext_lazy("Days to answer"),
        min_value=1,
        max_value=365,
        help_text=gettext_lazy("For claims reported from now on; the partner sees the day."),
    )
    at_end = forms.ChoiceField(label=gettext_lazy("A claim nobody answered"), choices=AtEnd.choices)


@admin.register(Claim, site=site)
class ClaimAdmin(ReadOnlyAdmin):
    writers = MANAGERS
    list_display = ["reported", "order", "partner_name", "campaign_name", "what", "amount", "state_badge", "due"]
    list_display_links = ["reported", "order"]
    search_fields = ["order_ref"]
    search_help_text = gettext_lazy("Find an order number")
    ordering = ["-told_at", "-pk"]
    sortable_by = ["reported", "amount", "due"]
    filters = [Filter("state", by_state), campaign_filter(), partner_filter(), *moment_filters("told_at")]
    intro = gettext_lazy(
        "A partner misses an order, or says that its amount or its rejection is wrong. Accepting writes what is "
        "missing and shares the order by the campaign's policy."
    )
    empty_title = gettext_lazy("No claim")
    empty_text = gettext_lazy("Partners report missing orders in their portal, below their conversions.")
    empty_icon = "gavel"

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).select_related("campaign", "partner", "advertiser")

    def tabs(self, request: HttpRequest) -> list[dict]:
        counts = counts_by_state(advertiser=access_of(request).advertiser)
        kept = request.GET.copy()
        for name in ("state", "p"):
            kept.pop(name, None)
        links = []
        for key, title in TABS.items():
            query = kept.copy()
            if key:
                query["state"] = key
            count = counts.get(key.upper()) if key.upper() in AWAITED else None
            on = key == request.GET.get("state", "")
            links.append({"title": title, "link": f"?{query.urlencode()}", "on": on, "count": count})
        return links

    def changelist_view(self, request: HttpRequest, extra_context: dict | None = None) -> HttpResponse:
        links = (
            [(reverse("admin:claims_claim_terms"), "schedule", _("Set the clock"))] if may(request, MANAGERS) else []
        )
        return super().changelist_view(request, {**(extra_context or {}), "head_links": links})

    @admin.display(description=gettext_lazy("Reported"), ordering="told_at")
    def reported(self, obj: Claim) -> str:
        return display.short_moment(obj.told_at)

    @admin.display(description=gettext_lazy("Order"))
    def order(self, obj: Claim) -> str:
        return display.number(obj.order_ref)

    @admin.display(description=gettext_lazy("Partner"))
    def partner_name(self, obj: Claim) -> str:
        return display.cut(obj.partner.name)

    @admin.display(description=gettext_lazy("Campaign"))
    def campaign_name(self, obj: Claim) -> str:
        return display.cut(obj.campaign.name)

    @admin.display(description=gettext_lazy("Says"))
    def what(self, obj: Claim) -> str:
        return obj.get_kind_display()

    @admin.display(description=gettext_lazy("Amount"), ordering="amount_minor")
    def amount(self, obj: Claim) -> str:
        return display.money(obj.amount_minor, obj.currency)

    @admin.display(description=gettext_lazy("State"))
    def state_badge(self, obj: Claim) -> str:
        return display.badge(BADGES[obj.state], obj.get_state_display())

    @admin.display(description=gettext_lazy("Answer by"), ordering="answer_by")
    def due(self, obj: Claim) -> str:
        return display.day(obj.answer_by) if obj.is_awaited else display.DASH

    # --- one claim --------------------------------------------------------------------------------
    def get_urls(self) -> list:
        view = self.admin_site.admin_view
        own = [
            path("terms/", view(self.terms_view), name="claims_claim_terms"),
            path("<int:object_id>/accept/", view(self.accept_view), name="claims_claim_accept"),
            path("<int:object_id>/decline/", view(self.decline_view), name="claims_claim_decline"),
        ]
        return [*own, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict | None = None
    ) -> HttpResponse:
        return self.detail(request, self.row(request, object_id), DeclineForm())

    def detail(self, request: HttpRequest, claim: Claim, decline_form: DeclineForm) -> HttpResponse:
        standing = standing_of(claim)
        amounts = amounts_of([standing.conversion])[standing.conversion.pk] if standing.conversion else None
        today = day_of(timezone.now(), claim.advertiser.zone)
        may_answer = claim.is_awaited and may(request, self.writers)
        return self.page(
            request,
            "console/claim.html",
            _("Claim for %s") % claim.order_ref,
            claim=claim,
            badge=display.badge(BADGES[claim.state], claim.get_state_display()),
            standing=standing,
            verdict=verdict_of(claim, standing, amounts),
            steps=with_changes(story_of(standing.conversion).steps, standing.conversion) if standing.conversion else [],
            amounts=amounts,
            new_amount=new_amount(claim, amounts),
            touches=touches_near(claim) if standing.conversion is None else [],
            moves=claim.moves.all(),
            files=evidence_of(claim),
            may_remove=may(request, OWNERS),
            days_left=(claim.answer_by - today).days,
            may_answer=may_answer,
            foreseen=foreseen_of(claim) if may_answer else None,
            accept_form=AcceptForm(prefix="accept"),
            decline_form=decline_form,
            opts=None,
        )

    def accept_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        claim = self.row(request, object_id)
        self.require(request, may(request, self.writers))
        form = AcceptForm(request.POST if request.method == "POST" else None, prefix="accept")
        if request.method == "POST" and form.is_valid():
            try:
                accepted = accept_claim(
                    advertiser=access_of(request).advertiser,
                    claim_id=claim.pk,
                    actor=actor_of(request),
                    now=timezone.now(),
                    note=form.cleaned_data["note"],
                    expected=request.POST.get("accept-seen", ""),
                )
                messages.success(request, accepted_said(accepted))
            except Refusal as refusal:
                messages.error(request, refusal.message)
        return HttpResponseRedirect(reverse("admin:claims_claim_change", args=[claim.pk]))

    def decline_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        claim = self.row(request, object_id)
        self.require(request, may(request, self.writers))
        back = HttpResponseRedirect(reverse("admin:claims_claim_change", args=[claim.pk]))
        if request.method != "POST":
            return back
        form = DeclineForm(request.POST)
        if not form.is_valid():
            return self.detail(request, claim, form)
        try:
            decline_claim(
                advertiser=access_of(request).advertiser,
                claim_id=claim.pk,
                actor=actor_of(request),
                now=timezone.now(),
                **form.cleaned_data,
            )
            messages.success(request, _("The claim is declined; the partner reads the reason."))
        except Refusal as refusal:
            messages.error(request, refusal.message)
        return back

    def terms_view(self, request: HttpRequest) -> HttpResponse:
        """Set the clock of claims."""
        self.require(request, may(request, self.writers))
        advertiser = access_of(request).advertiser
        terms = terms_of(advertiser)
        form = TermsForm(request.POST or None, initial={"answer_days": terms.answer_days, "at_end": terms.at_end})
        if request.method == "POST" and form.is_valid():
            try:
                set_claim_terms(advertiser=advertiser, actor=actor_of(request), now=timezone.now(), **form.cleaned_data)
                messages.success(request, _("Claims reported from now on follow the new clock."))
                return HttpResponseRedirect(self.list_url())
            except Refusal as refusal:
                form.refuse(refusal)
        return self.page(
            request,
            "console/form.html",
            _("The clock of claims"),
            form=form,
            submit=_("Save"),
            cancel_url=self.list_url(),
        )


def foreseen_of(claim: Claim) -> Foreseen | None:
    """Return what accepting a claim would do; None where it has been answered meanwhile."""
    try:
        return foresee_acceptance(advertiser=claim.advertiser, claim_id=claim.pk, now=timezone.now())
    except Refusal:
        return None


def accepted_said(claim: Claim) -> str:
    """Say that a claim is accepted, with the way to the order that says what the partner earns now."""
    conversion = claim.conversion
    if conversion is None:
        return _("The claim is accepted.")
    text = _("The claim is accepted; order %s now says what the partner earns.")
    if conversion.order_ref != claim.order_ref:
        text = _("The claim is accepted; the order was told a second time as %s, which is to be decided.")
    address = reverse("admin:tracking_conversion_change", args=[conversion.pk])
    before, _sep, after = text.partition("%s")
    return format_html('{}<a class="tb-link" href="{}">{}</a>{}', before, address, conversion.order_ref, after)


def new_amount(claim: Claim, amounts: Amounts | None) -> str:
    """Say which amount accepting would put in the place of which; nothing where it leaves the amount."""
    if amounts is None or claim.amount_minor in (None, amounts.worth.told_minor):
        return ""
    if claim.kind == ClaimKind.DECLINED or claim.currency != amounts.currency:
        return ""
    pair = (display.amount(minor, claim.currency) for minor in (amounts.worth.told_minor, claim.amount_minor))
    return " → ".join(pair)


def verdict_of(claim: Claim, standing: Standing, amounts: Amounts | None) -> tuple[str, str]:
    """Say what accepting would mean for the order as it stands: a tone and a sentence."""
    if standing.conversion is None or amounts is None:
        return "info", _("The platform does not know this order. Accepting writes it as the claim tells it.")
    state = standing.decision.state if standing.decision else ""
    has_part = bool(standing.part_of(claim.partner_id))
    if state == "REJECTED" and standing.first is not None:
        return "bad", _("The order was told a second time after a claim, and rejected again: that is final.")
    if state == "REJECTED":
        return "warn", _(
            "The order was rejected, which is final. Accepting tells it a second time, to be decided anew."
        )
    if has_part and claim.amount_minor in (None, amounts.worth.told_minor):
        return "warn", _("The order is credited to the partner already, with this amount: there is nothing to accept.")
    if has_part:
        return "info", _(
            "The order is credited to the partner. Accepting corrects its amount, for every partner in it."
        )
    if state == "APPROVED":
        return "bad", _("The order is approved and shared among others: it cannot be shared anew.")
    if claimed := standing.claimed_by_others(claim.partner_id):
        names = ", ".join(credit.partner.name for credit in claimed)
        return "bad", _(
            "%(names)s is credited by a claim that was accepted. What would take from that is refused: "
            "decline this one."
        ) % {"names": names}
    if standing.credits:
        return "warn", _("Conflict: others are credited. Accepting adds the partner's contact and shares it anew.")
    return "info", _("Nobody is credited. Accepting adds the partner's contact and shares the order by the policy.")


def touches_near(claim: Claim) -> list[dict[str, Any]]:
    """Return the journey the claimed click is of, newest first; without a known click there is none."""
    own = Touchpoint.objects.filter(advertiser=claim.advertiser_id)
    click = own.filter(id=claim.click_id).first() if claim.click_id else None
    if click is None:
        return []
    rows = own.filter(visitor=click.visitor).order_by("-id")[:TOUCHES_SHOWN]
    return [
        {
            "at": row.occurred_at,
            "kind": row.get_kind_display(),
            "channel": row.channel,
            "is_claimed": row.id == click.id,
            "is_partner": row.partner_id == claim.partner_id,
        }
        for row in rows
    ]
