"""The advertiser's attribution settings, prepared once for many conversions."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from math import lcm
from typing import Any

from apps.attribution.rules.facts import CHANNEL_CLASSES, NOTHING, Touch

ADJUSTMENTS = ("MULTIPLY", "KEEP", "REMOVE", "GUARANTEE", "TAKE_ALL")
SINGLE_WINNER = ("LAST_CLICK", "FIRST_CLICK")
ASKED = ("kind", "channel", "channel_class", "device", "ad_space", "ad_space_category", "partner", "partner_group")


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """Which touches an adjustment means: all fields hold; an empty set asks nothing. Positions count from 1.

    `journey_contains` holds where any touch in play meets it.
    """

    kind: frozenset[str] = NOTHING
    channel: frozenset[str] = NOTHING
    channel_class: frozenset[str] = NOTHING
    device: frozenset[str] = NOTHING
    ad_space: frozenset[Any] = NOTHING
    ad_space_category: frozenset[str] = NOTHING
    partner: frozenset[Any] = NOTHING
    partner_group: frozenset[Any] = NOTHING
    position: frozenset[int] = NOTHING
    position_from_end: frozenset[int] = NOTHING
    journey_contains: Condition | None = None
    asked: tuple[tuple[str, frozenset[Any]], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        asked = tuple((name, getattr(self, name)) for name in ASKED if getattr(self, name))
        object.__setattr__(self, "asked", asked)

    def hits(self, touches: Sequence[Touch]) -> list[bool]:
        """Return for each touch in play, in journey order, whether it is meant."""
        count = len(touches)
        if self.journey_contains is not None and True not in self.journey_contains.hits(touches):
            return [False] * count
        hits = [True] * count
        for name, wanted in self.asked:
            hits = [hit and getattr(touch, name) in wanted for hit, touch in zip(hits, touches, strict=True)]
        if self.position:
            hits = [hit and place in self.position for place, hit in enumerate(hits, 1)]
        if self.position_from_end:
            hits = [hit and count - place in self.position_from_end for place, hit in enumerate(hits)]
        return hits


@dataclass(frozen=True, slots=True, eq=False)
class Adjustment:
    """A correction of the weights: `do` is one of ADJUSTMENTS; `factor` for MULTIPLY, `percent` for GUARANTEE."""

    when: Condition
    do: str
    factor: Decimal | None = None
    percent: Decimal | None = None
    ratio: tuple[int, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        exact = Fraction(self.factor or 0) if self.do == "MULTIPLY" else Fraction(self.percent or 0) / 100
        object.__setattr__(self, "ratio", (exact.numerator, exact.denominator))


@dataclass(frozen=True, slots=True)
class Freeze:
    """A conversion within `hours` of a touch of kind GOAL with this goal ignores what came after that goal."""

    goal: str = "CHECKOUT"
    hours: int = 24


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Policy:
    """One version of the settings. Defaults are those of the public format; `key` is what receipts call it.

    `weights` are first, middle, last. `levels` are channel names from the highest level down; where there are none,
    the channel classes are the levels. `category_levels` and `ad_space_levels` give single ad-space categories and
    ad spaces a level of their own (from 0, the highest), the narrower before the wider.
    """

    model: str
    key: Hashable = None
    weights: tuple[Decimal, Decimal, Decimal] = (Decimal(40), Decimal(20), Decimal(40))
    two_touches: str = "SHARE_MIDDLE"
    half_life_days: Decimal = Decimal(7)
    click_window_days: int = 30
    view_window_days: int = 0
    channel_windows: Mapping[str, int] = field(default_factory=dict)
    levels: tuple[tuple[str, ...], ...] = ()
    category_levels: Mapping[str, int] = field(default_factory=dict)
    ad_space_levels: Mapping[Any, int] = field(default_factory=dict)
    soft_click_hours: int = 24
    repeats: str = "ALL"
    freeze: Freeze | None = None
    coupon: str = "IF_WINNER"
    coupon_percent: Decimal | None = None
    unpaid: str = "IGNORE"
    winner_limit: int = 12
    budget_neutral: bool = False
    single_touch_role: str = "BOTH"
    adjustments: tuple[Adjustment, ...] = ()
    single_winner: bool = field(init=False, repr=False)
    parts: tuple[int, int, int] = field(init=False, repr=False)
    half_life: tuple[int, int] = field(init=False, repr=False)
    windows: Mapping[str, int] = field(init=False, repr=False)
    channel_levels: Mapping[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        exact = [Fraction(weight) for weight in self.weights]
        scale = lcm(*(weight.denominator for weight in exact))
        seconds = Fraction(self.half_life_days) * 86400
        ready = {
            "single_winner": self.model in SINGLE_WINNER,
            "parts": tuple(int(weight * scale) for weight in exact),
            "half_life": (seconds.numerator, seconds.denominator),
            "windows": {channel: days * 86400 for channel, days in self.channel_windows.items()},
            "channel_levels": {name: level for level, names in reversed([*enumerate(self.levels)]) for name in names},
        }
        for name, value in ready.items():
            object.__setattr__(self, name, value)

    def level_of(self, touch: Touch) -> int:
        """Return the level a touch stands on, 0 the highest; a channel that no level names is on the first."""
        if self.ad_space_levels and touch.ad_space in self.ad_space_levels:
            return self.ad_space_levels[touch.ad_space]
        if touch.ad_space_category is not None and touch.ad_space_category in self.category_levels:
            return self.category_levels[touch.ad_space_category]
        if self.levels:
            return self.channel_levels.get(touch.channel, 0)
        return CHANNEL_CLASSES.index(touch.channel_class)
