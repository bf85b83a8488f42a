"""The first steps on an installation: an advertiser, its company and its owner."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils.text import slugify

from apps.core.actors import Actor
from apps.core.errors import Conflict, Invalid
from apps.core.money import digits
from apps.identity.models import Advertiser, LegalEntity, Membership, Role, User
from apps.records.services import record_act


class AdvertiserExists(Conflict):
    code = "advertiser_exists"
    message = "There is an advertiser of that short name already."


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


def _new_owner(email: str, password: str | None) -> User:
    try:
        validate_email(email)
        validate_password(password or "")
    except ValidationError as error:
        raise InvalidOwner(" ".join(error.messages), path="owner") from None
    return User.objects.create_user(email, password, name=email.split("@")[0])
