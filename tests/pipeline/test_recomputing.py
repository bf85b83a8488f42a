"""A sample of results is worked out again from the facts: what was not heard or not corrected is found, and no more."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.commissions.models import Commission, Receipt
from apps.core import reading
from apps.core.actors import SYSTEM
from apps.partners.models import PartnerGroup, Partnership, PartnershipState
from apps.pipeline import recomputing
from apps.pipeline.books import check_books
from apps.pipeline.parsing import forget_parsed
from apps.pipeline.services.deciding import approve_conversions, reject_conversions
from apps.pipeline.services.settling import settle_waiting
from apps.tracking.models import Amendment, Refund, Stirred, Unsettled
from tests.cast import NOON, START, make_cast, make_conversion, make_coupon, make_plan, make_policy, make_touch
from tests.stories.test_refunds import LINES

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme():
    cast = make_cast()
    make_policy(cast.campaign, START + timedelta(days=1), model="POSITION")
    return cast


GOLD_OR_REST = [
    {"name": "gold", "when": {"partner_group": ["gold"]}, "pay": {"percent": "10"}},
    {"name": "rest", "when": {}, "pay": {"percent": "5"}},
]


def sell(acme, **fields):
    visitor = uuid4()
    for days, name in ((3, "blog"), (2, "comparison"), (1, "coupons")):
        make_touch(getattr(acme.enrollments, name), NOON - timedelta(days=days), visitor)
    sale = make_conversion(acme.campaign, 100_00, visitor=visitor, lines=LINES, **fields)
    settle_waiting(now=NOON)
    assert Commission.objects.filter(conversion=sale).count() == 3
    return sale


def found() -> list[tuple[str, str]]:
    return [(row.invariant, row.message) for row in check_books()]


def forget_marks() -> None:
    Unsettled.objects.all().delete()
    Stirred.objects.all().delete()


def test_a_click_that_nobody_heard_is_found(acme):
    sale = sell(acme)
    late = make_touch(acme.enrollments.cashback, NOON - timedelta(hours=1), sale.visitor)
    [(invariant, message)] = found()
    assert (invariant, message) == ("I6", f"1 touches before it were not heard: {late.pk}")


@pytest.mark.parametrize("mark", [Unsettled, Stirred])
def test_a_click_that_waits_to_be_heard_is_no_difference(acme, mark):
    sale = sell(acme)
    make_touch(acme.enrollments.cashback, NOON - timedelta(hours=1), sale.visitor)
    waiting = {"conversion": sale, "marked_at": NOON} if mark is Unsettled else {"visitors": [sale.visitor]}
    mark.objects.create(advertiser=acme.advertiser, **waiting)
    assert found() == []


def test_a_click_after_the_decision_is_no_difference(acme):
    sale = sell(acme)
    approve_conversions(advertiser=acme.advertiser, conversion_ids=[sale.pk], actor=SYSTEM, now=NOON)
    make_touch(acme.enrollments.cashback, NOON - timedelta(hours=1), sale.visitor)
    assert found() == []


@pytest.mark.parametrize("kind", ["AMOUNT", "LINES"])
def test_a_refund_that_took_nothing_is_found(acme, kind):
    sale = sell(acme)
    told = {"amount_minor": 50_00} if kind == "AMOUNT" else {"lines": [{"position": 2, "quantity": 1}]}
    Refund.objects.create(
        advertiser=acme.advertiser, order_ref=sale.order_ref, refund_ref="r1", kind=kind, occurred_at=NOON,
        recorded_at=NOON, content_hash="r1", **told,
    )  # fmt: skip
    assert found() == [], "it waits on the work list"
    forget_marks()
    [(invariant, message)] = found()
    assert invariant == "I6"
    assert message.startswith("corrected it comes to {'blog'")
    Unsettled.objects.create(conversion=sale, advertiser=acme.advertiser, marked_at=NOON)
    settle_waiting(now=NOON)
    assert found() == []


def test_a_refund_of_a_rejected_sale_is_no_difference(acme):
    sale = sell(acme)
    reject_conversions(advertiser=acme.advertiser, conversion_ids=[sale.pk], reason="test", actor=SYSTEM, now=NOON)
    Refund.objects.create(
        advertiser=acme.advertiser, order_ref=sale.order_ref, refund_ref="r1", kind="WHOLE", occurred_at=NOON,
        recorded_at=NOON, content_hash="r1",
    )  # fmt: skip
    forget_marks()
    assert found() == []


def test_what_holds_today_and_has_no_version_makes_no_alarm(acme):
    """A partner in another group, blocked, or owning a code only now: its old sales stay what they were."""
    coupon = make_coupon(acme.campaign, partner=acme.partners.cashback)
    loud = {"when": {"partner_group": ["loud"]}, "do": "MULTIPLY", "factor": "3"}
    make_policy(acme.campaign, START + timedelta(days=2), model="POSITION", coupon="ALWAYS", adjustments=[loud])
    sell(acme)
    visitor = uuid4()
    make_touch(acme.enrollments.blog, NOON - timedelta(days=1), visitor)
    make_conversion(acme.campaign, 50_00, visitor=visitor, coupons=[coupon.code])
    settle_waiting(now=NOON)
    group = PartnerGroup.objects.create(advertiser=acme.advertiser, slug="loud", name="Loud")
    Partnership.objects.filter(partner=acme.partners.blog).update(group=group)
    Partnership.objects.filter(partner=acme.partners.cashback).update(state=PartnershipState.BLOCKED)
    assert found() == []


def test_an_order_amended_with_a_code_is_corrected_by_what_the_code_gave(acme):
    """The code came with the amendment: what is returned later must be rated with the code's owner in the journey."""
    make_policy(acme.campaign, START + timedelta(days=2), coupon="ALWAYS")
    make_coupon(acme.campaign, partner=acme.partners.cashback)
    visitor = uuid4()
    make_touch(acme.enrollments.blog, NOON - timedelta(days=1), visitor)
    sale = make_conversion(acme.campaign, 100_00, visitor=visitor, lines=LINES)
    Amendment.objects.create(
        advertiser=acme.advertiser, conversion=sale, sequence=1, content_hash="x", recorded_at=NOON,
        content={"coupons": ["SAVE10"]},
    )  # fmt: skip
    settle_waiting(now=NOON)
    assert [winner[0] for winner in Receipt.objects.get().body["winners"]] == ["cashback"]
    approve_conversions(advertiser=acme.advertiser, conversion_ids=[sale.pk], actor=SYSTEM, now=NOON)
    Refund.objects.create(
        advertiser=acme.advertiser, order_ref=sale.order_ref, refund_ref="r1", kind="LINES", occurred_at=NOON,
        recorded_at=NOON, content_hash="r1", lines=[{"position": 2, "quantity": 1}],
    )  # fmt: skip
    settle_waiting(now=NOON)
    assert Unsettled.objects.count() == 0
    assert sum(row.amount_minor for row in Commission.objects.all()) == 320
    assert found() == []


