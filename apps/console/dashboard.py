"""The dashboard: what happened, against the period before, and what waits for somebody."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.claims.models import ClaimState
from apps.claims.selectors import counts_by_state
from apps.commissions.models import Decision, DecisionState
from apps.commissions.selections import payable
from apps.console import display
from apps.console.access import access_of
from apps.console.books import books_of
from apps.console.charts import trend_chart
from apps.console.issuing import open_statements
from apps.console.ranges import PRESETS, Range, asked_preset, range_of
from apps.core.periods import day_of
from apps.identity.models import Advertiser
from apps.insights.selectors import (
    Figures,
    SystemState,
    figures,
    system_state,
    top_campaigns,
    top_partners,
    trend_by_day,
)
from apps.partners.models import Partnership, PartnershipState
from apps.tracking.models import RejectedEvent

if TYPE_CHECKING:
    from apps.console.site import ConsoleSite


PATIENCE = timedelta(minutes=2)
"""Settling takes seconds: what has waited for longer than this has nobody who works on it."""


Waiting = tuple[int, str, str, str, str]
"""How many, in words, where they are, icon and tone."""


@dataclass(frozen=True, slots=True)
class Card:
    """A figure, its change against the period before (`up`, `down`, `same` or nothing) and where its rows are."""

    title: str
    value: str
    link: str = ""
    change: str = ""
    direction: str = ""
    before: str = ""
    hint: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    text: str
    link: str
    icon: str
    tone: str


def dashboard(site: ConsoleSite, request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    advertiser = access_of(request).advertiser
    span = range_of(request, advertiser, now)
    if asked_preset(request) != span.preset:
        messages.warning(request, _("There is no such range; these are the last 30 days."))
    current = figures(advertiser=advertiser, period=span.period)
    before = figures(advertiser=advertiser, period=span.before) if span.compares else None
    days = trend_by_day(advertiser=advertiser, period=span.period, since=current.since)
    state = system_state(advertiser=advertiser, now=now)
    return site.render(
        request,
        "console/dashboard.html",
        _("Dashboard"),
        span=span,
        presets=PRESETS,
        cards=cards(advertiser, span, current, before),
        chart=trend_chart(days, current.currency),
        days=days,
        figures=current,
        rows_query=rows_query(span),
        partners=top_partners(advertiser=advertiser, period=span.period),
        campaigns=top_campaigns(advertiser=advertiser, period=span.period, since=current.since),
        tasks=tasks(advertiser, state, now),
        state=state,
        waiting=display.age(state.waiting_since, now) if state.waiting else "",
        now=now,
        advertiser=advertiser,
        books=books_of(advertiser),
    )


def rows_query(span: Range) -> str:
    """Return the query that shows the range's conversions in their list."""
    return f"from={span.first_on}&to={span.last_on}"


def cards(advertiser: Advertiser, span: Range, now: Figures, before: Figures | None) -> list[Card]:
    conversions = reverse("admin:tracking_conversion_changelist")
    rows, campaigns = f"{conversions}?state=live&{rows_query(span)}", reverse("admin:campaigns_campaign_changelist")
    currency = now.currency

    def number(title: str, name: str, link: str, hint: str = "", note: str = "") -> Card:
        value, old = getattr(now, name), getattr(before, name) if before else None
        text = display.amount(value, currency) if name.endswith("_minor") else grouped(value)
        shown = "" if old is None else display.amount(old, currency) if name.endswith("_minor") else grouped(old)
        return Card(title, text, link, *change(value, old), before=shown, hint=hint, note=note)

    def ratio(title: str, part: str, whole: str, link: str, hint: str) -> Card:
        pair = (getattr(now, part), getattr(now, whole))
        old = (getattr(before, part), getattr(before, whole)) if before else None
        value = display.percent(*pair)
        if old is None or not (pair[1] and old[1]):
            return Card(title, value, link, hint=hint)
        moved = change_of_ratio(Fraction(*pair), Fraction(*old))
        return Card(title, value, link, *moved, before=display.percent(*old), hint=hint)

    return [
        number(
            _("Clicks"), "clicks", f"{reverse('admin:tracking_touchpoint_changelist')}?valid=yes&{rows_query(span)}"
        ),
        number(_("Conversions"), "conversions", rows, _("without tests, duplicates and rejected ones")),
        ratio(_("Conversion rate"), "conversions", "clicks", rows, _("conversions per click")),
        number(_("Net revenue"), "revenue_minor", rows, _("after refunds; net of VAT and shipping"), given_back(now)),
        number(_("Commission"), "commission_minor", rows, _("approved and pending")),
        ratio(_("Effective rate"), "commission_minor", "revenue_minor", campaigns, _("commission of net revenue")),
        Card(
            _("Awaiting decision"),
            grouped(now.pending),
            f"{conversions}?state=awaiting&{rows_query(span)}",
            hint=_("%s commission") % display.amount(now.pending_commission_minor, currency),
        ),
    ]


