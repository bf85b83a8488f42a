"""Write partners, their people and profiles, and their relationships with advertisers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Min

from apps.core.actors import Actor
from apps.core.errors import Conflict, Invalid
from apps.core.periods import day_of
from apps.identity.models import Advertiser, User
from apps.partners.models import (
    AdSpace,
    Partner,
    PartnerGroup,
    PartnerMembership,
    PartnerRole,
    Partnership,
    PartnershipState,
    PayoutProfile,
    TaxProfile,
)
from apps.partners.rules import normal_bic, normal_iban
from apps.records.services import record_act, write_fields

TAX_FIELDS = ("status", "legal_name", "address", "postcode", "city", "country", "vat_id", "tax_number")


class PartnerSlugTaken(Conflict):
    code = "partner_slug_taken"
    message = "Another partner of the platform has this short name."


class AdSpaceTaken(Conflict):
    code = "ad_space_taken"
    message = "The partner has an ad space of this short name."


class PartnerGroupTaken(Conflict):
    code = "partner_group_taken"
    message = "There is a group of this short name already."


class AgreementMisdated(Invalid):
    code = "agreement_misdated"
    message = "The agreement was made between the first day of the partnership and today."


class PartnerKeepsItself(Conflict):
    code = "partner_keeps_itself"
    message = "The partner has people of its own, or works with others too: only its owner changes this."


class InvalidIban(Invalid):
    code = "invalid_iban"
    message = "This is not a valid IBAN: check its length and digits."


class InvalidBic(Invalid):
    code = "invalid_bic"
    message = "This is not a valid BIC, such as COBADEFFXXX."


@dataclass(frozen=True, slots=True)
class Invited:
    """A person who may act for a partner; `is_new` tells whether the membership is, `owns_link` whether the account
    belongs to nobody else yet, so that whoever invited may pass on the link that sets its password."""

    membership: PartnerMembership
    is_new: bool
    owns_link: bool


@transaction.atomic
def decide_partnership(
    *, partnership: Partnership, state: PartnershipState, reason: str, actor: Actor, now: datetime
) -> Partnership:
    """Move a partnership (accept, reject, block, end) under its lock. Raises PartnershipMoveRefused."""
    locked = Partnership.objects.select_for_update().select_related("partner", "advertiser").get(pk=partnership.pk)
    before = locked.state
    locked.move(state, at=now, reason=reason)
    if before != locked.state:
        record_act(
            advertiser=locked.advertiser,
            actor=actor,
            verb=f"partner_{state.lower()}",
            subject=f"partner {locked.partner.slug}"[:120],
            now=now,
            details={"before": before, "reason": reason},
        )
    return locked


@transaction.atomic
def revise_partnership(
    *, partnership: Partnership, values: Mapping[str, Any], actor: Actor, now: datetime
) -> Partnership:
    """Write a partnership's group, notes, minimum payout and agreement to self-billing.

    An agreement makes what was earned since its day billable: one that begins before the partnership, or in the
    future, is refused. Raises AgreementMisdated.
    """
    locked = Partnership.objects.select_for_update().select_related("partner", "advertiser").get(pk=partnership.pk)
    agreed_on: date | None = values.get("self_billing_on")
    if agreed_on is not None and agreed_on != locked.self_billing_on:
        zone = locked.advertiser.zone
        first_on, today = day_of(began_at(partnership=locked), zone), day_of(now, zone)
        if not first_on <= agreed_on <= today:
            text = f"The agreement was made between the partnership's first day, {first_on}, and today, {today}."
            raise AgreementMisdated(text, path="self_billing_on")
    write_fields(
        row=locked,
        values=values,
        advertiser=locked.advertiser,
        actor=actor,
        verb="revise_partnership",
        subject=f"partner {locked.partner.slug}",
        now=now,
    )
    return locked


def began_at(*, partnership: Partnership) -> datetime:
    """Return when a partnership first was in any state: its own moment changes with each move, its history does not."""
    events = partnership.events  # type: ignore[attr-defined]  # pghistory adds the relation
    first = events.aggregate(first=Min("state_since"))["first"]
    return min(first, partnership.state_since) if first else partnership.state_since


@transaction.atomic
def add_partner_group(*, advertiser: Advertiser, name: str, slug: str, actor: Actor, now: datetime) -> PartnerGroup:
    """Make a group of the advertiser's own. Raises PartnerGroupTaken."""
    group, is_new = PartnerGroup.objects.get_or_create(advertiser=advertiser, slug=slug, defaults={"name": name})
    if not is_new:
        raise PartnerGroupTaken(path="slug")
    record_act(advertiser=advertiser, actor=actor, verb="add_partner_group", subject=f"group {slug}", now=now)
    return group


