"""Trends as lines: the round top of a scale, a smooth path, and the same in words."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from decimal import Decimal

from babel.numbers import format_decimal

from apps.core.money import Money
from apps.portal.formats import money, number, pattern_of, reader_locale


def round_top(top: Decimal) -> Decimal:
    """The round number at or above the highest value: 1, 2, 2.5 or 5 times a power of ten."""
    if top <= 0:
        return Decimal(1)
    power = Decimal(10) ** top.adjusted()
    return next(power * step for step in map(Decimal, ("1", "2", "2.5", "4", "5", "10")) if power * step >= top)


def curve(values: Sequence[Decimal], top: Decimal) -> str:
    """A smooth path through the points that never overshoots them (Steffen 1990, monotone cubic)."""
    ys = [float(100 - 100 * value / top) for value in values]
    width = 1000 / max(len(ys) - 1, 1)
    rises = [(after - before) / width for before, after in itertools.pairwise(ys)]
    slopes = [0.0] * len(ys)
    for i, (before, after) in enumerate(itertools.pairwise(rises), start=1):
        if before * after > 0:
            least = min(abs(before), abs(after), abs(before + after) / 4)
            slopes[i] = 2 * least if before > 0 else -2 * least
    path = f"M0,{ys[0]:.2f}"
    for i in range(len(ys) - 1):
        left, right = i * width, (i + 1) * width
        third = width / 3
        path += (
            f"C{left + third:.1f},{ys[i] + slopes[i] * third:.2f}"
            f" {right - third:.1f},{ys[i + 1] - slopes[i + 1] * third:.2f} {right:.1f},{ys[i + 1]:.2f}"
        )
    return path


def _plain(value: Money | Decimal | int | None) -> Decimal:
    return value.decimal if isinstance(value, Money) else Decimal(value or 0)


def chart_of(points: Iterable[dict], label: str) -> dict:
    """Return what a trend over days is drawn from.

    Each point is a dict: `label` (the day in words), `value` (Money, Decimal or int) and, to compare,
    `previous` of the same kind. The table below the picture says the same to those who do not see it.
    """
    rows = list(points)
    if not rows:
        return {"label": label, "rows": []}
    kind = next((row["value"] for row in rows if isinstance(row["value"], Money)), None)
    values = [_plain(row["value"]) for row in rows]
    past = [_plain(row.get("previous")) for row in rows] if rows[0].get("previous") is not None else []
    top = round_top(max([*values, *past]))

    def written(value: Decimal) -> str:
        return money(Money.parse(f"{value:f}", kind.currency)) if kind else number(value)

    def scale(value: Decimal) -> str:
        if not kind:
            return format_decimal(value, locale=reader_locale())
        places = max(0, -int(value.normalize().as_tuple().exponent))
        locale = reader_locale()
        return pattern_of(locale, places).apply(value, locale, currency=kind.currency, currency_digits=False)

    line = curve(values, top)
    gaps = 4 if len(rows) > 4 else min(len(rows) - 1, 2)
    return {
        "label": label,
        "line": line,
        "area": f"{line}V100H0Z",
        "past": curve(past, top) if past else "",
        "ticks": [scale(top), scale(top / 2), scale(Decimal(0))],
        "days": [rows[place * (len(rows) - 1) // max(gaps, 1)]["label"] for place in range(gaps + 1)],
        "rows": [
            {"label": row["label"], "value": written(value), "previous": written(past[i]) if past else ""}
            for i, (row, value) in enumerate(zip(rows, values, strict=True))
        ],
    }


def line_of(values: Iterable[Money | Decimal | int]) -> str:
    """Return the path of a small line, empty where there are too few values for one."""
    plain = [_plain(value) for value in values]
    return curve(plain, round_top(max(plain))) if len(plain) > 1 else ""
