"""Reads of what the web's calls need to know before they can become facts."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.db.models import Q, QuerySet

from apps.campaigns.models import Campaign, CampaignState, EnrollmentState, TrackingLink
from apps.partners.models import Partnership, PartnershipState
from apps.tracking.facts import amendments_of
from apps.tracking.models import Amendment, Conversion, Refund
from apps.tracking.rules.addresses import allowed_address, safe_address
from apps.tracking.rules.clicks import derive_key
from apps.tracking.rules.conversions import AMENDED_LINE, Terms
from apps.tracking.rules.links import LinkTarget, channel_of


def click_keys() -> tuple[bytes, ...]:
    """Return the keys of click ids, the signing one first; SECRET_KEY_FALLBACKS keeps old ones valid."""
    return tuple(derive_key(secret) for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))


def terms_of(campaign: Campaign) -> Terms:
    """Return what a campaign takes of a conversion."""
    return Terms(campaign_id=campaign.pk, currencies=tuple(campaign.currencies), click_keys=click_keys())


def link_target(code: str) -> LinkTarget | None:
    """Return where a link leads and whose it is, or None where there is no such link.

    A link's own page outside the campaign's hosts gives way to the campaign's landing page.
    """
    link = (
        TrackingLink.objects.filter(code=code)
        .select_related("enrollment__campaign", "enrollment__partner")
        .only(
            *("code", "advertiser_id", "landing_url", "sub1", "sub2", "sub3", "is_active"),
            *(f"enrollment__{name}" for name in ("state", "campaign_id", "partner_id", "ad_space_id")),
            *(f"enrollment__campaign__{name}" for name in ("state", "landing_url", "hosts", "starts_at", "ends_at")),
            "enrollment__partner__kind",
        )
        .first()
    )
    if link is None:
        return None
    enrollment, campaign = link.enrollment, link.enrollment.campaign
    home = safe_address(campaign.landing_url)
    if home is None:
        return None
    own = allowed_address(link.landing_url, landing=home, hosts=campaign.hosts) if link.landing_url else None
    return LinkTarget(
        link_id=link.pk,
        advertiser_id=link.advertiser_id,
        campaign_id=campaign.pk,
        partner_id=enrollment.partner_id,
        ad_space_id=enrollment.ad_space_id,
        channel=channel_of(enrollment.partner.kind),
        landing=own or home,
        home=home,
        hosts=tuple(campaign.hosts),
        subs=(link.sub1, link.sub2, link.sub3),
        is_active=link.is_active,
        is_enrolled=enrollment.state == EnrollmentState.ACTIVE,
        is_partner=Partnership.objects.filter(
            advertiser_id=link.advertiser_id, partner_id=enrollment.partner_id, state=PartnershipState.ACTIVE
        ).exists(),
        is_published=campaign.state != CampaignState.DRAFT,
        is_paused=campaign.state == CampaignState.PAUSED,
        starts_at=campaign.starts_at,
        ends_at=campaign.ends_at,
    )


@dataclass(frozen=True, slots=True)
class ToldLine:
    """A line of an order, by its position from 1, in words, pieces and minor units before the order's discount."""

    position: int
    name: str
    quantity: int
    unit_price_minor: int
    category: str

    @property
    def amount_minor(self) -> int:
        return self.quantity * self.unit_price_minor


@dataclass(frozen=True, slots=True)
class ToldLines:
    """The lines of an order as they count now, and which telling of it that is: "0" the first, then amendments.

    Amounts are minor units; `amount_minor` is what the shop says that the order came to, after the discount.
    """

    version: str
    lines: tuple[ToldLine, ...]
    discount_minor: int
    amount_minor: int

    @property
    def difference_minor(self) -> int:
        """Return what the lines less the discount lack of the amount: a line of the default category stands for it."""
        if not self.lines:
            return 0
        total = sum(line.amount_minor for line in self.lines)
        return self.amount_minor - max(0, total - self.discount_minor)


def refunds_told(conversion: Conversion) -> QuerySet[Refund]:
    """Return the refunds of a conversion that count; of an order told a second time those of the first time too."""
    first = Conversion.objects.filter(repeats__conversion=conversion).values("order_ref")
    return Refund.objects.that_count().filter(
        Q(order_ref=conversion.order_ref) | Q(order_ref__in=first),
        advertiser=conversion.advertiser_id,
        goal=conversion.goal,
    )


def amendments_told(conversion: Conversion) -> QuerySet[Amendment]:
    """Return the amendments of a conversion in the order that counts; those of a first time are the second's too."""
    own = Q(conversion=conversion) | Q(conversion__repeats__conversion=conversion)
    return Amendment.objects.filter(own).order_by("sequence", "turn")


def lines_told_last(conversion: Conversion) -> ToldLines:
    """Return the lines that positions of refunds and rejected parts count in; two queries.

    An amendment tells no names: a line of a SKU told before keeps the name it had.
    """
    first = list(conversion.lines.order_by("position"))
    newest = amendments_of([conversion.pk]).get(str(conversion.pk))
    version = ".".join(map(str, newest.place)).removesuffix(".0") if newest else "0"
    content = newest.content if newest else {}
    names = {line.sku: line.name for line in first if line.sku}
    told = content.get("lines")
    if isinstance(told, list):
        sold = [(names.get(line["sku"], ""), line) for line in told]
    else:
        sold = [(line.name, {name: getattr(line, name) for name in AMENDED_LINE}) for line in first]
    lines = tuple(
        ToldLine(
            place,
            name or line["sku"] or line["category"] or f"#{place}",
            line["quantity"],
            line["unit_price_minor"],
            line["category"],
        )
        for place, (name, line) in enumerate(sold, 1)
    )
    discount = content.get("discount_minor", conversion.discount_minor)
    return ToldLines(version, lines, discount, content.get("amount_minor", conversion.amount_minor))
