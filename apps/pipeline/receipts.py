"""Why this amount: the long receipt of a settled conversion, rendered from the compact one by the same rules."""

from __future__ import annotations

from hashlib import sha256
from typing import Any
from uuid import UUID

from apps.commissions.models import Commission, CommissionKind, Receipt
from apps.core.errors import NotFound
from apps.core.money import Money
from apps.journeys.selectors import Candidate, candidates_by_id
from apps.partners.models import Partner
from apps.pipeline.rules import canonical_bytes, render
from apps.pipeline.stored import Stored, read_stored, stored_order, stored_plans


class NotSettled(NotFound):
    code = "not_settled"
    message = "The conversion is not settled yet."


def explain_conversion(conversion_id: UUID) -> dict[str, Any]:
    """Return the long receipt in the test bench's format, with the facts a page shows beside it.

    On top of the format: `conversion`, `policy_version`, `plan_versions` (ids), `hash`, `verified` (whether rendering
    it again gave the stored hash), `corrections` (signed, with reason and moment), and with each touch its `kind`,
    `at`, `channel` and `partner` (absent where the touch is no longer kept). Raises NotSettled.
    """
    receipt = Receipt.objects.select_related("conversion__advertiser").filter(pk=conversion_id).first()
    if receipt is None:
        raise NotSettled
    long, verified = rendered(receipt, read_stored([receipt]))
    touches = candidates_by_id(receipt.advertiser_id, [touch["id"] for touch in long["touches"]])
    slugs = dict(
        Partner.objects.filter(pk__in={touch.partner_id for touch in touches.values() if touch.partner_id}).values_list(
            "pk", "slug"
        )
    )
    return {
        **long,
        "touches": [{**touch, **_facts(touches.get(touch["id"]), slugs)} for touch in long["touches"]],
        "conversion": str(receipt.pk),
        "policy_version": receipt.policy_version_id,
        "plan_versions": receipt.body["plans"],
        "hash": receipt.sha256,
        "verified": verified,
        "corrections": corrections_of(receipt),
    }


def corrections_of(receipt: Receipt) -> list[dict[str, Any]]:
    """Return what was added to or taken from a conversion's commissions since, in the order it was recorded."""
    rows = Commission.objects.filter(conversion=receipt.pk).exclude(kind=CommissionKind.SALE)
    return [
        {
            "partner": row.partner.slug,
            "amount": str(Money(row.amount_minor, row.currency)),
            "reason": row.reason,
            "at": row.recorded_at.isoformat().replace("+00:00", "Z") if row.recorded_at else None,
        }
        for row in rows.select_related("partner").order_by("pk")
    ]


def rendered(receipt: Receipt, stored: Stored) -> tuple[dict[str, Any], bool]:
    """Return the long form of a stored receipt, and whether its bytes have the hash written at settlement."""
    order = stored_order(receipt, receipt.conversion.advertiser.zone, stored)
    plans = stored_plans(receipt, stored)
    long = render(receipt.body, order, plans, receipt.currency)
    return long, sha256(canonical_bytes(long)).hexdigest() == receipt.sha256


def _facts(touch: Candidate | None, slugs: dict[int, str]) -> dict[str, Any]:
    if touch is None:
        return {}
    return {
        "kind": touch.kind,
        "at": touch.at.isoformat().replace("+00:00", "Z"),
        "channel": touch.channel,
        "partner": slugs.get(touch.partner_id) if touch.partner_id else None,
    }


def explain_to_partner(*, conversion_id: UUID, partner: Partner) -> dict[str, Any]:
    """Return a partner's own part of a receipt: its share, its lines, its touches, and how many others took part.

    Nothing in it reveals another partner's amounts or the conversion's totals. Raises NotSettled, also where the
    partner has no part.
    """
    long = explain_conversion(conversion_id)
    own = next((share for share in long["shares"] if share["partner"] == partner.slug), None)
    if own is None:
        raise NotSettled
    roles = long["roles"]
    named = {"initiator": roles["initiator"], "closer": roles["closer"]}
    return {
        "share": own["share"],
        "revenue": own["revenue"],
        "commission": own["commission"],
        "currency": long["currency"],
        "lines": [
            {key: row.get(key) for key in ("line", "rule", "base", "rate", "exact", "tried")}
            for row in long["rating"]
            if row["partner"] == partner.slug
        ],
        "touches": [touch for touch in long["touches"] if touch.get("partner") == partner.slug],
        "roles": [role for role, who in named.items() if who == partner.slug]
        + (["assist"] if partner.slug in roles["assists"] else []),
        "others": len(long["shares"]) - 1,
        "hash": long["hash"],
        "verified": long["verified"],
        "corrections": [row for row in long["corrections"] if row["partner"] == partner.slug],
    }
