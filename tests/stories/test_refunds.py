"""Refunds and amendments, dated: before and after the decision, before the sale, after the statement."""

from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest

from apps.campaigns.models import Coupon
from apps.commissions.models import Commission, Receipt
from apps.core.actors import SYSTEM
from apps.ledger.models import Posting
from apps.partners.models import Partnership, PartnershipState
from apps.pipeline.books import check_books
from apps.pipeline.receipts import explain_conversion
from apps.pipeline.services.closing import close_month
from apps.pipeline.services.deciding import approve_conversions, reject_conversions
from apps.pipeline.services.settling import settle_waiting
from apps.statements.models import Statement
from apps.tracking.models import Amendment, AwaitedSale, Refund, Unsettled
from apps.tracking.sweeping import wake_awaited
from tests.cast import NOON, START, make_cast, make_conversion, make_coupon, make_plan, make_policy, make_touch

pytestmark = pytest.mark.django_db
LINES = [
    {"sku": "A", "category": "A", "quantity": 2, "unit_price_minor": 20_00},
    {"sku": "B", "category": "B", "quantity": 1, "unit_price_minor": 60_00},
]


@pytest.fixture
def acme():
    cast = make_cast()
    make_policy(cast.campaign, START + timedelta(days=1), model="LINEAR")
    return cast


def sell(acme, at: datetime = NOON, **fields):
    visitor = uuid4()
    for days, name in ((2, "blog"), (1, "coupons")):
        make_touch(getattr(acme.enrollments, name), at - timedelta(days=days), visitor)
    sale = make_conversion(acme.campaign, 100_00, at, visitor=visitor, lines=LINES, **fields)
    settle_waiting(now=at)
    return sale


def refund(acme, order_ref: str, kind: str, ref: str = "r1", at: datetime = NOON, **fields) -> None:
    Refund.objects.create(
        advertiser=acme.advertiser, order_ref=order_ref, refund_ref=ref, kind=kind, occurred_at=at, recorded_at=at,
        content_hash=ref, **fields,
    )  # fmt: skip
    settle_waiting(now=at)


def amend(sale, sequence: int, **content) -> None:
    Amendment.objects.create(
        advertiser=sale.advertiser, conversion=sale, sequence=sequence, content=content, content_hash="x",
        recorded_at=NOON,
    )  # fmt: skip
    settle_waiting(now=NOON)


def balances(sale) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in Commission.objects.filter(conversion=sale).select_related("partner"):
        found[row.partner.slug] = found.get(row.partner.slug, 0) + row.amount_minor
    return found


def approve(acme, sale, at: datetime = NOON) -> None:
    approve_conversions(advertiser=acme.advertiser, conversion_ids=[sale.pk], actor=SYSTEM, now=at)


def test_a_refund_while_pending_leaves_the_receipt_and_adds_rows(acme):
    sale = sell(acme, order_ref="A-1")
    assert balances(sale) == {"blog": 400, "coupons": 400}
    refund(acme, "A-1", "AMOUNT", amount_minor=25_00)
    assert balances(sale) == {"blog": 300, "coupons": 300}
    explained = explain_conversion(sale.pk)
    assert explained["verified"] and explained["commission"] == "8.00"
    assert [row["amount"] for row in explained["corrections"]] == ["-1.00", "-1.00"]
    approve(acme, sale)
    assert Posting.objects.count() == 4
    assert check_books() == []


def test_a_returned_line_is_rated_again_by_the_rules_of_that_day(acme):
    sale = sell(acme, order_ref="A-1")
    refund(acme, "A-1", "LINES", lines=[{"position": 1, "quantity": 1}])
    assert balances(sale) == {"blog": 320, "coupons": 320}
    refund(acme, "A-1", "LINES", ref="r2", lines=[{"position": 1, "quantity": 1}, {"position": 2, "quantity": 1}])
    assert balances(sale) == {"blog": 0, "coupons": 0}
    assert check_books() == []


def test_a_refund_after_the_statement_lands_on_the_next_one(acme):
    # 15 January: sold and approved; 1 March: February's statement has it; 5 March: the goods come back.
    at = datetime(2026, 1, 15, 12, tzinfo=UTC)
    sale = sell(acme, at, order_ref="A-1")
    approve(acme, sale, at)
    closing = datetime(2026, 3, 1, 8, tzinfo=UTC)
    close_month(advertiser=acme.advertiser, month=date(2026, 2, 1), actor=SYSTEM, now=closing)
    first = list(Statement.objects.order_by("place").values("pk", "sha256", "earned_minor"))
    refund(acme, "A-1", "WHOLE", at=datetime(2026, 3, 5, tzinfo=UTC))
    assert balances(sale) == {"blog": 0, "coupons": 0}
    closing = datetime(2026, 4, 1, 8, tzinfo=UTC)
    close_month(advertiser=acme.advertiser, month=date(2026, 3, 1), actor=SYSTEM, now=closing)
    assert list(Statement.objects.order_by("place").values("pk", "sha256", "earned_minor"))[:2] == first
    assert [row.earned_minor for row in Statement.objects.order_by("place")] == [400, 400, -400, -400]
    assert check_books() == []


