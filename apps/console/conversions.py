"""Conversions: the list with its tabs, deciding, and the page that says why each amount is what it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

from django import forms
from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from apps.attribution.models import Share
from apps.commissions.models import Decision, DecisionState, HoldReason, Reason
from apps.commissions.selections import Selection
from apps.console import display
from apps.console.access import MANAGERS, access_of, actor_of, may
from apps.console.amounts import amounts_of, unpaid
from apps.console.base import ReadOnlyAdmin
from apps.console.conversion_changes import with_changes
from apps.console.conversion_lists import FILTERS, TABS, ConversionChangeList, tab_counts
from apps.console.conversion_story import story_of
from apps.console.decision_jobs import VERBS
from apps.console.forms import PlainForm
from apps.console.selections import FILTERS as SELECTING
from apps.console.selections import selection_of
from apps.console.site import site
from apps.console.words import SOURCES
from apps.core.errors import Refusal
from apps.core.periods import day_of
from apps.insights.partner_selectors import pay_days_of
from apps.pipeline.services.deciding import (
    approve_conversions,
    hold_conversions,
    reject_conversions,
    release_conversions,
)
from apps.pipeline.services.deciding_chunks import work_on_decisions
from apps.pipeline.services.deciding_jobs import ask_by_filter
from apps.pipeline.services.unparking import retry_conversions
from apps.records.models import Job
from apps.tracking.models import Conversion, Unsettled
from apps.tracking.persons import person_of

MOST_AT_ONCE = 1_000  # rows ticked on a page; more is a filter's
MOST_PARTNERS = 3  # of a conversion in the list; its page has them all


class RejectForm(PlainForm):
    reason = forms.ChoiceField(
        label=gettext_lazy("Reason"), choices=[("", gettext_lazy("Choose a reason")), *Reason.choices]
    )
    note = forms.CharField(
        label=gettext_lazy("Note"),
        max_length=300,
        required=False,
        help_text=gettext_lazy("The partner sees the reason, not the note."),
    )


@admin.register(Conversion, site=site)
class ConversionAdmin(ReadOnlyAdmin):
    writers = MANAGERS
    list_display = ["happened", "order", "campaign_name", "amount", "partners", "commission", "state", "decide_by"]
    list_display_links = ["happened", "order"]
    search_fields = ["order_ref"]
    search_help_text = gettext_lazy("Find an order number")
    ordering = ["-occurred_at", "-pk"]
    sortable_by = ["happened", "amount", "decide_by"]
    filters = FILTERS
    actions = ["approve", "reject", "hold", "release", "retry"]
    empty_title = gettext_lazy("No conversion yet")
    empty_text = gettext_lazy(
        "They appear here seconds after the shop sends them. The campaign's Tracking tab has the snippets."
    )
    empty_icon = "receipt_long"

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).select_related("campaign", "decision", "unsettled", "duplicate__original")

    def get_search_results(self, request: HttpRequest, queryset: QuerySet, search_term: str) -> tuple[QuerySet, bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        wanted = Q(order_ref__istartswith=term)
        with suppress(ValueError):
            wanted |= Q(pk=UUID(term))
        return queryset.filter(wanted), False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ConversionChangeList]:
        return ConversionChangeList

    def tabs(self, request: HttpRequest) -> list[dict]:
        counts = tab_counts(request, self.narrowed(request))
        kept = request.GET.copy()
        for name in ("state", "p"):
            kept.pop(name, None)
        now = request.GET.get("state", "")
        links = []
        for key, title in TABS.items():
            query = kept.copy()
            if key:
                query["state"] = key
            links.append({"title": title, "link": f"?{query.urlencode()}", "on": key == now, "count": counts.get(key)})
        return links

    def narrowed(self, request: HttpRequest) -> QuerySet | None:
        """Return what every filter of the address but the tab leaves, or nothing where there is none."""
        asked = [own for own in self.filters if own.name != "state" and request.GET.get(own.name, "").strip()]
        term = request.GET.get("q", "")
        if not asked and not term.strip():
            return None
        own_rows = Conversion.objects.for_advertiser(access_of(request).advertiser)
        rows, _distinct = self.get_search_results(request, own_rows, term)
        for own in asked:
            rows = own.apply(rows, request.GET[own.name].strip(), request)
        return rows

    def adorn(self, request: HttpRequest, rows: Any) -> None:
        ids = [row.pk for row in rows]
        shares: dict[UUID, list[Share]] = {}
        found = Share.objects.of_conversions(ids).filter(partner__isnull=False).select_related("partner")
        for share in found.order_by("-numerator", "pk"):
            shares.setdefault(share.conversion_id, []).append(share)
        amounts = amounts_of(rows)
        for row in rows:
            row.shown_shares, row.amounts = shares.get(row.pk, []), amounts[row.pk]

    @admin.display(description=gettext_lazy("Time"), ordering="occurred_at")
    def happened(self, obj: Conversion) -> str:
        return display.short_moment(obj.occurred_at)

    @admin.display(description=gettext_lazy("Order"))
    def order(self, obj: Conversion) -> str:
        return display.number(obj.order_ref)

    @admin.display(description=gettext_lazy("Campaign"))
    def campaign_name(self, obj: Conversion) -> str:
        return display.cut(obj.campaign.name)

    @admin.display(description=gettext_lazy("Amount"), ordering="amount_minor")
    def amount(self, obj: Conversion) -> str:
        return obj.amounts.amount

    @admin.display(description=gettext_lazy("Partners"))
    def partners(self, obj: Conversion) -> str:
        if not obj.shown_shares:
            return format_html('<span class="tb-muted">{}</span>', _("nobody") if decision_of(obj) else "–")
        shown, rest = obj.shown_shares[:MOST_PARTNERS], obj.shown_shares[MOST_PARTNERS:]
        rows = [(whole(share), share.partner, display.part(share.numerator, share.denominator)) for share in shown]
        line = '<span class="tb-share" title="{}"><span>{}</span> <span class="tb-muted tb-small">{}</span></span>'
        others = ", ".join(whole(share) for share in rest)
        more = format_html('<span class="tb-muted tb-small" title="{}">+{}</span>', others, len(rest)) if rest else ""
        return format_html('<span class="tb-shares">{}{}</span>', format_html_join("", line, rows), more)

    @admin.display(description=gettext_lazy("Commission"))
    def commission(self, obj: Conversion) -> str:
        return obj.amounts.commission

    @admin.display(description=gettext_lazy("State"))
    def state(self, obj: Conversion) -> str:
        return state_badge(obj)

    @admin.display(description=gettext_lazy("Decide by"), ordering="decision__decide_by")
    def decide_by(self, obj: Conversion) -> str:
        decision = decision_of(obj)
        return (
            display.short_day(decision.decide_by)
            if decision and decision.state in {"PENDING", "ON_HOLD"} and not unpaid(obj)
            else display.DASH
        )

    # --- deciding ---------------------------------------------------------------------------------
    def changelist_view(self, request: HttpRequest, extra_context: dict | None = None) -> HttpResponse:
        links = []
        if may(request, self.writers):
            links = [
                (reverse("admin:review"), "rate_review", _("Review one by one")),
                (reverse("admin:upload_decisions"), "upload_file", _("Decide by CSV")),
                (reverse("admin:decision_jobs"), "checklist", _("Decisions at scale")),
            ]
        return super().changelist_view(request, {**(extra_context or {}), "head_links": links})

    @admin.action(description=gettext_lazy("Approve"))
    def approve(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        return self.decide_chosen(
            request, queryset, "approve", _("approved"), left=_("Tests and duplicates pay nobody.")
        )

    @admin.action(description=gettext_lazy("Put on hold"))
    def hold(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        return self.decide_chosen(request, queryset, "hold", _("put on hold"), HoldReason.REVIEW)

    @admin.action(description=gettext_lazy("Take off hold"))
    def release(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        return self.decide_chosen(request, queryset, "release", _("taken off hold"))

    @admin.action(description=gettext_lazy("Reject with a reason…"))
    def reject(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        if request.POST.get("select_across") == "1":
            return self.many(request, "reject")
        return self.reject_page(request, list_ids(queryset), request.get_full_path())

    @admin.action(description=gettext_lazy("Try again to work out"))
    def retry(self, request: HttpRequest, queryset: QuerySet) -> None:
        """Put those that were parked back among those that wait."""
        self.retry_parked(request, list_ids(queryset.filter(unsettled__parked_at__isnull=False)))

    def retry_parked(self, request: HttpRequest, ids: Sequence[UUID]) -> None:
        self.require(request, may(request, self.writers))
        count = retry_conversions(
            advertiser=access_of(request).advertiser, conversion_ids=ids, actor=actor_of(request), now=timezone.now()
        )
        if count:
            said = ngettext("%d conversion is tried again.", "%d conversions are tried again.", count) % count
            messages.success(request, said)
        else:
            messages.info(request, _("Nothing here was parked; what waits is worked out by itself."))

    def many(self, request: HttpRequest, verb: str) -> HttpResponse:
        """Send all of a filter to the page that says how much it is before anything happens."""
        self.require(request, may(request, self.writers))
        if selection_of(request) is None:
            messages.error(request, _("This list cannot be decided as a whole. Tick the rows, or choose another tab."))
            return HttpResponseRedirect(request.get_full_path())
        asked = {name: request.GET[name] for name in SELECTING if request.GET.get(name)}
        return HttpResponseRedirect(f"{reverse('admin:decide_many')}?{urlencode({'verb': verb, **asked})}")

    def decide_chosen(
        self, request: HttpRequest, queryset: QuerySet, verb: str, word: str, reason: str = "", left: str = ""
    ) -> HttpResponse | None:
        """Decide the rows ticked on a page at once, as a small job that leaves its way back."""
        if request.POST.get("select_across") == "1":
            return self.many(request, verb)
        self.require(request, may(request, self.writers))
        ids, now = list_ids(queryset), timezone.now()
        try:
            asked = ask_by_filter(
                advertiser=access_of(request).advertiser,
                selection=Selection(ids=tuple(str(id_) for id_ in ids)),
                state=VERBS[verb][0],
                reason=reason,
                actor=actor_of(request),
                key=uuid4().hex,
                as_of=now,
                now=now,
            )
        except Refusal as refusal:
            messages.error(request, refusal.message)
            return None
        work_on_decisions(now=now, only=asked.job.pk)
        job = Job.objects.get(pk=asked.job.pk)
        done = ngettext("%(n)d conversion %(word)s.", "%(n)d conversions %(word)s.", job.moved)
        said = done % {"n": job.moved, "word": word}
        address = reverse("admin:decision_job", args=[job.pk])
        link = format_html(' <a href="{}">{}</a>', address, _("Details and the way back"))
        messages.success(request, format_html("{}{}", said, link if job.moved else ""))
        self.tell_left(request, len(ids) - job.moved, left)
        return None

    def tell_left(self, request: HttpRequest, left: int, why: str = "") -> None:
        if left > 0:
            said = ngettext("%d could not move there.", "%d could not move there.", left) % left
            messages.warning(request, f"{said} {why}".strip())

    def decide(self, request: HttpRequest, ids: Sequence[UUID], verb: Callable, word: str, **how: str) -> None:
        self.require(request, may(request, self.writers))
        try:
            result = verb(
                advertiser=access_of(request).advertiser,
                conversion_ids=ids,
                actor=actor_of(request),
                now=timezone.now(),
                **how,
            )
        except Refusal as refusal:
            messages.error(request, refusal.message)
            return
        done = ngettext("%(n)d conversion %(word)s.", "%(n)d conversions %(word)s.", result.moved)
        messages.success(request, done % {"n": result.moved, "word": word})
        self.tell_left(request, len(result.refused))

    def reject_page(self, request: HttpRequest, ids: Sequence[UUID], back: str) -> HttpResponse | None:
        """Ask for the reason; the second post of the same action carries it."""
        self.require(request, may(request, self.writers))
        form = RejectForm(request.POST if "reason" in request.POST else None)
        if form.is_valid():
            self.decide(request, ids, reject_conversions, _("rejected"), **form.cleaned_data)
            return None
        return self.page(
            request,
            "console/reject.html",
            ngettext("Reject %d conversion", "Reject %d conversions", len(ids)) % len(ids),
            form=form,
            ids=ids,
            back=back,
        )

    # --- one conversion ---------------------------------------------------------------------------
    def get_urls(self) -> list:
        own = path(
            "<uuid:object_id>/decide/",
            self.admin_site.admin_view(self.decide_view),
            name="tracking_conversion_decide",
        )
        return [own, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict | None = None
    ) -> HttpResponse:
        conversion = self.row(request, object_id)
        story = story_of(conversion)
        story.steps = with_changes(story.steps, conversion)
        decision = decision_of(conversion)
        stuck = stuck_of(conversion)
        state = decision.state if decision else DecisionState.PENDING if stuck else None
        allowed = Decision.NEXT[state] if state and may(request, self.writers) else set()
        if decision and decision.state == DecisionState.APPROVED:
            today = day_of(timezone.now(), access_of(request).advertiser.zone)
            allowed = allowed if decision.locks_on > today else set()
        amounts = amounts_of([conversion])[conversion.pk]
        if stuck:
            allowed = allowed & {DecisionState.REJECTED}
        if amounts.why_unpaid:
            allowed = allowed - {DecisionState.APPROVED}
        return self.page(
            request,
            "console/conversion.html",
            conversion.order_ref,
            conversion=conversion,
            story=story,
            person=person_of(conversion),
            may_part=may(request, self.writers),
            decision=decision,
            allowed=allowed,
            stuck=stuck,
            badge=state_badge(conversion),
            source=SOURCES.get(conversion.source, conversion.source),
            amounts=amounts,
            pay_days=pay_days_of(conversion, day_of(timezone.now(), conversion.advertiser.zone)) if decision else [],
            never_paid=bool(unpaid(conversion)),
            reject_form=RejectForm(),
            opts=None,
        )

    def decide_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        conversion = self.row(request, object_id)
        back = HttpResponseRedirect(reverse("admin:tracking_conversion_change", args=[conversion.pk]))
        verbs = {
            "approve": (approve_conversions, _("approved")),
            "hold": (hold_conversions, _("put on hold")),
            "release": (release_conversions, _("taken off hold")),
        }
        verb = request.POST.get("verb", "")
        if verb == "approve" and (why := unpaid(conversion)):
            messages.error(request, _("%s, so there is nothing to approve.") % why)
        elif request.method == "POST" and verb in verbs:
            self.decide(request, [conversion.pk], *verbs[verb])
        elif request.method == "POST" and verb == "retry":
            self.retry_parked(request, [conversion.pk])
        elif request.method == "POST" and verb == "reject":
            answer = self.reject_page(request, [conversion.pk], request.path)
            return answer or back
        return back


def list_ids(queryset: QuerySet) -> list[UUID]:
    return list(queryset.values_list("pk", flat=True)[:MOST_AT_ONCE])


def decision_of(conversion: Conversion) -> Decision | None:
    return getattr(conversion, "decision", None)


def stuck_of(conversion: Conversion) -> Unsettled | None:
    """Return the conversion's place on the work list where it was tried in vain."""
    waiting = getattr(conversion, "unsettled", None)
    return waiting if waiting and waiting.parked_at else None


def whole(share: Share) -> str:
    """Say who has which part, with its percentage."""
    return f"{share.partner} {display.share(share.numerator, share.denominator)}"


def state_badge(conversion: Conversion) -> str:
    """Show what people call the state of a conversion: a fact has none, its decision has."""
    if conversion.is_test:
        return display.badge("TEST", _("Test"))
    if hasattr(conversion, "duplicate"):
        return display.badge("DUPLICATE", _("Duplicate"))
    decision = decision_of(conversion)
    if decision is None:
        if stuck_of(conversion):
            return display.badge("PARKED", _("Not settled"))
        return display.badge("NEW", _("Being settled"))
    if decision.state == DecisionState.APPROVED and decision.locks_on <= timezone.localdate():
        return display.badge("LOCKED", _("Locked"))
    return display.badge(decision.state, decision.get_state_display())
