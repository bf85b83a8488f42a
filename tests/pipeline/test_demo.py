"""The demo is built once, by the real services, and its books are clean."""

from datetime import UTC, datetime, timedelta

import pytest

from apps.attribution.models import Share
from apps.claims.models import Claim, ClaimState
from apps.claims.selectors import standing_of
from apps.commissions.models import Commission, Decision, PartnerReview
from apps.identity.models import User
from apps.invoices.models import Invoice
from apps.ledger.models import Posting
from apps.messages.models import Outbox
from apps.messages.services import deliver_waiting
from apps.pipeline.books import check_books
from apps.pipeline.demo.playing import beat_once, logins, play_demo
from apps.pipeline.services.settling import settle_waiting
from apps.records.models import Job
from apps.statements.models import Statement
from apps.tracking.models import (
    Amendment,
    Conversion,
    Duplicate,
    IdentityKey,
    Merge,
    Refund,
    RejectedEvent,
    Sighting,
    Touchpoint,
    Unsettled,
)
from apps.tracking.persons import person_of

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
NOW = datetime(2026, 11, 22, 15, tzinfo=UTC)


def test_the_demo_is_whole_and_its_books_are_clean():
    assert play_demo(now=NOW)
    assert not play_demo(now=NOW)
    assert {login.email for login in logins()} <= set(User.objects.values_list("email", flat=True))
    assert set(Decision.objects.values_list("state", flat=True)) == {"PENDING", "ON_HOLD", "APPROVED", "REJECTED"}
    assert Invoice.objects.filter(document__isnull=False).count() == Invoice.objects.count() > 5
    assert not Touchpoint.objects.filter(kind="CLICK", partner_id__isnull=False, link_id__isnull=True).exists()
    assert check_books() == []
    assert not Unsettled.objects.exists()


def test_the_demo_tells_what_happens_after_a_sale():
    play_demo(now=NOW)
    for state in ("APPROVED", "PENDING"):
        orders = Decision.objects.filter(state=state).values("conversion__order_ref")
        refunds = Refund.objects.filter(order_ref__in=orders)
        assert {"WHOLE", "AMOUNT", "LINES"} <= set(refunds.values_list("kind", flat=True))
    assert not Conversion.objects.filter(order_ref="AO-PHONE-4711").exists()
    assert Refund.objects.filter(order_ref="AO-PHONE-4711").exists()
    assert Refund.objects.filter(refund_ref__startswith="tributary:line").count() > 2
    assert Amendment.objects.filter(conversion__decision__state="PENDING").exists()
    statements = {
        row.pk: set(Posting.objects.filter(statement_line__statement=row).values_list("reference", flat=True))
        for row in Statement.objects.order_by("pk")
    }
    late = Commission.objects.filter(kind="CORRECTION", reason="returned")
    assert any(
        f"commission:{row.corrects_id}" in statements[one] and f"commission:{row.pk}" in statements[other]
        for row in late
        for one in statements
        for other in statements
        if one < other
    )


def test_the_demo_holds_back_joins_and_refuses():
    play_demo(now=NOW)
    held = set(Decision.objects.filter(state="ON_HOLD").values_list("reason", flat=True))
    assert held == {"review", "waiting", "under_review", "too_fast", "untrusted_door"}
    assert PartnerReview.objects.get().reason
    assert Duplicate.objects.filter(scope="CUSTOMER_GOAL").count() == 4
    assert {"CUSTOMER", "EMAIL"} <= set(Merge.objects.filter(undone_at=None).values_list("kind", flat=True))
    sale = Sighting.objects.filter(conversion__goal="SALE", kind="CUSTOMER").order_by("pk").first().conversion
    assert person_of(sale).visitors == 2
    assert set(Share.objects.filter(conversion=sale).values_list("partner__slug", flat=True)) == {
        "wanderblog",
        "preisadler",
    }
    assert IdentityKey.objects.get(kind="DEVICE").shared_at
    assert RejectedEvent.objects.values("code").distinct().count() > 8


def test_the_demo_has_claims_in_every_state_and_lists_that_are_done():
    play_demo(now=NOW)
    assert set(Claim.objects.values_list("state", flat=True)) == set(ClaimState.values)
    assert Touchpoint.objects.filter(kind="MANUAL").exists()
    claimed = [standing_of(claim) for claim in Claim.objects.filter(state="OPEN", partner__slug="codefuchs")]
    assert all(standing.conversion and standing.credits for standing in claimed)
    assert claimed
    jobs = Job.objects.filter(kind__startswith="decide")
    assert set(jobs.values_list("kind", "state")) == {("decide_filter", "DONE"), ("decide_list", "DONE")}
    assert all(moved > 0 for moved in jobs.values_list("moved", flat=True))
    assert jobs.get(kind="decide_list").refused == 3


def test_the_demos_mails_leave_through_its_own_backend(mailoutbox):
    play_demo(now=NOW)
    waiting = Outbox.objects.waiting().count()
    assert waiting > 3
    assert mailoutbox == []
    deliver_waiting(clock=lambda: NOW)
    assert len(mailoutbox) == waiting == Outbox.objects.sent().count()


@pytest.mark.parametrize("now", [datetime(2026, 3, 1, 0, 5, tzinfo=UTC), datetime(2028, 2, 29, 22, 59, tzinfo=UTC)])
def test_the_demo_is_whole_on_any_day(now):
    play_demo(now=now)
    assert set(Claim.objects.values_list("state", flat=True)) == set(ClaimState.values)
    assert not Unsettled.objects.exists()
    assert check_books() == []


def test_a_beat_of_the_demo_brings_visitors_and_now_and_then_a_sale():
    play_demo(now=NOW)
    before = Conversion.objects.count()
    sales = sum(beat_once(now=NOW.replace(second=second)) for second in range(30))
    assert Conversion.objects.count() == before + sales
    assert sales > 0
    told, claimed = Refund.objects.count(), Claim.objects.count()
    for second in range(60, 180):
        beat_once(now=NOW + timedelta(seconds=second))
    assert Refund.objects.count() > told
    assert Claim.objects.count() > claimed
    settle_waiting(now=NOW + timedelta(minutes=5))
    assert not Unsettled.objects.exists()
    assert check_books() == []
    assert Commission.objects.filter(conversion__recorded_at__date=NOW.date()).exists()
