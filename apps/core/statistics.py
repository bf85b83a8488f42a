"""What the planner knows of tables that were just filled: autovacuum tells it a minute later, or never."""

from __future__ import annotations

from django.db import connection
from django.db.models import Model

# Fewer rows than these make no plan go wrong that autovacuum does not mend.
WORTH_ANALYZING = 1_000
UNKNOWN = """
SELECT t.name FROM unnest(%s::text[]) WITH ORDINALITY AS t(name, place) JOIN pg_class c ON c.oid = to_regclass(t.name)
WHERE c.reltuples < %s ORDER BY t.place
"""


def analyze_filled(*models: type[Model], written: int) -> list[str]:
    """Analyze those tables of which the statistics know fewer rows than were just written; return their names.

    PostgreSQL's manual asks for it after bulk loads. A table that grows is analyzed whenever it has doubled, so that
    many runs cost little; a few rows cost nothing. Partitioned tables, which autovacuum passes by, are analyzed whole.
    """
    if written < WORTH_ANALYZING:
        return []
    with connection.cursor() as cursor:
        cursor.execute(UNKNOWN, [[model._meta.db_table for model in models], written])
        names = [name for (name,) in cursor.fetchall()]
        for name in names:
            cursor.execute(f"ANALYZE {connection.ops.quote_name(name)}")
    return names