def in_group(acme, slug: str = "gold") -> None:
    group, _ = PartnerGroup.objects.get_or_create(advertiser=acme.advertiser, slug=slug, defaults={"name": slug})
    Partnership.objects.filter(partner=acme.partners.blog).update(group=group)


def assign_gold(acme) -> None:
    """The group has a plan of its own, all others 5 %."""
    gold = {"name": "Gold", "assign": {"group": PartnerGroup.objects.get()}}
    make_plan(acme.campaign, [{"name": "all", "when": {}, "pay": {"percent": "10"}}], **gold)
    make_plan(acme.campaign, GOLD_OR_REST[1:], starts_at=START + timedelta(days=1))


def give_back(acme, sale, position: int = 1) -> None:
    """One line of an order is given back and corrected."""
    Refund.objects.create(
        advertiser=acme.advertiser, order_ref=sale.order_ref, refund_ref=f"r{position}", kind="LINES",
        occurred_at=NOON, recorded_at=NOON, content_hash=f"r{position}", lines=[{"position": position, "quantity": 1}],
    )  # fmt: skip
    settle_waiting(now=NOON)


@pytest.mark.parametrize("budget_neutral", [False, True])
@pytest.mark.parametrize("is_approved", [True, False])
@pytest.mark.parametrize("is_assigned", [True, False])
def test_a_partner_moved_to_another_group_is_corrected_by_the_one_it_had(
    acme, budget_neutral, is_approved, is_assigned
):
    """Half of an order at 10 % comes back when the partner's group has 5 %: it keeps 10 % of the other half."""
    make_policy(acme.campaign, START + timedelta(days=2), budget_neutral=budget_neutral)
    in_group(acme)
    if is_assigned:
        assign_gold(acme)
    else:
        make_plan(acme.campaign, GOLD_OR_REST, starts_at=START + timedelta(days=1))
    visitor = uuid4()
    make_touch(acme.enrollments.blog, NOON - timedelta(days=1), visitor)
    line = {"unit_price_minor": 50_00, "quantity": 1}
    sale = make_conversion(acme.campaign, 100_00, visitor=visitor, lines=[line, line])
    settle_waiting(now=NOON)
    if is_approved:
        approve_conversions(advertiser=acme.advertiser, conversion_ids=[sale.pk], actor=SYSTEM, now=NOON)
    in_group(acme, "standard")

    give_back(acme, sale)

    assert [row.amount_minor for row in Commission.objects.order_by("pk")] == [10_00, -5_00]
    assert found() == []


