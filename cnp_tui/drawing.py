"""What a chart is given: series and marks, and how they are read. Pure.

A mark has the colour and the sign that it has on the slider.
"""

from __future__ import annotations

import bisect
from collections.abc import Mapping
from dataclasses import dataclass

from cnp_tui.glyphs import Glyphs
from cnp_tui.history import Points

HERE, RECOMMENDED, REFERENCE = "here", "recommended", "the reference's 1 %"


@dataclass(frozen=True)
class _Sign:
    """``colour`` of the theme, ``glyph`` by its name among the glyphs."""

    colour: str = "secondary"
    glyph: str = ""


_SIGNS: Mapping[str, _Sign] = {
    HERE: _Sign("primary", "handle"),
    "chosen": _Sign("primary", "handle"),
    RECOMMENDED: _Sign("success", "recommended"),
    REFERENCE: _Sign("warning", "reference"),
    "1 %": _Sign("warning", "reference"),
}


@dataclass(frozen=True)
class Mark:
    """A vertical line at ``x``, its sign at the top; its ``label`` stands in the lower border."""

    x: float
    label: str

    @property
    def colour(self) -> str:
        return _SIGNS.get(self.label, _Sign()).colour

    def sign(self, glyphs: Glyphs) -> str:
        """Empty where the label is none that is known."""
        name = _SIGNS.get(self.label, _Sign()).glyph
        return str(getattr(glyphs, name)) if name else ""


@dataclass(frozen=True)
class Drawing:
    """``series`` by name; those in ``dots`` are points, the others lines."""

    series: Mapping[str, Points]
    marks: tuple[Mark, ...]
    y_range: tuple[float, float] | None
    dots: frozenset[str]

    def same(self, other: Drawing) -> bool:
        return (
            (self.marks, self.y_range, self.dots) == (other.marks, other.y_range, other.dots)
            and list(self.series) == list(other.series)
            and all(_equal(a, other.series[name]) for name, a in self.series.items())
        )


def _equal(one: Points, other: Points) -> bool:
    """A series of a history stays the same object while it is the same."""
    return one is other or (len(one) == len(other) and tuple(one) == tuple(other))


def closest(points: Points, wanted: float) -> float:
    """The x next to ``wanted``."""
    at = bisect.bisect_left(points, wanted, key=lambda point: point[0])
    near = [points[i][0] for i in (at - 1, at) if 0 <= i < len(points)]
    return min(near, key=lambda x: abs(x - wanted))


@dataclass(frozen=True)
class Reading:
    """``measured``: at that very x; else on the line between its neighbours."""

    value: float
    measured: bool


def value_at(points: Points, x: float) -> Reading | None:
    """What a series is at ``x``; None before the first point and after the last."""
    at = bisect.bisect_left(points, x, key=lambda point: point[0])
    if at < len(points) and points[at][0] == x:
        return Reading(points[at][1], True)
    if not 0 < at < len(points):
        return None
    (x0, y0), (x1, y1) = points[at - 1], points[at]
    return Reading(y0 + (y1 - y0) * (x - x0) / (x1 - x0), False)