def given_back(now: Figures) -> str:
    """Say what refunds took from the revenue; nothing where nothing was given back."""
    return _("%s given back") % display.amount(now.given_back_minor, now.currency) if now.given_back_minor else ""


def grouped(value: int) -> str:
    return number_format(value, use_l10n=True, force_grouping=True)


def change(value: int, old: int | None) -> tuple[str, str]:
    """Return the change in words (`+12.5 %`) and its direction."""
    if old is None:
        return "", ""
    if not old:
        return (_("new"), "up") if value else ("±0 %", "same")
    return change_of_ratio(Fraction(value), Fraction(old))


def change_of_ratio(value: Fraction, old: Fraction) -> tuple[str, str]:
    if not old:
        return "", ""
    moved = (value - old) / old * 100
    rounded = round(Decimal(moved.numerator) / Decimal(moved.denominator), 1)
    direction = "up" if rounded > 0 else "down" if rounded < 0 else "same"
    sign = {"up": "+", "down": "−", "same": "±"}[direction]
    return f"{sign}{number_format(abs(rounded), decimal_pos=1)} %", direction


def tasks(advertiser: Advertiser, state: SystemState, now: datetime) -> list[Task]:
    """Return what waits for somebody, what is broken first; an empty list is a good day. Six queries."""
    stuck = state.waiting if state.waiting_since and now - state.waiting_since > PATIENCE else 0
    refused = RejectedEvent.objects.filter(advertiser=advertiser, at__gte=now - timedelta(days=7)).count()
    conversions = reverse("admin:tracking_conversion_changelist")
    found = [
        (
            stuck,
            ngettext(
                "%d conversion has waited to be settled for minutes: the workers or their queue may be down",
                "%d conversions wait to be settled, some for minutes: the workers or their queue may be down",
                stuck,
            ),
            f"{conversions}?state=unsettled",
            "error",
            "bad",
        ),
        *_to_answer(advertiser),
        *_to_decide(advertiser, now),
        (
            refused,
            ngettext("%d call was refused this week", "%d calls were refused this week", refused),
            reverse("admin:tracking_rejectedevent_changelist"),
            "report",
            "warn",
        ),
        (
            state.parked,
            ngettext("%d conversion could not be settled", "%d conversions could not be settled", state.parked),
            f"{conversions}?state=parked",
            "error",
            "bad",
        ),
    ]
    return [Task(text % number, link, icon, tone) for number, text, link, icon, tone in found if number]


def _to_answer(advertiser: Advertiser) -> list[Waiting]:
    """Return the claims that wait, the overdue ones first. One query."""
    claims = counts_by_state(advertiser=advertiser)
    opened, overdue = claims[ClaimState.OPEN], claims[ClaimState.ESCALATED]
    claim_list = reverse("admin:claims_claim_changelist")
    return [
        (
            overdue,
            ngettext("%d claim is overdue", "%d claims are overdue", overdue),
            f"{claim_list}?state=escalated",
            "alarm",
            "bad",
        ),
        (
            opened,
            ngettext("%d claim waits for an answer", "%d claims wait for an answer", opened),
            f"{claim_list}?state=open",
            "rate_review",
            "warn",
        ),
    ]


def _to_decide(advertiser: Advertiser, now: datetime) -> list[Waiting]:
    """Return the statements, partners and conversions that somebody is to decide about."""
    today = day_of(now, advertiser.zone)
    blocked = sum(bool(row.obstacles) for row in open_statements(advertiser))
    applied = Partnership.objects.for_advertiser(advertiser).filter(state=PartnershipState.APPLIED).count()
    awaited = Decision.objects.for_advertiser(advertiser).filter(
        state__in=[DecisionState.PENDING, DecisionState.ON_HOLD], decide_by__lte=today
    )
    late = payable(awaited).count()
    return [
        (
            blocked,
            ngettext("%d statement cannot be settled yet", "%d statements cannot be settled yet", blocked),
            reverse("admin:closing"),
            "block",
            "warn",
        ),
        (
            applied,
            ngettext("%d partner has applied", "%d partners have applied", applied),
            reverse("admin:partners_partnership_changelist") + "?state=APPLIED",
            "person_add",
            "info",
        ),
        (
            late,
            ngettext("%d conversion is past its decide-by day", "%d conversions are past their decide-by day", late),
            f"{reverse('admin:tracking_conversion_changelist')}?state=late",
            "alarm",
            "warn",
        ),
    ]
