"""What came through a partner's links and codes; every read starts from the partner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection
from django.db.models import Count

from apps.attribution.rules import code_key
from apps.campaigns.models import CampaignState, EnrollmentState, TrackingLink
from apps.core.ids import uuid7_floor
from apps.core.periods import Period
from apps.insights.selectors import CLICK_KINDS
from apps.partners.models import Partner
from apps.tracking.models import Touchpoint

# The last touch that counts names the link; touches are joined by id, they have no foreign keys (D5).
SOLD_THROUGH = """
SELECT t.link_id, count(*)
FROM attribution_share s
JOIN tracking_conversion c ON c.id = s.conversion_id AND NOT c.is_test
  AND NOT EXISTS (SELECT FROM tracking_duplicate x WHERE x.conversion_id = c.id)
JOIN commissions_decision d ON d.conversion_id = c.id AND d.state <> 'REJECTED'
JOIN tracking_touchpoint t ON t.id = s.touch_id
WHERE s.partner_id = %s AND t.link_id = ANY(%s) AND c.occurred_at >= %s AND c.occurred_at < %s
GROUP BY t.link_id
"""
USES = """
SELECT m.campaign_id, code, m.currency, count(*), sum(m.amount_minor)
FROM commissions_commission m
JOIN tracking_conversion c ON c.id = m.conversion_id
JOIN commissions_decision d ON d.conversion_id = c.id AND d.state <> 'REJECTED'
CROSS JOIN LATERAL (SELECT DISTINCT upper(u) AS code FROM unnest(c.coupons) AS u) AS codes
WHERE m.partner_id = %s AND m.kind = 'SALE' AND m.payable AND m.occurred_at >= %s AND m.occurred_at < %s
GROUP BY m.campaign_id, code, m.currency
"""


def clicks_by_link(*, partner: Partner, link_ids: Sequence[int], period: Period) -> dict[int, int]:
    """Return how many clicks that count each link had."""
    touches = Touchpoint.objects.filter(
        partner_id=partner.pk,
        link_id__in=link_ids,
        id__gte=uuid7_floor(period.start),
        id__lt=uuid7_floor(period.end),
        kind__in=CLICK_KINDS,
        refusal="",
    )
    return dict(touches.order_by().values_list("link_id").annotate(n=Count("id")))


def conversions_by_link(*, partner: Partner, link_ids: Sequence[int], period: Period) -> dict[int, int]:
    """Return how many conversions, neither rejected nor duplicate, each link has brought the partner a share of."""
    with connection.cursor() as cursor:
        cursor.execute(SOLD_THROUGH, [partner.pk, list(link_ids), period.start, period.end])
        return dict(cursor.fetchall())


@dataclass(frozen=True, slots=True)
class CodeUse:
    """How often a code was part of the partner's own conversions, and what those earned it, in minor units."""

    uses: int
    commission_minor: int
    currency: str


def code_uses(*, partner: Partner, period: Period) -> dict[tuple[int, str], CodeUse]:
    """Return the uses by (campaign id, `code_key`); of several currencies the one with most uses."""
    found: dict[tuple[int, str], CodeUse] = {}
    with connection.cursor() as cursor:
        cursor.execute(USES, [partner.pk, period.start, period.end])
        for campaign_id, code, currency, uses, total in cursor.fetchall():
            key = (campaign_id, code_key(code))
            if key not in found or found[key].uses < uses:
                found[key] = CodeUse(uses, int(total), currency)
    return found


def best_link(*, partner: Partner, period: Period) -> TrackingLink | None:
    """Return the working link with most clicks, of equals the oldest. Two queries."""
    links = list(
        TrackingLink.objects.filter(
            enrollment__partner=partner,
            enrollment__state=EnrollmentState.ACTIVE,
            enrollment__campaign__state=CampaignState.RUNNING,
            is_active=True,
        )
        .select_related("enrollment__campaign")
        .order_by("pk")[:200]
    )
    clicks = clicks_by_link(partner=partner, link_ids=[link.pk for link in links], period=period)
    return max(links, key=lambda link: clicks.get(link.pk, 0), default=None)
