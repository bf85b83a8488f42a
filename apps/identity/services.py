"""Write people and keys."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction

from apps.identity.models import Advertiser, AdvertiserKey, Membership, User


@transaction.atomic
def add_member(*, advertiser: Advertiser, email: str, role: str, name: str = "") -> tuple[Membership, bool]:
    """Make a person of the team, known by e-mail; return the membership and whether it is new.

    A person who is new to the house has no password and sets one by the link for forgotten ones.
    """
    address = email.strip().lower()
    user = User.objects.filter(email=address).first()
    if user is None:
        user = User.objects.create_user(address, None, name=name)
    return Membership.objects.get_or_create(advertiser=advertiser, user=user, defaults={"role": role})


def make_key(*, advertiser: Advertiser, name: str, scopes: Sequence[str]) -> tuple[AdvertiserKey, str]:
    """Make an API key; return it with its plain text, which is nowhere kept."""
    key = AdvertiserKey(advertiser=advertiser, name=name, scopes=list(scopes))
    plain = AdvertiserKey.objects.assign_key(key)
    key.save()
    return key, plain


def revoke_key(*, key: AdvertiserKey) -> None:
    """Stop a key for good."""
    key.revoked = True
    key.save(update_fields=["revoked"])
