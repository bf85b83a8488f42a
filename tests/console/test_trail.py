"""What people write in the console stands in the audit log, in the transaction of the writing itself."""

import pytest
from django.db import DatabaseError, connection
from django.urls import reverse

from apps.campaigns.models import Coupon
from apps.identity.models import Advertiser, AdvertiserKey, LegalEntity, Membership, Role
from apps.partners.models import PartnerGroup, Partnership
from apps.records.models import AuditEntry
from tests.console.scene import make_scene, member

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme():
    acme = make_scene()
    acme.partnership = Partnership.objects.get(partner=acme.partners.blog)
    acme.group = PartnerGroup.objects.create(advertiser=acme.advertiser, name="Gold", slug="gold")
    member(acme, Role.ANALYST)
    acme.analyst = Membership.objects.get(role=Role.ANALYST)
    acme.key = AdvertiserKey.objects.get()
    acme.entity = LegalEntity.objects.get(advertiser=acme.advertiser)
    return acme


COMPANY = {"name": "Acme Ltd", "country": "GB", "number_prefix": "UK"}
HOUSE = {"name": "Acme", "timezone": "Europe/Rome", "decide_days": 30, "lock_days": 28, "pay_days": 20}
TERMS = {"minimum_payout_minor": "75", "self_billing_version": "2025-1", "self_billing_on": "2025-01-01"}
CODE = {"valid_from": "2026-01-01T00:00"}
WRITES = {
    "add_coupon": lambda acme: ("campaigns_coupon_add", [], {"code": "NEW", "campaign": acme.campaign.pk, **CODE}),
    "revise_coupon": lambda acme: ("campaigns_coupon_change", [acme.coupon.pk], {"code": "OTHER", **CODE}),
    "revise_partnership": lambda acme: ("partners_partnership_edit", [acme.partnership.pk], TERMS),
    "add_partner_group": lambda acme: ("partners_partnergroup_add", [], {"name": "Silver", "slug": "silver"}),
    "rename_partner_group": lambda acme: ("partners_partnergroup_change", [acme.group.pk], {"name": "Golden"}),
    "add_member": lambda acme: ("identity_membership_add", [], {"email": "new@acme.example", "role": "ANALYST"}),
    "change_role": lambda acme: ("identity_membership_change", [acme.analyst.pk], {"role": "FINANCE"}),
    "remove_member": lambda acme: ("identity_membership_delete", [acme.analyst.pk], {"post": "yes"}),
    "add_legal_entity": lambda acme: ("identity_legalentity_add", [], COMPANY),
    "revise_legal_entity": lambda acme: ("identity_legalentity_change", [acme.entity.pk], {**COMPANY, "city": "Rome"}),
    "revise_advertiser": lambda acme: (
        "identity_advertiser_change", [acme.advertiser.pk], {**HOUSE, "minimum_payout_minor": "50"}
    ),
    "make_key": lambda acme: ("identity_advertiserkey_add", [], {"name": "till", "scopes": ["conversions:read"]}),
    "revoke_key": lambda acme: (
        "identity_advertiserkey_changelist", [], {"action": "revoke", "_selected_action": [acme.key.pk]}
    ),
}  # fmt: skip


def rows():
    """Return everything that the pages may write, for a comparison."""
    tables = (Advertiser, Coupon, Partnership, PartnerGroup, Membership, LegalEntity, AdvertiserKey)
    return [sorted(map(str, table.objects.values_list())) for table in tables]


@pytest.mark.parametrize("verb", WRITES)
def test_each_writing_has_its_one_entry(acme, verb):
    name, args, content = WRITES[verb](acme)
    before = set(AuditEntry.objects.values_list("pk", flat=True))

    answer = acme.owner.post(reverse(f"admin:{name}", args=args), content)

    assert answer.status_code == (200 if verb == "make_key" else 302), answer.context
    entry = AuditEntry.objects.exclude(pk__in=before).get()
    assert (entry.verb, entry.actor_name, entry.advertiser) == (verb, "Owner", acme.advertiser)


@pytest.mark.parametrize("verb", WRITES)
def test_nothing_is_written_that_the_log_does_not_take(acme, verb):
    name, args, content = WRITES[verb](acme)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE records_auditentry ADD CONSTRAINT closed CHECK (verb = '') NOT VALID")
    before = rows()

    with pytest.raises(DatabaseError):
        acme.owner.post(reverse(f"admin:{name}", args=args), content)
    assert rows() == before
