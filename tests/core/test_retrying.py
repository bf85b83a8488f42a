"""A deadlock costs a caller nothing: whoever lost it begins anew; what is wrong for another reason is not repeated."""

import threading

import pytest
from django.db import OperationalError, connection, transaction

from apps.core.retrying import retried, sqlstate_of
from apps.identity.models import Advertiser
from tests.cast import make_advertiser


def lock_both(first: int, second: int, meet: threading.Barrier) -> list[int]:
    """Lock two rows, the second when the other one, who locks them the other way round, has its first."""
    with transaction.atomic():
        Advertiser.objects.select_for_update().get(pk=first)
        if not meet.broken:
            meet.wait(10)
        Advertiser.objects.select_for_update().get(pk=second)
    return [first, second]


def meet_and_lock(verb) -> list[object]:
    one, two = make_advertiser("one").pk, make_advertiser("two").pk
    meet, found = threading.Barrier(2), []

    def run(first: int, second: int) -> None:
        try:
            found.append(verb(first, second, meet))
        except OperationalError as error:
            found.append(sqlstate_of(error))
        finally:
            meet.abort()
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in ((one, two), (two, one))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return found


@pytest.mark.django_db(transaction=True)
def test_whoever_loses_a_deadlock_begins_anew():
    assert all(isinstance(one, list) for one in meet_and_lock(retried(lock_both)))


@pytest.mark.django_db(transaction=True)
def test_without_the_wrapper_somebody_loses():
    assert "40P01" in meet_and_lock(lock_both)


@pytest.mark.django_db
def test_inside_a_transaction_nothing_is_tried_again():
    tries = []

    @retried
    def fail():
        tries.append(1)
        with connection.cursor() as cursor:
            cursor.execute("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = 'deadlock_detected'; END $$")

    with pytest.raises(OperationalError), transaction.atomic():
        fail()
    assert len(tries) == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("state", "times"), [("lock_not_available", 3), ("query_canceled", 1)])
def test_only_bad_timing_is_tried_again_and_not_for_ever(monkeypatch, state, times):
    monkeypatch.setattr("apps.core.retrying.PAUSES", (0, 0))
    tries = []

    @retried
    def fail():
        tries.append(1)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{state}'; END $$")

    with pytest.raises(OperationalError):
        fail()
    assert len(tries) == times
