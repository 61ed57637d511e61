"""How far the trigger of one class lies under those of the others. Light: no torch.

Trigger sizes spread by factors, so they are compared as logarithms, in octaves. What one class is
held against are the *others*: with ten classes a class itself would move its own median.
"""

from __future__ import annotations

import math
import statistics
from bisect import bisect_left
from collections.abc import Sequence

LEAST = 1e-6
"""A smaller size, as of an empty mask, counts as this."""

BY_CHANCE = 0.05
"""How likely one of all the classes may be, by the spread of the others alone, an octave out."""

FEWEST = 6
"""Fewer others say nothing of how far they differ: octaves count in full."""

USUAL, USUAL_COUNTS = 0.25, 5
"""Spread of the classes of a network that holds no backdoor, in octaves, and of how many classes
it counts: a spread that was measured on few is rough (docs/log.md)."""

TO_SIGMA = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""


def octaves(sizes: Sequence[float]) -> list[float]:
    """log2 of the median of the *other* sizes over each one's own; 0 where there are no others.

    Infinite sizes (no trigger found) count as the largest that was found.
    """
    return [stands for stands, _ in _held(sizes)]


def counted(sizes: Sequence[float]) -> list[float]:
    """``octaves``, each counted less where the others differ so much that it says less.

    The more classes there are, and the more their sizes differ, the further the smallest of them
    lies from the median with nothing planted. Were the logarithms of the others' sizes normal, of
    known median and spread, the smallest of as many would lie ``z`` spreads out with a probability
    of ``BY_CHANCE``; where that is more than an octave, it is what counts as one. Spread: 1.4826
    MAD, its square averaged with that of ``USUAL`` as variances of a few values are (Smyth 2004).
    """
    if len(sizes) <= FEWEST:
        return octaves(sizes)
    z, others = statistics.NormalDist().inv_cdf(1 - BY_CHANCE / len(sizes)), len(sizes) - 1
    return [stands / max(1.0, z * _moderated(spread, others)) for stands, spread in _held(sizes)]


def _moderated(spread: float, others: int) -> float:
    """The spread of so many others, and of what is usual."""
    squares = others * spread**2 + USUAL_COUNTS * USUAL**2
    return math.sqrt(squares / (others + USUAL_COUNTS))


def _held(sizes: Sequence[float]) -> list[tuple[float, float]]:
    """Of each: octaves under the median of the others, and the spread of those, in octaves."""
    found = [size for size in sizes if math.isfinite(size)]
    if len(found) < 2:
        return [(0.0, 0.0)] * len(sizes)
    ceiling = max(found)
    logs = [math.log2(max(min(size, ceiling), LEAST)) for size in sizes]
    ranked, held = sorted(logs), []
    away: dict[float, list[float]] = {}  # leaving one out leaves three medians at most
    for log in logs:
        median = _without(ranked, log)
        if median not in away:
            away[median] = sorted(abs(other - median) for other in logs)
        spread = TO_SIGMA * _without(away[median], abs(log - median))
        held.append((median - log, spread))
    return held


def _without(ranked: Sequence[float], value: float) -> float:
    """Median of ``ranked``, which has two values at least, without one that is ``value``."""
    left_out, rest = bisect_left(ranked, value), len(ranked) - 1
    middle = [at + (at >= left_out) for at in ((rest - 1) // 2, rest // 2)]
    return (ranked[middle[0]] + ranked[middle[1]]) / 2
