"""A customer whom only an update of the order names: their other devices count, as if they had been named at once."""

from datetime import timedelta
from uuid import uuid4

import pytest

from apps.commissions.models import Commission
from apps.core.actors import SYSTEM
from apps.pipeline.books import check_books
from apps.pipeline.services.deciding import approve_conversions
from apps.pipeline.services.receiving import receive_conversion, receive_identity
from apps.pipeline.services.settling import settle_waiting
from apps.tracking.changing import OrderRefConflict
from apps.tracking.models import Amendment, CustomerStanding, IdentityKey, Sighting, Unsettled
from apps.tracking.rules.conversions import Terms, read_conversion
from apps.tracking.rules.persons import Identity
from apps.tracking.sweeping import wake_awaited
from tests.cast import NOON, START, make_campaign, make_cast, make_plan, make_policy, make_touch

pytestmark = pytest.mark.django_db
NEW_ONES_PAY_DOUBLE = [
    {"name": "new", "when": {"new_customer": True}, "pay": {"percent": "10"}},
    {"name": "rest", "when": {}, "pay": {"percent": "5"}},
]


@pytest.fixture
def acme():
    cast = make_cast()
    make_policy(cast.campaign, START + timedelta(days=1), model="LINEAR")
    return cast


def tell(acme, campaign=None, **fields):
    campaign = campaign or acme.campaign
    fields = {"order_ref": "A-1", "amount": "100.00", **fields}
    fact = read_conversion(fields, terms=Terms(campaign.pk, ("EUR",), ()), now=NOON)
    return receive_conversion(campaign=campaign, fact=fact, now=NOON)


def see(acme, customer="c7"):
    """Let a customer come by on another device, by the blog."""
    touch = make_touch(acme.enrollments.blog, NOON - timedelta(days=1), uuid4())
    receive_identity(advertiser=acme.advertiser, visitor=touch.visitor, identity=Identity(customer), now=NOON)


def settle(_acme=None) -> dict[str, int]:
    wake_awaited(now=NOON)
    settle_waiting(now=NOON)
    found: dict[str, int] = {}
    for row in Commission.objects.select_related("partner"):
        found[row.partner.slug] = found.get(row.partner.slug, 0) + row.amount_minor
    return found


@pytest.mark.parametrize("seen_first", [True, False])
def test_an_update_that_names_the_customer_finds_their_other_devices(acme, seen_first):
    if seen_first:
        see(acme)
    tell(acme)
    assert settle() == {}

    first = tell(acme, customer_id="c7", update="1")
    again = tell(acme, customer_id="c7", update="1")
    if not seen_first:
        see(acme)

    assert settle() == {"blog": 8_00}
    assert (first.created, again.created) == (True, False)
    assert {**first.answer, "ok": 1} == {**again.answer, "ok": 1}
    assert (Sighting.objects.count(), Unsettled.objects.count()) == (1, 0)


def test_after_the_decision_nothing_is_shared_anew(acme):
    see(acme)
    sale = tell(acme, new_customer="1")
    settle()
    approve_conversions(advertiser=acme.advertiser, conversion_ids=[sale.id], actor=SYSTEM, now=NOON)

    assert tell(acme, new_customer="1", customer_id="c7", update="1").created

    assert settle() == {}
    assert (Unsettled.objects.count(), Amendment.objects.count(), check_books()) == (0, 0, [])


def test_the_customer_told_first_stays_and_the_answer_says_so(acme):
    see(acme, "c8")
    tell(acme, customer_id="c7")

    update = tell(acme, customer_id="c8", device_id="d1", amount="50.00", update="1")

    assert update.answer["hints"] == ["other_customer"]
    assert settle() == {}
    assert list(Sighting.objects.values_list("kind", flat=True)) == ["CUSTOMER"]
    assert Amendment.objects.get().content["amount_minor"] == 50_00


def test_a_name_told_later_is_the_same_customers_as_the_one_told_first(acme):
    tell(acme, customer_id="c7")
    for _ in range(2):
        assert "hints" not in tell(acme, device_id="d1", update="1").answer
    customer, device = (IdentityKey.objects.get(sightings__kind=kind) for kind in ("CUSTOMER", "DEVICE"))
    assert customer.person_id == device.person_id


def test_whether_the_customer_is_new_is_decided_then_and_rated(acme):
    make_plan(acme.campaign, rules=NEW_ONES_PAY_DOUBLE, starts_at=START + timedelta(days=1))
    see(acme)
    tell(acme)

    update = tell(acme, customer_id="c7", update="1")

    assert (update.answer["sequence"], CustomerStanding.objects.get().is_new) == (1, True)
    assert settle() == {"blog": 10_00}
    assert tell(acme, customer_id="c7", update="1").answer == update.answer
    assert Amendment.objects.count() == 1


@pytest.mark.parametrize(
    "updates",
    [
        [{"customer_id": "c7"}, {"customer_id": "c7", "amount": "120"}],
        [{"customer_id": "c7"}, {"amount": "120"}],
        [{"sequence": "5", "amount": "120"}, {"sequence": "3", "customer_id": "c7"}],
        [{"sequence": "5", "amount": "120"}, {"sequence": "5", "amount": "120", "customer_id": "c7"}],
    ],
    ids=["told again", "not told again", "told by an older update", "told with the same update"],
)
def test_a_new_customer_stays_one_whatever_is_told_next_and_in_whatever_order(acme, updates):
    make_plan(acme.campaign, rules=NEW_ONES_PAY_DOUBLE, starts_at=START + timedelta(days=1))
    see(acme)
    tell(acme)
    for fields in updates:
        tell(acme, update="1", **fields)
    assert settle() == {"blog": 12_00}
    assert check_books() == []


def test_a_refused_update_introduces_nobody(acme):
    other = make_campaign(acme.advertiser, slug="acme-b2b")
    tell(acme)
    with pytest.raises(OrderRefConflict):
        tell(acme, other, customer_id="c7", update="1")
    assert not IdentityKey.objects.exists() and not Sighting.objects.exists()
