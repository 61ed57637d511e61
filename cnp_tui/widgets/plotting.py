"""The canvas under a chart: textual-plot with our margins, ticks and thinned series.

The one module of the front end that loads numpy; ``chart`` imports it when a chart is first shown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from textual.geometry import Region, Size
from textual_hires_canvas import Canvas
from textual_plot import HiResMode, PlotWidget
from textual_plot.axis_formatter import AxisFormatter
from textual_plot.plot_widget import ScatterPlot

from cnp_tui.glyphs import Mode
from cnp_tui.history import Points, Series
from cnp_tui.widgets.late import late

Floats = NDArray[np.float64]

HIRES: dict[Mode, HiResMode] = {
    "braille": HiResMode.BRAILLE,
    "block": HiResMode.QUADRANT,
    "ascii": HiResMode.BRAILLE,
}
"""In ASCII every cell that braille would touch becomes a star (``cnp_tui.ascii``)."""

SMALLEST_LOG = 1e-12
ROWS_A_TICK = 3
SMOOTHING = 0.9
"""Weight of the past in the moving average."""


Range = tuple[float, float]


@dataclass(frozen=True)
class Curve:
    """One series as it is drawn; ``style`` a colour of Rich, ``marker`` at its newest point."""

    points: Points
    style: str
    marker: str
    dots: bool = False


@dataclass(frozen=True)
class Upright:
    """A vertical line; ``head`` stands on the frame over it."""

    x: float
    style: str
    head: str = ""


class Ticks(AxisFormatter):
    """Round numbers, no more than fit: powers and their 2 and 5 where ``log``, else ``whole``."""

    def __init__(self, most: int = 8, log: bool = False, whole: bool = False) -> None:
        self.most = most
        self.log = log
        self.whole = whole

    def get_ticks(self, min_: float, max_: float, max_ticks: int = 8) -> list[float]:
        powers = _powers(min_, max_, self.most) if self.log else []
        if len(powers) > 1:
            return powers
        span = max_ - min_
        if not span > 0 or not math.isfinite(span):
            return []
        rough = span / self.most
        power = 10.0 ** math.floor(math.log10(rough))
        wide = next(power * f for f in (1, 2, 5, 10, 20) if power * f * self.most >= span * 0.999)
        wide = max(wide, 1.0) if self.whole else wide
        first = math.ceil(min_ / wide - 1e-9)
        return [i * wide for i in range(first, first + self.most + 2) if i * wide <= max_]

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        if self.log:
            return [_short(10.0**tick) for tick in ticks]
        return [_short(tick) for tick in ticks]


def _powers(low: float, high: float, most: int) -> list[float]:
    fine = [
        power + math.log10(factor)
        for power in range(math.floor(low), math.ceil(high) + 1)
        for factor in (1, 2, 5)
    ]
    within = [tick for tick in fine if low <= tick <= high]
    whole = [tick for tick in within if tick == round(tick)]
    if len(within) <= most or len(whole) < 2:
        return within[:: max(1, -(-len(within) // max(1, most)))]
    return whole[:: -(-len(whole) // max(1, most))]


def _short(value: float) -> str:
    """At most five characters where that can be."""
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e5:
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    mantissa, _, power = f"{value:.0e}".partition("e")
    return f"{mantissa}e{int(power)}"


class Plot(PlotWidget, can_focus=False, inherit_bindings=False):
    """Draws what it is given; what the keys do is the chart's affair."""

    ALLOW_SELECT = False

    def on_mount(self) -> None:
        with late():  # an application that closes composes nothing any more
            super().on_mount()
        self.invert_mouse_wheel = True
        self.margin_top, self.margin_bottom, self.margin_left = 0, 1, 6
        self._heads: dict[float, Upright] = {}

    def _rerender(self) -> None:
        """Soon, once, and only the lines that come out different: half of what would be sent."""
        if not self._needs_rerender:
            self._needs_rerender = True
            self.call_later(self.render)

    def render(self) -> str:
        if not self._needs_rerender:
            return ""
        canvases = list(self.query(Canvas))
        before = [(canvas._canvas_size, canvas._buffer, canvas._styles) for canvas in canvases]
        for canvas in canvases:
            canvas._refreshes_pending += 1
        super().render()
        for canvas, drawn in zip(canvases, before, strict=True):
            canvas._refreshes_pending -= 1
            _refresh(canvas, *drawn)
        return ""

    @property
    def columns(self) -> int:
        return max(1, self.size.width - self.margin_left - 2)

    @property
    def rows(self) -> int:
        return max(1, self.size.height - self.margin_bottom - 2)

    @property
    def window(self) -> Range | None:
        """The part of the x axis that zoom or pan has come to; None for the whole."""
        now = (self._x_min, self._x_max)
        return None if now == (self._user_x_min, self._user_x_max) or self._auto_x_min else now

    def draw(
        self,
        curves: Sequence[Curve],
        uprights: Sequence[Upright],
        y_range: Range | None,
        mode: Mode,
        *,
        log: bool,
        smooth: bool,
    ) -> None:
        """Everything anew; a window that was zoomed or panned to stays."""
        window = self.window or (-math.inf, math.inf)
        drawn = [
            (curve, *prepared(curve.points, window, 2 * self.columns, log,
                              smooth and not curve.dots))
            for curve in curves
        ]  # fmt: skip
        drawn = [one for one in drawn if len(one[1])]
        self.clear()
        self._frame(drawn, uprights, None if log else y_range, log)
        for curve, xs, ys in drawn:
            if not curve.dots:
                self.plot(xs, ys, line_style=curve.style, hires_mode=HIRES[mode])
                xs, ys = xs[-1:], ys[-1:]
            self.scatter(xs, ys, marker=curve.marker, marker_style=curve.style)
        self._heads = {upright.x: upright for upright in uprights if upright.head}
        for upright in uprights:
            if window[0] <= upright.x <= window[1]:
                self.add_v_line(upright.x, line_style=upright.style)

    def _frame(
        self,
        drawn: Sequence[tuple[Curve, Floats, Floats]],
        uprights: Sequence[Upright],
        y_range: Range | None,
        log: bool,
    ) -> None:
        """Ticks that fit, and limits half a cell outside: the frame hides no point."""
        self.set_y_formatter(Ticks(max(2, self.rows // ROWS_A_TICK), log))
        self.set_x_formatter(Ticks(max(2, self.columns // 10), whole=True))
        whole_y = (self._y_min, self._y_max) == (self._user_y_min, self._user_y_max)
        if self.window is None:
            ends = [one[1][[0, -1]] for one in drawn]
            found = [float(x) for end in ends for x in end] + [one.x for one in uprights]
            self.set_xlimits(*_around(found, self.columns))
        if whole_y or self._auto_y_min:
            found = [float(y) for one in drawn for y in (one[2].min(), one[2].max())]
            self.set_ylimits(*_around(y_range or found, self.rows))

    def _render_scatter_plot(self, dataset: ScatterPlot) -> None:
        """Markers at the very edge stay inside the frame, which is drawn over it later."""
        canvas, inside = self.query_one("#plot", Canvas), self._scale_rectangle
        for x, y in zip(dataset.x, dataset.y, strict=True):
            column, row = self.get_pixel_from_coordinate(x, y)
            if inside.x <= column <= inside.right and inside.y - 1 <= row <= inside.bottom:
                column, row = min(column, inside.right - 1), max(row, inside.y)
                canvas.set_pixel(
                    column, min(row, inside.bottom - 1), dataset.marker, dataset.marker_style
                )

    def _render_y_ticks(self) -> None:
        """The last that touches the frame; ticks look for a line where a head will stand."""
        super()._render_y_ticks()
        canvas, inside = self.query_one("#plot", Canvas), self._scale_rectangle
        for head in self._heads.values():
            column, _ = self.get_pixel_from_coordinate(head.x, 0)
            if inside.x <= column < inside.right:
                canvas.set_pixel(column, 0, head.head, head.style)

    def move(self, columns: float, rows: float) -> None:
        """Pan by so many cells."""
        self._pan(columns, rows)

    def value_at(self, screen_x: int) -> float:
        """The x of a column of the terminal."""
        left = self.query_one("#plot").region.x
        return self.get_coordinate_from_pixel(screen_x - left, 0)[0]


def _refresh(canvas: Canvas, size: Size, buffer: list[list[str]], styles: list[list[str]]) -> None:
    """Paint what is no longer as it was."""
    if size != canvas._canvas_size:
        canvas.refresh()
        return
    was, now = zip(buffer, styles, strict=True), zip(canvas._buffer, canvas._styles, strict=True)
    lines = [y for y, (old, new) in enumerate(zip(was, now, strict=True)) if old != new]
    if lines:
        canvas.refresh(*(Region(0, y, size.width, 1) for y in lines))


def _around(values: Sequence[float], cells: int) -> tuple[float | None, float | None]:
    """Half a cell more than ``values`` on each side; None, None where there are none."""
    if not values:
        return None, None
    low, high = min(values), max(values)
    spare = (high - low) / (2 * cells) or 0.5
    return low - spare, high + spare


def prepared(
    points: Points, window: tuple[float, float], columns: int, log: bool, smooth: bool
) -> tuple[Floats, Floats]:
    """What of ``points`` is drawn: inside ``window``, thinned, perhaps smoothed, perhaps log10."""
    xs, ys = _arrays(points)
    if log:
        keep = ys > SMALLEST_LOG
        xs, ys = xs[keep], np.log10(ys[keep])
    first, last = np.searchsorted(xs, window[0]), np.searchsorted(xs, window[1], side="right")
    # one neighbour more on each side, so that lines run out of the window
    xs, ys = xs[max(0, first - 1) : last + 1], ys[max(0, first - 1) : last + 1]
    if smooth:
        return averaged(*thinned(xs, ys, columns, middle=True))
    return thinned(xs, ys, columns)


def _arrays(points: Points) -> tuple[Floats, Floats]:
    if isinstance(points, Series):
        return np.array(points.xs), np.array(points.ys)
    pairs = np.array(points, dtype=np.float64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def thinned(xs: Floats, ys: Floats, columns: int, middle: bool = False) -> tuple[Floats, Floats]:
    """At most ``columns`` points: lowest and highest of each stretch, or its mean."""
    stretches = columns if middle else max(1, columns // 2)
    if len(xs) <= columns:
        return xs, ys
    edges = np.linspace(0, len(xs), stretches, endpoint=False).astype(np.intp)
    ends = np.append(edges[1:], len(xs))
    if middle:
        return xs[ends - 1], np.add.reduceat(ys, edges) / (ends - edges)
    low, high = np.minimum.reduceat(ys, edges), np.maximum.reduceat(ys, edges)
    at, peaks = np.stack([xs[edges], xs[ends - 1]], axis=1), np.stack([low, high], axis=1)
    return at.reshape(-1), peaks.reshape(-1)


def averaged(xs: Floats, ys: Floats) -> tuple[Floats, Floats]:
    """Exponential moving average, without the pull of a start at zero."""
    smooth, mean, weight = np.empty_like(ys), 0.0, 0.0
    for i, value in enumerate(ys):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * float(value)
        weight = SMOOTHING * weight + (1 - SMOOTHING)
        smooth[i] = mean / weight
    return xs, smooth
