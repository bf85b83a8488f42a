"""Set the stage: people, companies, the campaign, its partners, links and codes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.hashers import make_password
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange

from apps.campaigns.models import Campaign, Coupon, Enrollment, EnrollmentPeriod, TrackingLink
from apps.commissions.models import CommissionPlan, PlanAssignment
from apps.core.actors import SYSTEM, Actor, ActorKind
from apps.identity.models import Advertiser, AdvertiserKey, LegalEntity, Membership, Role, User
from apps.partners.models import (
    AdSpace,
    Partner,
    PartnerGroup,
    PartnerMembership,
    Partnership,
    PartnershipState,
    PayoutProfile,
    TaxProfile,
)
from apps.pipeline.demo.cast import APPLICANTS, PASSWORD, PLAYERS, Player
from apps.pipeline.services.opening import open_campaign, revise_plan, revise_policy

SLUG = "aurora"
TEAM = (("owner@aurora.example", "Olga Brandt", Role.OWNER), ("finance@aurora.example", "Felix Kern", Role.FINANCE))
RULES = [
    {"name": "sale items", "when": {"category": ["SALE"]}, "pay": {"percent": "3"}},
    {"name": "new customers from 200", "when": {"new_customer": True, "amount_from": "200"}, "pay": {"percent": "12"}},
    {"name": "new customers", "when": {"new_customer": True}, "pay": {"percent": "10"}},
    {"name": "everything else", "when": {}, "pay": {"percent": "7"}},
]


@dataclass(frozen=True, slots=True)
class Stage:
    advertiser: Advertiser
    campaign: Campaign
    enrollments: dict[str, Enrollment]
    links: dict[int, list[int]]


def manager() -> Actor:
    """Return the person who runs the advertiser's partner program."""
    return _person(TEAM[0][0])


def speaker(slug: str) -> Actor:
    """Return who speaks for a partner."""
    return _person(next(player.email for player in PLAYERS if player.slug == slug))


def _person(email: str) -> Actor:
    user = User.objects.get(email=email)
    return Actor(ActorKind.USER, str(user.pk), user.name)


def set_stage(*, starts_at: datetime, now: datetime) -> Stage:
    """Create everything that is there before the first click."""
    password = make_password(PASSWORD)
    advertiser = Advertiser.objects.create(name="Aurora Outdoor", slug=SLUG, created_at=starts_at)
    LegalEntity.objects.create(
        advertiser=advertiser,
        name="Aurora Outdoor GmbH",
        address="Speicherstraße 21",
        postcode="20457",
        city="Hamburg",
        vat_id="DE136695976",
        register="HRB 104711, Amtsgericht Hamburg",
        email="finance@aurora.example",
        number_prefix="AO",
    )
    for email, name, role in TEAM:
        user = User.objects.create(email=email, name=name, password=password)
        Membership.objects.create(advertiser=advertiser, user=user, role=role)
    campaign = _campaign(advertiser, starts_at, now)
    groups = {
        name: PartnerGroup.objects.create(advertiser=advertiser, name=name.title(), slug=name)
        for name in ("strategic", "standard")
    }
    enrollments = {
        player.slug: _player(player, advertiser, campaign, groups, password, starts_at) for player in PLAYERS
    }
    for slug, name, kind, website in APPLICANTS:
        partner = Partner.objects.create(slug=slug, name=name, kind=kind, website=website, email=f"hi@{slug}.example")
        AdSpace.objects.create(partner=partner, name=website.split("/")[2], slug="main", url=website)
        Partnership.objects.create(advertiser=advertiser, partner=partner, state_since=now)
    _special_terms(campaign, enrollments, starts_at, now)
    AdvertiserKey.objects.create_key(
        advertiser=advertiser, name="Demo shop", scopes=["conversions:write", "conversions:read"]
    )
    return Stage(advertiser, campaign, enrollments, links_of(campaign))


def links_of(campaign: Campaign) -> dict[int, list[int]]:
    """Return the ids of a campaign's links by enrollment."""
    found: dict[int, list[int]] = {}
    rows = TrackingLink.objects.filter(enrollment__campaign=campaign).order_by("pk")
    for enrollment_id, link_id in rows.values_list("enrollment_id", "pk"):
        found.setdefault(enrollment_id, []).append(link_id)
    return found


