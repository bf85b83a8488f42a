"""What hangs on a conversion is found by its key, however much has been earned in all."""

from uuid import uuid4

import pytest
from django.db import connection

from apps.commissions.models import Commission
from apps.commissions.moving import OWED
from apps.core.reading import array_of, read_rows

pytestmark = pytest.mark.django_db


def test_commissions_of_conversions_are_found_by_index():
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = off")
    plan = "\n".join(row[0] for row in read_rows(f"EXPLAIN {OWED}", [array_of([uuid4()])]))
    assert "Bitmap Index Scan on commissions_of_conversion" in plan
    assert "commissions_of_conversion" in Commission.objects.filter(conversion__in=[uuid4()]).explain()
