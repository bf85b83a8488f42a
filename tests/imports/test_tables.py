"""Finding keys that repeat, in a fixed amount of memory."""

from hypothesis import given
from hypothesis import strategies as st

from apps.imports.rules.tables import Repeats


@given(st.lists(st.text(max_size=3), max_size=200))
def test_every_repeated_key_is_suspect(keys):
    repeats = Repeats(1)
    for key in keys:
        repeats.mark(key)
    assert {key for key in keys if keys.count(key) > 1} <= repeats.suspects


def test_few_keys_are_suspect_without_cause():
    repeats = Repeats(20_000)
    for number in range(20_000):
        repeats.mark(f"h{number}")
    assert len(repeats.suspects) < 1_500
