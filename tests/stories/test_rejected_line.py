"""A rejected line, dated: before the decision, after it, after the lock; the order stays with its other lines."""

from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest

from apps.commissions.models import Commission, ConversionAlreadyDecided, Decision
from apps.core.actors import SYSTEM
from apps.core.errors import Refusal
from apps.ledger.models import Posting
from apps.ledger.selectors import balances_by_partner
from apps.pipeline.books import check_books
from apps.pipeline.services.closing import close_month
from apps.pipeline.services.deciding import NoSuchConversion, ReasonNeeded, approve_conversions, reject_conversions
from apps.pipeline.services.deciding_lines import (
    AmountAbove,
    NoLinesNamed,
    UnknownSku,
    correct_amount,
    positions_of,
    reject_lines,
)
from apps.pipeline.services.settling import settle_waiting
from apps.records.models import AuditEntry
from apps.statements.models import Statement
from apps.tracking.models import Refund
from apps.tracking.rules.refunds import UnknownLine
from tests.cast import NOON, START, make_advertiser, make_cast, make_conversion, make_plan, make_policy, make_touch

pytestmark = pytest.mark.django_db
LINES = [
    {"sku": "TENT", "category": "A", "unit_price_minor": 100_00},
    {"sku": "LAMP", "category": "B", "unit_price_minor": 60_00},
    {"sku": "ROPE", "category": "A", "unit_price_minor": 40_00},
]
RULES = [
    {"name": "margin", "when": {"category": ["A"]}, "pay": {"percent": "10"}},
    {"name": "rest", "when": {}, "pay": {"percent": "5"}},
]


@pytest.fixture
def acme():
    cast = make_cast()
    make_policy(cast.campaign, START + timedelta(days=1), model="LINEAR")
    make_plan(cast.campaign, rules=RULES, starts_at=START + timedelta(days=1))
    return cast


def sell(acme, at: datetime = NOON):
    """Write an order of 200.00 that the blog and the coupon site share: 17.00 of commission, 8.50 each."""
    visitor = uuid4()
    for days, name in ((2, "blog"), (1, "coupons")):
        make_touch(getattr(acme.enrollments, name), at - timedelta(days=days), visitor)
    sale = make_conversion(acme.campaign, 200_00, at, visitor=visitor, lines=LINES)
    settle_waiting(now=at)
    return sale


def by(acme, now: datetime = NOON, **more) -> dict:
    return {"advertiser": acme.advertiser, "actor": SYSTEM, "now": now, **more}


def earned(sale) -> dict[str, int]:
    found: dict[str, int] = {}
    for slug, amount in Commission.objects.filter(conversion=sale).values_list("partner__slug", "amount_minor"):
        found[slug] = found.get(slug, 0) + amount
    return found


def owed(acme) -> dict[str, int]:
    balances = {row.partner_id: row.accrued_minor for row in balances_by_partner(advertiser=acme.advertiser)}
    return {slug: balances[row.pk] for slug, row in vars(acme.partners).items() if row.pk in balances}


def test_the_second_of_three_lines_is_rejected_after_the_approval(acme):
    """10 March the order, 12 March approved, 20 March line 2 falls away: 14.00 is left of 17.00, 7.00 each."""
    sale = sell(acme)
    approve_conversions(**by(acme, NOON + timedelta(days=2)), conversion_ids=[sale.pk])
    assert (earned(sale), owed(acme)) == ({"blog": 8_50, "coupons": 8_50}, {"blog": 8_50, "coupons": 8_50})

    rejected_at = NOON + timedelta(days=10)
    call = by(acme, rejected_at, conversion_id=sale.pk, positions=[2], reason="cancelled", note="out of stock")
    assert reject_lines(**call).changed
    assert Decision.objects.get().state == "APPROVED"
    assert (earned(sale), owed(acme)) == ({"blog": 7_00, "coupons": 7_00}, {"blog": 7_00, "coupons": 7_00})
    corrections = Commission.objects.filter(kind="CORRECTION")
    assert {(row.reason, row.amount_minor, row.corrects.kind) for row in corrections} == {("cancelled", -1_50, "SALE")}
    assert set(Posting.objects.values_list("due_on", flat=True)) == {date(2026, 4, 28)}
    act = AuditEntry.objects.get(verb="rejected_lines")
    assert (act.details["lines"], act.details["note"]) == ([2], "out of stock")

    assert not reject_lines(**call).changed
    assert (Refund.objects.count(), corrections.count(), check_books()) == (1, 2, [])


def test_a_line_rejected_before_the_decision_is_not_owed_with_it(acme):
    sale = sell(acme)
    reject_lines(**by(acme), conversion_id=sale.pk, positions=[2], reason="cancelled")
    assert (Decision.objects.get().state, owed(acme)) == ("PENDING", {})
    approve_conversions(**by(acme), conversion_ids=[sale.pk])
    assert (owed(acme), check_books()) == ({"blog": 7_00, "coupons": 7_00}, [])


