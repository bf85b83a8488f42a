"""Write campaigns and who takes part in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.db import IntegrityError, transaction
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange

from apps.campaigns.models import (
    Campaign,
    CampaignState,
    Coupon,
    Enrollment,
    EnrollmentPeriod,
    EnrollmentState,
    TrackingLink,
    new_secret,
)
from apps.core.actors import Actor
from apps.core.errors import Conflict, Invalid, NotFound
from apps.identity.models import Advertiser
from apps.partners.models import AdSpace, Partnership, PartnershipState
from apps.records.services import record_act, write_fields


class SlugTaken(Conflict):
    code = "short_name_taken"
    message = "Another campaign has this short name."


class PartnerNotActive(Conflict):
    code = "partner_not_active"
    message = "Only ad spaces of active partners can join a campaign."


class CouponTaken(Conflict):
    code = "coupon_taken"
    message = "The campaign has this code already; upper and lower case are the same."


class PastWouldChange(Invalid):
    code = "past_would_change"
    message = "What has happened stays: choose a moment from now on."


class AlreadyEnrolled(Conflict):
    code = "already_enrolled"
    message = "The ad space is in this campaign already."


@transaction.atomic
def create_campaign(
    *,
    advertiser: Advertiser,
    name: str,
    slug: str,
    landing_url: str,
    currencies: Sequence[str],
    starts_at: datetime,
    actor: Actor,
    now: datetime,
) -> Campaign:
    """Add a running campaign without plan and policy. Raises SlugTaken, Invalid."""
    if not currencies:
        raise Invalid("A campaign has at least one currency.", path="currencies")
    try:
        with transaction.atomic():
            campaign = Campaign.objects.create(
                advertiser=advertiser,
                name=name,
                slug=slug,
                state=CampaignState.RUNNING,
                landing_url=landing_url,
                currencies=list(currencies),
                starts_at=starts_at,
                created_at=now,
            )
    except IntegrityError as error:
        if not Campaign.objects.filter(slug=slug).exists():
            raise
        raise SlugTaken(path="slug") from error
    record_act(advertiser=advertiser, actor=actor, verb="create_campaign", subject=f"campaign {slug}", now=now)
    return campaign


@transaction.atomic
def end_campaign(*, campaign: Campaign, actor: Actor, now: datetime) -> Campaign:
    """End a campaign at this moment: what was clicked and sold before keeps its worth. Ended already: nothing happens.

    Raises CampaignMoveRefused for a draft.
    """
    locked = Campaign.objects.select_for_update().select_related("advertiser").get(pk=campaign.pk)
    if locked.state != CampaignState.ENDED:
        locked.move(CampaignState.ENDED, at=now)
        _record(locked, actor, "end_campaign", now)
    return locked


@transaction.atomic
def revise_campaign(*, campaign: Campaign, values: Mapping[str, Any], actor: Actor, now: datetime) -> Campaign:
    """Write a campaign's fields, its state among them. Raises CampaignMoveRefused, PastWouldChange.

    A start that has passed does not move later and no end moves into the past: both would make touches that
    counted into ones that do not.
    """
    locked = Campaign.objects.select_for_update().select_related("advertiser").get(pk=campaign.pk)
    changed = {name: value for name, value in values.items() if name != "state" and getattr(locked, name) != value}
    state = values.get("state", locked.state)
    starts_at = changed.get("starts_at", locked.starts_at)
    if locked.starts_at <= now and starts_at > locked.starts_at and locked.state != CampaignState.DRAFT:
        raise PastWouldChange("The campaign has started: its start cannot move later.", path="starts_at")
    if "ends_at" in changed and locked.state == CampaignState.ENDED:
        raise PastWouldChange("The campaign has ended: its end stays.", path="ends_at")
    if changed.get("ends_at") and changed["ends_at"] < now:
        raise PastWouldChange("A campaign ends now or later, never in the past.", path="ends_at")
    write_fields(
        row=locked,
        values=changed,
        advertiser=locked.advertiser,
        actor=actor,
        verb="revise_campaign",
        subject=f"campaign {locked.slug}",
        now=now,
    )
    if state == CampaignState.ENDED:
        return end_campaign(campaign=locked, actor=actor, now=now)
    if state != locked.state:
        locked.move(state, at=now)
        _record(locked, actor, f"campaign_{state.lower()}", now)
    return locked


def _record(campaign: Campaign, actor: Actor, verb: str, now: datetime) -> None:
    record_act(advertiser=campaign.advertiser, actor=actor, verb=verb, subject=f"campaign {campaign.slug}", now=now)


@transaction.atomic
def enroll_ad_space(
    *, campaign: Campaign, ad_space: AdSpace, actor: Actor, now: datetime, link_name: str = ""
) -> Enrollment:
    """Let an ad space take part from now on and give it its first link. Raises PartnerNotActive, AlreadyEnrolled."""
    partnership = (
        Partnership.objects.select_for_update()
        .filter(advertiser=campaign.advertiser_id, partner=ad_space.partner_id, state=PartnershipState.ACTIVE)
        .first()
    )
    if partnership is None:
        raise PartnerNotActive(path="ad_space")
    enrollment, new = Enrollment.objects.get_or_create(
        campaign=campaign,
        ad_space=ad_space,
        defaults={"advertiser": campaign.advertiser, "partner": ad_space.partner},
    )
    if not new and enrollment.state == EnrollmentState.ACTIVE:
        raise AlreadyEnrolled(path="ad_space")
    if not new:
        enrollment.state = EnrollmentState.ACTIVE
        enrollment.save(update_fields=["state"])
    EnrollmentPeriod.objects.create(
        advertiser=campaign.advertiser, enrollment=enrollment, active=DateTimeTZRange(now, None)
    )
    if not enrollment.links.exists():
        TrackingLink.objects.create(advertiser=campaign.advertiser, enrollment=enrollment, name=link_name)
    record_act(
        advertiser=campaign.advertiser,
        actor=actor,
        verb="enroll",
        subject=f"ad space {ad_space} in campaign {campaign.slug}"[:120],
        now=now,
    )
    return enrollment


@transaction.atomic
def end_enrollment(*, enrollment: Enrollment, actor: Actor, now: datetime) -> Enrollment:
    """End an ad space's part in a campaign: touches from now on do not count. Ended already: nothing happens."""
    locked = Enrollment.objects.select_for_update().get(pk=enrollment.pk)
    if locked.state == EnrollmentState.ENDED:
        return locked
    locked.state = EnrollmentState.ENDED
    locked.save(update_fields=["state"])
    for period in locked.periods.filter(active__contains=now):
        period.active = DateTimeTZRange(period.active.lower, now)
        period.save(update_fields=["active"])
    record_act(
        advertiser=locked.advertiser,
        actor=actor,
        verb="end_enrollment",
        subject=f"ad space {locked.ad_space} in campaign {locked.campaign.slug}"[:120],
        now=now,
    )
    return locked


