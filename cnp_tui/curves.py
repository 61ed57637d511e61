"""What is known of a run at any number of pruned neurons: measured there, or read between points.

Pure: a ``RunState`` in, figures out; no screens. What was measured at exactly k wins, of several
such figures the one of the most images; elsewhere the straight line between the neighbours, which
is marked as interpolated and has no interval.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from cnp_engine.config import SweepSettings
from cnp_engine.events import CurvePoint, Evaluated, LabelFree, Measured, Rate
from cnp_engine.state import RunState

Name = Literal["retention", "residual", "ba", "asr", "ra"]
LABEL_FREE: tuple[Name, ...] = ("retention", "residual")
TRUTH: tuple[Name, ...] = ("ba", "asr", "ra")
NAMES: tuple[Name, ...] = (*LABEL_FREE, *TRUTH)
WORDS: Mapping[Name, str] = {
    "retention": "retention", "residual": "residual", "ba": "BA", "asr": "ASR", "ra": "RA",
}  # fmt: skip

REFERENCE = 0.01
"""The share of all neurons that the reference prunes, whatever the model."""


@dataclass(frozen=True)
class Figure:
    """One figure at one k: measured (``rate``), or read ``between`` two measured k."""

    value: float
    rate: Rate | None = None
    between: tuple[int, int] | None = None

    @property
    def exact(self) -> bool:
        return self.rate is not None


@dataclass(frozen=True)
class Threshold:
    """The largest score among the pruned; None when none is pruned, or before it is known."""

    value: float | None
    exact: bool


@dataclass(frozen=True)
class Curves:
    """``rates`` by figure and k, by rising k; ``thresholds`` of the points that have one.

    ``end`` is the largest k that can be set, ``neurons`` all there are.
    """

    neurons: int
    end: int
    rates: Mapping[Name, Mapping[int, Rate]]
    thresholds: Mapping[int, float]

    @classmethod
    def of(cls, state: RunState, sweep: SweepSettings) -> Curves:
        neurons = state.model.neurons if state.model else 0
        points = state.curve.values()
        reach = max(1, int(neurons * sweep.max_fraction))
        return cls(
            neurons,
            max([reach if neurons else 0, *state.curve]),
            _rates(state),
            {
                p.k: p.threshold
                for p in sorted(points, key=lambda p: p.k)
                if p.threshold is not None
            },
        )

    @property
    def reference(self) -> int:
        """The reference's 1 % of this network."""
        return round(REFERENCE * self.neurons)

    def known(self, name: Name) -> bool:
        return bool(self.rates[name])

    def figure(self, name: Name, k: int) -> Figure | None:
        """None where nothing was measured on one side of ``k``."""
        rates = self.rates[name]
        if k in rates:
            return Figure(rates[k].value, rates[k])
        found = _between(list(rates), k)
        if found is None:
            return None
        low, high = found
        return Figure(_line(k, low, rates[low].value, high, rates[high].value), None, found)

    def complete(self, k: int) -> bool:
        """Whether all that is known anywhere of this run was measured at ``k``."""
        return all(k in rates for rates in self.rates.values() if rates)

    def threshold(self, k: int) -> Threshold:
        if k == 0:
            return Threshold(None, True)
        if k in self.thresholds:
            return Threshold(self.thresholds[k], True)
        found = _between(list(self.thresholds), k)
        if found is None:
            return Threshold(None, False)
        low, high = found
        return Threshold(
            _line(k, low, self.thresholds[low], high, self.thresholds[high]), False
        )  # fmt: skip

    def under(self, threshold: float) -> int:
        """The largest k whose threshold is not over this one: as many neurons score so low."""
        best = 0
        for k in range(1, self.end + 1):
            value = self.threshold(k).value
            if value is None or value > threshold + 1e-12:
                break
            best = k
        return best

    def points(self, name: Name) -> tuple[tuple[float, float], ...]:
        """(k, value) of what was measured, for a plot."""
        return tuple((float(k), rate.value) for k, rate in self.rates[name].items())

    @property
    def measured_at(self) -> tuple[int, ...]:
        """Every k at which anything was measured."""
        return tuple(sorted({k for rates in self.rates.values() for k in rates}))


def _rates(state: RunState) -> dict[Name, dict[int, Rate]]:
    found: dict[Name, dict[int, Rate]] = {name: {} for name in NAMES}
    for name, k, rate in _said(state):
        best = found[name].get(k)
        if best is None or rate.n >= best.n:
            found[name][k] = rate
    return {name: dict(sorted(rates.items())) for name, rates in found.items()}


def _said(state: RunState) -> Iterator[tuple[Name, int, Rate]]:
    """Everything measured of this run, the latest last."""
    if state.before is not None:
        yield from _named(0, LabelFree(), state.before)
    points: list[CurvePoint | Evaluated] = [*state.curve.values(), *state.evaluated.values()]
    for point in points:
        yield from _named(point.k, point.label_free, point.measured)
    if state.remeasured is not None:
        yield from _named(
            state.remeasured.k, state.remeasured.label_free, state.remeasured.measured
        )


def _named(k: int, free: LabelFree, measured: Measured) -> Iterator[tuple[Name, int, Rate]]:
    rates: dict[Name, Rate | None] = {
        "retention": free.retention, "residual": free.residual,
        "ba": measured.ba, "asr": measured.asr, "ra": measured.ra,
    }  # fmt: skip
    for name, rate in rates.items():
        if rate is not None:
            yield name, k, rate


def _between(ks: list[int], k: int) -> tuple[int, int] | None:
    """The neighbours of ``k`` among rising ``ks``; None outside them."""
    at = bisect.bisect_left(ks, k)
    return (ks[at - 1], ks[at]) if 0 < at < len(ks) else None


def _line(k: int, low: int, at_low: float, high: int, at_high: float) -> float:
    return at_low + (at_high - at_low) * (k - low) / (high - low)


def nearest(ks: Iterable[int], k: int) -> int | None:
    """The one of ``ks`` next to ``k``, the smaller of two; None where there are none."""
    return min(sorted(ks), key=lambda one: abs(one - k), default=None)
