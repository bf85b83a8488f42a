"""The demo is built once, by the real services, and its books are clean."""

from datetime import UTC, datetime

import pytest

from apps.commissions.models import Commission, Decision
from apps.identity.models import User
from apps.invoices.models import Invoice
from apps.pipeline.books import check_books
from apps.pipeline.demo.playing import beat_once, logins, play_demo
from apps.pipeline.services.settling import settle_waiting
from apps.tracking.models import Conversion, Touchpoint

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
NOW = datetime(2026, 11, 22, 15, tzinfo=UTC)


def test_the_demo_is_whole_and_its_books_are_clean():
    assert play_demo(now=NOW)
    assert not play_demo(now=NOW)
    assert {login.email for login in logins()} <= set(User.objects.values_list("email", flat=True))
    assert set(Decision.objects.values_list("state", flat=True)) == {"PENDING", "ON_HOLD", "APPROVED", "REJECTED"}
    assert Invoice.objects.filter(document__isnull=False).count() == Invoice.objects.count() > 5
    assert not Touchpoint.objects.filter(partner_id__isnull=False, link_id__isnull=True).exists()
    assert check_books() == []


def test_a_beat_of_the_demo_brings_visitors_and_now_and_then_a_sale():
    play_demo(now=NOW)
    before = Conversion.objects.count()
    sales = sum(beat_once(now=NOW.replace(second=second)) for second in range(30))
    assert Conversion.objects.count() == before + sales
    assert sales > 0
    settle_waiting(now=NOW)
    assert Commission.objects.filter(conversion__recorded_at__date=NOW.date()).exists()