def test_a_refund_before_its_sale_waits_for_it(acme):
    refund(acme, "A-1", "AMOUNT", amount_minor=50_00)
    assert AwaitedSale.objects.count() == 1
    sale = sell(acme, order_ref="A-1")
    assert balances(sale) == {"blog": 200, "coupons": 200}
    wake_awaited(now=NOON)
    settle_waiting(now=NOON)
    assert (AwaitedSale.objects.count(), Unsettled.objects.count()) == (0, 0)
    assert balances(sale) == {"blog": 200, "coupons": 200}


def test_a_rejected_conversion_owes_nothing_and_is_not_corrected(acme):
    sale = sell(acme, order_ref="A-1")
    reject_conversions(advertiser=acme.advertiser, conversion_ids=[sale.pk], reason="returned", actor=SYSTEM, now=NOON)
    refund(acme, "A-1", "WHOLE")
    assert (Commission.objects.count(), Posting.objects.count()) == (2, 0)
    assert check_books() == []


def test_an_approval_taken_back_takes_back_its_corrections_too(acme):
    sale = sell(acme, order_ref="A-1")
    approve(acme, sale)
    refund(acme, "A-1", "AMOUNT", amount_minor=25_00)
    reject_conversions(advertiser=acme.advertiser, conversion_ids=[sale.pk], reason="returned", actor=SYSTEM, now=NOON)
    assert Posting.objects.count() == 8
    assert check_books() == []


def test_amendments_hold_by_their_sequence_whatever_order_they_come_in(acme):
    sale = sell(acme, order_ref="A-1")
    amend(sale, 2, amount_minor=50_00, lines=[])
    assert balances(sale) == {"blog": 200, "coupons": 200}
    amend(sale, 1, amount_minor=90_00, lines=[])
    assert balances(sale) == {"blog": 200, "coupons": 200}
    assert explain_conversion(sale.pk)["verified"]
    approve(acme, sale)
    amend(sale, 3, amount_minor=75_00, lines=[])
    assert balances(sale) == {"blog": 300, "coupons": 300}
    assert check_books() == []


def test_asking_again_adds_nothing(acme):
    sale = sell(acme, order_ref="A-1")
    approve(acme, sale)
    refund(acme, "A-1", "AMOUNT", amount_minor=33_33)
    before = Commission.objects.count()
    Unsettled.objects.create(conversion=sale, advertiser=acme.advertiser, marked_at=NOON)
    settle_waiting(now=NOON)
    assert Commission.objects.count() == before


def forget_touch(sale) -> None:
    """Let the receipt name a touch that is not there, as when its month was dropped."""
    body = Receipt.objects.get(pk=sale.pk).body
    body["touches"][0][0] = str(uuid4())
    Receipt.objects.filter(pk=sale.pk).update(body=body)


def test_lines_whose_journey_is_gone_are_rated_by_the_receipt(acme):
    sale = sell(acme, order_ref="A-1")
    forget_touch(sale)
    approve(acme, sale)
    refund(acme, "A-1", "LINES", lines=[{"position": 2, "quantity": 1}])
    assert balances(sale) == {"blog": 160, "coupons": 160}


def test_lines_of_a_plan_that_asks_a_lost_touch_wait_with_a_reason_and_hold_up_nobody(acme):
    rules = [{"name": "clicks", "when": {"touch_kind": "CLICK"}, "pay": {"percent": "8"}}]
    make_plan(acme.campaign, rules, starts_at=START + timedelta(days=1))
    sale, other = sell(acme, order_ref="A-1"), sell(acme, order_ref="A-2")
    forget_touch(sale)
    approve(acme, sale)
    for order in ("A-1", "A-2"):
        refund(acme, order, "LINES", lines=[{"position": 2, "quantity": 1}])
    assert Unsettled.objects.get().last_error.startswith("journey_gone")
    assert balances(sale) == {"blog": 400, "coupons": 400}
    assert balances(other) == {"blog": 160, "coupons": 160}


@pytest.mark.parametrize("state", [PartnershipState.BLOCKED, PartnershipState.ENDED])
def test_a_line_comes_back_after_the_owner_of_its_code_has_left(acme, state):
    make_policy(acme.campaign, START + timedelta(days=2), model="LINEAR", coupon="ALWAYS")
    coupon = make_coupon(acme.campaign, partner=acme.partners.cashback)
    sale = sell(acme, order_ref="A-1", coupons=["SAVE10"])
    assert balances(sale) == {"cashback": 800}
    approve(acme, sale)
    Partnership.objects.filter(partner=acme.partners.cashback).update(state=state, state_since=START)
    Coupon.objects.filter(pk=coupon.pk).update(partner=acme.partners.blog)
    refund(acme, "A-1", "LINES", lines=[{"position": 2, "quantity": 1}])
    assert (Unsettled.objects.count(), balances(sale)) == (0, {"cashback": 320})
    assert check_books() == []
