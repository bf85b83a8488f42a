"""Decisions by the thousand over the API: a job, its progress, and what came of each row."""

from datetime import timedelta

import pytest

from apps.commissions.models import Commission, Decision, Reason
from apps.commissions.selections import Selection
from apps.core.actors import SYSTEM
from apps.identity.models import Scope
from apps.pipeline.books import check_books
from apps.pipeline.services.deciding import approve_conversions
from apps.pipeline.services.deciding_chunks import work_on_decisions
from apps.pipeline.services.deciding_jobs import ask_by_filter
from apps.records.models import AuditEntry, IdempotencyKey, Job
from tests.api.conftest import SOLD_AT, code_of, make_world
from tests.cast import NOON, make_conversion


@pytest.fixture
def world():
    return make_world("acme", 5, billed=False)


@pytest.fixture
def acme(world, caller):
    return caller(world.advertiser, [Scope.CONVERSIONS_DECIDE])


def states(world) -> list[str]:
    rows = Decision.objects.in_bulk([row.pk for row in world.conversions])
    return [rows[row.pk].state for row in world.conversions]


def test_a_list_is_done_by_a_job_that_tells_each_row(world, acme):
    items = [
        {"order_ref": "acme-0", "decision": "approve"},
        {"id": str(world.conversions[1].pk), "decision": "reject", "reason": "cancelled", "note": "by mail"},
        {"order_ref": "acme-2", "decision": "hold", "reason": "suspicious"},
        {"order_ref": "acme-3", "decision": "reject", "reason": "returned", "lines": [2]},
        {"order_ref": "acme-4", "decision": "approve", "amount": "500.00", "reason": "returned"},
        {"order_ref": "nobody", "decision": "approve"},
        {"order_ref": "acme-0", "decision": "reject", "reason": "test"},
        {"order_ref": "acme-1", "decision": "reject"},
        {"order_ref": "acme-1", "decision": "approve", "colour": "red"},
        {"decision": "approve"},
        {"order_ref": "a\x00b", "decision": "approve"},
        {"order_ref": "acme-2", "decision": "reject", "reason": "returned", "skus": ["L9"]},
        {"order_ref": "acme-2", "decision": "correct", "reason": "returned", "amount": "1.083,29"},
    ]
    reply = acme.post("/decisions/", {"items": items})
    assert (reply.status_code, reply.json()["state"], reply.json()["total"]) == (202, "WAITING", 13)
    job = f"/jobs/{reply.json()['id']}/"
    assert states(world) == ["PENDING"] * 5
    work_on_decisions(now=NOON)
    told = acme.get(job).json()
    assert (told["state"], told["looked_at"], told["moved"], told["refused"]) == ("DONE", 13, 5, 8)
    assert states(world) == ["APPROVED", "REJECTED", "ON_HOLD", "PENDING", "APPROVED"]
    rows = acme.get(f"{job}items/", {"page_size": "100"}).json()["results"]
    assert [row["code"] for row in rows] == [
        *([""] * 5), "no_such_conversion", "repeated_in_list", "reason_needed", "unknown_field", "no_conversion_named",
        "invalid_text", "repeated_in_list", "repeated_in_list",
    ]  # fmt: skip
    assert [row["outcome"] for row in rows] == ["DONE"] * 5 + ["REFUSED"] * 8
    assert len(acme.get(f"{job}items/", {"outcome": "REFUSED"}).json()["results"]) == 8
    sums = {
        row.order_ref: sum(c.amount_minor for c in Commission.objects.filter(conversion=row))
        for row in world.conversions
    }
    assert (sums["acme-0"], sums["acme-3"], sums["acme-4"]) == (80_00, 40_00, 40_00)
    assert check_books() == []

    acme.post("/decisions/", {"items": items})
    work_on_decisions(now=NOON)
    again = Job.objects.latest("pk")
    assert (again.moved, again.refused) == (0, 8)


def test_parts_that_are_not_there_are_refused_by_row(world, acme):
    items = [
        {"order_ref": "acme-0", "decision": "reject", "reason": "returned", "skus": ["L9"]},
        {"order_ref": "acme-1", "decision": "reject", "reason": "returned", "lines": [3]},
        {"order_ref": "acme-2", "decision": "correct", "reason": "returned", "amount": "1.083,29"},
        {"order_ref": "acme-3", "decision": "correct", "reason": "returned", "amount": "1000.01"},
        {"order_ref": "acme-4", "decision": "reject", "reason": "returned", "skus": ["L1", "L2"]},
    ]
    job = acme.post("/decisions/", {"items": items}).json()["id"]
    work_on_decisions(now=NOON)
    rows = acme.get(f"/jobs/{job}/items/").json()["results"]
    assert [row["code"] for row in rows] == ["unknown_sku", "unknown_line", "invalid_amount", "amount_above", ""]
    assert states(world) == ["PENDING"] * 5


