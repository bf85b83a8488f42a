"""The review queue: one conversion at a time, decided by keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
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
from apps.pipeline.services.deciding import (
    approve_conversions,
    hold_conversions,
    reject_conversions,
    release_conversions,
)
from apps.tracking.models import Unsettled

MOST_COUNTED = 1_000
KEYS = "1234567890t"  # of the reasons, in their order
QUEUES = {"open": DecisionState.PENDING, "hold": DecisionState.ON_HOLD}
MOST_TOUCHES = 6


@site.page("review/", "review")
def review(request: HttpRequest) -> HttpResponse:
    """Show what is to be decided first; POST decides it and goes on to the next, N goes on without deciding.

    `after` is the conversion that was shown before, `at` the one to show again; `decided` says that it was decided.
    """
    if not may(request, MANAGERS):
        raise PermissionDenied
    if request.method == "POST":
        return _decide(request)
    everything = queue(request)
    waiting = payable(everything)
    decision = behind(request, waiting).first()
    again = decision is None and "after" in request.GET and waiting.exists()
    context: dict[str, Any] = {
        "queue": _queue(request),
        "again": again,
        "decision": decision,
        "last": last_decided(request),
    }
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
    own = Decision.objects.for_advertiser(access_of(request).advertiser)
    # Asked of each by its key, however long the work list is.
    rows = own.filter(~Exists(Unsettled.objects.filter(pk=OuterRef("pk"))), state=QUEUES[_queue(request)])
    return rows.select_related("conversion__campaign", "conversion__advertiser").order_by("decide_by", "conversion_id")


def named(request: HttpRequest, name: str) -> Decision | None:
    """Return the advertiser's own decision that a parameter names."""
    try:
        id_ = UUID(request.GET.get(name, ""))
    except ValueError:
        return None
    own = Decision.objects.for_advertiser(access_of(request).advertiser)
    return own.select_related("conversion").filter(pk=id_).first()


def behind(request: HttpRequest, rows: QuerySet[Decision]) -> QuerySet[Decision]:
    """Return the rows from the place that the address names on, in their order, or all."""
    before, first = named(request, "after"), named(request, "at")
    place = before or first
    if place is None:
        return rows
    rest = Q(decide_by=place.decide_by, conversion_id__gt=place.pk) | Q(decide_by__gt=place.decide_by)
    return rows.filter(rest if before else rest | Q(pk=place.pk))


@dataclass(frozen=True, slots=True)
class Last:
    """What was decided last: how, whether it can be undone, and if not, why not."""

    decision: Decision
    word: str
    why_final: str

    @property
    def is_undoable(self) -> bool:
        return not self.why_final


def last_decided(request: HttpRequest) -> Last | None:
    """Return what the page before decided, as it stands now; None where nothing was, or it waits again."""
    decision = named(request, "after") if "decided" in request.GET else None
    if decision is None:
        return None
    if decision.state == DecisionState.REJECTED:
        return Last(
            decision, _("Rejected."), _("A rejection is final. If it was wrong, the partner can claim the order.")
        )
    if decision.state == DecisionState.ON_HOLD:
        return Last(decision, _("Put on hold."), "")
    if decision.state == DecisionState.PENDING:
        return Last(decision, _("Taken off hold."), _("It waits for a decision again."))
    if decision.locks_on <= timezone.localdate():
        return Last(decision, _("Approved."), _("It is locked: what comes back from now on is corrected by refunds."))
    text = _("An approval is not undone. Until it locks on %s it can be rejected, which takes the commission back.")
    return Last(decision, _("Approved."), text % date_format(decision.locks_on, "j M Y"))


def address(request: HttpRequest, after: UUID, **more: str) -> str:
    return f"{reverse('admin:review')}?{urlencode({'queue': _queue(request), 'after': after, **more})}"


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
        elif verb == "approve":
            approve_conversions(**call)
        elif verb == "hold":
            hold_conversions(**call)
        elif verb in ("release", "undo"):
            release_conversions(**call)
        else:
            return HttpResponseRedirect(address(request, id_))
    except Refusal as refusal:
        messages.error(request, refusal.message)
        return HttpResponseRedirect(address(request, id_))
    if verb == "undo":
        messages.success(request, _("Undone: it waits for a decision again."))
        return HttpResponseRedirect(f"{reverse('admin:review')}?{urlencode({'queue': 'open', 'at': id_})}")
    return HttpResponseRedirect(address(request, id_, decided="1"))
