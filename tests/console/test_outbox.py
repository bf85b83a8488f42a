"""What left, what waits and what is parked: of the own advertiser, with a button to send again."""

from datetime import timedelta

import pytest
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.identity.models import Role
from apps.messages.models import Outbox
from apps.messages.services import deliver_waiting, queue_message
from apps.records.models import AuditEntry
from tests.cast import NOON
from tests.console.scene import make_scene, member

pytestmark = pytest.mark.django_db
LIST = "admin:outbox_outbox_changelist"


@pytest.fixture
def acme():
    acme = make_scene()
    Outbox.objects.all().delete()
    return acme


def queue(acme, n, template="books_released"):
    queue_message(
        advertiser=acme.advertiser,
        kind="mail",
        cause=f"cause:{n}",
        subject=f"subject:{n}",
        address=f"person{n}@acme.example",
        payload={"template": template, "context": {"advertiser": "Acme"}},
        now=NOON,
    )


def park(acme):
    queue(acme, 1, template="missing")
    for day in range(9):
        deliver_waiting(clock=lambda day=day: NOON + timedelta(days=2 * day), chance=lambda: 0.5)
    return Outbox.objects.parked().get()


def test_a_parked_message_says_why_and_leaves_again_when_asked(acme):
    parked = park(acme)
    page = acme.owner.get(reverse("admin:outbox_outbox_change", args=[parked.pk]))
    assert "TemplateDoesNotExist" in page.text and page.text.count("<tr>") == 1 + 16
    acme.owner.post(reverse(LIST), {"action": "resend", "_selected_action": [parked.pk]})
    assert Outbox.objects.waiting().get().attempts == 0
    assert AuditEntry.objects.filter(verb="resend_message", advertiser=acme.advertiser).count() == 1


def test_an_analyst_looks_and_sends_nothing_again(acme):
    parked = park(acme)
    analyst = member(acme, Role.ANALYST)
    assert analyst.get(reverse(LIST)).status_code == 200
    analyst.post(reverse(LIST), {"action": "resend", "_selected_action": [parked.pk]})
    assert Outbox.objects.parked().count() == 1 and not AuditEntry.objects.filter(verb="resend_message").exists()


def test_a_neighbor_sees_none_of_it(acme):
    parked = park(acme)
    assert "person1@" not in acme.neighbor.get(reverse(LIST)).text
    assert acme.neighbor.get(reverse("admin:outbox_outbox_change", args=[parked.pk])).status_code == 404
    acme.neighbor.post(reverse(LIST), {"action": "resend", "_selected_action": [parked.pk]})
    assert Outbox.objects.parked().count() == 1


def test_the_list_asks_as_often_for_three_as_for_one_and_filters_by_state(acme):
    counts = []
    for numbers in ((1,), (2, 3)):
        for n in numbers:
            queue(acme, n)
        with CaptureQueriesContext(connection) as asked:
            assert acme.owner.get(reverse(LIST)).status_code == 200
        counts.append(len(asked))
    assert counts[0] == counts[1]
    assert deliver_waiting(clock=lambda: NOON, chance=lambda: 0.5) == 3
    assert len(mail.outbox) == 3
    assert "person1@" in acme.owner.get(reverse(LIST) + "?state=sent").text
    assert "person1@" not in acme.owner.get(reverse(LIST) + "?state=parked").text
