"""What documents say about whom, and who can be invoiced."""

from __future__ import annotations

from datetime import date

from apps.identity.models import Advertiser, LegalEntity
from apps.invoices.models import Settlement
from apps.invoices.rules import Agreement, Blocked, Party, TaxStatus, obstacles
from apps.partners.models import Partner, Partnership, TaxProfile
from apps.partners.models import TaxStatus as ProfileStatus
from apps.statements.models import Statement, StatementQuerySet

STATUS = {
    ProfileStatus.BUSINESS: TaxStatus.REGISTERED,
    ProfileStatus.SMALL_BUSINESS: TaxStatus.SMALL_BUSINESS,
    ProfileStatus.PRIVATE: TaxStatus.PRIVATE,
}


def payer_party(entity: LegalEntity) -> Party:
    """Return the company that pays, as a document prints it."""
    return Party(
        name=entity.name,
        lines=tuple(entity.address.splitlines()),
        postcode=entity.postcode,
        city=entity.city,
        country=entity.country,
        vat_id=entity.vat_id,
        tax_number=entity.tax_number,
        email=entity.email,
        register=entity.register,
    )


def payee_party(partner: Partner) -> Party:
    """Return the partner as a document prints it; without a tax profile its address is missing and blocks."""
    profile: TaxProfile | None = getattr(partner, "tax_profile", None)
    if profile is None:
        return Party(name=partner.name, lines=(), postcode="", city="", country=partner.country)
    return Party(
        name=profile.legal_name,
        lines=tuple(profile.address.splitlines()),
        postcode=profile.postcode,
        city=profile.city,
        country=profile.country,
        vat_id=profile.vat_id,
        tax_number=profile.tax_number,
        email=partner.email,
        status=STATUS[ProfileStatus(profile.status)],
        language=partner.language,
        reference=partner.slug,
    )


def agreement_of(partnership: Partnership | None) -> Agreement | None:
    if partnership is None or partnership.self_billing_on is None:
        return None
    return Agreement(partnership.self_billing_version, partnership.self_billing_on)


def payability(*, advertiser: Advertiser, partner: Partner, on: date) -> tuple[Blocked, ...]:
    """Return everything that stands between a partner and its document, in the order to mend it; empty: payable."""
    entity = LegalEntity.objects.filter(advertiser=advertiser, is_default=True).first()
    if entity is None:
        return (Blocked("payer_missing", "The advertiser has no legal entity yet.", "payer"),)
    partnership = Partnership.objects.for_advertiser(advertiser).filter(partner=partner).first()
    return obstacles(payer_party(entity), payee_party(partner), on, agreement=agreement_of(partnership))


def unsettled_statements(*, advertiser: Advertiser) -> StatementQuerySet:
    """Return the statements without a living settlement, in the order of the chain."""
    living = Settlement.objects.filter(advertiser=advertiser, reversed_at__isnull=True)
    return Statement.objects.for_advertiser(advertiser).exclude(settlements__in=living).order_by("place")
