"""Joining visitors: one graph whatever the order, recorded, reversible, safe when told at once."""

from __future__ import annotations

import threading
from datetime import timedelta
from itertools import combinations
from unittest.mock import patch
from uuid import UUID, uuid4

import pytest
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st

from apps.core.actors import SYSTEM
from apps.records.models import AuditEntry
from apps.tracking import joining
from apps.tracking.identifying import identify_visitor
from apps.tracking.joining import MergeUndone, join_keys, undo_merge
from apps.tracking.models import IdentityKey, IdentityLink, Merge, Person, Unsettled
from apps.tracking.rules.persons import CUSTOMER, EMAIL, MOST_JOINED, VISITOR, Identity, Key
from tests.cast import NOON, make_advertiser, make_campaign, make_conversion


@pytest.fixture
def acme(db):
    return make_advertiser()


def visitor(number: int) -> Key:
    return Key(VISITOR, UUID(int=number + 1))


def customer(number: int) -> Key:
    return Key(CUSTOMER, UUID(int=number + 1))


def email(number: int) -> Key:
    return Key(EMAIL, UUID(int=number + 1))


def see(advertiser, *sights, at=NOON):
    for sight in sights:
        join_keys(advertiser_id=advertiser.pk, sights=[sight], now=at)


def persons(advertiser) -> set[frozenset[tuple[str, UUID]]]:
    """Return the groups of keys that are one person; a shared key is in none."""
    found: dict[UUID, set] = {}
    for key in IdentityKey.objects.filter(advertiser=advertiser, person__isnull=False):
        found.setdefault(key.person_id, set()).add((key.kind, key.value))
    return {frozenset(group) for group in found.values()}


def test_two_visitors_with_one_customer_are_one_person_and_the_merge_is_recorded(acme):
    see(acme, [visitor(1), customer(1)], [visitor(2), customer(1)])
    merge = Merge.objects.get()
    assert persons(acme) == {frozenset({visitor(1)[:2], visitor(2)[:2], customer(1)[:2]})}
    assert (merge.kind, merge.undone_at, Person.objects.count()) == (CUSTOMER, None, 2)
    assert merge.moved == [IdentityKey.objects.get(kind=VISITOR, value=visitor(2).value).pk]


def test_visitors_seen_together_alone_stay_two(acme):
    see(acme, [visitor(1), visitor(2)])
    assert len(persons(acme)) == 2 and not IdentityLink.objects.exists()


def test_customers_of_another_advertiser_are_nobody_s_here(acme):
    other = make_advertiser("other")
    see(acme, [visitor(1), customer(1)])
    see(other, [visitor(2), customer(1)])
    assert (len(persons(acme)), len(persons(other)), Merge.objects.count()) == (1, 1, 0)


SIGHTS = st.lists(
    st.lists(
        st.one_of(
            st.integers(0, 24).map(visitor), st.integers(0, 2).map(customer), st.integers(0, 2).map(email)
        ),
        min_size=1, max_size=4, unique=True,
    ),
    max_size=30,
)  # fmt: skip


@how(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sights=SIGHTS, order=st.randoms(use_true_random=False), size=st.integers(1, 7))
def test_persons_do_not_depend_on_the_order_or_the_batches_of_what_was_seen(acme, sights, order, size):
    shuffled = [*sights, *sights[:5]]
    order.shuffle(shuffled)
    with transaction.atomic():
        one, other = make_advertiser(f"a{uuid4().hex}"), make_advertiser(f"b{uuid4().hex}")
        see(one, *sights)
        for start in range(0, len(shuffled), size):
            join_keys(advertiser_id=other.pk, sights=shuffled[start : start + size], now=NOON)
        assert persons(one) == persons(other)
        shared = {"shared_at__isnull": False}
        assert set(IdentityKey.objects.filter(advertiser=one, **shared).values_list("kind", "value")) == set(
            IdentityKey.objects.filter(advertiser=other, **shared).values_list("kind", "value")
        )
        transaction.set_rollback(True)


def test_a_key_of_more_than_twenty_visitors_parts_those_it_had_joined(acme):
    see(acme, *([visitor(number), customer(1)] for number in range(MOST_JOINED)))
    assert len(persons(acme)) == 1
    see(acme, [visitor(MOST_JOINED), customer(1)])
    key = IdentityKey.objects.get(kind=CUSTOMER)
    assert (key.person, key.shared_at) == (None, NOON)
    assert len(persons(acme)) == MOST_JOINED + 1 and not Merge.objects.filter(undone_at=None).exists()
    assert {len(group) for group in persons(acme)} == {1}


def test_what_was_seen_before_takes_no_lock_and_writes_nothing(acme):
    see(acme, [visitor(1), customer(1), email(1)])
    with (
        CaptureQueriesContext(
            connection,
        ) as queries,
        patch.object(joining, "lock_persons") as lock,
    ):
        see(acme, [visitor(1), customer(1), email(1)])
    assert not lock.called and not [q for q in queries if q["sql"].startswith(("INSERT", "UPDATE"))]


