"""A campaign's general part: changed by one verb, refused at the field it names."""

import pytest
from django.urls import reverse
from django.utils import timezone

from apps.campaigns.models import CampaignState
from apps.records.models import AuditEntry
from tests.console.scene import make_scene

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme():
    return make_scene()


def form_of(acme, **fields):
    """Return what the form sends back when nothing but `fields` was changed."""
    address = reverse("admin:campaigns_campaign_change", args=[acme.campaign.pk])
    form = acme.owner.get(address).context["adminform"].form
    sent = {name: form[name].value() for name in form.fields}
    sent = {name: form.fields[name].widget.format_value(value) for name, value in sent.items()}
    sent = {name: value[0] if isinstance(value, list) else value for name, value in sent.items()}
    return acme.owner.post(address, {name: value for name, value in {**sent, **fields}.items() if value})


def test_ending_in_the_form_ends_now(acme):
    before = timezone.now()
    assert form_of(acme, state="ENDED").status_code == 302

    acme.campaign.refresh_from_db()
    assert acme.campaign.state == CampaignState.ENDED
    assert before <= acme.campaign.ends_at <= timezone.now()
    assert AuditEntry.objects.get(verb="end_campaign").actor_name == "Owner"

    # Sent back once more: the end, shown to the minute, stays to the microsecond.
    ended_at = acme.campaign.ends_at
    assert form_of(acme, name="Acme Outlet").status_code == 302
    acme.campaign.refresh_from_db()
    assert (acme.campaign.name, acme.campaign.ends_at) == ("Acme Outlet", ended_at)


def test_what_the_service_refuses_is_said_at_its_field(acme):
    answer = form_of(acme, name="New name", ends_at="2025-06-01T00:00")

    errors = answer.context["adminform"].form.errors
    assert errors == {"ends_at": ["A campaign ends now or later, never in the past."]}
    assert "New name" in answer.content.decode()
    acme.campaign.refresh_from_db()
    assert (acme.campaign.name, acme.campaign.ends_at) == ("Acme Shop", None)


def test_only_reachable_states_are_offered(acme):
    form = acme.owner.get(reverse("admin:campaigns_campaign_change", args=[acme.campaign.pk])).context["adminform"].form
    assert [state for state, _ in form.fields["state"].choices] == ["RUNNING", "PAUSED", "ENDED"]
