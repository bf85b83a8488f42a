"""An advertiser and its companies: the first steps on an installation, and what changes later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils.text import slugify

from apps.core.actors import Actor
from apps.core.errors import Conflict, Invalid
from apps.core.money import digits
from apps.identity.models import Advertiser, LegalEntity, Membership, Role, User
from apps.records.services import record_act, write_fields


class AdvertiserExists(Conflict):
    code = "advertiser_exists"
    message = "There is an advertiser of that short name already."


class DefaultTaken(Conflict):
    code = "default_taken"
    message = "Another company is the default; switch it off there first."


class InvalidOwner(Invalid):
    code = "invalid_owner"
    message = "The owner needs a valid e-mail address and a strong password."


class InvalidZone(Invalid):
    code = "invalid_time_zone"
    message = "The time zone is not one of the IANA names, such as Europe/Berlin."


@dataclass(frozen=True, slots=True)
class Founded:
    """A new advertiser and its owner; `new_user` tells whether the person was new to the installation."""

    advertiser: Advertiser
    owner: User
    new_user: bool


@transaction.atomic
def found_advertiser(
    *,
    name: str,
    owner_email: str,
    owner_password: str | None,
    actor: Actor,
    now: datetime,
    slug: str = "",
    currency: str = "EUR",
    timezone: str = "Europe/Berlin",
    country: str = "DE",
) -> Founded:
    """Create an advertiser with a legal entity to complete and a person who owns it.

    A person who is there already keeps the password and becomes owner of this one too. Raises AdvertiserExists,
    InvalidOwner, InvalidZone, InvalidCurrency.
    """
    slug = slug or slugify(name)
    digits(currency)
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError):
        raise InvalidZone(path="timezone") from None
    if not slug or Advertiser.objects.filter(slug=slug).exists():
        raise AdvertiserExists(path="slug")
    email = owner_email.strip().lower()
    owner = User.objects.filter(email=email).first()
    new_user = owner is None
    if owner is None:
        owner = _new_owner(email, owner_password)
    advertiser = Advertiser.objects.create(name=name, slug=slug, currency=currency, timezone=timezone)
    LegalEntity.objects.create(advertiser=advertiser, name=name, country=country)
    Membership.objects.create(advertiser=advertiser, user=owner, role=Role.OWNER)
    record_act(
        advertiser=advertiser,
        actor=actor,
        verb="found_advertiser",
        subject=f"advertiser {slug}",
        now=now,
        details={"owner": email},
    )
    return Founded(advertiser, owner, new_user)


@transaction.atomic
def revise_advertiser(*, advertiser: Advertiser, values: Mapping[str, Any], actor: Actor, now: datetime) -> Advertiser:
    """Write an advertiser's own fields. Raises InvalidZone."""
    locked = Advertiser.objects.select_for_update().get(pk=advertiser.pk)
    if values.get("timezone", locked.timezone) not in available_timezones():
        raise InvalidZone(path="timezone")
    subject = f"advertiser {locked.slug}"
    write_fields(
        row=locked, values=values, advertiser=locked, actor=actor, verb="revise_advertiser", subject=subject, now=now
    )
    return locked


@transaction.atomic
def add_legal_entity(*, advertiser: Advertiser, values: Mapping[str, Any], actor: Actor, now: datetime) -> LegalEntity:
    """Add a company that issues documents for the advertiser. Raises DefaultTaken."""
    Advertiser.objects.select_for_update().get(pk=advertiser.pk)
    _keep_one_default(advertiser.pk, None, values)
    entity = LegalEntity.objects.create(advertiser=advertiser, **values)
    record_act(
        advertiser=advertiser, actor=actor, verb="add_legal_entity", subject=f"company {entity.name}"[:120], now=now
    )
    return entity


@transaction.atomic
def revise_legal_entity(*, entity: LegalEntity, values: Mapping[str, Any], actor: Actor, now: datetime) -> LegalEntity:
    """Write a company's fields; documents issued before keep what they said. Raises DefaultTaken."""
    advertiser = Advertiser.objects.select_for_update().get(pk=entity.advertiser_id)
    locked = LegalEntity.objects.get(pk=entity.pk)
    _keep_one_default(advertiser.pk, locked.pk, values)
    write_fields(
        row=locked,
        values=values,
        advertiser=advertiser,
        actor=actor,
        verb="revise_legal_entity",
        subject=f"company {locked.name}",
        now=now,
    )
    return locked


def _keep_one_default(advertiser_id: int, entity_id: int | None, values: Mapping[str, Any]) -> None:
    others = LegalEntity.objects.filter(advertiser=advertiser_id, is_default=True).exclude(pk=entity_id or 0)
    if values.get("is_default") and (other := others.first()):
        raise DefaultTaken(f"{other} is the default; switch it off there first.", path="is_default")


def _new_owner(email: str, password: str | None) -> User:
    try:
        validate_email(email)
        validate_password(password or "")
    except ValidationError as error:
        raise InvalidOwner(" ".join(error.messages), path="owner") from None
    return User.objects.create_user(email, password, name=email.split("@")[0])
