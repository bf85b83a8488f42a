"""The review queue: one conversion at a time, decided by keys."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from apps.commissions.models import Decision, DecisionState, HoldReason, Reason
from apps.commissions.selections import payable
from apps.console.access import MANAGERS, access_of, actor_of, may
from apps.console.amounts import amounts_of
from apps.console.conversion_lists import TABS
from apps.console.conversion_story import story_of
from apps.console.conversions import state_badge
from apps.console.site import site
from apps.console.words import SOURCES
from apps.core.errors import Refusal
from apps.pipeline.services.deciding import approve_conversions, hold_conversions, reject_conversions

MOST_COUNTED = 1_000
KEYS = "123456789"
QUEUES = {"open": DecisionState.PENDING, "hold": DecisionState.ON_HOLD}
MOST_TOUCHES = 6


@site.page("review/", "review")
def review(request: HttpRequest) -> HttpResponse:
    """Show what is to be decided first; POST decides it and goes on to the next, N goes on without deciding."""
    if not may(request, MANAGERS):
        raise PermissionDenied
    if request.method == "POST":
        return _decide(request)
    everything = queue(request)
    waiting = payable(everything)
    decision = behind(request, waiting, request.GET.get("after", "")).first()
    again = decision is None and "after" in request.GET and waiting.exists()
    context: dict[str, Any] = {"queue": _queue(request), "again": again, "decision": decision}
    if decision is not None:
        conversion = decision.conversion
        story = story_of(conversion)
        context |= {
            "conversion": conversion,
            "story": story,
            "touches": story.touches[-MOST_TOUCHES:],
            "more_touches": max(0, len(story.touches) - MOST_TOUCHES),
            "badge": state_badge(conversion),
            "source": SOURCES.get(conversion.source, conversion.source),
            "amounts": amounts_of([conversion])[conversion.pk],
            "reasons": [(*one, KEYS[n] if n < len(KEYS) else "") for n, one in enumerate(Reason.choices)],
            "hold_reasons": [(HoldReason.REVIEW, HoldReason.REVIEW.label)],
            "skip": address(request, decision.pk),
        }
    left = waiting[: MOST_COUNTED + 1].count()
    context |= {
        "left_out": everything.exclude(pk__in=waiting.order_by().values("pk")).order_by()[: MOST_COUNTED + 1].count(),
        "left": f"{MOST_COUNTED:,}+" if left > MOST_COUNTED else f"{left:,}",
        "crumbs": [{"title": _("Conversions"), "link": reverse("admin:tracking_conversion_changelist")}],
        "queues": [(name, TABS[name], name == _queue(request)) for name in QUEUES],
        "start": reverse("admin:review") + f"?queue={_queue(request)}",
    }
    return site.render(request, "console/review.html", _("Review"), **context)


def _queue(request: HttpRequest) -> str:
    name = request.GET.get("queue", "open")
    return name if name in QUEUES else "open"


def queue(request: HttpRequest) -> QuerySet[Decision]:
    """Return the settled decisions that wait, the most urgent first."""
    rows = Decision.objects.for_advertiser(access_of(request).advertiser).filter(
        state=QUEUES[_queue(request)], conversion__unsettled__isnull=True
    )
    return rows.select_related("conversion__campaign", "conversion__advertiser").order_by("decide_by", "conversion_id")


def behind(request: HttpRequest, rows: QuerySet[Decision], after: str) -> QuerySet[Decision]:
    """Return the rows behind one of the advertiser's own in their order, or all."""
    try:
        own = Decision.objects.for_advertiser(access_of(request).advertiser)
        place = own.filter(pk=UUID(after)).values_list("decide_by", "conversion_id").first()
    except ValueError:
        place = None
    if place is None:
        return rows
    return rows.filter(Q(decide_by__gt=place[0]) | Q(decide_by=place[0], conversion_id__gt=place[1]))


def address(request: HttpRequest, after: UUID) -> str:
    return f"{reverse('admin:review')}?{urlencode({'queue': _queue(request), 'after': after})}"


def _decide(request: HttpRequest) -> HttpResponse:
    """Decide the conversion that was shown; what somebody else was faster with is told, and the next one is shown."""
    try:
        id_ = UUID(request.POST.get("id", ""))
    except ValueError:
        return HttpResponseRedirect(reverse("admin:review"))
    call: dict[str, Any] = {
        "advertiser": access_of(request).advertiser,
        "conversion_ids": [id_],
        "actor": actor_of(request),
        "now": timezone.now(),
        "note": request.POST.get("note", "")[:300].replace("\x00", ""),
    }
    verb, reason = request.POST.get("verb", ""), request.POST.get("reason", "")
    try:
        if reason:
            reject_conversions(**call, reason=reason)
            messages.success(request, _("Rejected."))
        elif verb == "approve":
            approve_conversions(**call)
            messages.success(request, _("Approved."))
        elif verb == "hold":
            hold_conversions(**call)
            messages.success(request, _("Put on hold."))
    except Refusal as refusal:
        messages.error(request, refusal.message)
    return HttpResponseRedirect(address(request, id_))
