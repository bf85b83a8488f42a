"""The tabs above every page of a campaign."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from django.utils.translation import gettext_lazy

TABS = {
    "change": gettext_lazy("General"),
    "plan": gettext_lazy("Commission plan"),
    "attribution": gettext_lazy("Attribution"),
    "holds": gettext_lazy("Holds"),
    "partners": gettext_lazy("Partners and links"),
    "coupons": gettext_lazy("Coupons"),
    "tracking": gettext_lazy("Tracking"),
}


def tabs(object_id: object, current: str) -> dict[str, Any]:
    """Return the tabs of a campaign's pages as template context."""
    found = [
        {"title": title, "link": reverse(f"admin:campaigns_campaign_{name}", args=[object_id]), "on": name == current}
        for name, title in TABS.items()
    ]
    return {"campaign_tabs": found}
