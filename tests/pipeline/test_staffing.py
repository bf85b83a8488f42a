"""People and keys come and go with a trace, and an advertiser keeps an owner."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from apps.core.actors import SYSTEM
from apps.identity.models import AdvertiserKey, Membership, Role, User
from apps.pipeline.services.staffing import (
    LastOwner,
    MemberAlready,
    add_member,
    change_role,
    make_key,
    remove_member,
    revoke_key,
)
from apps.records.models import AuditEntry
from tests.cast import NOON, make_advertiser, make_member

pytestmark = pytest.mark.django_db
BY = {"actor": SYSTEM, "now": NOON}


@pytest.fixture
def acme():
    return make_advertiser()


def acts():
    return [(row.verb, row.subject, row.details) for row in AuditEntry.objects.order_by("pk")]


def test_a_member_is_added_changed_and_removed_with_a_trace(acme):
    membership = add_member(advertiser=acme, email=" Ann@Acme.example ", role=Role.ANALYST, **BY)
    change_role(membership=membership, role=Role.FINANCE, **BY)
    change_role(membership=membership, role=Role.FINANCE, **BY)
    remove_member(membership=membership, **BY)

    who = "team member ann@acme.example"
    assert acts() == [
        ("add_member", who, {"role": "ANALYST"}),
        ("change_role", who, {"role": "FINANCE", "before": "ANALYST"}),
        ("remove_member", who, {"role": "FINANCE"}),
    ]
    assert User.objects.filter(email="ann@acme.example").exists() and not Membership.objects.exists()


def test_a_person_is_of_the_team_once(acme):
    make_member(acme)
    with pytest.raises(MemberAlready):
        add_member(advertiser=acme, email="owner@acme.example", role=Role.ANALYST, **BY)
    assert (Membership.objects.get().role, acts()) == (Role.OWNER, [])


def test_the_last_owner_stays(acme):
    make_member(acme)
    make_member(acme, Role.MANAGER, "manager@acme.example")
    owner = Membership.objects.get(role=Role.OWNER)
    with pytest.raises(LastOwner):
        change_role(membership=owner, role=Role.ANALYST, **BY)
    with pytest.raises(LastOwner):
        remove_member(membership=owner, **BY)
    assert (Membership.objects.count(), acts()) == (2, [])


@pytest.mark.django_db(transaction=True)
def test_two_owners_cannot_leave_at_once():
    acme = make_advertiser()
    for email in ("one@acme.example", "two@acme.example"):
        make_member(acme, Role.OWNER, email)

    def leave(membership: Membership) -> None:
        try:
            remove_member(membership=membership, **BY)
        except LastOwner:
            pass
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(leave, list(Membership.objects.all())))
    assert Membership.objects.filter(role=Role.OWNER).count() == 1


def test_a_key_is_made_and_revoked_with_a_trace(acme):
    key, plain = make_key(advertiser=acme, name="till", scopes=["conversions:read"], **BY)
    assert AdvertiserKey.objects.is_valid(plain)
    revoke_key(key=key, **BY)
    revoke_key(key=key, **BY)

    assert not AdvertiserKey.objects.is_valid(plain)
    assert acts() == [
        ("make_key", "API key till", {"prefix": key.prefix, "scopes": ["conversions:read"]}),
        ("revoke_key", "API key till", {"prefix": key.prefix}),
    ]
    assert plain not in str(acts())
