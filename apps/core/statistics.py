"""What the planner knows of tables that were just filled: autovacuum tells it a minute later, or never."""

from __future__ import annotations

import logging

from django.db import OperationalError, connection, transaction
from django.db.models import Model

logger = logging.getLogger(__name__)

# Fewer rows than these make no plan go wrong that autovacuum does not mend.
WORTH_ANALYZING = 1_000
LOCK_TIMEOUT = "1s"
UNKNOWN = """
SELECT t.name FROM unnest(%s::text[]) WITH ORDINALITY AS t(name, place) JOIN pg_class c ON c.oid = to_regclass(t.name)
WHERE c.reltuples < %s ORDER BY t.place
"""


def analyze_filled(*models: type[Model], written: int) -> list[str]:
    """Analyze those tables of which the statistics know fewer rows than were just written; return their names.

    PostgreSQL's manual asks for it after bulk loads. A table that grows is analyzed whenever it has doubled, so that
    many runs cost little; a few rows cost nothing. Partitioned tables, which autovacuum passes by, are analyzed whole.
    What was written stays written: a table that is locked for a second, or takes too long, is logged and passed by.
    """
    if written < WORTH_ANALYZING:
        return []
    with connection.cursor() as cursor:
        cursor.execute(UNKNOWN, [[model._meta.db_table for model in models], written])
        names = [name for (name,) in cursor.fetchall()]
    return [name for name in names if _analyze(name)]


def _analyze(name: str) -> bool:
    """Analyze a table in a savepoint or a transaction of its own; tell whether that could be done."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('lock_timeout')")
            [before] = cursor.fetchone()
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [LOCK_TIMEOUT])
            cursor.execute(f"ANALYZE {connection.ops.quote_name(name)}")
            # In a transaction around this one it would last on; a savepoint that fails takes it back by itself.
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [before])
    except OperationalError:
        logger.warning("%s is not analyzed", name, exc_info=True)
        return False
    return True
