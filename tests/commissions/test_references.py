"""What a share and a commission refer to is there, and stays."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from uuid import uuid4

import pgtrigger
import pytest
from django.db import IntegrityError, ProgrammingError, connection, connections, transaction

from apps.attribution.models import Share
from apps.commissions.models import Commission, Decision, Receipt, Superseded
from apps.core.ids import uuid7
from apps.pipeline.services.settling import settle_waiting
from apps.tracking.models import Conversion
from tests.cast import NOON, make_cast, make_conversion, make_touch

REMOVE = "DELETE FROM attribution_share WHERE id = %s"


@pytest.fixture
def acme():
    cast = make_cast()
    visitor = uuid4()
    make_touch(cast.enrollments.blog, visitor=visitor)
    make_conversion(cast.campaign, visitor=visitor)
    settle_waiting(now=NOON)
    return cast


def copy_of(row, **changes):
    """Return an unsaved copy of a row."""
    fields = {field.attname: getattr(row, field.attname) for field in row._meta.fields if not field.primary_key}
    return type(row)(**{**fields, **changes})


@pytest.mark.django_db
def test_a_share_is_of_a_conversion_that_is_there(acme):
    with pytest.raises(IntegrityError, match="a share is of a conversion"), transaction.atomic():
        copy_of(Share.objects.get(), conversion_id=uuid7(NOON)).save()
    assert Share.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("astray", ["missing", "partner", "conversion"])
def test_a_commission_is_of_a_share_of_its_conversion_and_partner(acme, astray):
    changes = {
        "missing": {"share_id": 0},
        "partner": {"partner_id": acme.partners.coupons.pk},
        "conversion": {"conversion_id": make_conversion(acme.campaign).pk},
    }[astray]
    with pytest.raises(IntegrityError, match="a commission is of a share"), transaction.atomic():
        copy_of(Commission.objects.get(), kind="CORRECTION", **changes).save()
    assert Commission.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["SALE", "CORRECTION"])
def test_a_share_with_a_commission_stays(acme, kind):
    if kind == "CORRECTION":
        original = Commission.objects.get()
        copy_of(original, kind=kind).save()
        original.delete()
    share_id = Share.objects.get().pk
    refused = pytest.raises(IntegrityError, match="the share has a commission")
    with refused, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(REMOVE, [share_id])
    assert Share.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_share_is_not_taken_from_under_a_commission_being_written(acme):
    original, share_id = Commission.objects.get(), Share.objects.get().pk
    Commission.objects.all().delete()
    written, committed = Event(), Event()

    def write():
        with transaction.atomic():
            copy_of(original).save()
            written.set()
            committed.wait(0.5)
        connections.close_all()

    def remove():
        written.wait(5)
        try:
            with connection.cursor() as cursor:
                cursor.execute(REMOVE, [share_id])
        finally:
            committed.set()
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        writing, removing = pool.submit(write), pool.submit(remove)
    writing.result()
    with pytest.raises(IntegrityError, match="the share has a commission"):
        removing.result()
    assert Commission.objects.get().share_id == share_id


@pytest.mark.django_db
@pytest.mark.parametrize("model", [Decision, Receipt])
def test_a_decision_and_a_receipt_are_of_a_conversion_that_is_there(acme, model):
    stray = copy_of(model.objects.get(), conversion_id=uuid7(NOON))
    refused = pytest.raises(IntegrityError, match="are of a conversion of their advertiser")
    with refused, transaction.atomic():
        stray.save(force_insert=True)
    assert model.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("model", [Decision, Receipt])
def test_without_its_guard_a_decision_or_a_receipt_is_of_nothing(acme, model):
    stray = copy_of(model.objects.get(), conversion_id=uuid7(NOON))
    with pgtrigger.ignore(f"commissions.{model.__name__}:is_of_a_conversion"):
        stray.save(force_insert=True)
    assert model.objects.filter(conversion=stray.pk).exists()
    assert not Conversion.objects.filter(pk=stray.pk).exists()


@pytest.mark.django_db
@pytest.mark.parametrize("model", [Decision, Receipt])
def test_a_decision_and_a_receipt_stay_with_their_conversion(acme, model):
    other = make_conversion(acme.campaign)
    refused = pytest.raises(ProgrammingError, match="Cannot update")
    with refused, transaction.atomic():
        model.objects.update(conversion_id=other.pk)
    assert not model.objects.filter(conversion=other.pk).exists()
    with pgtrigger.ignore(f"commissions.{model.__name__}:stays_with_its_conversion"):
        model.objects.update(conversion_id=other.pk)
    assert model.objects.filter(conversion=other.pk).exists()


@pytest.mark.django_db
def test_a_superseded_result_is_of_a_conversion_that_is_there_and_without_its_guard_of_nothing(acme):
    receipt = Receipt.objects.get()
    fields = {"settled_at": NOON, "replaced_at": NOON, "total_minor": 1, "currency": "EUR", "earned": [], "sha256": "x"}
    stray = {"advertiser": acme.advertiser, **fields}
    Superseded.objects.create(conversion_id=receipt.pk, **stray)
    for wrong in ({"conversion_id": uuid7(NOON)}, {"conversion_id": receipt.pk, "currency": "USD"}):
        with pytest.raises(IntegrityError, match="are of a conversion of their adv"), transaction.atomic():
            Superseded.objects.create(**{**stray, **wrong})
    assert Superseded.objects.count() == 1
    with pgtrigger.ignore("commissions.Superseded:is_of_a_conversion"):
        Superseded.objects.create(conversion_id=uuid7(NOON), **stray)
    assert Superseded.objects.count() == 2