def _campaign(advertiser: Advertiser, starts_at: datetime, now: datetime) -> Campaign:
    campaign = open_campaign(
        advertiser=advertiser,
        name="Aurora Shop",
        slug="aurora-shop",
        landing_url="https://shop.aurora.example/",
        currency="EUR",
        percent="8",
        model="LAST_CLICK",
        starts_at=starts_at,
        actor=SYSTEM,
        now=starts_at,
    )
    campaign.description = "Boots, tents and jackets for people who walk. Delivery to Germany, France and Switzerland."
    campaign.hosts = ["shop.aurora.example"]
    campaign.save()
    revise_policy(
        campaign=campaign,
        settings={"model": "POSITION", "weights": {"first": "40", "middle": "20", "last": "40"}, "repeats": "ONCE"},
        starts_at=starts_at.replace(day=2),
        actor=SYSTEM,
        now=starts_at,
    )
    plan = CommissionPlan.objects.get(campaign=campaign)
    revise_plan(plan=plan, document={"rules": RULES}, starts_at=starts_at.replace(day=2), actor=SYSTEM, now=starts_at)
    return campaign


def _player(
    player: Player,
    advertiser: Advertiser,
    campaign: Campaign,
    groups: dict[str, PartnerGroup],
    password: str,
    starts_at: datetime,
) -> Enrollment:
    partner = Partner.objects.create(
        slug=player.slug,
        name=player.name,
        kind=player.kind,
        website=player.website,
        email=player.email,
        country=player.country,
        language=player.language,
        created_at=starts_at,
    )
    TaxProfile.objects.create(
        partner=partner,
        status=player.tax_status,
        legal_name=player.legal_name,
        address=player.address,
        postcode=player.postcode,
        city=player.city,
        country=player.country,
        vat_id=player.vat_id,
        tax_number=player.tax_number,
    )
    PayoutProfile.objects.create(partner=partner, holder=player.legal_name, iban=player.iban, changed_at=starts_at)
    user = User.objects.create(email=player.email, name=player.name, password=password)
    PartnerMembership.objects.create(partner=partner, user=user)
    Partnership.objects.create(
        advertiser=advertiser,
        partner=partner,
        state=PartnershipState.ACTIVE,
        state_since=starts_at,
        group=groups["strategic" if player.starts > 20 else "standard"],
        self_billing_version="2026-1" if player.agreed else "",
        self_billing_on=starts_at.date() if player.agreed else None,
    )
    ad_space = AdSpace.objects.create(
        partner=partner, name=player.website.split("/")[2], slug="main", url=player.website, category=player.category
    )
    enrollment = Enrollment.objects.create(advertiser=advertiser, campaign=campaign, ad_space=ad_space, partner=partner)
    EnrollmentPeriod.objects.create(
        advertiser=advertiser, enrollment=enrollment, active=DateTimeTZRange(starts_at, None)
    )
    for name, path in (("Home page", ""), ("Tents", "camping/tents")):
        TrackingLink.objects.create(
            advertiser=advertiser,
            enrollment=enrollment,
            code=f"{player.slug}{'-tents' if path else ''}",
            name=name,
            landing_url=f"https://shop.aurora.example/{path}" if path else "",
            created_at=starts_at,
        )
    return enrollment


def _special_terms(campaign: Campaign, enrollments: dict[str, Enrollment], starts_at: datetime, now: datetime) -> None:
    """Cashback earns a flat 4 %; the coupon site owns two codes, one of them over."""
    plan = CommissionPlan.objects.create(advertiser=campaign.advertiser, campaign=campaign, name="Cashback")
    rules = [{"name": "cashback", "when": {}, "pay": {"percent": "4"}}]
    revise_plan(plan=plan, document={"rules": rules}, starts_at=starts_at, actor=SYSTEM, now=starts_at)
    PlanAssignment.objects.create(
        advertiser=campaign.advertiser,
        campaign=campaign,
        plan=plan,
        partner=enrollments["centzurueck"].partner,
        active=DateTimeTZRange(starts_at, None),
    )
    owner = enrollments["codefuchs"].partner
    for code, text, until in (("FUCHS10", "10 % off everything", None), ("SOMMER5", "5 EUR off in summer", now)):
        Coupon.objects.create(
            advertiser=campaign.advertiser,
            campaign=campaign,
            partner=owner,
            code=code,
            description=text,
            valid_from=starts_at,
            valid_to=until,
        )
