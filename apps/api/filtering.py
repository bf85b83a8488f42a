"""Filters of lists: what a list does not know is refused, so that a typo never shows everything."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.request import Request
from rest_framework.views import APIView

from apps.core.errors import Invalid

PAGING = frozenset({"cursor", "page_size"})


class UnknownFilter(Invalid):
    code = "unknown_filter"
    message = "There is no such filter."


class KnownFilterBackend(DjangoFilterBackend):
    def filter_queryset(self, request: Request, queryset: QuerySet, view: APIView) -> QuerySet:
        """Filter a list. Raises UnknownFilter."""
        filterset: Any = self.get_filterset_class(view, queryset)
        known = {*(filterset.base_filters if filterset else ()), *PAGING}
        for name in request.query_params:
            if name not in known:
                raise UnknownFilter(
                    f"There is no filter of this name; there are: {', '.join(sorted(known))}.", path=name
                )
        return super().filter_queryset(request, queryset, view)
