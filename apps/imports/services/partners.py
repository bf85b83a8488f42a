"""Bring partners, their ad spaces and enrollments in; what is there already stays as it is."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange

from apps.campaigns.models import Campaign, Enrollment, EnrollmentPeriod
from apps.imports.rules.cells import Refused, RowRefused
from apps.imports.rules.partners import PARTNERS, PartnerFact
from apps.imports.rules.tables import Batch, refuse
from apps.imports.rules.touches import AdSpaceIds
from apps.imports.services.runs import Stored
from apps.partners.models import AdSpace, Partner, Partnership, PartnershipState, PayoutProfile, TaxProfile

TAKEN = RowRefused("Another partner of the platform has this short name.", code="partner_slug_taken", path="partner")
MEANWHILE = RowRefused("Somebody stored the same at the same moment; import again.", code="changed_meanwhile")
NOT_ACTIVE = RowRefused(
    "The partnership is there, but not active; decide on it first.", code="partnership_not_active", path="partner"
)


def store_partners(batch: Batch[PartnerFact], *, campaign: Campaign, since: datetime, now: datetime) -> Stored:
    """Store a batch of partners in the caller's transaction, active from `since` on."""
    added, repeated = 0, 0
    refused: list[Refused] = list(batch.refused)
    for row, fact in zip(batch.rows, batch.facts, strict=True):
        try:
            with transaction.atomic():
                created = store_partner(fact, campaign=campaign, since=since, now=now)
        except RowRefused as refusal:
            refused.append(refuse(row, PARTNERS, refusal))
        except IntegrityError:
            refused.append(refuse(row, PARTNERS, MEANWHILE))
        else:
            added, repeated = added + created, repeated + (not created)
    return Stored(added, repeated, refused)


def store_partner(fact: PartnerFact, *, campaign: Campaign, since: datetime, now: datetime) -> bool:
    """Store one partner with one ad space; return whether anything was missing.

    A short name is one on the platform: an advertiser who does not work with its bearer yet must also know
    its name. Raises RowRefused: partner_slug_taken, partnership_not_active.
    """
    partner, created = Partner.objects.get_or_create(
        slug=fact.partner, defaults={"name": fact.name, "country": fact.country, "kind": fact.kind, "created_at": now}
    )
    partnership = Partnership.objects.for_advertiser(campaign.advertiser).filter(partner=partner).first()
    if partnership is None:
        if partner.name.casefold() != fact.name.casefold():
            raise TAKEN
        partnership, created = begin_partnership(fact, partner, campaign, since), True
    elif partnership.state != PartnershipState.ACTIVE:
        raise NOT_ACTIVE
    steps = (
        fill_agreement(fact, partnership),
        fill_profiles(fact, partner, now=now),
        enroll(fact, partner, campaign=campaign, since=since),
    )
    return created or any(steps)


def begin_partnership(fact: PartnerFact, partner: Partner, campaign: Campaign, since: datetime) -> Partnership:
    return Partnership.objects.create(
        advertiser_id=campaign.advertiser_id,
        partner=partner,
        state=PartnershipState.ACTIVE,
        state_since=since,
        self_billing_version=fact.self_billing_version,
        self_billing_on=fact.self_billing_on,
    )


def fill_agreement(fact: PartnerFact, partnership: Partnership) -> bool:
    """Note the self-billing agreement where none is noted."""
    if not fact.self_billing_on or partnership.self_billing_version:
        return False
    partnership.self_billing_version = fact.self_billing_version
    partnership.self_billing_on = fact.self_billing_on
    partnership.save(update_fields=["self_billing_version", "self_billing_on"])
    return True


def fill_profiles(fact: PartnerFact, partner: Partner, *, now: datetime) -> bool:
    """Fill the tax and payout profile where there is none; never change one."""
    filled = False
    if fact.tax and not TaxProfile.objects.filter(partner=partner).exists():
        TaxProfile.objects.create(
            partner=partner,
            status=fact.tax.status,
            legal_name=fact.tax.legal_name,
            address=fact.tax.address,
            postcode=fact.tax.postcode,
            city=fact.tax.city,
            country=fact.country,
            vat_id=fact.tax.vat_id,
            tax_number=fact.tax.tax_number,
        )
        filled = True
    if fact.iban and not PayoutProfile.objects.filter(partner=partner).exists():
        PayoutProfile.objects.create(partner=partner, holder=fact.holder, iban=fact.iban, changed_at=now)
        filled = True
    return filled


def enroll(fact: PartnerFact, partner: Partner, *, campaign: Campaign, since: datetime) -> bool:
    """Enroll the ad space from `since` on; an enrollment that began later is carried back."""
    ad_space, new_space = AdSpace.objects.get_or_create(
        partner=partner, slug=fact.ad_space, defaults={"name": fact.ad_space, "category": fact.ad_space_category}
    )
    enrollment, _ = Enrollment.objects.get_or_create(
        campaign=campaign, ad_space=ad_space, defaults={"advertiser_id": campaign.advertiser_id, "partner": partner}
    )
    starts = [period.active.lower for period in enrollment.periods.all()]
    if any(start is None or start <= since for start in starts):
        return new_space
    EnrollmentPeriod.objects.create(
        advertiser_id=campaign.advertiser_id,
        enrollment=enrollment,
        active=DateTimeTZRange(since, min(starts, default=None)),
    )
    return True


def ad_spaces_of(campaign: Campaign) -> dict[tuple[str, str], AdSpaceIds]:
    """Return the ids of the campaign's ad spaces by the short names of partner and ad space."""
    rows: Iterable[tuple[str, str, int, int]] = Enrollment.objects.filter(campaign=campaign).values_list(
        "partner__slug", "ad_space__slug", "partner_id", "ad_space_id"
    )
    return {(partner, space): AdSpaceIds(partner_id, space_id) for partner, space, partner_id, space_id in rows}
