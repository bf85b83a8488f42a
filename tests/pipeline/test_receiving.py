"""Taking in a conversion wakes the workers after the commit, and needs nobody to hear it."""

from __future__ import annotations

import threading

import pytest

from apps.pipeline.bell import Bell
from apps.pipeline.services import receiving
from apps.pipeline.services.receiving import receive_conversion
from apps.tracking.rules.conversions import ConversionFact
from tests.cast import NOON, make_advertiser, make_campaign

FACT = ConversionFact(goal="SALE", order_ref="A1", amount_minor=10_000, currency="EUR")
heard = threading.Event()


class Listener:
    """Stands where a task would, and hears the bell."""

    @staticmethod
    def apply_async(**_: object) -> None:
        heard.set()


class Deaf:
    """A task whose broker is dead."""

    @staticmethod
    def apply_async(**_: object) -> None:
        heard.set()
        raise ConnectionError("the broker is away")


@pytest.mark.parametrize("task", [Listener, Deaf])
def test_bell_rings_from_a_thread_of_its_own_and_fails_nobody(task):
    bell = Bell(f"{__name__}.{task.__name__}")

    for _ in range(2):
        heard.clear()
        bell.ring()
        assert heard.wait(5)


def test_missing_task_fails_nobody():
    Bell("apps.nowhere.task").ring()


def test_bell_rings_once_the_fact_is_committed_and_not_for_a_repeat(
    db, monkeypatch, django_capture_on_commit_callbacks
):
    campaign, rings = make_campaign(make_advertiser()), []
    monkeypatch.setattr(receiving.settle_bell, "ring", lambda: rings.append(1))

    with django_capture_on_commit_callbacks(execute=True):
        first = receive_conversion(campaign=campaign, fact=FACT, now=NOON)
        assert not rings
    with django_capture_on_commit_callbacks(execute=True):
        again = receive_conversion(campaign=campaign, fact=FACT, now=NOON)

    assert (first.created, first.status, again.created, again.id) == (True, "PENDING", False, first.id)
    assert rings == [1]
