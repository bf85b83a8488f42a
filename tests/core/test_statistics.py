"""The planner hears of tables that were just filled, and only then."""

import pytest
from django.contrib.auth.models import Group
from django.db import connection
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
