"""Lists: the same number of queries for one row as for three, pages by key, filters."""

from __future__ import annotations

from datetime import timedelta

import pytest

from apps.commissions.models import Decision
from tests.api.conftest import SOLD_AT, code_of, make_world
from tests.cast import NOON, make_conversion

QUERIES = {"/conversions/": 3, "/campaigns/": 3, "/partners/": 3, "/statements/": 3, "/invoices/": 3}
"""The key, its advertiser, then the rows with all that they show."""


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize(("path", "queries"), QUERIES.items())
def test_list_asks_as_often_for_three_rows_as_for_one(caller, django_assert_num_queries, path, queries, rows):
    owner = caller(make_world("acme", rows).advertiser)
    owner.get("/campaigns/")  # notes the use of the key

    with django_assert_num_queries(queries):
        reply = owner.get(path)

    assert len(reply.json()["results"]) == rows


@pytest.mark.parametrize("rows", [1, 3])
def test_conversion_with_its_lines_is_shown_in_four_queries(caller, django_assert_num_queries, rows):
    world = make_world("acme", rows)
    owner = caller(world.advertiser)
    owner.get("/campaigns/")

    with django_assert_num_queries(4):
        owner.get(f"/conversions/{world.conversions[0].pk}/")


def test_pages_follow_each_other_without_a_gap(caller):
    owner = caller(make_world("acme", 3).advertiser)

    first = owner.get("/conversions/", {"page_size": 2}).json()
    second = owner._client.get(first["next"]).json()

    seen = [row["order_ref"] for row in first["results"] + second["results"]]
    assert sorted(seen) == ["acme-0", "acme-1", "acme-2"]
    assert second["next"] is None


def refs(owner, **fields):
    return sorted(row["order_ref"] for row in owner.get("/conversions/", fields).json()["results"])


def test_conversions_are_found_by_what_people_ask_for(caller):
    world = make_world("acme", 3, billed=False)
    owner = caller(world.advertiser)
    new = make_conversion(world.campaign, at=NOON, order_ref="new", goal="LEAD")
    decisions = Decision.objects.order_by("conversion__order_ref")
    first, second, _third = decisions
    Decision.objects.filter(pk=first.pk).update(state="APPROVED", decided_at=NOON)
    Decision.objects.filter(pk=second.pk).update(
        state="APPROVED", decided_at=NOON, locks_on=NOON.date() + timedelta(days=1)
    )

    assert refs(owner, order_ref="acme-1") == ["acme-1"]
    assert refs(owner, campaign="acme-shop") == ["acme-0", "acme-1", "acme-2", "new"]
    assert refs(owner, campaign="acme-shop-1") == []
    assert refs(owner, goal="LEAD") == ["new"]
    assert refs(owner, status="PENDING") == ["acme-2", "new"]
    assert refs(owner, status="APPROVED") == ["acme-1"]
    assert refs(owner, status="LOCKED") == ["acme-0"]
    assert refs(owner, status="REJECTED") == []
    assert refs(owner, occurred_from=NOON.isoformat()) == ["new"]
    assert refs(owner, occurred_to=NOON.isoformat()) == ["acme-0", "acme-1", "acme-2"]
    assert refs(owner, occurred_from=SOLD_AT.isoformat(), occurred_to=new.occurred_at.isoformat()) == [
        "acme-0",
        "acme-1",
        "acme-2",
    ]
    assert owner.get("/conversions/", {"status": "LOST"}).status_code == 400
    assert owner.get("/conversions/", {"occurred_from": "soon"}).status_code == 400


def test_rows_show_amounts_as_decimal_strings(caller):
    owner = caller(make_world("acme", 1).advertiser)

    conversion = owner.get("/conversions/").json()["results"][0]
    statement = owner.get("/statements/").json()["results"][0]
    invoice = owner.get("/invoices/").json()["results"][0]
    partner = owner.get("/partners/").json()["results"][0]

    assert (conversion["amount"], conversion["commission"], conversion["status"]) == ("1000.00", "80.00", "LOCKED")
    assert (statement["earned"], statement["payable"], statement["carried"]) == ("80.00", "80.00", "0.00")
    assert (statement["first_on"], statement["last_on"]) == ("2026-02-01", "2026-02-28")
    assert (invoice["net"], invoice["vat"], invoice["gross"]) == ("80.00", "15.20", "95.20")
    assert (partner["slug"], partner["state"], partner["group"]) == ("acme-0", "ACTIVE", None)


@pytest.mark.parametrize("path", QUERIES)
def test_a_filter_that_no_list_has_is_refused(caller, path):
    owner = caller(make_world("acme", 1).advertiser)

    reply = owner.get(path, {"stat": "APPROVED"})

    assert code_of(reply) == (422, "unknown_filter")
    assert reply.json()["errors"][0]["attr"] == "stat"
    assert owner.get(path, {"page_size": 1}).status_code == 200
