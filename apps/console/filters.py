"""Filters that live in the address: one bar above every list, no surprises in the query."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy
from unfold.views import ChangeList

from apps.campaigns.models import Campaign
from apps.console.access import access_of
from apps.core.periods import start_of
from apps.partners.models import Partner

Word = str | Promise
Choices = Callable[[HttpRequest], Sequence[tuple[str, Word]]]
Apply = Callable[[QuerySet, str, HttpRequest], QuerySet]

FIRST_YEAR, LAST_YEAR = 1970, 2200


@dataclass(frozen=True, slots=True)
class Filter:
    """A parameter of the address: `choices` makes it a select, a `date` an input, neither is for tabs and links."""

    name: str
    apply: Apply
    label: Word = ""
    choices: Choices | None = None
    kind: str = "hidden"


class ConsoleChangeList(ChangeList):
    """A list whose own filters are read from the address and kept by its links."""

    def get_filters_params(self, params: dict | None = None) -> dict:
        found = super().get_filters_params(params)
        for own in self.model_admin.filters:
            found.pop(own.name, None)
        return found

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet:
        rows = super().get_queryset(request, exclude_parameters)
        self.own_active = []
        for own in self.model_admin.filters:
            value = request.GET.get(own.name, "").strip()
            if value:
                self.own_active.append(own.name)
                rows = own.apply(rows, value, request)
        return rows

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if not (self.own_active or self.query or self.has_active_filters):
            self.full_result_count = self.result_count


def bar(filters: Sequence[Filter], request: HttpRequest) -> list[dict[str, Any]]:
    """Return the filters as their bar shows them, with what is chosen."""
    return [
        {
            "name": own.name,
            "label": own.label,
            "kind": own.kind,
            "value": request.GET.get(own.name, ""),
            "choices": [(str(key), word) for key, word in own.choices(request)] if own.choices else [],
        }
        for own in filters
    ]


def number(rows: QuerySet, path: str, value: str) -> QuerySet:
    return rows.filter(**{path: int(value)}) if value.isdecimal() and len(value) < 19 else rows.none()


def campaign_filter(path: str = "campaign") -> Filter:
    def choices(request: HttpRequest) -> list[tuple[str, Word]]:
        found = Campaign.objects.for_advertiser(access_of(request).advertiser).order_by("name")
        return list(found.values_list("pk", "name"))

    return Filter(
        "campaign", lambda rows, value, request: number(rows, path, value), gettext_lazy("Campaign"), choices, "select"
    )


def partner_filter(path: str = "partner") -> Filter:
    def choices(request: HttpRequest) -> list[tuple[str, Word]]:
        found = Partner.objects.filter(partnerships__advertiser=access_of(request).advertiser).order_by("name")
        return list(found.values_list("pk", "name"))

    return Filter(
        "partner", lambda rows, value, request: number(rows, path, value), gettext_lazy("Partner"), choices, "select"
    )


def choice_filter(name: str, label: Word, options: Sequence[tuple[str, Word]]) -> Filter:
    allowed = {key for key, _ in options}

    def apply(rows: QuerySet, value: str, request: HttpRequest) -> QuerySet:
        return rows.filter(**{name: value}) if value in allowed else rows.none()

    return Filter(name, apply, label, lambda request: options, "select")


def moment_filters(path: str) -> list[Filter]:
    """Return `from` and `to`: days of the advertiser's zone, both included."""

    def since(rows: QuerySet, value: str, request: HttpRequest) -> QuerySet:
        day = read_day(value)
        return rows.filter(**{f"{path}__gte": start_of(day, access_of(request).advertiser.zone)}) if day else rows

    def until(rows: QuerySet, value: str, request: HttpRequest) -> QuerySet:
        day = read_day(value)
        if day is None:
            return rows
        return rows.filter(**{f"{path}__lt": start_of(day + timedelta(days=1), access_of(request).advertiser.zone)})

    return [
        Filter("from", since, gettext_lazy("From"), kind="date"),
        Filter("to", until, gettext_lazy("To"), kind="date"),
    ]


def read_day(value: str) -> date | None:
    """Return the day that an address names, or None; days that no business has had or plans are none."""
    try:
        day = date.fromisoformat(value)
    except ValueError:
        return None
    return day if FIRST_YEAR <= day.year <= LAST_YEAR else None
