"""A click whose storing took so long that a sale of its visitor may have been settled meanwhile wakes that sale."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from psycopg import OperationalError
from psycopg_pool import PoolTimeout

from apps.commissions.models import Commission
from apps.core.ids import uuid7
from apps.pipeline.services.settling import settle_waiting
from apps.tracking import intake
from apps.tracking.intake import TouchFact, TouchWriter
from apps.tracking.models import Stirred, Touchpoint
from apps.tracking.sweeping import wake_awaited
from tests.cast import NOON, make_conversion

CLICKED = NOON - timedelta(seconds=5)


def click(cast, visitor):
    enrollment = cast.enrollments.blog
    facts = {
        "id": uuid7(CLICKED), "advertiser_id": cast.advertiser.pk, "campaign_id": cast.campaign.pk,
        "partner_id": enrollment.partner_id, "ad_space_id": enrollment.ad_space_id,
        "link_id": enrollment.links.get().pk, "visitor": visitor, "occurred_at": CLICKED, "recorded_at": CLICKED,
        "kind": "CLICK", "channel": "content", "channel_class": "PAID", "refusal": "", "device": "",
    }  # fmt: skip
    return TouchFact(**facts, **{f"sub{n}": "" for n in range(1, 6)})


def write(touch, *seconds, breaks=False, away=0):
    """Write a touch by a clock that says these seconds, one after the other.

    The connection may break at first, and the database may be away for so many tries to leave the mark.
    """
    ticks = iter(seconds)

    async def work():
        writer = TouchWriter(lambda: next(ticks))
        await writer.open()
        execute, left = writer._execute, [OperationalError] * breaks

        async def breaking(*args):
            if left:
                raise left.pop()
            return await execute(*args)

        writer._execute = breaking
        connection, gone = writer._pool.connection, [PoolTimeout] * away

        def connected():
            if writer._marking is not None and gone:
                raise gone.pop()
            return connection()

        writer._pool.connection = connected
        stored = await writer.write(touch)
        if writer._marking is not None:
            await writer._marking
        await writer.close()
        return stored

    return asyncio.run(work())


def marks() -> list[tuple]:
    return list(Stirred.objects.values_list("visitors", "since", "persons", "keys", "firsts"))


@pytest.mark.parametrize("seconds", [(0, 0, 0), (7, 7.9, 8)])
def test_a_click_that_is_stored_at_once_leaves_no_mark(cast, seconds):
    assert write(click(cast, uuid4()), *seconds)
    assert (Touchpoint.objects.count(), marks()) == (1, [])


@pytest.mark.parametrize("seconds", [(0, 3, 3), (0, 0, 3)], ids=["waited before", "waited for the commit"])
def test_a_late_click_leaves_one_mark_and_its_partner_earns(cast, seconds):
    """The sale is told and settled between the click and its commit; nothing but the mark tells of the click."""
    visitor = uuid4()
    sale = make_conversion(cast.campaign, 100_00, visitor=visitor)
    settle_waiting(now=NOON)
    assert not Commission.objects.exists()

    assert write(click(cast, visitor), *seconds)

    assert marks() == [([visitor], CLICKED, [], [], [])]
    assert wake_awaited(now=NOON) == 1
    settle_waiting(now=NOON)
    assert list(Commission.objects.values_list("conversion", "amount_minor")) == [(sale.pk, 8_00)]
    assert marks() == []


def test_a_click_that_the_database_kept_waiting_leaves_its_mark_with_it(cast, monkeypatch):
    """By its own time, in the statement that stores it: nothing is left to a process that may be killed."""
    monkeypatch.setattr(intake, "LATE", 0)
    monkeypatch.setattr(TouchWriter, "_mark", None)
    assert write(click(cast, uuid4()), 0, 0, 0)
    assert len(marks()) == 1


def test_the_mark_of_a_late_commit_waits_for_the_database(cast, monkeypatch):
    pauses = []

    async def sleep(seconds):
        pauses.append(seconds)

    monkeypatch.setattr(intake.asyncio, "sleep", sleep)
    assert write(click(cast, uuid4()), 0, 0, 3, away=2)
    assert (len(marks()), pauses) == (1, [0, 1, 3])


def test_a_click_of_which_nobody_knows_whether_it_is_stored_leaves_a_mark_all_the_same(cast, monkeypatch):
    """The first try may have been committed, late, when its connection broke; the second finds the click there."""
    touch = click(cast, uuid4())
    write(touch, 0, 0, 0)
    assert write(touch, 0, 3, 3, breaks=True)
    assert (Touchpoint.objects.count(), len(marks())) == (1, 1)
