"""The planner hears of tables that were just filled, and only then."""

import threading

import pytest
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.db import OperationalError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from apps.core.statistics import WORTH_ANALYZING, analyze_filled

pytestmark = pytest.mark.django_db
MANY = 2 * WORTH_ANALYZING


def known() -> float:
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples FROM pg_class WHERE oid = 'auth_group'::regclass")
        return cursor.fetchone()[0]


def test_a_table_that_was_just_filled_is_analyzed_until_it_is_known():
    Group.objects.bulk_create(Group(name=str(number)) for number in range(MANY))
    assert known() < MANY
    assert analyze_filled(Group, written=MANY) == ["auth_group"]
    assert known() == MANY
    assert analyze_filled(Group, written=MANY) == []


def test_a_table_that_has_doubled_is_analyzed_again():
    Group.objects.bulk_create(Group(name=str(number)) for number in range(MANY))
    analyze_filled(Group, written=MANY)
    Group.objects.bulk_create(Group(name=f"more {number}") for number in range(MANY + 1))
    assert analyze_filled(Group, written=MANY + 1) == ["auth_group"]
    assert known() == 2 * MANY + 1


def test_a_few_rows_cost_no_query():
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert analyze_filled(Group, written=WORTH_ANALYZING - 1) == []
    assert len(queries) == 0


@pytest.fixture
def locked():
    """Somebody else holds the table of groups until the test is over."""
    held, go = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOCK TABLE auth_group IN SHARE UPDATE EXCLUSIVE MODE")
            held.set()
            go.wait(30)
        connections.close_all()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    yield
    go.set()
    thread.join()


def setting(name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting(%s)", [name])
        return cursor.fetchone()[0]


@pytest.mark.django_db(transaction=True)
def test_a_table_that_somebody_holds_is_passed_by_and_finished_work_stays_done(locked):
    before = setting("lock_timeout")
    Group.objects.bulk_create(Group(name=str(number)) for number in range(MANY))
    assert analyze_filled(Group, written=MANY) == []
    with transaction.atomic():
        Group.objects.create(name="beside")
        assert analyze_filled(Group, ContentType, written=MANY) == ["django_content_type"]
        assert setting("lock_timeout") == before
    assert Group.objects.count() == MANY + 1
    assert setting("lock_timeout") == before


@pytest.mark.django_db(transaction=True)
def test_without_the_savepoint_a_held_table_takes_the_work_along(locked):
    """The twin."""
    with pytest.raises(OperationalError), transaction.atomic(), connection.cursor() as cursor:
        Group.objects.create(name="beside")
        cursor.execute("SET LOCAL lock_timeout = '100ms'; ANALYZE auth_group")
    assert not Group.objects.exists()
