"""The attribution models: how the touches in play are weighed. A new one is one function and one line in MODELS."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal, localcontext
from functools import lru_cache

from apps.attribution.rules.facts import Party, Touch, party, whole_second
from apps.attribution.rules.policy import Policy

BITS = 96
BILLION = 10**9
with localcontext() as exact:
    exact.prec = 60
    LN2 = int(Decimal(2).ln() * 2**BITS)


def linear(touches: Sequence[Touch], policy: Policy) -> list[int]:
    """Every touch weighs the same."""
    return [1] * len(touches)


def position(touches: Sequence[Touch], policy: Policy) -> list[int]:
    """First, middle (shared equally) and last weights.

        40/20/40: one touch 1; two 1/2, 1/2; three 40, 20, 40; four 40, 10, 10, 40

    Two touches: the middle's part goes equally to both ends, or with `NORMALIZE` only the ends' weights count
    (unless both are zero).
    """
    first, middle, last = policy.parts
    between = len(touches) - 2
    if between < 0:
        return [1]
    if between == 0:
        if policy.two_touches == "NORMALIZE" and first + last:
            return [first, last]
        return [2 * first + middle, 2 * last + middle]
    return [first * between, *[middle] * between, last * between]


def roles(touches: Sequence[Touch], policy: Policy) -> list[int]:
    """Like `position` over distinct parties; a party's part lies on its last touch.

    A, B, A with 40/20/40 → A 80, B 20 · A, A, B → A 50, B 50 · A, A → A 100
    """
    parties = [party(touch) for touch in touches]
    first, middle, last = policy.parts
    ends = parties[0], parties[-1]
    others = len(set(parties) - set(ends))
    part: dict[Party, int] = dict.fromkeys(parties, 2 * middle)
    scale = 2 * (others or 1)
    end = 0 if others else middle
    part[ends[0]] = part[ends[1]] = 0
    part[ends[0]] += first * scale + end
    part[ends[1]] += last * scale + end
    latest = {who: place for place, who in enumerate(parties)}
    return [part[who] if latest[who] == place else 0 for place, who in enumerate(parties)]


def time_decay(touches: Sequence[Touch], policy: Policy) -> list[int]:
    """Half the weight for each half-life of age, counted in whole seconds from the youngest touch.

    half-life 7 days, touches 14, 7, 0 days before → 1/7, 2/7, 4/7
    """
    youngest = whole_second(touches[-1].at)
    return [decay(youngest - whole_second(touch.at), *policy.half_life) for touch in touches]


@lru_cache(maxsize=1 << 16)
def decay(seconds: int, numerator: int, denominator: int) -> int:
    """Return max(1, round(10⁹ · 2^(−seconds/half-life))), the half-life in seconds as a fraction.

    Integers only, so every machine finds the same number: whole half-lives by an exact division (half to even), the
    rest by the series of e^(−x) to 96 bits; such powers of two are irrational, so no tie can hide below them.
    """
    halvings, rest = divmod(seconds * denominator, numerator)
    if halvings > 31:
        return 1
    if not rest:
        whole, left = divmod(BILLION, 1 << halvings)
        half = 1 << halvings >> 1
        return max(1, whole + (left > half or (left == half and half > 0 and whole % 2 == 1)))
    x = LN2 * rest // numerator
    term = total = 1 << BITS
    step = 0
    while term:
        step += 1
        term = (term * x >> BITS) // step
        total += -term if step % 2 else term
    return max(1, (BILLION * total + (1 << (BITS + halvings - 1))) >> (BITS + halvings))


Model = Callable[[Sequence[Touch], Policy], list[int]]
MODELS: dict[str, Model | None] = {
    "LAST_CLICK": None,  # single winners are picked by the hierarchy, not weighed
    "FIRST_CLICK": None,
    "LINEAR": linear,
    "TIME_DECAY": time_decay,
    "POSITION": position,
    "ROLES": roles,
}