def test_a_line_rejected_after_the_statement_is_on_the_next(acme):
    """The March order locks on 28 April and stands on April's statement; the line falls away in May."""
    sale = sell(acme)
    approve_conversions(**by(acme), conversion_ids=[sale.pk])
    close_month(advertiser=acme.advertiser, month=date(2026, 4, 1), actor=SYSTEM, now=datetime(2026, 5, 2, tzinfo=UTC))
    assert sorted(Statement.objects.values_list("earned_minor", flat=True)) == [8_50, 8_50]
    in_may = datetime(2026, 5, 10, 12, tzinfo=UTC)
    reject_lines(**by(acme, in_may), conversion_id=sale.pk, positions=[2], reason="returned")
    assert sorted(Statement.objects.values_list("earned_minor", flat=True)) == [8_50, 8_50]
    close_month(advertiser=acme.advertiser, month=date(2026, 5, 1), actor=SYSTEM, now=datetime(2026, 6, 2, tzinfo=UTC))
    assert sorted(Statement.objects.values_list("earned_minor", flat=True)) == [-1_50, -1_50, 8_50, 8_50]
    assert check_books() == []


def test_lines_one_by_one_and_the_shop_s_own_return_end_at_the_same_cents(acme):
    one, two = sell(acme), sell(acme, NOON + timedelta(minutes=1))
    for position in (3, 2):
        reject_lines(**by(acme), conversion_id=one.pk, positions=[position], reason="returned")
    reject_lines(**by(acme), conversion_id=two.pk, positions=[2, 3], reason="returned")
    Refund.objects.create(
        advertiser=acme.advertiser, order_ref=two.order_ref, refund_ref="shop-1", kind="LINES", occurred_at=NOON,
        lines=[{"position": 2, "quantity": 1}], recorded_at=NOON, content_hash="x",
    )  # fmt: skip
    settle_waiting(now=NOON)
    assert earned(one) == earned(two) == {"blog": 5_00, "coupons": 5_00}


def test_all_lines_end_at_exactly_zero(acme):
    sale = sell(acme)
    approve_conversions(**by(acme), conversion_ids=[sale.pk])
    reject_lines(**by(acme), conversion_id=sale.pk, positions=[1, 2, 3], reason="cancelled")
    assert earned(sale) == owed(acme) == {"blog": 0, "coupons": 0}
    assert check_books() == []


def test_an_amount_is_lowered_in_proportion_and_lowering_to_the_same_again_changes_nothing(acme):
    sale = sell(acme)
    approve_conversions(**by(acme), conversion_ids=[sale.pk])
    call = by(acme, conversion_id=sale.pk, reason="returned")
    assert correct_amount(**call, amount_minor=150_00).changed
    assert sum(owed(acme).values()) == 17_00 * 3 // 4
    assert not correct_amount(**call, amount_minor=150_00).changed
    with pytest.raises(AmountAbove):
        correct_amount(**call, amount_minor=150_01)
    reject_lines(**call, positions=[2])
    assert correct_amount(**call, amount_minor=0).changed
    assert owed(acme) == {"blog": 0, "coupons": 0}
    assert check_books() == []


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"positions": [4]}, UnknownLine),
        ({"positions": []}, NoLinesNamed),
        ({"positions": [0]}, NoLinesNamed),
        ({"positions": [2], "reason": "because"}, ReasonNeeded),
        ({"positions": [2], "advertiser": "stranger"}, NoSuchConversion),
    ],
)
def test_a_line_that_cannot_be_rejected_changes_nothing(acme, fields: dict, refusal: type[Refusal]):
    sale = sell(acme)
    approve_conversions(**by(acme), conversion_ids=[sale.pk])
    if "advertiser" in fields:
        fields = {**fields, "advertiser": make_advertiser("stranger")}
    with pytest.raises(refusal):
        reject_lines(**{**by(acme), "conversion_id": sale.pk, "reason": "cancelled", **fields})
    assert (Refund.objects.count(), Commission.objects.count(), Posting.objects.count()) == (0, 2, 2)


def test_a_rejected_order_has_no_line_left_to_reject(acme):
    sale = sell(acme)
    reject_conversions(**by(acme), conversion_ids=[sale.pk], reason="cancelled")
    with pytest.raises(ConversionAlreadyDecided):
        reject_lines(**by(acme), conversion_id=sale.pk, positions=[2], reason="cancelled")
    assert not Refund.objects.exists()


def test_lines_are_found_by_their_sku(acme):
    sale = sell(acme)
    assert positions_of(sale.pk, ["ROPE", "TENT"]) == [1, 3]
    with pytest.raises(UnknownSku):
        positions_of(sale.pk, ["BOAT"])
