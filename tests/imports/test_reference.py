"""The reference history: first, last and linear counts per channel equal the published ones."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection

from apps.core.actors import SYSTEM
from apps.pipeline.services.importing import import_history
from apps.tracking.models import Conversion, Unsettled
from tests.cast import NOON

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
HISTORY, EXPECTED = DATA / "history" / "make_history.py", DATA / "attribution" / "pathdata.expected.json"

JOURNEYS = """
    WITH step AS (
        SELECT c.id, t.channel,
            row_number() OVER (PARTITION BY c.id ORDER BY t.occurred_at, t.id) AS place,
            count(*) OVER (PARTITION BY c.id) AS steps
        FROM tracking_conversion c
        JOIN tracking_touchpoint t USING (advertiser_id, visitor)
        WHERE t.occurred_at <= c.occurred_at
    )
    SELECT channel, count(*) FILTER (WHERE place = 1), count(*) FILTER (WHERE place = steps), sum(1.0 / steps)
    FROM step GROUP BY channel
"""


@pytest.mark.slow
@pytest.mark.skipif(not HISTORY.exists(), reason="the reference data is not there")
def test_imported_journeys_count_as_published(campaign, tmp_path):
    subprocess.run([sys.executable, HISTORY, tmp_path, "--nulls", "0.02"], check=True)
    runs = import_history(campaign=campaign, folder=tmp_path, actor=SYSTEM, now=NOON)
    assert [run.refused for run in runs] == [0, 0, 0]
    assert Conversion.objects.count() == Unsettled.objects.count() == 19_785
    assert sum(Conversion.objects.values_list("amount_minor", flat=True)) == 7_480_291

    with connection.cursor() as cursor:
        cursor.execute(JOURNEYS)
        rows = cursor.fetchall()
    models = json.loads(EXPECTED.read_text())["models"]
    assert {channel: first for channel, first, _, _ in rows if first} == models["first"]["conv"]
    assert {channel: last for channel, _, last, _ in rows if last} == models["last"]["conv"]
    linear = {channel: float(count) for channel, _, _, count in rows}
    assert linear == pytest.approx(models["linear"]["conv"], rel=1e-9)
