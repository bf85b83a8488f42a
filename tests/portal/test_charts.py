"""Trends are drawn between their points, on round scales."""

from decimal import Decimal

import pytest

from apps.portal.charts import curve, round_top


def test_curve_passes_through_its_points_and_stays_between_them():
    path = curve([Decimal(0), Decimal(10), Decimal(10), Decimal(4)], Decimal(10))
    assert path.startswith("M0,100.00C") and path.endswith("1000.0,60.00")
    heights = [float(spot.split(",")[1]) for spot in path[1:].replace("C", " ").split()]
    assert min(heights) == 0 and max(heights) == 100


@pytest.mark.parametrize(
    ("top", "step"), [("0", "1"), ("88.40", "100"), ("101", "200"), ("0.03", "0.04"), ("210", "250")]
)
def test_scale_ends_at_a_round_number(top, step):
    assert round_top(Decimal(top)) == Decimal(step)
