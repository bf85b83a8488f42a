"""Addresses that name nothing are a 404, whatever stands in them."""

import pytest
from django.urls import reverse

from apps.console.urls import site
from tests.console.scene import make_scene

pytestmark = pytest.mark.django_db

NONSENSE = ["abc", "_00", "999999999999999999999"]


@pytest.fixture
def acme():
    return make_scene()


def test_a_row_that_is_not_there_is_a_404(acme):
    """For every resource of the console, whatever its keys are."""
    found = {}
    for model in site._registry:
        for name in ("change", "history"):
            url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=["KEY"])
            for key in NONSENSE:
                found[url.replace("KEY", key)] = acme.owner.get(url.replace("KEY", key)).status_code
    assert len(found) >= len(NONSENSE) * 2 * 14
    assert {url: code for url, code in found.items() if code != 404} == {}
