"""Data and options for the Chart.js that Unfold brings along."""

from __future__ import annotations

import json
from collections.abc import Sequence

from django.utils.formats import date_format
from django.utils.translation import gettext as _

from apps.core.money import Money
from apps.insights.selectors import Day

TICKS = {"color": "#8fa5ad", "precision": 0, "display": True, "maxTicksLimit": 6}
OPTIONS = {
    "responsive": True,
    "maintainAspectRatio": False,
    "animation": False,
    "interaction": {"mode": "index", "intersect": False},
    "plugins": {
        "legend": {
            "display": True,
            "align": "end",
            "labels": {"boxHeight": 8, "boxWidth": 8, "color": "#7b939b", "usePointStyle": True},
        }
    },
    "elements": {"point": {"radius": 0, "hitRadius": 12}, "line": {"borderWidth": 2}},
    "scales": {
        "x": {"grid": {"display": False}, "ticks": {"color": "#8fa5ad", "maxTicksLimit": 10, "maxRotation": 0}},
        "y": {
            "beginAtZero": True,
            "grid": {"color": "rgba(143,165,173,.18)"},
            "ticks": TICKS,
            "border": {"display": False},
        },
        "clicks": {
            "position": "right",
            "beginAtZero": True,
            "grid": {"display": False},
            "ticks": TICKS,
            "border": {"display": False},
        },
    },
}


def trend_chart(days: Sequence[Day], currency: str) -> dict[str, str]:
    """Return revenue and commission as lines and clicks as bars; amounts are exact decimal strings."""
    data = {
        "labels": [date_format(day.on, "j M") for day in days],
        "datasets": [
            {
                "type": "line",
                "label": _("Net revenue (%s)") % currency,
                "data": [str(Money(day.revenue_minor, currency)) for day in days],
                "borderColor": "#1596a5",
                "backgroundColor": "rgba(15,132,146,.12)",
                "fill": True,
                "tension": 0.3,
                "yAxisID": "y",
                "displayYAxis": True,
                "maxTicksXLimit": 10,
            },
            {
                "type": "line",
                "label": _("Commission (%s)") % currency,
                "data": [str(Money(day.commission_minor, currency)) for day in days],
                "borderColor": "#c9803a",
                "tension": 0.3,
                "yAxisID": "y",
            },
            {
                "type": "bar",
                "label": _("Clicks"),
                "data": [day.clicks for day in days],
                "backgroundColor": "rgba(98,135,196,.45)",
                "yAxisID": "clicks",
                "maxBarThickness": 14,
                "borderRadius": 3,
            },
        ],
    }
    return {"data": json.dumps(data), "options": json.dumps(OPTIONS)}
