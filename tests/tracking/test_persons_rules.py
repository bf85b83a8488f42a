"""The person graph as a function of the set of links; which keys join, and how they are hidden."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.tracking.rules.persons import (
    CUSTOMER,
    EMAIL,
    MOST_JOINED,
    OF_NOTHING,
    VISITOR,
    Identity,
    InvalidEmailHash,
    email_hash,
    groups_of,
    hide,
    read_identity,
    shared_keys,
)

LINKS = st.lists(st.tuples(st.integers(0, 25), st.integers(100, 125)), max_size=80)


@given(links=LINKS, order=st.randoms(use_true_random=False))
def test_groups_and_shared_keys_do_not_depend_on_the_order_of_arrival(links, order):
    kinds = {**dict.fromkeys(range(26), VISITOR), **dict.fromkeys(range(100, 126), CUSTOMER)}
    shuffled = [*links, *links]
    order.shuffle(shuffled)
    assert shared_keys(kinds, shuffled) == shared_keys(kinds, links)
    assert groups_of(sorted(kinds, reverse=True), shuffled) == groups_of(kinds, links)


@given(links=LINKS)
def test_every_key_is_in_one_group_and_linked_keys_are_in_the_same(links):
    keys = [*range(26), *range(100, 126)]
    groups = groups_of(keys, links)
    assert sorted(key for group in groups for key in group) == keys
    where = {key: place for place, group in enumerate(groups) for key in group}
    assert all(where[one] == where[other] for one, other in links)


@pytest.mark.parametrize(("visitors", "shared"), [(MOST_JOINED, set()), (MOST_JOINED + 1, {1000})])
def test_a_key_of_more_than_twenty_visitors_joins_nobody(visitors, shared):
    kinds = {**dict.fromkeys(range(visitors), VISITOR), 1000: CUSTOMER}
    assert shared_keys(kinds, [(visitor, 1000) for visitor in range(visitors)]) == shared


def test_a_kiosk_where_many_customers_buy_joins_nobody_either():
    kinds = {0: VISITOR, **dict.fromkeys(range(1, 23), CUSTOMER)}
    assert shared_keys(kinds, [(0, customer) for customer in range(1, 22)]) == {0}


def test_keys_differ_by_advertiser_kind_and_secret():
    made = {
        hide(kind, "4711", advertiser_id=advertiser, keyed_by=(secret,)).value
        for kind in (CUSTOMER, EMAIL)
        for advertiser in (1, 2)
        for secret in ("old", "new")
    }
    assert len(made) == 8 and all(isinstance(value, UUID) for value in made)
    rotated = hide(CUSTOMER, "4711", advertiser_id=1, keyed_by=("new", "old"))
    assert rotated.former == (hide(CUSTOMER, "4711", advertiser_id=1, keyed_by=("old",)).value,)


@pytest.mark.parametrize("text", ["ada@example.org", "f" * 63, "g" * 64, "f" * 65])
def test_an_e_mail_in_the_clear_is_refused(text):
    with pytest.raises(InvalidEmailHash) as refused:
        read_identity({"email_sha256": text})
    assert (refused.value.code, refused.value.path) == ("invalid_email_sha256", "email_sha256")


def test_the_hash_of_an_e_mail_is_read_in_any_case_and_that_of_nothing_is_nothing():
    told = email_hash(" Ada@Example.ORG ")
    assert read_identity({"email_sha256": told.upper()}) == Identity(email_sha256=told)
    assert email_hash("ada@example.org") == told
    assert not read_identity({"email_sha256": OF_NOTHING})
