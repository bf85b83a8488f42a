"""Months of touchpoints: made once, also by two at a time, and nothing is lost on the way out of DEFAULT."""

from datetime import UTC, date, datetime, timedelta
from threading import Thread
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction

from apps.core.ids import uuid7
from apps.tracking.models import Touchpoint
from apps.tracking.partitions import MonthSetAside, make_months_ahead, make_partitions, months_ahead, partition_names

NOON = datetime(2031, 3, 10, 12, tzinfo=UTC)


def touch_at(at):
    return Touchpoint.objects.create(
        id=uuid7(at), advertiser_id=1, visitor=uuid4(), occurred_at=at, recorded_at=at, kind="CLICK", channel="content"
    )


def run(statement, parameters=()):
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else None


def partition_of(touch):
    return run("SELECT tableoid::regclass::text FROM tracking_touchpoint WHERE id = %s", [touch.pk])[0][0]


@pytest.mark.django_db
def test_each_month_of_a_span_gets_its_partition_once():
    made = make_partitions(first_on=date(2030, 12, 31), last_on=date(2031, 2, 1))
    assert made == [f"tracking_touchpoint_{month}" for month in ("2030_12", "2031_01", "2031_02")]
    assert make_partitions(first_on=date(2030, 12, 1), last_on=date(2031, 2, 28)) == []


@pytest.mark.django_db
def test_a_month_holds_its_first_and_last_moment_and_nothing_else():
    make_partitions(first_on=date(2031, 1, 1), last_on=date(2031, 1, 31))
    start, end = datetime(2031, 1, 1, tzinfo=UTC), datetime(2031, 2, 1, tzinfo=UTC)
    instant = timedelta(milliseconds=1)
    places = [partition_of(touch_at(at)) for at in (start - instant, start, end - instant, end)]
    month, default = "tracking_touchpoint_2031_01", "tracking_touchpoint_default"
    assert places == [default, month, month, default]


@pytest.mark.django_db
def test_touches_move_out_of_default_unchanged_and_stay_unchangeable():
    moved, stays = touch_at(NOON), touch_at(NOON + timedelta(days=60))
    before = Touchpoint.objects.filter(pk=moved.pk).values().get()
    make_partitions(first_on=NOON.date(), last_on=NOON.date())
    assert (partition_of(moved), partition_of(stays)) == ("tracking_touchpoint_2031_03", "tracking_touchpoint_default")
    assert Touchpoint.objects.filter(pk=moved.pk).values().get() == before
    for touch in (moved, stays):
        with pytest.raises(IntegrityError, match="never changes"), transaction.atomic():
            run("DELETE FROM tracking_touchpoint WHERE id = %s", [touch.pk])


@pytest.mark.django_db
def test_a_new_partition_has_the_indexes_of_all():
    make_partitions(first_on=NOON.date(), last_on=NOON.date())
    rows = run("SELECT indexdef FROM pg_indexes WHERE tablename = 'tracking_touchpoint_2031_03'")
    assert sorted(definition.split("USING ")[1] for (definition,) in rows) == [
        "btree (advertiser_id, visitor, id)",
        "btree (id)",
        "btree (partner_id, id)",
    ]


@pytest.mark.django_db
def test_three_months_are_made_ahead():
    assert months_ahead(now=NOON) == -1
    assert len(make_months_ahead(now=NOON)) == 4
    assert months_ahead(now=NOON) == 3
    assert make_months_ahead(now=NOON) == []
    assert months_ahead(now=NOON + timedelta(days=40)) == 2


@pytest.mark.django_db
def test_a_month_that_was_detached_is_not_made_anew():
    make_partitions(first_on=NOON.date(), last_on=NOON.date())
    run("ALTER TABLE tracking_touchpoint DETACH PARTITION tracking_touchpoint_2031_03")
    with pytest.raises(MonthSetAside):
        make_partitions(first_on=NOON.date(), last_on=NOON.date())
    assert "tracking_touchpoint_2031_03" not in partition_names()


@pytest.mark.django_db(transaction=True)
def test_two_at_a_time_make_each_month_once():
    made, errors = [], []

    def make():
        try:
            made.extend(make_partitions(first_on=date(2032, 1, 1), last_on=date(2032, 6, 30)))
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    try:
        threads = [Thread(target=make) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert sorted(made) == [f"tracking_touchpoint_2032_{month:02}" for month in range(1, 7)]
    finally:
        for name in made:
            run(f"DROP TABLE {name}")