def test_an_order_of_another_goal_is_told_with_its_goal(world, acme):
    make_conversion(world.conversions[0].campaign, order_ref="L-1", goal="LEAD")
    items = [{"order_ref": name, "decision": "approve"} for name in ("L-1", "nobody")]
    job = acme.post("/decisions/", {"items": items}).json()["id"]
    work_on_decisions(now=NOON)
    rows = acme.get(f"/jobs/{job}/items/").json()["results"]
    assert [row["code"] for row in rows] == ["no_such_conversion"] * 2
    assert rows[0]["message"] == "There is no SALE of this order; it has goal LEAD: name it in `goal`."
    assert "goal" not in rows[1]["message"]


def test_the_same_key_is_the_same_job(world, acme):
    body = {"items": [{"order_ref": "acme-0", "decision": "approve"}]}
    first = acme.post("/decisions/", body, Idempotency_Key="k1")
    again = acme.post("/decisions/", body, Idempotency_Key="k1")
    assert first.json() == again.json() and Job.objects.count() == 1
    other = {"items": [{"order_ref": "acme-1", "decision": "approve"}]}
    assert code_of(acme.post("/decisions/", other, Idempotency_Key="k1")) == (422, "idempotency_key_reused")


def test_a_filter_is_decided_as_of_its_moment(world, acme):
    approve_conversions(
        advertiser=world.advertiser, conversion_ids=[world.conversions[0].pk], actor=SYSTEM, now=SOLD_AT
    )
    body = {"decision": "hold", "reason": "review", "filter": {"status": "PENDING", "campaign": "acme-shop"}}
    job = acme.post("/decisions/", body).json()
    assert (job["total"], job["asked"]["selection"]["states"]) == (4, ["PENDING"])
    work_on_decisions(now=NOON)
    assert states(world) == ["APPROVED"] + ["ON_HOLD"] * 4
    undone = acme.post(f"/jobs/{job['id']}/undo/")
    assert (undone.status_code, undone.json()["total"]) == (200, 4)
    work_on_decisions(now=NOON)
    assert states(world) == ["APPROVED"] + ["PENDING"] * 4


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "items_or_filter"),
        ({"items": [], "filter": {}}, "items_or_filter"),
        ({"items": []}, "nothing_asked"),
        ({"items": [1]}, "invalid_field"),
        ({"items": [{"order_ref": "a", "decision": "approve"}] * 40_001}, "too_many_items"),
        ({"filter": {"goal": "SALE"}, "decision": "correct"}, "invalid_decision"),
        ({"filter": {"goal": "SALE"}, "decision": "reject"}, "reason_needed"),
        ({"filter": {"goal": "SALE"}, "decision": "hold", "reason": "cancelled"}, "unknown_reason"),
        ({"filter": {}, "decision": "approve"}, "filter_empty"),
        ({"filter": {"status": " "}, "decision": "approve"}, "filter_empty"),
        ({"filter": {}, "decision": "approve", "dry_run": True}, "filter_empty"),
        ({"dry_run": True}, "items_or_filter"),
        ({"filter": {"goal": "SALE"}, "decision": "approve", "dryrun": True}, "invalid_field"),
        ({"filter": {"goal": "SALE"}, "decision": "approve", "expected": "few"}, "invalid_field"),
        ({"filter": {"goal": "SALE"}, "decision": "approve", "dry_run": "maybe"}, "invalid_field"),
        ({"items": [{"order_ref": "acme-0", "decision": "approve"}], "dry_run": True}, "invalid_field"),
        ({"filter": {"colour": "red"}, "decision": "approve"}, "invalid_field"),
        ({"filter": {"status": "NEW"}, "decision": "approve"}, "invalid_field"),
        ({"filter": {"occurred_from": "2026-01-01"}, "decision": "approve"}, "invalid_field"),
        ({"filter": {"goal": "SALE"}, "decision": "approve", "as_of": "2026-03-10T12:00:01Z"}, "moment_to_come"),
    ],
)
def test_what_cannot_be_asked_is_refused_and_makes_no_job(world, acme, body, code):
    assert code_of(acme.post("/decisions/", body)) == (422, code)
    assert not Job.objects.exists()


