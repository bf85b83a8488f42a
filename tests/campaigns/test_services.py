"""Campaigns change from now on; what was clicked and sold before keeps its worth."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction

from apps.campaigns.models import Campaign, CampaignMoveRefused, CampaignState
from apps.campaigns.services import PastWouldChange, SlugTaken, create_campaign, end_campaign, revise_campaign
from apps.commissions.models import Commission
from apps.core.actors import SYSTEM
from apps.pipeline.services.settling import settle_waiting
from apps.records.models import AuditEntry
from tests.cast import NOON, START, make_campaign, make_cast, make_conversion, make_touch

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def acme():
    return make_cast()


def revise(campaign, **values):
    return revise_campaign(campaign=campaign, values=values, actor=SYSTEM, now=NOON)


def earned(acme, clicked_at, sold_at=NOON, **touch):
    """Settle a sale that one click came before, and return what the partner earns."""
    make_touch(acme.enrollments.blog, clicked_at, visitor := uuid4(), **touch)
    sale = make_conversion(Campaign.objects.get(), at=sold_at, visitor=visitor)
    settle_waiting(now=sold_at)
    return [row.amount_minor for row in Commission.objects.filter(conversion=sale)]


def test_an_end_does_not_reach_back(acme):
    end_campaign(campaign=acme.campaign, actor=SYSTEM, now=NOON - DAY)

    assert earned(acme, NOON - 2 * DAY) == [8_00]
    assert earned(acme, NOON - DAY) == []


def test_a_pause_is_judged_by_what_was_stored(acme):
    revise(acme.campaign, state=CampaignState.PAUSED)

    assert earned(acme, NOON - 2 * DAY) == [8_00]
    assert earned(acme, NOON - DAY, refusal="campaign_paused") == []
    revise(acme.campaign, state=CampaignState.RUNNING)
    assert earned(acme, NOON - DAY, refusal="campaign_paused") == []


def test_a_draft_never_runs(acme):
    Campaign.objects.update(state=CampaignState.DRAFT)

    assert earned(acme, NOON - DAY) == []


def test_ending_twice_is_ending_once(acme):
    end_campaign(campaign=acme.campaign, actor=SYSTEM, now=NOON)
    again = end_campaign(campaign=acme.campaign, actor=SYSTEM, now=NOON + DAY)

    assert (again.state, again.ends_at) == (CampaignState.ENDED, NOON)
    assert AuditEntry.objects.filter(verb="end_campaign").count() == 1


@pytest.mark.parametrize(
    ("starts_at", "ends_at", "ended"),
    [(START, NOON - DAY, NOON - DAY), (START, NOON + DAY, NOON), (NOON + DAY, None, NOON + DAY)],
)
def test_the_end_is_now_unless_it_was_before_or_the_start_is_still_to_come(acme, starts_at, ends_at, ended):
    campaign = make_campaign(acme.advertiser, "other", starts_at=starts_at, ends_at=ends_at)

    assert end_campaign(campaign=campaign, actor=SYSTEM, now=NOON).ends_at == ended
    assert not any(Campaign.objects.get(slug="other").runs_at(NOON + days * DAY) for days in range(3))


def test_an_ended_campaign_has_an_end(acme):
    with pytest.raises(IntegrityError), transaction.atomic():
        Campaign.objects.update(state=CampaignState.ENDED)


@pytest.mark.parametrize(
    ("before", "after"), [("RUNNING", "DRAFT"), ("DRAFT", "ENDED"), ("DRAFT", "PAUSED"), ("PAUSED", "DRAFT")]
)
def test_a_campaign_moves_only_where_its_state_allows(acme, before, after):
    Campaign.objects.update(state=before)

    with pytest.raises(CampaignMoveRefused):
        revise(acme.campaign, name="New", state=after)
    assert Campaign.objects.values_list("state", "name").get() == (before, "Acme Shop")


@pytest.mark.parametrize(
    "values", [{"starts_at": START + DAY}, {"ends_at": NOON - DAY}], ids=["start moves later", "end in the past"]
)
def test_its_dates_do_not_change_the_past(acme, values):
    with pytest.raises(PastWouldChange):
        revise(acme.campaign, **values)
    acme.campaign.refresh_from_db()
    assert (acme.campaign.starts_at, acme.campaign.ends_at) == (START, None)


def test_what_is_revised_is_written_down_in_one(acme):
    revise(acme.campaign, name="New", ends_at=NOON + DAY, state=CampaignState.PAUSED)
    revise(acme.campaign, name="New")

    acts = AuditEntry.objects.order_by("pk").values_list("verb", "details__fields")
    assert list(acts) == [("revise_campaign", ["ends_at", "name"]), ("campaign_paused", None)]


def test_only_a_taken_short_name_is_called_taken(acme):
    values = {"name": "X", "landing_url": "https://x.example/", "currencies": ["EUR"], "actor": SYSTEM, "now": NOON}
    with pytest.raises(SlugTaken):
        create_campaign(advertiser=acme.advertiser, slug="acme-shop", starts_at=NOON, **values)
    with pytest.raises(IntegrityError), transaction.atomic():
        create_campaign(advertiser=acme.advertiser, slug="other", starts_at=None, **values)
