"""Shares with their Wilson 95 % intervals."""

from __future__ import annotations

import math

from torch import Tensor

from cnp_engine.events import Rate

Z95 = 1.959963984540054
"""Two-sided 95 % quantile of the normal distribution."""


def wilson(successes: int, n: int) -> Rate | None:
    """Share with its Wilson score interval (Wilson, JASA 1927); None when nothing was counted."""
    if n == 0:
        return None
    value = successes / n
    scale = 1 + Z95**2 / n
    centre = value + Z95**2 / (2 * n)
    spread = Z95 * math.sqrt(value * (1 - value) / n + Z95**2 / (4 * n * n))
    low, high = (centre - spread) / scale, (centre + spread) / scale
    return Rate(value, n, max(0.0, min(value, low)), min(1.0, max(value, high)))


def share(hits_B: Tensor) -> Rate | None:
    """Share of True in a boolean vector."""
    return wilson(int(hits_B.sum()), len(hits_B))
