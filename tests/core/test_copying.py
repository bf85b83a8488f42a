"""Lines of COPY carry every text as it is."""

import pytest
from django.db import DataError, connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from apps.core.copying import NULL, copy_lines, escaped, escaped_name, next_ids
from apps.core.reading import array_of, read_rows

pytestmark = pytest.mark.django_db
HOSTILE = [
    "\\",
    "\\N",
    "\\.",
    "a\tb",
    "a\nb",
    "a\r\nb",
    "\\t",
    "\x01\x08\x0b\x7f",
    "é€😀",
    "",
    " ",
    '{"a":"\\u00e9\\n"}',
]
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")) | st.sampled_from(HOSTILE)


@pytest.fixture(autouse=True)
def table():
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE copied (place int, text text, again text) ON COMMIT DROP")


def stored(values: list[str]) -> list[tuple]:
    with transaction.atomic():
        lines = [f"{place}\t{escaped(text)}\t{escaped_name(text)}" for place, text in enumerate(values)]
        copy_lines("copied", ("place", "text", "again"), lines)
        rows = read_rows("DELETE FROM copied RETURNING place, text, again", [])
    return sorted(rows)


def test_hostile_text_comes_back_as_it_was():
    assert stored(HOSTILE) == [(place, text, text) for place, text in enumerate(HOSTILE)]


@given(st.lists(texts, max_size=5))
def test_any_text_comes_back_as_it_was(values):
    assert stored(values) == [(place, text, text) for place, text in enumerate(values)]


def test_a_nul_is_refused_and_nothing_is_written():
    with pytest.raises(DataError), transaction.atomic():
        stored(["before", "\0"])
    assert read_rows("SELECT count(*) FROM copied", []) == [(0,)]


def test_no_value_is_null():
    copy_lines("copied", ("place", "text", "again"), [f"1\t{NULL}\t{escaped('x')}"])
    assert read_rows("SELECT place, text, again FROM copied", []) == [(1, None, "x")]


def test_ids_are_the_counters_next_and_come_once():
    first, second = next_ids("attribution_share", 3), next_ids("attribution_share", 2)
    assert len({*first, *second}) == 5
    assert [*first, *second] == sorted([*first, *second])
    assert next_ids("attribution_share", 0) == []


def test_an_array_takes_what_its_cast_takes():
    ids = ["00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"]
    assert read_rows("SELECT %s::uuid[]", [array_of(ids)]) == [(ids,)]
    with pytest.raises(DataError), transaction.atomic():
        read_rows("SELECT %s::uuid[]", [array_of(["1}', 2"])])
