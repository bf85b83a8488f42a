"""Exact commissions to whole cents."""

from __future__ import annotations

from collections.abc import Sequence


def share_out(
    numerators: Sequence[int], denominator: int, ranks: Sequence[int], at_most: Sequence[int] | None = None
) -> list[int]:
    """Return whole cents for exact parts (none negative), losing none.

    The total is rounded once, half to even. Everybody gets the whole cents of the own exact part; what is left goes, a
    cent each, to the largest remainders, ties to the lower rank. With `at_most` an exact part counts up to its cap
    only, so nobody is raised above it.

        100.00 at 5 %, three at 1/3 → 1.66, 1.67, 1.67 (nearest to the conversion: rank 0, the last)
        166 2/3, 266 2/3, 333 1/3 cents → 167, 267, 333
    """
    if at_most is not None:
        numerators = [min(part, max(cap, 0) * denominator) for part, cap in zip(numerators, at_most, strict=True)]
    total, over = divmod(sum(numerators), denominator)
    if 2 * over > denominator or (2 * over == denominator and total % 2):
        total += 1
    if len(numerators) == 1:
        return [total]
    parts = [part // denominator for part in numerators]
    left = total - sum(parts)
    if left:
        by_remainder = sorted(range(len(parts)), key=lambda place: (-(numerators[place] % denominator), ranks[place]))
        for place in by_remainder[:left]:
            parts[place] += 1
    return parts
