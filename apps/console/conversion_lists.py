"""Which conversions a list shows, and in what order: tabs, filters, counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from django.db.models import BigIntegerField, Exists, Func, JSONField, OuterRef, Q, QuerySet, TextField, Value
from django.db.models.functions import Cast, Coalesce
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy

from apps.attribution.models import Share
from apps.commissions.models import Decision, DecisionState, HoldReason, Reason
from apps.commissions.selections import code_pattern, moved_by, payable
from apps.commissions.worth import changed, worths_of
from apps.console.access import access_of
from apps.console.filters import (
    ConsoleChangeList,
    Filter,
    Word,
    campaign_filter,
    moment_filters,
    partner_filter,
    read_day,
)
from apps.core.periods import day_of
from apps.tracking.models import Conversion

TABS = {
    "": gettext_lazy("All"),
    "open": gettext_lazy("To decide"),
    "hold": gettext_lazy("On hold"),
    "approved": gettext_lazy("Approved"),
    "rejected": gettext_lazy("Rejected"),
    "duplicates": gettext_lazy("Duplicates"),
}
MOST_COUNTED = 10_000
REASONS = {**dict(HoldReason.choices), **dict(Reason.choices)}

# Found by the campaign's scope, or rejected as such by somebody.
DUPLICATES = Q(duplicate__isnull=False) | Q(decision__state=DecisionState.REJECTED, decision__reason=Reason.DUPLICATE)
EARNING = Q(is_test=False, duplicate=None)


def by_state(rows: QuerySet, value: str, request: HttpRequest) -> QuerySet:
    """Apply a tab, or one of the lists that the dashboard links to."""
    advertiser = access_of(request).advertiser
    awaited = Q(decision__state__in=[DecisionState.PENDING, DecisionState.ON_HOLD])
    wanted = {
        "open": Q(decision__state=DecisionState.PENDING) & EARNING,
        "hold": Q(decision__state=DecisionState.ON_HOLD) & EARNING,
        "approved": Q(decision__state=DecisionState.APPROVED),
        "rejected": Q(decision__state=DecisionState.REJECTED),
        "duplicates": DUPLICATES,
        "late": awaited & EARNING & Q(decision__decide_by__lte=day_of(timezone.now(), advertiser.zone)),
        "parked": Q(unsettled__parked_at__isnull=False),
        "unsettled": Q(unsettled__isnull=False),
        "test": Q(is_test=True),
        "awaiting": awaited & EARNING,
        "live": EARNING & ~Q(decision__state=DecisionState.REJECTED),
    }.get(value)
    return rows.filter(wanted) if wanted else rows.none()


def locking_before(rows: QuerySet, value: str, request: HttpRequest) -> QuerySet:
    day = read_day(value)
    return rows.filter(decision__locks_on__lt=day) if day else rows.none()


def by_partner(rows: QuerySet, value: str, request: HttpRequest) -> QuerySet:
    if not value.isdecimal() or len(value) > 18:
        return rows.none()
    return rows.filter(Exists(Share.objects.filter(conversion=OuterRef("pk"), partner=int(value))))


def by_goal(rows: QuerySet, value: str, request: HttpRequest) -> QuerySet:
    return rows.filter(goal=value[:40].upper().replace("\x00", ""))


def by_reason(rows: QuerySet, value: str, request: HttpRequest) -> QuerySet:
    return rows.filter(decision__reason=value) if value in REASONS else rows.none()


def by_coupon(rows: QuerySet, value: str, request: HttpRequest) -> QuerySet:
    return rows.filter(coupons__iregex=code_pattern(value[:80].replace("\x00", "")))


def by_job(rows: QuerySet, value: str, request: HttpRequest) -> QuerySet:
    if not value.isdecimal() or len(value) > 18:
        return rows.none()
    return rows.filter(pk__in=moved_by(access_of(request).advertiser, int(value)))


def reasons(request: HttpRequest) -> list[tuple[str, Word]]:
    return list(REASONS.items())


FILTERS = (
    Filter("state", by_state),
    Filter("locks_before", locking_before),
    Filter("moved_by", by_job),
    campaign_filter(),
    Filter("partner", by_partner, gettext_lazy("Partner"), partner_filter().choices, "select"),
    Filter("reason", by_reason, gettext_lazy("Reason"), reasons, "select"),
    Filter("goal", by_goal, gettext_lazy("Goal"), kind="text"),
    Filter("coupon", by_coupon, gettext_lazy("Code"), kind="text"),
    *moment_filters("occurred_at"),
)


class ConversionChangeList(ConsoleChangeList):
    """The list of conversions; sorted by amount it goes by what is left of the orders, as the column shows it."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet:
        rows = super().get_queryset(request, exclude_parameters)
        order = rows.query.order_by
        if not {"amount_minor", "-amount_minor"} & set(order):
            return rows
        return with_left(rows).order_by(*(str(name).replace("amount_minor", "left_minor") for name in order))


def with_left(rows: QuerySet[Conversion]) -> QuerySet[Conversion]:
    """Return conversions with what is left of them, `left_minor`. One query, and four more where any have changed."""
    ids = list(changed(rows.order_by()).values_list("pk", flat=True))
    left = {id_: worth.left_minor for id_, worth in worths_of(ids).items()}
    found = Func(Value(left, JSONField()), Cast("pk", TextField()), function="jsonb_extract_path_text")
    return rows.annotate(left_minor=Coalesce(Cast(found, BigIntegerField()), "amount_minor"))


def tab_counts(request: HttpRequest, rows: QuerySet[Conversion] | None) -> dict[str, str]:
    """Return how many conversions each tab holds; beyond ten thousand only that, so that no page counts a history.

    `rows` are those that the other filters leave, or nothing where there is none.
    """
    if rows is not None:
        return _shown({name: by_state(rows, name, request) for name in TABS if name})
    advertiser = access_of(request).advertiser
    decisions = Decision.objects.for_advertiser(advertiser).order_by()
    counted = {
        "open": payable(decisions.filter(state=DecisionState.PENDING)),
        "hold": payable(decisions.filter(state=DecisionState.ON_HOLD)),
        "approved": decisions.filter(state=DecisionState.APPROVED),
        "rejected": decisions.filter(state=DecisionState.REJECTED),
        "duplicates": decisions.filter(
            Q(conversion__duplicate__isnull=False) | Q(state=DecisionState.REJECTED, reason=Reason.DUPLICATE)
        ),
    }
    return _shown(counted)


def _shown(counted: Mapping[str, QuerySet]) -> dict[str, str]:
    """Count the rows of each tab in one query."""
    parts = [
        rows.order_by().annotate(tab=Value(name)).values_list("tab", flat=True)[: MOST_COUNTED + 1]
        for name, rows in counted.items()
    ]
    found = Counter(parts[0].union(*parts[1:], all=True))
    return {name: f"{MOST_COUNTED:,}+" if n > MOST_COUNTED else f"{n:,}" for name, n in found.items()}