def test_an_open_sale_goes_by_the_new_group_once_its_partner_has_been_there_again(acme):
    """What is remembered is of one touch: a later one of the same partner is rated by the group that it came in."""
    make_plan(acme.campaign, GOLD_OR_REST, starts_at=START + timedelta(days=1))
    in_group(acme)
    visitor = uuid4()
    make_touch(acme.enrollments.blog, NOON - timedelta(days=2), visitor)
    sale = make_conversion(acme.campaign, 100_00, visitor=visitor)
    settle_waiting(now=NOON)
    in_group(acme, "standard")
    make_touch(acme.enrollments.blog, NOON - timedelta(days=1), visitor)
    Unsettled.objects.create(conversion=sale, advertiser=acme.advertiser, marked_at=NOON)
    settle_waiting(now=NOON)
    assert (Commission.objects.get().amount_minor, found()) == (5_00, [])


def test_a_partner_who_left_its_group_makes_no_alarm_of_an_old_refund(acme):
    make_plan(acme.campaign, GOLD_OR_REST, starts_at=START + timedelta(days=1))
    in_group(acme)
    give_back(acme, sell(acme))
    Partnership.objects.filter(partner=acme.partners.blog).update(group=None)
    assert found() == []


def test_a_receipt_from_before_groups_were_remembered_makes_no_alarm(acme):
    make_plan(acme.campaign, GOLD_OR_REST, starts_at=START + timedelta(days=1))
    in_group(acme)
    sale = sell(acme)
    give_back(acme, sale)
    receipt = Receipt.objects.get(pk=sale.pk)
    Receipt.objects.filter(pk=sale.pk).update(body={k: v for k, v in receipt.body.items() if k != "asked"})
    in_group(acme, "standard")
    assert found() == []


@pytest.mark.parametrize("assign_group", [False, True])
def test_a_result_by_group_that_is_not_what_the_facts_give_is_found(acme, assign_group, monkeypatch):
    in_group(acme)
    if assign_group:
        assign_gold(acme)
    else:
        make_plan(acme.campaign, GOLD_OR_REST, starts_at=START + timedelta(days=1))
    sale = sell(acme)
    in_group(acme, "standard")
    assert found() == []
    receipt = Receipt.objects.get(pk=sale.pk)
    receipt.body["winners"][0][2] += 1
    Receipt.objects.filter(pk=sale.pk).update(body=receipt.body)
    monkeypatch.setattr(recomputing, "rendered", lambda *_: ({}, True))
    assert any(message.startswith("worked out again") for _, message in found())


def test_a_fault_with_one_result_is_told_of_it_alone(acme, monkeypatch):
    sale = sell(acme)
    Refund.objects.create(
        advertiser=acme.advertiser, order_ref=sale.order_ref, refund_ref="r1", kind="WHOLE", occurred_at=NOON,
        recorded_at=NOON, content_hash="r1",
    )  # fmt: skip
    settle_waiting(now=NOON)
    monkeypatch.setattr(recomputing, "target_amounts", lambda *_: {}["slug"])
    [(invariant, message)] = found()
    assert invariant == "I6" and "KeyError" in message


def test_a_receipt_that_cannot_even_be_read_is_told_of_it_alone(acme):
    sales = [sell(acme, order_ref=f"A-{number}") for number in range(3)]
    Receipt.objects.filter(pk=sales[1].pk).update(body={})
    [(subject, message)] = [(row.subject, row.message) for row in check_books() if row.invariant == "I6"]
    assert subject == f"conversion {sales[1].pk}" and message == "cannot be worked out again: KeyError: 'touches'"


@pytest.mark.parametrize("count", [1, 3])
def test_results_are_worked_out_again_in_as_many_queries_for_three_as_for_one(acme, count, monkeypatch):
    """Each was amended, settled, and then given back in part: everything that can be asked of it is."""
    asked = []

    class Counted(reading.Cursor):
        def execute(self, *args, **kwargs):
            asked.append(args)
            return super().execute(*args, **kwargs)

    for number in range(count):
        sale = sell(acme, order_ref=f"A-{number}")
        Amendment.objects.create(
            advertiser=acme.advertiser, conversion=sale, sequence=1, content_hash="x", recorded_at=NOON,
            content={"amount_minor": 90_00},
        )  # fmt: skip
        settle_waiting(now=NOON)
        Refund.objects.create(
            advertiser=acme.advertiser, order_ref=sale.order_ref, refund_ref="r1", kind="LINES", occurred_at=NOON,
            recorded_at=NOON, content_hash="r1", lines=[{"position": 1, "quantity": 1}],
        )  # fmt: skip
        settle_waiting(now=NOON)
    forget_parsed()
    monkeypatch.setattr(reading, "Cursor", Counted)
    with CaptureQueriesContext(connection) as queries:
        assert list(recomputing.unlike_the_facts(set(Receipt.objects.values_list("pk", flat=True)))) == []
    assert (len(queries), len(asked)) == (21, 9)
