"""What an advertiser sees of one partner."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.campaigns.models import Coupon, Enrollment, TrackingLink
from apps.core.periods import Period, day_of
from apps.insights.selectors import Figures, Ranked, figures, top_campaigns
from apps.invoices.selectors import payability
from apps.ledger.selectors import PartnerBalance, balances_by_partner
from apps.partners.models import AdSpace, PartnerMembership, Partnership
from apps.statements.models import Statement

# The codes of what stands between a partner and its document, said to the advertiser.
OBSTACLES = {
    "statement_only": gettext_lazy("A private person: gets statements, no invoice."),
    "agreement_missing": gettext_lazy("The partner has not agreed to self-billing."),
    "address_incomplete": gettext_lazy("The address is not complete."),
    "vat_id_missing": gettext_lazy("A VAT id is missing."),
    "vat_id_invalid": gettext_lazy("The VAT id does not have the form of its country."),
    "tax_id_missing": gettext_lazy("A VAT id or a tax number is missing."),
    "treatment_unknown": gettext_lazy("No VAT rule is on file for these two countries."),
    "payer_missing": gettext_lazy("The advertiser has no legal entity yet."),
}


@dataclass(frozen=True, slots=True)
class Light:
    """Whether a partner can be paid: `good`, `warn` (without a document) or `bad`, and why."""

    tone: str
    word: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PartnerView:
    figures: Figures
    campaigns: list[Ranked]
    light: Light
    ad_spaces: list[AdSpace]
    enrollments: list[Any]
    coupons: list[Coupon]
    balances: list[PartnerBalance]
    statements: list[Statement]
    people: list[PartnerMembership]
    tax_profile: Any
    payout_profile: Any


def partner_view(partnership: Partnership, period: Period, now: datetime) -> PartnerView:
    """Gather what belongs to a partnership; a constant number of queries."""
    advertiser, partner = partnership.advertiser, partnership.partner
    links: dict[int, list[TrackingLink]] = defaultdict(list)
    for link in TrackingLink.objects.filter(advertiser=advertiser, enrollment__partner=partner).order_by("created_at"):
        link.address = f"{settings.TRACKING_URL}/c/{link.code}"
        links[link.enrollment_id].append(link)
    enrollments = list(
        Enrollment.objects.filter(advertiser=advertiser, partner=partner)
        .select_related("campaign", "ad_space")
        .order_by("campaign__name", "ad_space__name")
    )
    for enrollment in enrollments:
        enrollment.shown_links = links[enrollment.pk]
    found = figures(advertiser=advertiser, partner=partner, period=period)
    return PartnerView(
        figures=found,
        campaigns=top_campaigns(advertiser=advertiser, partner=partner, period=period, since=found.since),
        light=light_of(partnership, now),
        ad_spaces=list(AdSpace.objects.filter(partner=partner).order_by("name")),
        enrollments=enrollments,
        coupons=list(
            Coupon.objects.filter(advertiser=advertiser, partner=partner).select_related("campaign").order_by("code")
        ),
        balances=balances_by_partner(advertiser=advertiser, partner_id=partner.pk),
        statements=list(Statement.objects.for_advertiser(advertiser).filter(partner=partner)[:6]),
        people=list(PartnerMembership.objects.filter(partner=partner).select_related("user").order_by("user__email")),
        tax_profile=getattr(partner, "tax_profile", None),
        payout_profile=getattr(partner, "payout_profile", None),
    )


def light_of(partnership: Partnership, now: datetime) -> Light:
    today = day_of(now, partnership.advertiser.zone)
    blocked = payability(advertiser=partnership.advertiser, partner=partnership.partner, on=today)
    reasons = [str(OBSTACLES.get(row.code, row.message)) for row in blocked]
    payer = [_("Yours to mend: %s") % text for row, text in zip(blocked, reasons, strict=True) if row.side == "payer"]
    payee = [text for row, text in zip(blocked, reasons, strict=True) if row.side != "payer"]
    if getattr(partnership.partner, "payout_profile", None) is None:
        payee.append(_("No bank account is on file."))
    if not payer and not payee:
        return Light("good", _("Can be paid"), ())
    if [row.code for row in blocked] == ["statement_only"] and len(payee) == 1:
        return Light("warn", _("Can be paid without a document"), tuple(payee))
    return Light("bad", _("Cannot be paid yet"), (*payee, *payer))