@transaction.atomic
def make_link(*, enrollment: Enrollment, name: str, landing_url: str, actor: Actor, now: datetime) -> TrackingLink:
    """Give an active enrollment another link, deep ones to the campaign's hosts only. Raises NotFound, Invalid."""
    if enrollment.state != EnrollmentState.ACTIVE:
        raise NotFound("The ad space is not active in this campaign.", path="enrollment")
    campaign = enrollment.campaign
    allowed = {*campaign.hosts, urlsplit(campaign.landing_url).hostname}
    if landing_url and urlsplit(landing_url).hostname not in allowed:
        raise Invalid("A deep link leads to the campaign's own hosts.", code="foreign_host", path="landing_url")
    link = TrackingLink.objects.create(
        advertiser=enrollment.advertiser, enrollment=enrollment, name=name, landing_url=landing_url, created_at=now
    )
    record_act(
        advertiser=enrollment.advertiser,
        actor=actor,
        verb="make_link",
        subject=f"link {link.code} for {enrollment}"[:120],
        now=now,
    )
    return link


def rotate_secret(*, campaign: Campaign, actor: Actor, now: datetime) -> Campaign:
    """Give a campaign a new signing secret; the one before stays valid until the next change."""
    with transaction.atomic():
        locked = Campaign.objects.select_for_update().get(pk=campaign.pk)
        locked.previous_secret, locked.secret = locked.secret, new_secret()
        locked.save(update_fields=["secret", "previous_secret"])
        record_act(
            advertiser=locked.advertiser,
            actor=actor,
            verb="rotate_secret",
            subject=f"campaign {locked.slug}",
            now=now,
        )
    return locked


@transaction.atomic
def add_coupon(*, advertiser: Advertiser, values: Mapping[str, Any], actor: Actor, now: datetime) -> Coupon:
    """Add a code to a campaign. Raises CouponTaken."""
    try:
        with transaction.atomic():
            coupon = Coupon.objects.create(advertiser=advertiser, **values)
    except IntegrityError as error:
        if not Coupon.objects.filter(campaign=values["campaign"], code__iexact=values["code"]).exists():
            raise
        raise CouponTaken(path="code") from error
    record_act(advertiser=advertiser, actor=actor, verb="add_coupon", subject=_code_of(coupon), now=now)
    return coupon


@transaction.atomic
def revise_coupon(*, coupon: Coupon, values: Mapping[str, Any], actor: Actor, now: datetime) -> Coupon:
    """Change whose code it is and when it holds; settled conversions keep what they have."""
    locked = Coupon.objects.select_for_update().select_related("advertiser").get(pk=coupon.pk)
    write_fields(
        row=locked,
        values=values,
        advertiser=locked.advertiser,
        actor=actor,
        verb="revise_coupon",
        subject=_code_of(locked),
        now=now,
    )
    return locked


def _code_of(coupon: Coupon) -> str:
    return f"code {coupon.code} of campaign {coupon.campaign.slug}"[:120]
