"""Lists of decisions: what each row would do, what it did, and what is kept of a refused one."""

from datetime import timedelta

import pytest

from apps.core.actors import SYSTEM
from apps.pipeline.services import deciding_chunks
from apps.pipeline.services.deciding import reject_conversions
from apps.pipeline.services.deciding_chunks import work_on_decisions
from apps.pipeline.services.deciding_jobs import (
    ask_by_list,
)
from apps.pipeline.services.deciding_list import foresee
from apps.pipeline.services.settling import settle_waiting
from tests.cast import NOON, make_cast, make_conversion, make_touch
from tests.pipeline.test_deciding_jobs import sell, states

pytestmark = pytest.mark.django_db
LATER = NOON + timedelta(hours=1)


@pytest.fixture
def acme():
    return make_cast()


@pytest.mark.parametrize("chunk", [1, 500])
@pytest.mark.parametrize("id_first", [True, False])
def test_a_conversion_named_by_both_its_names_is_decided_once(acme, monkeypatch, chunk, id_first):
    monkeypatch.setattr(deciding_chunks, "LIST_CHUNK", chunk)
    sale, other = sell(acme, 2)
    names = [{"id": str(sale.pk)}, {"order_ref": sale.order_ref}][:: 1 if id_first else -1]
    unread = {**names[1], "decision": "perhaps"}
    items = [
        unread,
        {**names[0], "decision": "approve"},
        {"order_ref": other.order_ref, "decision": "approve"},
        {**names[1], "decision": "reject", "reason": "returned"},
    ]
    job = ask_by_list(advertiser=acme.advertiser, actor=SYSTEM, key="k", now=LATER, items=items).job
    foreseen = list(job.items.order_by("number"))
    foresee(acme.advertiser, foreseen, now=LATER)
    work_on_decisions(now=LATER)

    wanted = [("REFUSED", "invalid_decision"), ("DONE", ""), ("DONE", ""), ("REFUSED", "repeated_in_list")]
    assert [(item.outcome, item.code) for item in foreseen] == wanted
    assert list(job.items.order_by("number").values_list("outcome", "code")) == wanted
    assert states([sale, other]) == ["APPROVED", "APPROVED"]


def test_of_a_refused_row_only_known_fields_are_kept(acme):
    item = {
        "order_ref": "A-1",
        "decision": "approve",
        "note": {"mail": "ada@x.example"},
        "customer_email": "ada@x.example",
    }
    job = ask_by_list(advertiser=acme.advertiser, actor=SYSTEM, key="k", now=LATER, items=[item]).job
    row = job.items.get()
    assert (row.code, row.content) == ("unknown_field", {"order_ref": "A-1", "decision": "approve", "note": "…"})


def test_a_preview_of_parts_says_what_applying_them_says(acme):
    lines = [{"sku": "TENT", "unit_price_minor": 60_00}, {"sku": "MAP", "unit_price_minor": 40_00}]
    sales = [sell(acme, 1, order_ref=f"P-{n}", lines=lines)[0] for n in range(4)]
    told = [
        {"decision": "reject", "reason": "returned", "lines": "2"},
        {"decision": "reject", "reason": "returned", "skus": "MAP"},
        {"decision": "correct", "reason": "returned", "amount": "60.00"},
        {"decision": "approve", "reason": "returned", "amount": "60.00"},
    ]
    rows = [{"order_ref": sale.order_ref, **one} for sale, one in zip(sales, told, strict=True)]
    wrong = [
        ({"decision": "reject", "reason": "returned", "lines": "3"}, "unknown_line"),
        ({"decision": "reject", "reason": "returned", "skus": "BOOT"}, "unknown_sku"),
        ({"decision": "correct", "reason": "returned", "amount": "100.01"}, "amount_above"),
        ({"decision": "correct", "reason": "returned", "amount": "1.001"}, "invalid_amount"),
    ]
    ends = []
    for key in ("once", "again"):
        job = ask_by_list(advertiser=acme.advertiser, actor=SYSTEM, key=key, now=LATER, items=rows).job
        foreseen = list(job.items.order_by("number"))
        foresee(acme.advertiser, foreseen, now=LATER)
        work_on_decisions(now=LATER)
        done = list(job.items.order_by("number").values_list("outcome", "code"))
        assert [(item.outcome, item.code) for item in foreseen] == done
        ends.append({outcome for outcome, _ in done})
    assert ends == [{"DONE"}, {"UNCHANGED"}]
    for number, (row, _) in enumerate(wrong):
        items = [{"order_ref": sales[0].order_ref, **row}]
        job = ask_by_list(advertiser=acme.advertiser, actor=SYSTEM, key=f"w{number}", now=LATER, items=items).job
        foreseen = list(job.items.all())
        foresee(acme.advertiser, foreseen, now=LATER)
        work_on_decisions(now=LATER)
        assert [(item.outcome, item.code) for item in foreseen] == list(job.items.values_list("outcome", "code")), row


def test_a_preview_knows_what_is_about_to_be_judged_again(acme):
    """A duplicate whose first is rejected is worked out anew before anybody approves it."""
    type(acme.campaign).objects.update(dedup_scope="CLICK", dedup_days=30)
    click = make_touch(acme.enrollments.blog, NOON - timedelta(days=1))
    first, repeat = (
        make_conversion(acme.campaign, at=NOON + timedelta(seconds=n), click_ids=[click.pk]) for n in range(2)
    )
    settle_waiting(now=NOON)
    reject_conversions(advertiser=acme.advertiser, conversion_ids=[first.pk], reason="returned", actor=SYSTEM, now=NOON)
    items = [{"id": str(repeat.pk), "decision": "approve"}]
    job = ask_by_list(advertiser=acme.advertiser, actor=SYSTEM, key="k", now=LATER, items=items).job
    [foreseen] = list(job.items.all())
    foresee(acme.advertiser, [foreseen], now=LATER)
    work_on_decisions(now=LATER)
    applied = job.items.get()
    assert (foreseen.outcome, foreseen.code) == (applied.outcome, applied.code) == ("REFUSED", "conversion_unsettled")
