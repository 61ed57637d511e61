"""Line plots: named series with bands, labelled at their ends, and a marked x."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cnp_engine.export.axes import Scale, ScaleKind, spread
from cnp_engine.export.canvas import WIDTH, Box, line, svg, text, x_axis, y_axis
from cnp_engine.export.markup import Html, el, number

_DASHES = {"solid": None, "dashed": "7 4", "dotted": "2 4"}
_MARKERS_UP_TO = 40
_RIGHT = 132.0
_LABEL_GAP = 16.0


class Dot(NamedTuple):
    """A point, with the ends of its interval where it has one."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Series:
    """``colour`` 1 to 5 of the palette; ``marker`` circle, square, triangle, diamond or cross."""

    name: str
    dots: tuple[Dot, ...]
    colour: int = 1
    dash: str = "solid"
    marker: str = "circle"


@dataclass(frozen=True)
class Mark:
    """A vertical line at ``x`` with its name."""

    x: float
    name: str


def line_plot(
    title: str,
    series: Sequence[Series],
    *,
    x_name: str,
    y_range: tuple[float, float],
    y_unit: str = "",
    x_kind: ScaleKind = "linear",
    mark: Mark | None = None,
    height: float = 340.0,
) -> Html | None:
    """The plot, or None where no series has a point."""
    drawn = [one for one in series if one.dots]
    if not drawn:
        return None
    box = Box(58, 30 if mark else 14, WIDTH - _RIGHT, height - 52)
    ends = [dot.x for one in drawn for dot in one.dots] + ([mark.x] if mark else [])
    x = Scale(min(ends), max(ends), box.left, box.right, x_kind)
    y = Scale(*y_range, box.bottom, box.top)
    parts = [*y_axis(box, y, y_unit), *x_axis(box, x, x_name)]
    parts += [_band(one, x, y) for one in drawn]
    if mark:
        parts += _marked(mark, box, x)
    parts += [_curve(one, x, y) for one in drawn]
    parts += _labels(drawn, box, x, y)
    names = ", ".join(one.name for one in drawn)
    return svg(height, title, f"{names} against {x_name}.", *parts)


def padded(values: Sequence[float]) -> tuple[float, float]:
    """A y range that holds ``values`` with a little air; at least 0 to 1 where all are equal."""
    low, high = min(values), max(values)
    air = 0.05 * (high - low) or 0.5
    return low - air, high + air


def _band(series: Series, x: Scale, y: Scale) -> Html:
    """The intervals; one polygon a stretch of points that have one."""
    stretches: list[list[tuple[float, float, float]]] = [[]]
    for dot in series.dots:
        if dot.low is None or dot.high is None:
            stretches.append([])
        else:
            stretches[-1].append((x(dot.x), y(dot.low), y(dot.high)))
    polygons = []
    for stretch in stretches:
        if len(stretch) < 2:
            continue
        outline = [(px, high) for px, _, high in stretch]
        outline += [(px, low) for px, low, _ in reversed(stretch)]
        polygons.append(el("polygon", points=_points(outline), class_=f"band f{series.colour}"))
    return el("g", *polygons)


def _curve(series: Series, x: Scale, y: Scale) -> Html:
    places = [(x(dot.x), y(dot.y)) for dot in series.dots]
    parts = [
        el(
            "polyline",
            points=_points(places),
            class_=f"curve s{series.colour}",
            stroke_dasharray=_DASHES[series.dash],
        )
    ]
    if len(places) <= _MARKERS_UP_TO:
        parts += [_marker(series, *place) for place in places]
    return el("g", *parts)


_SHAPES: dict[str, tuple[tuple[float, float], ...]] = {
    "square": ((-3.5, -3.5), (3.5, -3.5), (3.5, 3.5), (-3.5, 3.5)),
    "triangle": ((0, -4.6), (4.4, 3.4), (-4.4, 3.4)),
    "diamond": ((0, -5), (5, 0), (0, 5), (-5, 0)),
    "cross": (
        *((-4.5, -2), (-2, -4.5), (0, -2.2), (2, -4.5), (4.5, -2), (2.2, 0)),
        *((4.5, 2), (2, 4.5), (0, 2.2), (-2, 4.5), (-4.5, 2), (-2.2, 0)),
    ),
}


def _marker(series: Series, x: float, y: float) -> Html:
    style = f"mark f{series.colour}"
    if series.marker == "circle":
        return el("circle", cx=x, cy=y, r=4, class_=style)
    shape = [(x + dx, y + dy) for dx, dy in _SHAPES[series.marker]]
    return el("polygon", points=_points(shape), class_=style)


def _labels(series: Sequence[Series], box: Box, x: Scale, y: Scale) -> list[Html]:
    """Each line's name at its right end, its marker beside it, none over another."""
    wanted = [y(one.dots[-1].y) for one in series]
    places = spread(wanted, _LABEL_GAP, box.top, box.bottom)
    parts: list[Html] = []
    for one, end, place in zip(series, wanted, places, strict=True):
        start = x(one.dots[-1].x)
        parts.append(line(start + 6, end, box.right + 16, place, "lead"))
        parts.append(_marker(one, box.right + 22, place))
        parts.append(text(box.right + 31, place, one.name))
    return parts


def _marked(mark: Mark, box: Box, x: Scale) -> list[Html]:
    at = x(mark.x)
    near_end = at > box.middle
    return [
        line(at, box.top - 12, at, box.bottom, "chosen"),
        text(
            at + (-6 if near_end else 6),
            box.top - 14,
            mark.name,
            "end" if near_end else "start",
            "strong",
        ),
    ]


def _points(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{number(px)},{number(py)}" for px, py in places)
