"""A year of real journeys is imported, settled, approved, closed and invoiced; the counts are the reference's."""

import json
import subprocess
import sys
from collections import Counter
from datetime import UTC, date, datetime
from fractions import Fraction
from pathlib import Path

import pytest
from django.core.management import call_command

from apps.attribution.models import Share
from apps.attribution.rules import Policy, Sale, attribute
from apps.core.actors import SYSTEM
from apps.invoices.models import Invoice
from apps.journeys.selectors import gather_candidates
from apps.pipeline.books import check_books
from apps.pipeline.selectors import load_settings
from apps.pipeline.services.importing import import_history
from apps.pipeline.services.settling import settle_waiting
from apps.tracking.facts import conversions_by_id
from apps.tracking.models import Conversion
from tests.cast import make_advertiser, make_campaign, make_plan, make_policy

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
SCRIPT = SHARED / "history" / "make_history.py"
SINCE = datetime(2024, 12, 1, tzinfo=UTC)
pytestmark = [
    pytest.mark.django_db,
    pytest.mark.slow,
    pytest.mark.skipif(not SCRIPT.exists(), reason="the reference history is not beside this checkout"),
]


def counted(model: str, conversions: list[Conversion]) -> dict[str, Fraction]:
    """Return each partner's number of conversions under a model, from the stored journeys by the same rules."""
    [settings] = load_settings({conversion.campaign_id for conversion in conversions}).values()
    policy, sums = Policy(model=model), Counter()
    for start in range(0, len(conversions), 2_000):
        part = conversions[start : start + 2_000]
        rows = conversions_by_id([row.pk for row in part])
        for row, journey in zip(rows, gather_candidates(rows), strict=True):
            touches = [settings.touch_of(candidate) for candidate in journey]
            sums.update(attribute(Sale(row.occurred_at), touches, policy).shares)
    return sums


def test_a_year_of_real_journeys_becomes_a_balanced_book(tmp_path):
    subprocess.run([sys.executable, SCRIPT, tmp_path, "--nulls", "0.01"], check=True)
    expected = json.loads((SHARED / "attribution" / "pathdata.expected.json").read_text())["models"]
    advertiser = make_advertiser()
    campaign = make_campaign(advertiser, starts_at=SINCE)
    make_policy(campaign, SINCE, model="LINEAR")
    make_plan(campaign, starts_at=SINCE, assign=None)

    import_history(campaign=campaign, folder=tmp_path, actor=SYSTEM, now=datetime(2026, 1, 5, tzinfo=UTC))
    assert settle_waiting(now=datetime(2026, 1, 5, tzinfo=UTC)).settled == 19_785

    # Linear as the pipeline stored it; first and last touch from the same journeys by the same rules.
    linear = Counter()
    for share in Share.objects.select_related("partner"):
        linear[share.partner.slug] += Fraction(int(share.numerator), int(share.denominator))
    assert {slug: float(part) for slug, part in linear.items()} == pytest.approx(expected["linear"]["conv"], abs=1e-9)
    conversions = list(Conversion.objects.all())
    for model, name in (("FIRST_CLICK", "first"), ("LAST_CLICK", "last")):
        assert counted(model, conversions) == {slug: int(n) for slug, n in expected[name]["conv"].items() if n}

    # Every month of 2025 matures, closes and is invoiced; the books are clean.
    call_command("fill_stand_ins", advertiser="acme")
    call_command("close_months", "2025-01", "2025-12", advertiser="acme", history=True)
    months = set(Invoice.objects.values_list("issued_on", flat=True))
    assert {day.replace(day=1) for day in months} == {date(2025, month, 1) for month in range(5, 13)} | {
        date(2026, 1, 1)
    }
    assert not Invoice.objects.filter(document__isnull=True).exists()
    assert check_books() == []
