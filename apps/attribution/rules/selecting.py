"""Hierarchy and repeats: the winner of a single-winner policy, and which touches of one party count."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from apps.attribution.rules.facts import Touch, party
from apps.attribution.rules.policy import Policy


def pick_winner(journey: Sequence[Touch], live: Sequence[int], policy: Policy, model: str) -> int:
    """Return the place of the touch that wins alone.

    A view wins only where nothing but views is left; then the highest level; inside it the latest touch, or under
    `FIRST_CLICK` the earliest.

        unpaid KEEP: content d−5, own brand SEA d−0, both PAID → SEA; SEA one level lower → content
    """
    contenders = [place for place in live if journey[place].kind != "VIEW"] or list(live)
    levels = [policy.level_of(journey[place]) for place in contenders]
    best = min(levels)
    contenders = [place for place, level in zip(contenders, levels, strict=True) if level == best]
    return contenders[0 if model == "FIRST_CLICK" else -1]


def drop_repeats(
    journey: Sequence[Touch], live: Sequence[int], reasons: list[str | None], policy: Policy
) -> tuple[list[int], dict[int, int]]:
    """Return the places that stay and, for each dropped one, the place that stands for it; reason `repeat`.

    `COLLAPSE` lets neighbouring touches of one party count once, the later one; `ONCE` leaves a party its last touch,
    under `FIRST_CLICK` its first. Own channels that take part are treated like partners, so that clicking one's
    own advertisements often does not thin out the partners.
    """
    stands: dict[int, int] = {}
    if policy.repeats == "COLLAPSE":
        for place, following in reversed([*pairwise(live)]):
            if party(journey[place]) == party(journey[following]):
                stands[place] = stands.get(following, following)
    else:
        order = live if policy.model == "FIRST_CLICK" else live[::-1]
        chosen: dict[object, int] = {}
        for place in order:
            stay = chosen.setdefault(party(journey[place]), place)
            if stay != place:
                stands[place] = stay
    for place in stands:
        reasons[place] = "repeat"
    return [place for place in live if place not in stands], stands
