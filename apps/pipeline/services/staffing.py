"""Who works for an advertiser, by hand or by machine: people with their roles, and API keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from apps.core.actors import Actor
from apps.core.errors import Conflict
from apps.identity.models import Advertiser, AdvertiserKey, Membership, Role, User
from apps.pipeline.services.telling import tell_new_member
from apps.records.services import record_act


class LastOwner(Conflict):
    code = "last_owner"
    message = "An advertiser keeps at least one owner."


class MemberAlready(Conflict):
    code = "member_already"
    message = "This person is of the team already."


@transaction.atomic
def add_member(
    *, advertiser: Advertiser, email: str, role: str, actor: Actor, now: datetime, name: str = ""
) -> Membership:
    """Make a person of the team, known by e-mail. Raises MemberAlready.

    A person who is new to the house has no password and is sent a link that sets one.
    """
    address = email.strip().lower()
    user = User.objects.filter(email=address).first() or User.objects.create_user(address, None, name=name)
    membership, is_new = Membership.objects.get_or_create(advertiser=advertiser, user=user, defaults={"role": role})
    if not is_new:
        raise MemberAlready(path="email")
    _record(membership, actor, "add_member", now)
    if not user.has_usable_password():
        tell_new_member(membership=membership, now=now)
    return membership


@transaction.atomic
def change_role(*, membership: Membership, role: str, actor: Actor, now: datetime) -> Membership:
    """Give a person another role. Raises LastOwner."""
    locked = _lock(membership)
    if locked.role == role:
        return locked
    _keep_an_owner(locked)
    before, locked.role = locked.role, role
    locked.save(update_fields=["role"])
    _record(locked, actor, "change_role", now, before=before)
    return locked


@transaction.atomic
def remove_member(*, membership: Membership, actor: Actor, now: datetime) -> None:
    """Take a person off the team. Raises LastOwner."""
    locked = _lock(membership)
    _keep_an_owner(locked)
    _record(locked, actor, "remove_member", now)
    locked.delete()


def is_last_owner(*, membership: Membership) -> bool:
    """Tell whether nobody else owns the advertiser."""
    others = Membership.objects.filter(advertiser=membership.advertiser_id, role=Role.OWNER).exclude(pk=membership.pk)
    return membership.role == Role.OWNER and not others.exists()


@transaction.atomic
def make_key(
    *, advertiser: Advertiser, name: str, scopes: Sequence[str], actor: Actor, now: datetime
) -> tuple[AdvertiserKey, str]:
    """Make an API key; return it with its plain text, which is nowhere kept."""
    key = AdvertiserKey(advertiser=advertiser, name=name, scopes=list(scopes))
    plain = AdvertiserKey.objects.assign_key(key)
    key.save()
    record_act(
        advertiser=advertiser,
        actor=actor,
        verb="make_key",
        subject=_key_name(key),
        now=now,
        details={"prefix": key.prefix, "scopes": key.scopes},
    )
    return key, plain


@transaction.atomic
def revoke_key(*, key: AdvertiserKey, actor: Actor, now: datetime) -> None:
    """Stop a key for good. Stopped already: nothing happens."""
    locked = AdvertiserKey.objects.select_for_update().select_related("advertiser").get(pk=key.pk)
    if locked.revoked:
        return
    locked.revoked = True
    locked.save(update_fields=["revoked"])
    record_act(
        advertiser=locked.advertiser,
        actor=actor,
        verb="revoke_key",
        subject=_key_name(locked),
        now=now,
        details={"prefix": locked.prefix},
    )


def _lock(membership: Membership) -> Membership:
    """Return the membership under its advertiser's lock: two owners cannot leave at once."""
    Advertiser.objects.select_for_update().get(pk=membership.advertiser_id)
    return Membership.objects.select_related("advertiser", "user").get(pk=membership.pk)


def _keep_an_owner(membership: Membership) -> None:
    if is_last_owner(membership=membership):
        raise LastOwner(path="role")


def _record(membership: Membership, actor: Actor, verb: str, now: datetime, **details: object) -> None:
    record_act(
        advertiser=membership.advertiser,
        actor=actor,
        verb=verb,
        subject=f"team member {membership.user.email}"[:120],
        now=now,
        details={"role": membership.role, **details},
    )


def _key_name(key: AdvertiserKey) -> str:
    return f"API key {key.name}"[:120]
