"""Triggers of rows read whether they are to be ignored without failing once a row."""

import pgtrigger
import pytest
from django.db import ProgrammingError, connection, transaction

from apps.tracking.models import Conversion
from tests.cast import make_cast, make_conversion

pytestmark = pytest.mark.django_db


def ignored() -> str | None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('pgtrigger.ignore', true)")
        return cursor.fetchone()[0]


def test_what_triggers_ask_is_set_and_guards_all_the_same():
    assert ignored() == "{}"
    make_conversion(make_cast().campaign)
    with pytest.raises(ProgrammingError, match="Cannot update"), transaction.atomic():
        Conversion.objects.update(country="DE")
    with pgtrigger.ignore("tracking.Conversion:append_only"):
        assert Conversion.objects.update(country="DE") == 1
    assert ignored() == "{}"
