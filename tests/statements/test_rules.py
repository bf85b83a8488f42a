"""Carrying and paying, and the chain of hashes."""

import hashlib
import json
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.statements.rules import Balance, StatementContent, StatementLine, balance, statement_hash

AMOUNT = st.integers(-(10**12), 10**12)


def test_minimum_of_50_carries_and_pays_from_january_to_june():
    months = [
        ("Jan", 3000, Balance(0, 3000)),
        ("Feb", 1500 - 1000, Balance(0, 3500)),
        ("Mar", 4000, Balance(7500, 0)),
        ("Apr", -2000, Balance(0, -2000)),
        ("May", 6000, Balance(0, 4000)),
        ("Jun", 1500, Balance(5500, 0)),
    ]
    opening = 0
    for _, earned, expected in months:
        result = balance(opening, earned, 5000)
        assert result == expected
        opening = result.carried_minor


@pytest.mark.parametrize(
    ("opening", "earned", "minimum", "expected"),
    [
        (0, 5000, 5000, Balance(5000, 0)),
        (0, 4999, 5000, Balance(0, 4999)),
        (0, 1, 0, Balance(1, 0)),
        (0, 0, 0, Balance(0, 0)),
        (0, -1, 0, Balance(0, -1)),
        (-3000, 3000, 0, Balance(0, 0)),
    ],
)
def test_edges_of_the_minimum(opening, earned, minimum, expected):
    assert balance(opening, earned, minimum) == expected


def test_a_negative_minimum_is_refused():
    with pytest.raises(ValueError, match="minimum"):
        balance(0, 0, -1)


@given(AMOUNT, AMOUNT, st.integers(0, 10**9))
def test_nothing_is_lost_between_paying_and_carrying(opening, earned, minimum):
    result = balance(opening, earned, minimum)
    assert opening + earned == result.payable_minor + result.carried_minor
    assert result.payable_minor == 0 or result.payable_minor >= max(minimum, 1)
    assert result.payable_minor == 0 or result.carried_minor == 0
    assert result.carried_minor < max(minimum, 1)


@given(st.lists(AMOUNT, max_size=24), st.integers(0, 10**9))
def test_a_chain_of_months_pays_what_was_earned(months, minimum):
    opening = paid = 0
    for earned in months:
        result = balance(opening, earned, minimum)
        opening, paid = result.carried_minor, paid + result.payable_minor
    assert paid + opening == sum(months)


def test_hash_covers_content_and_predecessor_but_not_the_order_of_keys():
    content = {"partner": "Café", "lines": [{"amount_minor": 1250}], "number": "S-1"}
    first = statement_hash(content)
    assert first == statement_hash(dict(reversed(content.items())))
    assert (
        first
        == hashlib.sha256('\n{"lines":[{"amount_minor":1250}],"number":"S-1","partner":"Café"}'.encode()).hexdigest()
    )
    assert statement_hash(content, first) != first
    assert statement_hash({**content, "number": "S-2"}) != first


def test_a_change_anywhere_breaks_every_later_hash():
    def chain(contents):
        hashes = [""]
        for content in contents:
            hashes.append(statement_hash(content, hashes[-1]))
        return hashes[1:]

    whole = chain([{"n": 1}, {"n": 2}, {"n": 3}])
    forged = chain([{"n": 1}, {"n": 9}, {"n": 3}])
    assert [a == b for a, b in zip(whole, forged, strict=True)] == [True, False, False]


def test_floats_have_no_canonical_text_and_are_refused():
    with pytest.raises(TypeError):
        statement_hash({"lines": [{"amount": 1.5}]})


def make_content(**changes):
    content = StatementContent(
        number="S-2026-03-0118",
        issued_on=date(2026, 4, 1),
        first_on=date(2026, 3, 1),
        last_on=date(2026, 3, 31),
        currency="EUR",
        advertiser="Acme GmbH",
        partner="Wanderlust UG",
        partner_lines=("Lindenallee 5", "04109 Leipzig"),
        lines=(StatementLine(date(2026, 3, 2), "100234", "Spring", 4000, "Assist"),),
        opening_minor=3500,
        payable_minor=7500,
        carried_minor=0,
        minimum_minor=5000,
        pays_on=date(2026, 4, 20),
    )
    return replace(content, **changes)


@pytest.mark.parametrize("content", [make_content(), make_content(pays_on=None, payable_minor=0, carried_minor=7500)])
def test_content_survives_a_json_column(content):
    stored = json.loads(json.dumps(content.to_json(), sort_keys=True))
    assert StatementContent.from_json(stored) == content
    assert statement_hash(stored) == statement_hash(content.to_json())


def test_content_refuses_amounts_that_do_not_add_up():
    with pytest.raises(ValueError, match="opening"):
        make_content(payable_minor=7501)