@pytest.mark.parametrize("reads", [True, False])
def test_a_dry_run_answers_what_it_would_move_and_writes_nothing(world, caller, reads):
    """What it comes to in money is told only to a key that may read conversions."""
    acme = caller(world.advertiser, [Scope.CONVERSIONS_DECIDE, *([Scope.CONVERSIONS_READ] if reads else [])])
    approve_conversions(
        advertiser=world.advertiser, conversion_ids=[world.conversions[0].pk], actor=SYSTEM, now=SOLD_AT
    )
    body = {"decision": "approve", "filter": {"campaign": "acme-shop"}}
    before = AuditEntry.objects.count()
    told = acme.post("/decisions/", {**body, "dry_run": True}, Idempotency_Key="k")
    assert (told.status_code, told.json()) == (
        200,
        {
            "would_move": 4,
            "left_out": 1,
            "by_status": {"PENDING": 4},
            "amounts": [{"currency": "EUR", "amount": "4000.00"}] if reads else None,
            "commissions": [{"currency": "EUR", "amount": "320.00"}] if reads else None,
            "as_of": "2026-03-10T12:00:00Z",
        },
    )
    assert (Job.objects.count(), IdempotencyKey.objects.count(), AuditEntry.objects.count()) == (0, 0, before)
    assert states(world) == ["APPROVED"] + ["PENDING"] * 4
    assert acme.post("/decisions/", {**body, "expected": 4}, Idempotency_Key="k").json()["total"] == 4


def test_another_count_than_was_expected_is_a_conflict_and_decides_nothing(world, acme):
    body = {"decision": "approve", "filter": {"status": "PENDING"}}
    refused = acme.post("/decisions/", {**body, "expected": 4})
    assert code_of(refused) == (409, "count_differs")
    assert refused.json()["errors"][0]["detail"] == "It would move 5 conversions, not 4."
    assert code_of(acme.post("/decisions/", {**body, "expected": 4, "dry_run": True})) == (409, "count_differs")
    assert not Job.objects.exists()
    assert acme.post("/decisions/", {**body, "expected": 5}).status_code == 202


def test_a_filter_expected_and_done_is_the_same_job_when_asked_again(world):
    call = {"advertiser": world.advertiser, "actor": SYSTEM, "key": "k", "as_of": NOON, "now": NOON, "expected": 5}
    first = ask_by_filter(selection=Selection(goal="SALE"), state="APPROVED", **call)
    work_on_decisions(now=NOON)
    again = ask_by_filter(selection=Selection(goal="SALE"), state="APPROVED", **call)
    assert (again.created, again.job.pk) == (False, first.job.pk)


def test_a_refused_reason_names_those_there_are(world, acme):
    body = {"decision": "reject", "filter": {"status": "PENDING"}}
    missing = acme.post("/decisions/", body).json()["errors"][0]
    unknown = acme.post("/decisions/", {**body, "reason": "mood"}).json()["errors"][0]
    assert (missing["code"], unknown["code"]) == ("reason_needed", "unknown_reason")
    for reason in Reason.values:
        assert reason in missing["detail"] and reason in unknown["detail"]


def test_a_filter_by_a_name_that_is_not_there_selects_nothing(world, acme):
    for narrowed in ({"campaign": "other"}, {"partner": "other"}, {"order_ref": "other"}, {"status": "LOCKED"}):
        assert acme.post("/decisions/", {"decision": "approve", "filter": narrowed}).json()["total"] == 0, narrowed
    assert acme.post("/decisions/", {"decision": "approve", "filter": {"partner": "acme-2"}}).json()["total"] == 1


def test_jobs_are_their_owners(world, acme, caller, stranger):
    job = acme.post("/decisions/", {"items": [{"order_ref": "acme-0", "decision": "approve"}]}).json()["id"]
    neighbor = caller(make_world("globex", 1, billed=False).advertiser)
    reader = caller(world.advertiser, [Scope.CONVERSIONS_READ])
    assert stranger.post("/decisions/", {}).status_code == 401
    assert reader.post("/decisions/", {}).status_code == 403
    for path in (f"/jobs/{job}/", f"/jobs/{job}/items/"):
        assert [one.get(path).status_code for one in (stranger, reader, neighbor, acme)] == [401, 403, 404, 200]
    for path in (f"/jobs/{job}/cancel/", f"/jobs/{job}/undo/"):
        assert [one.post(path).status_code for one in (stranger, reader, neighbor)] == [401, 403, 404]
    assert neighbor.get("/jobs/").json()["results"] == []
    assert acme.post(f"/jobs/{job}/cancel/").json()["state"] == "CANCELLED"
    assert code_of(acme.post(f"/jobs/{job}/cancel/")) == (409, "job_over")
    work_on_decisions(now=NOON + timedelta(hours=1))
    assert states(world) == ["PENDING"] * 5
