"""Invented company data is for trials only."""

import pytest
from django.core.management import CommandError, call_command

from apps.identity.models import LegalEntity
from apps.records.models import AuditEntry
from tests.cast import make_cast

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("environment", "options"), [("demo", {}), ("test", {}), ("production", {"force": True})])
def test_a_trial_is_filled_with_marked_stand_ins(settings, environment, options):
    settings.ENVIRONMENT = environment
    make_cast()
    LegalEntity.objects.update(address="")

    call_command("fill_stand_ins", **options)

    assert LegalEntity.objects.get().address == "STAND-IN"


def test_production_refuses_them_and_nothing_changes(settings):
    settings.ENVIRONMENT = "production"
    make_cast()
    LegalEntity.objects.update(address="")

    with pytest.raises(CommandError, match="production"):
        call_command("fill_stand_ins")
    assert LegalEntity.objects.get().address == ""
    assert not AuditEntry.objects.exists()
