"""Taking in a conversion wakes the workers after the commit, and needs nobody to hear it."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from apps.pipeline.bell import Bell
from apps.pipeline.services import receiving
from apps.pipeline.services.receiving import receive_conversion
from apps.tracking.facts import amendments_of
from apps.tracking.models import Amendment, Conversion
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


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_numbered_updates_hold_by_their_number_also_where_one_is_the_first_word(db, order):
    campaign = make_campaign(make_advertiser())
    for sequence in order:
        fact = replace(FACT, amount_minor=sequence * 50_00, is_update=True, sequence=sequence)
        receive_conversion(campaign=campaign, fact=fact, now=NOON)
    (held,) = amendments_of(Conversion.objects.values_list("pk", flat=True)).values()
    assert (held.sequence, held.content["amount_minor"]) == (2, 100_00)
    assert sorted(Amendment.objects.values_list("sequence", flat=True)) == [1, 2]


@pytest.mark.parametrize("amounts", [(50_00, 100_00), (50_00, 50_00)])
def test_two_first_words_at_once_are_a_sale_and_its_amendment(db, monkeypatch, amounts):
    """The second looked for the order before the first was committed, and finds it where it writes."""
    campaign = make_campaign(make_advertiser())
    first, second = (
        replace(FACT, amount_minor=amount, is_update=True, sequence=sequence)
        for sequence, amount in enumerate(amounts, 1)
    )
    receive_conversion(campaign=campaign, fact=first, now=NOON)
    real, looks = receiving.record_update, []

    def blind_at_first(**call):
        looks.append(1)
        return real(**call) if len(looks) > 1 else None

    monkeypatch.setattr(receiving, "record_update", blind_at_first)
    assert receive_conversion(campaign=campaign, fact=second, now=NOON).update.in_force
    assert sorted(Amendment.objects.values_list("sequence", flat=True)) == [1, 2]
