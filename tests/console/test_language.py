"""The console speaks one language, whatever the browser asks for; the house around it speaks the person's."""

from datetime import UTC, datetime

import pytest
import time_machine
from django.urls import reverse

from tests.console.scene import make_scene

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("language", ["de", "ru"])
def test_a_page_is_of_one_language(language):
    acme = make_scene()
    asks = {"accept-language": language}
    with time_machine.travel(datetime(2026, 4, 12, 12, tzinfo=UTC), tick=False):
        closing = acme.owner.get(reverse("admin:closing"), headers=asks)
        sales = acme.owner.get(reverse("admin:tracking_conversion_changelist"), headers=asks)

    assert "Close a month" in closing.text and "March 2026" in closing.text and "März" not in closing.text
    assert '<html lang="en"' in closing.text and closing["Content-Language"] == "en"
    assert "1,000.00 EUR" in sales.text and "1.000,00" not in sales.text
    assert acme.owner.get(reverse("account_change_password"), headers=asks)["Content-Language"] == language
