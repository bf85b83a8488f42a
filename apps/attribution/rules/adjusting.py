"""Adjustments: corrections of the weights, in the order the policy lists them. A new one is one function here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import gcd

from apps.attribution.rules.facts import Touch
from apps.attribution.rules.policy import Adjustment

Weights = list[int]


def multiply(weights: Weights, hits: list[bool], ratio: tuple[int, int]) -> Weights:
    """Multiply the matching weights by the factor: linear over four, first two… content ×2 → 1/5, 2/5, 1/5, 1/5."""
    numerator, denominator = ratio
    return [weight * (numerator if hit else denominator) for weight, hit in zip(weights, hits, strict=True)]


def guarantee(weights: Weights, hits: list[bool], ratio: tuple[int, int]) -> Weights:
    """Give the matching touches the percentage first, equally, then their part of the rest: 40/20/40 → 20/10/70."""
    numerator, denominator = ratio
    matching, whole = sum(hits), sum(weights)
    rest = (denominator - numerator) * matching
    return [weight * rest + numerator * whole * hit for weight, hit in zip(weights, hits, strict=True)]


def take_all(weights: Weights, hits: list[bool], ratio: tuple[int, int]) -> Weights:
    """Give everything to the matching touches, equally."""
    return [int(hit) for hit in hits]


CHANGES: dict[str, Callable[[Weights, list[bool], tuple[int, int]], Weights]] = {
    "MULTIPLY": multiply,
    "GUARANTEE": guarantee,
    "TAKE_ALL": take_all,
}


def adjust(
    journey: Sequence[Touch],
    live: list[int],
    weights: Weights,
    reasons: list[str | None],
    adjustments: Sequence[Adjustment],
) -> tuple[list[int], Weights, bool]:
    """Return the places still in play, their weights, and whether an adjustment was skipped.

    `REMOVE` and `KEEP` take touches out of play (reason `adjustment`). An adjustment that would leave no weight at
    all is skipped, so also a `KEEP` that nothing meets; where nothing meets the others they do nothing.
    """
    skipped = False
    for adjustment in adjustments:
        hits = adjustment.when.hits([journey[place] for place in live])
        change = CHANGES.get(adjustment.do)
        if change is not None:
            if True not in hits:
                continue
            changed = change(weights, hits, adjustment.ratio)
            if not any(changed):
                skipped = True
                continue
        else:
            stay = hits if adjustment.do == "KEEP" else [not hit for hit in hits]
            if False not in stay:
                continue
            changed = [weight for weight, stays in zip(weights, stay, strict=True) if stays]
            if not any(changed):
                skipped = True
                continue
            for place, stays in zip(live, stay, strict=True):
                if not stays:
                    reasons[place] = "adjustment"
            live = [place for place, stays in zip(live, stay, strict=True) if stays]
        common = gcd(*changed)
        weights = [weight // common for weight in changed]
    return live, weights, skipped
