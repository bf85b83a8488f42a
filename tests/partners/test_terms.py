"""What an advertiser agrees with a partner: written with a trace, and never dated into the past."""

from datetime import timedelta

import pytest

from apps.core.actors import SYSTEM
from apps.partners.models import Partnership, PartnershipState
from apps.partners.services import (
    AgreementMisdated,
    PartnerGroupTaken,
    add_partner_group,
    decide_partnership,
    rename_partner_group,
    revise_partnership,
)
from apps.records.models import AuditEntry
from tests.cast import NOON, make_advertiser, make_partner

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
TODAY = NOON.date()


@pytest.fixture
def partnership():
    """A partnership that has been active for ten days."""
    return Partnership.objects.create(
        advertiser=make_advertiser(),
        partner=make_partner(),
        state=PartnershipState.ACTIVE,
        state_since=NOON - 10 * DAY,
    )


def revise(partnership, **values):
    return revise_partnership(partnership=partnership, values=values, actor=SYSTEM, now=NOON)


@pytest.mark.parametrize("day", [TODAY - 10 * DAY, TODAY])
def test_an_agreement_is_made_during_the_partnership(partnership, day):
    revise(partnership, self_billing_version="1", self_billing_on=day)

    partnership.refresh_from_db()
    assert partnership.self_billing_on == day
    entry = AuditEntry.objects.get(verb="revise_partnership")
    assert entry.details["fields"] == ["self_billing_on", "self_billing_version"]


@pytest.mark.parametrize("day", [TODAY - 11 * DAY, TODAY + DAY])
def test_an_agreement_before_the_partnership_or_in_the_future_is_refused(partnership, day):
    with pytest.raises(AgreementMisdated, match="2026-02-28, and today, 2026-03-10"):
        revise(partnership, self_billing_version="1", self_billing_on=day, notes="new")

    partnership.refresh_from_db()
    assert (partnership.self_billing_on, partnership.notes) == (None, "")
    assert not AuditEntry.objects.exists()


def test_a_partnership_that_was_blocked_in_between_began_when_it_first_did(partnership):
    for days, state in ((5, PartnershipState.BLOCKED), (2, PartnershipState.ACTIVE)):
        decide_partnership(
            partnership=partnership, state=state, reason="", actor=SYSTEM, now=NOON - timedelta(days=days)
        )

    revise(partnership, self_billing_version="1", self_billing_on=TODAY - 10 * DAY)
    with pytest.raises(AgreementMisdated):
        revise(partnership, self_billing_on=TODAY - 11 * DAY)


def test_a_group_is_made_once_and_renamed(partnership):
    group = add_partner_group(advertiser=partnership.advertiser, name="Gold", slug="gold", actor=SYSTEM, now=NOON)
    with pytest.raises(PartnerGroupTaken):
        add_partner_group(advertiser=partnership.advertiser, name="G", slug="gold", actor=SYSTEM, now=NOON)
    rename_partner_group(group=group, name="Golden", actor=SYSTEM, now=NOON)
    revise(partnership, group=group)

    group.refresh_from_db()
    assert (group.name, group.partnerships.get()) == ("Golden", partnership)
    verbs = AuditEntry.objects.order_by("pk").values_list("verb", flat=True)
    assert list(verbs) == ["add_partner_group", "rename_partner_group", "revise_partnership"]
