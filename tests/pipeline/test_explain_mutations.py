"""No document makes a trace: each is answered, or refused with a code and a path."""

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.core.errors import Invalid
from apps.pipeline.rules import canonical_bytes, explain
from tests.pipeline.documents import EXAMPLE, RICH

GONE = object()
VALUES = [
    GONE, None, True, False, 0, 1, -1, 10**30, 1.5, "", "x", "0", "-1", "1e5", "NaN", "Infinity", "99999999999999",
    "1.23456789", "\u0663", "\ud800", "\x00", "A" * 300, [], {}, [None], [[]], ["x"], [{}], {"x": 1}, {"": None},
    {"\ud800": {}}, "2026-03-10T12:00:00", "9999-12-31T23:59:59-23:59", "2026-03-10T24:00:00Z", "SHARE", "GOAL",
]  # fmt: skip


def places(value, path=()):
    """Every place of a document, outermost first."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from places(one, (*path, key))


def mutated(document, path, value):
    if not path:
        return None if value is GONE else value
    one = copy.deepcopy(document)
    inner = one
    for key in path[:-1]:
        inner = inner[key]
    if value is GONE:
        del inner[path[-1]]
    else:
        inner[path[-1]] = copy.deepcopy(value)
    return one


def answered(document):
    """Whether a document was answered; a refusal has its code and path, an answer can be written as JSON."""
    try:
        receipt = explain(document)
    except Invalid as refusal:
        assert isinstance(refusal.code, str) and refusal.code
        assert isinstance(refusal.path, str)
        json.dumps([refusal.code, refusal.path], ensure_ascii=False).encode()
        return False
    canonical_bytes(receipt)
    return True


def test_every_single_field_mutation_is_answered_or_refused():
    tried = accepted = 0
    for document in (EXAMPLE, RICH):
        for path in places(document):
            for value in VALUES:
                tried += 1
                accepted += answered(mutated(document, path, value))
    assert tried >= 2000
    assert 0 < accepted < tried


def test_every_object_of_the_format_refuses_a_field_it_does_not_know():
    own_names = {("coupons",), ("plans",), ("policy", "channel_windows")}
    for path in places(RICH):
        inner = RICH
        for key in path:
            inner = inner[key]
        if isinstance(inner, dict) and path not in own_names:
            try:
                explain(mutated(RICH, (*path, "surprise"), 1))
            except Invalid as refusal:
                assert refusal.code == "unknown_field"
                assert refusal.path.endswith("surprise")
            else:
                raise AssertionError(path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(VALUES[1:18]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_any_json_is_answered_or_refused(value):
    answered(value)


@given(st.sampled_from([path for path in places(RICH) if path]), json_values)
@settings(max_examples=300)
def test_any_json_in_any_place_is_answered_or_refused(path, value):
    answered(mutated(RICH, path, value))


@pytest.mark.parametrize("depth", [1, 4, 5, 400])
def test_conditions_nest_a_few_deep_only(depth):
    when = {"channel": "x"}
    for _ in range(depth):
        when = {"journey_contains": when}
    one = copy.deepcopy(RICH)
    one["policy"]["adjustments"][0]["when"] = when
    assert answered(one) is (depth < 5)