@transaction.atomic
def rename_partner_group(*, group: PartnerGroup, name: str, actor: Actor, now: datetime) -> PartnerGroup:
    """Call a group otherwise; its short name, which plans may hold, stays."""
    locked = PartnerGroup.objects.select_for_update().select_related("advertiser").get(pk=group.pk)
    write_fields(
        row=locked,
        values={"name": name},
        advertiser=locked.advertiser,
        actor=actor,
        verb="rename_partner_group",
        subject=f"group {locked.slug}",
        now=now,
    )
    return locked


@transaction.atomic
def add_partner(
    *,
    advertiser: Advertiser,
    name: str,
    slug: str,
    kind: str,
    website: str,
    email: str,
    country: str,
    actor: Actor,
    now: datetime,
) -> Partnership:
    """Make a partner that works with the advertiser from now on. Raises PartnerSlugTaken."""
    try:
        with transaction.atomic():
            partner = Partner.objects.create(
                name=name, slug=slug, kind=kind, website=website, email=email, country=country, created_at=now
            )
    except IntegrityError as error:
        if not Partner.objects.filter(slug=slug).exists():
            raise
        raise PartnerSlugTaken(path="slug") from error
    partnership = Partnership.objects.create(
        advertiser=advertiser, partner=partner, state=PartnershipState.ACTIVE, state_since=now
    )
    record_act(advertiser=advertiser, actor=actor, verb="add_partner", subject=f"partner {slug}", now=now)
    return partnership


@transaction.atomic
def add_ad_space(
    *, partnership: Partnership, name: str, slug: str, url: str, category: str, actor: Actor, now: datetime
) -> AdSpace:
    """Give a partner another ad space. Raises AdSpaceTaken."""
    partner = partnership.partner
    space, is_new = AdSpace.objects.get_or_create(
        partner=partner, slug=slug, defaults={"name": name, "url": url, "category": category}
    )
    if not is_new:
        raise AdSpaceTaken(path="slug")
    record_act(
        advertiser=partnership.advertiser,
        actor=actor,
        verb="add_ad_space",
        subject=f"ad space {slug} of partner {partner.slug}"[:120],
        now=now,
    )
    return space


def is_in_care(*, partnership: Partnership) -> bool:
    """Tell whether the advertiser keeps the partner's data: nobody of it can sign in, and no other works with it."""
    people = PartnerMembership.objects.filter(partner=partnership.partner_id).select_related("user")
    if any(row.user.has_usable_password() for row in people):
        return False
    return not Partnership.objects.filter(partner=partnership.partner_id).exclude(pk=partnership.pk).exists()


def _require_care(partnership: Partnership) -> Partner:
    """Return the partner under its lock. Raises PartnerKeepsItself."""
    partner = Partner.objects.select_for_update().get(pk=partnership.partner_id)
    if not is_in_care(partnership=partnership):
        raise PartnerKeepsItself
    return partner


