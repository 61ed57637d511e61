"""Scales and ticks of the plots: values to pixels, the same on every machine."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

ScaleKind = Literal["linear", "log"]


@dataclass(frozen=True)
class Scale:
    """Maps [low, high] to pixels [start, end]; "log" is log(1 + value), so that 0 has a place."""

    low: float
    high: float
    start: float
    end: float
    kind: ScaleKind = "linear"

    def __call__(self, value: float) -> float:
        low, high = self._warp(self.low), self._warp(self.high)
        share = (self._warp(value) - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)

    def ticks(self, most: int = 6) -> list[float]:
        """Round values within the scale, at most about ``most``."""
        if self.kind == "log":
            return _log_ticks(self.low, self.high, most)
        return _linear_ticks(self.low, self.high, most)

    def _warp(self, value: float) -> float:
        return math.log1p(value) if self.kind == "log" else value


def tick_label(value: float) -> str:
    """1200 as "1,200", 0.25 as "0.25"."""
    return f"{value:,.0f}" if value == round(value) else f"{value:.6g}"


def spread(wanted: list[float], gap: float, low: float, high: float) -> list[float]:
    """Positions nearest to ``wanted`` that keep ``gap`` between them, within [low, high].

    In the order given. Where they cannot all fit, the gap shrinks.
    """
    if not wanted:
        return []
    gap = min(gap, (high - low) / max(1, len(wanted) - 1))
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    placed: list[float] = []
    for index in order:
        floor = placed[-1] + gap if placed else low
        placed.append(max(wanted[index], floor))
    ceiling = high
    for rank in range(len(placed) - 1, -1, -1):
        placed[rank] = min(placed[rank], ceiling)
        ceiling = placed[rank] - gap
    result = [0.0] * len(wanted)
    for index, position in zip(order, placed, strict=True):
        result[index] = position
    return result


def _linear_ticks(low: float, high: float, most: int) -> list[float]:
    if high <= low:
        return [low]
    rough = (high - low) / most
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * nice for nice in (1, 2, 2.5, 5, 10) if power * nice >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    """0, then 1, 2, 5, 10, ...; powers of ten alone where those would crowd."""
    origin = [0.0] if low <= 0 else []
    powers = [10.0**exponent for exponent in range(int(math.log10(high)) + 1 if high >= 1 else 0)]
    for steps in ((1, 2, 5), (1,)):
        ticks = [power * step for power in powers for step in steps if low <= power * step <= high]
        if len(ticks) <= most + 2:
            break
    return origin + ticks
