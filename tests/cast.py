"""The fixed cast of every test: Acme the advertiser, its partners, a campaign, one frozen noon.

Plain functions, no factories: each makes what its name says with sensible defaults and returns it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import UUID, uuid4

from django.db.backends.postgresql.psycopg_any import DateTimeTZRange

from apps.attribution.models import AttributionPolicy, PolicyVersion
from apps.campaigns.models import Campaign, CampaignState, Coupon, Enrollment, EnrollmentPeriod, TrackingLink
from apps.commissions.models import CommissionPlan, CommissionRule, PlanAssignment, PlanVersion
from apps.core.ids import uuid7
from apps.identity.models import Advertiser, AdvertiserKey, LegalEntity, Membership, Role, User
from apps.partners.models import (
    AdSpace,
    Partner,
    PartnerMembership,
    Partnership,
    PartnershipState,
    PayoutProfile,
    TaxProfile,
    TaxStatus,
)
from apps.tracking.models import Conversion, ConversionLine, Touchpoint

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
START = datetime(2025, 1, 1, tzinfo=UTC)
PASSWORD = "correct horse battery"


def make_user(email: str = "owner@acme.example", **fields: object) -> User:
    return User.objects.create_user(email, PASSWORD, name=email.split("@")[0].title(), **fields)


def make_advertiser(slug: str = "acme", **fields: object) -> Advertiser:
    values = {"name": slug.title(), "timezone": "Europe/Berlin", "currency": "EUR", **fields}
    advertiser = Advertiser.objects.create(slug=slug, **values)
    LegalEntity.objects.create(
        advertiser=advertiser,
        name=f"{advertiser.name} GmbH",
        address="Marktstraße 1",
        postcode="10115",
        city="Berlin",
        country="DE",
        vat_id="DE136695976",
        register="HRB 1234 B",
        email=f"finance@{slug}.example",
    )
    return advertiser


def make_member(advertiser: Advertiser, role: str = Role.OWNER, email: str = "owner@acme.example") -> User:
    user = make_user(email)
    Membership.objects.create(advertiser=advertiser, user=user, role=role)
    return user


def make_key(advertiser: Advertiser, scopes: Sequence[str]) -> str:
    """Return the plain text of a new API key."""
    return AdvertiserKey.objects.create_key(advertiser=advertiser, name="test", scopes=list(scopes))[1]


def make_campaign(advertiser: Advertiser, slug: str = "acme-shop", **fields: object) -> Campaign:
    values = {
        "name": "Acme Shop",
        "state": CampaignState.RUNNING,
        "landing_url": "https://shop.acme.example/",
        "hosts": ["shop.acme.example"],
        "currencies": ["EUR"],
        "starts_at": START,
        **fields,
    }
    return Campaign.objects.create(advertiser=advertiser, slug=slug, **values)


def make_policy(campaign: Campaign, starts_at: datetime = START, **settings: object) -> PolicyVersion:
    """Publish a version of the campaign's policy; the model is LAST_CLICK unless `settings` say otherwise."""
    policy, _ = AttributionPolicy.objects.get_or_create(
        campaign=campaign, defaults={"advertiser": campaign.advertiser, "name": "Standard"}
    )
    return PolicyVersion.objects.create(
        advertiser=campaign.advertiser,
        policy=policy,
        number=policy.versions.count() + 1,
        starts_at=starts_at,
        settings={"model": "LAST_CLICK", **settings},
    )


def make_plan(
    campaign: Campaign,
    rules: Sequence[dict] | None = None,
    starts_at: datetime = START,
    name: str = "Standard",
    assign: dict | None = None,
    **fields: object,
) -> PlanVersion:
    """Publish a version of a plan (default: 8 % of everything) and assign it (default: to the campaign)."""
    advertiser = campaign.advertiser
    plan, new = CommissionPlan.objects.get_or_create(campaign=campaign, name=name, defaults={"advertiser": advertiser})
    version = PlanVersion.objects.create(
        advertiser=advertiser,
        plan=plan,
        number=plan.versions.count() + 1,
        starts_at=starts_at,
        currency=campaign.currencies[0],
        **fields,
    )
    for position, rule in enumerate(rules or [{"name": "everything", "when": {}, "pay": {"percent": "8"}}], 1):
        CommissionRule.objects.create(advertiser=advertiser, version=version, position=position, **rule)
    if new:
        PlanAssignment.objects.create(
            advertiser=advertiser, campaign=campaign, plan=plan, active=DateTimeTZRange(START, None), **(assign or {})
        )
    return version