@transaction.atomic
def invite_person(*, partnership: Partnership, email: str, name: str, actor: Actor, now: datetime) -> Invited:
    """Let a person, known by e-mail, own a partner that the advertiser keeps so far. Raises PartnerKeepsItself.

    A person who is new to the house has no password yet. Inviting again changes nothing.
    """
    partner = _require_care(partnership)
    address = email.strip().lower()
    user = User.objects.filter(email=address).first() or User.objects.create_user(address, None, name=name)
    membership, is_new = PartnerMembership.objects.get_or_create(
        partner=partner, user=user, defaults={"role": PartnerRole.OWNER}
    )
    others = user.partner_memberships.exclude(pk=membership.pk).exists() or user.memberships.exists()
    is_known = user.has_usable_password() or user.is_staff or user.is_superuser
    if is_new:
        record_act(
            advertiser=partnership.advertiser,
            actor=actor,
            verb="invite_person",
            subject=f"partner {partner.slug}"[:120],
            now=now,
            details={"email": address},
        )
    return Invited(membership, is_new, owns_link=not (others or is_known))


@transaction.atomic
def write_tax_profile(
    *, partner: Partner, values: Mapping[str, str], actor: Actor, now: datetime, partnership: Partnership | None = None
) -> TaxProfile:
    """Write who the partner is to the tax office; documents issued before keep what they said.

    The VAT id comes in its normal form. `partnership` names the advertiser that does it for a partner in its care.
    Raises PartnerKeepsItself.
    """
    if partnership is not None:
        _require_care(partnership)
    Partner.objects.select_for_update().get(pk=partner.pk)
    before = TaxProfile.objects.filter(partner=partner).first()
    changed = sorted(name for name in TAX_FIELDS if before is None or getattr(before, name) != values[name])
    if before is not None and not changed:
        return before
    profile, _ = TaxProfile.objects.update_or_create(
        partner=partner, defaults={name: values[name] for name in TAX_FIELDS}
    )
    _tell_advertisers(partner, actor, "write_tax_profile", now, fields=changed)
    return profile


@transaction.atomic
def write_payout_profile(
    *,
    partner: Partner,
    holder: str,
    iban: str,
    bic: str,
    actor: Actor,
    now: datetime,
    partnership: Partnership | None = None,
) -> PayoutProfile:
    """Write where the partner's money goes, and when that changed; the trail keeps only the last digits.

    `partnership` names the advertiser that does it for a partner in its care. Raises InvalidIban, InvalidBic,
    PartnerKeepsItself.
    """
    if partnership is not None:
        _require_care(partnership)
    account, bank = normal_iban(iban), normal_bic(bic) if bic.strip() else ""
    if account is None:
        raise InvalidIban(path="iban")
    if bank is None:
        raise InvalidBic(path="bic")
    Partner.objects.select_for_update().get(pk=partner.pk)
    before = PayoutProfile.objects.filter(partner=partner).first()
    values = {"holder": holder, "iban": account, "bic": bank}
    if before is not None and all(getattr(before, name) == value for name, value in values.items()):
        return before
    profile, _ = PayoutProfile.objects.update_or_create(partner=partner, defaults={**values, "changed_at": now})
    ends = {"before": f"…{before.iban[-4:]}" if before else "", "after": f"…{account[-4:]}"}
    _tell_advertisers(partner, actor, "write_payout_profile", now, **ends)
    return profile


def _tell_advertisers(partner: Partner, actor: Actor, verb: str, now: datetime, **details: object) -> None:
    """Write an act of a partner, who belongs to no advertiser, into the trail of each that works with it."""
    works_with = Partnership.objects.filter(partner=partner).select_related("advertiser").order_by("pk")
    advertisers: list[Advertiser | None] = [row.advertiser for row in works_with]
    for advertiser in advertisers or [None]:
        record_act(
            advertiser=advertiser,
            actor=actor,
            verb=verb,
            subject=f"partner {partner.slug}"[:120],
            now=now,
            details=details,
        )