def test_an_undone_merge_parts_the_visitors_for_good(acme):
    see(acme, [visitor(1), customer(1), email(1)], [visitor(2), customer(1), email(1)])
    before = set(Person.objects.values_list("pk", flat=True))
    assert undo_merge(merge=Merge.objects.get(), actor=SYSTEM, now=NOON + timedelta(hours=1))
    assert persons(acme) == {
        frozenset({visitor(1)[:2], customer(1)[:2], email(1)[:2]}), frozenset({visitor(2)[:2]})
    }  # fmt: skip
    assert set(Person.objects.values_list("pk", flat=True)) == before
    see(acme, [visitor(2), customer(1), email(1)])
    assert len(persons(acme)) == 2
    assert AuditEntry.objects.get().verb == "merge.undone"


def test_a_merge_is_undone_once(acme):
    see(acme, [visitor(1), customer(1)], [visitor(2), customer(1)])
    undo_merge(merge=Merge.objects.get(), actor=SYSTEM, now=NOON)
    with pytest.raises(MergeUndone):
        undo_merge(merge=Merge.objects.get(), actor=SYSTEM, now=NOON)
    assert AuditEntry.objects.count() == 1


def test_a_new_customer_number_goes_with_the_visitor_it_came_with(acme):
    see(acme, [visitor(1), email(1)], [visitor(2), customer(2), email(1)])
    assert undo_merge(merge=Merge.objects.get(), actor=SYSTEM, now=NOON)
    assert frozenset({visitor(2)[:2], customer(2)[:2]}) in persons(acme)


def test_keys_that_came_later_still_join_and_undoing_says_so(acme):
    see(acme, [visitor(1), customer(1)], [visitor(2), customer(1)])
    see(acme, [visitor(1), email(1)], [visitor(2), email(1)], at=NOON + timedelta(minutes=1))
    assert not undo_merge(merge=Merge.objects.get(), actor=SYSTEM, now=NOON + timedelta(minutes=2))
    assert len(persons(acme)) == 1


def test_keys_are_found_by_the_secret_before_and_kept_by_the_present_one(acme):
    with patch.object(settings, "IDENTITY_SECRETS", ["old"]):
        identify_visitor(advertiser=acme, visitor=uuid4(), identity=Identity("4711"), now=NOON)
    old = IdentityKey.objects.get(kind=CUSTOMER).value
    with patch.object(settings, "IDENTITY_SECRETS", ["new", "old"]):
        identify_visitor(advertiser=acme, visitor=uuid4(), identity=Identity("4711"), now=NOON)
    assert IdentityKey.objects.get(kind=CUSTOMER).value != old and Merge.objects.count() == 1


def test_a_merge_wakes_the_conversions_of_both_by_visitor_and_by_click(acme):
    campaign = make_campaign(acme)
    mine = make_conversion(campaign, visitor=visitor(1).value)
    make_conversion(campaign, visitor=visitor(3).value)
    see(acme, [visitor(1), customer(1)])
    Unsettled.objects.all().delete()
    see(acme, [visitor(2), customer(1)])
    assert [row.conversion_id for row in Unsettled.objects.all()] == [mine.pk]


def in_threads(calls):
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.django_db(transaction=True)
def test_what_is_told_at_once_makes_one_person():
    acme = make_advertiser()
    errors = []

    def tell(sight):
        try:
            join_keys(advertiser_id=acme.pk, sights=[sight], now=NOON)
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    chain = [[visitor(n), customer(n % 4)] for n in range(16)] + [[customer(n), email(1)] for n in range(4)]
    in_threads([lambda sight=sight: tell(sight) for sight in chain])
    assert not errors
    assert len(persons(acme)) == 1


@pytest.mark.django_db(transaction=True)
def test_without_the_lock_what_is_told_at_once_falls_apart():
    """The twin: two that each see only their own half leave one person in two."""
    acme = make_advertiser()
    see(acme, [visitor(1), customer(1)], [visitor(2), customer(2)], [visitor(3), customer(3)])
    ready = threading.Barrier(2)
    regroup = joining._regroup

    def late(*args, **kwargs):
        regroup(*args, **kwargs)
        ready.wait(5)

    def tell(sight):
        try:
            join_keys(advertiser_id=acme.pk, sights=[sight], now=NOON)
        except Exception:
            ready.abort()
        finally:
            connection.close()

    with patch.object(joining, "lock_persons"), patch.object(joining, "_regroup", late):
        in_threads([lambda pair=pair: tell([customer(pair), customer(pair + 1)]) for pair in (1, 2)])
    assert len(persons(acme)) != 1


def test_the_database_keeps_a_key_a_pair_and_a_shared_key_s_loneliness(acme):
    see(acme, [visitor(1), customer(1)])
    low, high = IdentityKey.objects.order_by("pk")
    with pytest.raises(IntegrityError), transaction.atomic():
        IdentityKey.objects.create(advertiser=acme, kind=low.kind, value=low.value, first_seen_at=NOON)
    with pytest.raises(IntegrityError), transaction.atomic():
        IdentityLink.objects.create(advertiser=acme, low=low, high=high, first_seen_at=NOON)
    with pytest.raises(IntegrityError), transaction.atomic():
        IdentityLink.objects.create(advertiser=acme, low=high, high=low, first_seen_at=NOON)
    with pytest.raises(IntegrityError), transaction.atomic():
        IdentityKey.objects.filter(pk=low.pk).update(shared_at=NOON)
    assert len(list(combinations(IdentityKey.objects.all(), 2))) == IdentityLink.objects.count() == 1