def make_partner(slug: str = "blog", **fields: object) -> Partner:
    partner = Partner.objects.create(slug=slug, name=slug.title(), email=f"hello@{slug}.example", **fields)
    TaxProfile.objects.create(
        partner=partner,
        status=TaxStatus.BUSINESS,
        legal_name=f"{partner.name} GmbH",
        address="Hauptstraße 7",
        postcode="80331",
        city="München",
        country="DE",
        vat_id="DE129273398",
    )
    PayoutProfile.objects.create(partner=partner, holder=f"{partner.name} GmbH", iban="DE89370400440532013000")
    return partner


def make_partner_user(partner: Partner, email: str | None = None) -> User:
    user = make_user(email or f"me@{partner.slug}.example")
    PartnerMembership.objects.create(partner=partner, user=user)
    return user


def join(partner: Partner, campaign: Campaign, since: datetime = START, until: datetime | None = None) -> Enrollment:
    """Make the partner an active one of the advertiser, enroll its main ad space and give it a link."""
    advertiser = campaign.advertiser
    Partnership.objects.get_or_create(
        advertiser=advertiser,
        partner=partner,
        defaults={
            "state": PartnershipState.ACTIVE,
            "state_since": since,
            "self_billing_version": "2025-1",
            "self_billing_on": since.date(),
        },
    )
    ad_space, _ = AdSpace.objects.get_or_create(
        partner=partner, slug=f"{partner.slug}-main", defaults={"name": f"{partner.name} main"}
    )
    enrollment = Enrollment.objects.create(advertiser=advertiser, campaign=campaign, ad_space=ad_space, partner=partner)
    EnrollmentPeriod.objects.create(advertiser=advertiser, enrollment=enrollment, active=DateTimeTZRange(since, until))
    TrackingLink.objects.create(advertiser=advertiser, enrollment=enrollment, code=f"{partner.slug}{campaign.pk}")
    return enrollment


def make_coupon(campaign: Campaign, code: str = "SAVE10", partner: Partner | None = None, **fields: object) -> Coupon:
    values = {"valid_from": START, **fields}
    return Coupon.objects.create(
        advertiser=campaign.advertiser, campaign=campaign, code=code, partner=partner, **values
    )


def make_touch(
    enrollment: Enrollment, at: datetime = NOON - timedelta(days=1), visitor: UUID | None = None, **fields: object
) -> Touchpoint:
    values = {
        "id": uuid7(at),
        "campaign_id": enrollment.campaign_id,
        "partner_id": enrollment.partner_id,
        "ad_space_id": enrollment.ad_space_id,
        "kind": "CLICK",
        "channel": enrollment.partner.slug,
        "recorded_at": at,
        **fields,
    }
    return Touchpoint.objects.create(
        advertiser=enrollment.advertiser, visitor=visitor or uuid4(), occurred_at=at, **values
    )


def make_conversion(
    campaign: Campaign,
    amount_minor: int = 10_000,
    at: datetime = NOON,
    order_ref: str | None = None,
    visitor: UUID | None = None,
    lines: Sequence[dict] = (),
    **fields: object,
) -> Conversion:
    """Write a conversion of 100.00 EUR (default) and its lines; the database puts it on the work list."""
    id_ = uuid7(at)
    values = {"currency": "EUR", "recorded_at": at, "content_hash": id_.hex, **fields}
    conversion = Conversion.objects.create(
        id=id_,
        advertiser=campaign.advertiser,
        campaign=campaign,
        order_ref=order_ref or f"A-{id_.hex[-10:]}",
        occurred_at=at,
        amount_minor=amount_minor,
        visitor=visitor,
        **values,
    )
    for position, line in enumerate(lines, 1):
        ConversionLine.objects.create(advertiser=campaign.advertiser, conversion=conversion, position=position, **line)
    return conversion


def make_cast() -> SimpleNamespace:
    """Acme with a running campaign (last click, 8 %) and four partners that joined it."""
    advertiser = make_advertiser()
    campaign = make_campaign(advertiser)
    policy = make_policy(campaign)
    plan = make_plan(campaign)
    kinds = {"blog": "CONTENT", "comparison": "COMPARISON", "coupons": "COUPON", "cashback": "CASHBACK"}
    partners = {slug: make_partner(slug, kind=kind) for slug, kind in kinds.items()}
    enrollments = {slug: join(partner, campaign) for slug, partner in partners.items()}
    return SimpleNamespace(
        advertiser=advertiser,
        campaign=campaign,
        policy=policy,
        plan=plan,
        partners=SimpleNamespace(**partners),
        enrollments=SimpleNamespace(**enrollments),
    )
