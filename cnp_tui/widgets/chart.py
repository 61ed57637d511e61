"""A chart of named series: legend in the border, zoom and pan, marks, log axis, inspection.

    chart.show({"loss": points}, marks=[Mark(24, "recommended")], y_range=(0, 1))

Knows points and names; not what they measure. Painted at most three times a second and only where
something is different; the canvas, and numpy with it, is loaded when a chart first has something
to show.
"""

from __future__ import annotations

import asyncio
import bisect
import importlib
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from rich.markup import escape
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.geometry import Size
from textual.timer import Timer
from textual.widgets import Static

from cnp_tui.drawing import Drawing, Mark, closest, value_at
from cnp_tui.glyphs import Glyphs, Mode
from cnp_tui.history import Points
from cnp_tui.widgets.borders import border, fitting

if TYPE_CHECKING:
    from textual_plot import PlotWidget

    from cnp_tui.app import CnpApp
    from cnp_tui.widgets.plotting import Plot

EVERY_S = 1 / 3
"""Between two paintings."""

ROOM = (24, 5)
"""Columns and rows under which words are shown in place of a canvas."""

COLOURS = ("primary", "warning", "success", "error", "accent", "secondary")
MARKERS: dict[Mode, str] = {"braille": "●■▲◆▼★", "block": "●■▲◆▼★", "ascii": "ox+@%&"}
"""One a series, at its newest point and in the legend: colour alone does not tell them apart."""


class Chart(Container, can_focus=True):
    """``title`` heads the border, ``unit`` names the x axis, ``form`` writes a y value."""

    DEFAULT_CSS = """
    Chart {
        border: round $secondary; min-height: 4; padding: 0;
        border-title-color: $foreground; border-subtitle-color: $foreground;
        & > Static { width: 1fr; height: 1fr; content-align: center middle; color: $text-muted; }
        & > Plot { width: 1fr; height: 1fr; display: none; }
        &.-drawn > Plot { display: block; }
        &.-drawn > Static { display: none; }
        &:focus { border: heavy $primary; }
    }
    """

    ALLOW_MAXIMIZE = True

    TOPIC: ClassVar[str] = "a chart"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("plus,equals_sign", "zoom(1)", "Zoom in", show=False, id="chart.in",
                key_display="+", tooltip="See less of the x axis, larger; also the wheel"),
        Binding("minus", "zoom(-1)", "Zoom out", show=False, id="chart.out",
                tooltip="See more of the x axis"),
        Binding("left", "pan(1, 0)", "Pan left", show=False, id="chart.left",
                tooltip="Move the window left; also by dragging"),
        Binding("right", "pan(-1, 0)", "Pan right", show=False, id="chart.right",
                tooltip="Move the window right"),
        Binding("up", "pan(0, 1)", "Pan up", show=False, id="chart.up",
                tooltip="Move the window up"),
        Binding("down", "pan(0, -1)", "Pan down", show=False, id="chart.down",
                tooltip="Move the window down"),
        Binding("0", "reset", "Whole chart", show=False, id="chart.reset",
                tooltip="Undo zoom and pan"),
        Binding("L", "log", "Log axis", show=False, id="chart.log",
                tooltip="Logarithmic y axis, on and off"),
        Binding("m", "smooth", "Smooth", show=False, id="chart.smooth",
                tooltip="Exponential moving average, on and off"),
        Binding("left_square_bracket", "inspect(-1)", "Inspect", show=False,
                id="chart.before", key_display="[", tooltip="Crosshair one point back; also hover"),
        Binding("right_square_bracket", "inspect(1)", "Inspect", show=False,
                id="chart.after", key_display="]",
                tooltip="Crosshair one point on; past the newest it is put away"),
    ]  # fmt: skip

    def __init__(
        self,
        title: str = "",
        *,
        unit: str = "step",
        form: Callable[[float], str] = lambda value: f"{value:.4g}",
        empty: str = "nothing measured yet",
        id: str | None = None,
        classes: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.title, self.unit, self.empty = title, unit, empty
        self.log_axis = False
        self.smoothed = False
        self._log_by_user = False
        self.crosshair: float | None = None
        self._form = form
        self._clock = clock
        self._shown = Drawing({}, (), None, frozenset())
        self._pinned = False
        self._plot: Plot | None = None
        self._loading = False
        self._drawn_size = Size(0, 0)
        self._drawn_at = -EVERY_S
        self._stale = True
        self._later: Timer | None = None

    def compose(self) -> ComposeResult:
        yield Static(self.empty, markup=False)

    # What is shown

    def show(
        self,
        series: Mapping[str, Points],
        marks: Sequence[Mark] = (),
        y_range: tuple[float, float] | None = None,
        *,
        dots: Collection[str] = (),
    ) -> None:
        """Show these series and no others; those in ``dots`` as points, not as lines."""
        shown = Drawing(
            {name: points for name, points in series.items() if points},
            tuple(marks), y_range, frozenset(dots),
        )  # fmt: skip
        if not shown.same(self._shown):
            self._shown = shown
            self._changed()

    def entitle(self, title: str, unit: str = "step", empty: str = "") -> None:
        """Another heading, name of the x axis, and words for an empty chart."""
        if (title, unit, empty) != (self.title, self.unit, self.empty):
            if unit != self.unit:  # an x of what was shown before
                self.crosshair, self._pinned = None, False
            self.title, self.unit, self.empty = title, unit, empty
            self._changed()

    def suggest_log(self, on: bool) -> None:
        """The y axis that fits what is shown, until the user says which."""
        if on != self.log_axis and not self._log_by_user:
            self.log_axis = on
            self._changed()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._shown.series)

    @property
    def settled(self) -> bool:
        """Whether all that was given is painted, as far as it can be seen."""
        if not self.size or not self.region or not self._shown.series:
            return True
        if self.size.width < ROOM[0] or self.size.height < ROOM[1]:
            return True
        return self._plot is not None and bool(self._plot.size) and not self._stale

    def _changed(self) -> None:
        self._stale = True
        if self.is_mounted:
            self._describe()
            self._draw_soon()

    def on_mount(self) -> None:
        self._changed()

    def on_show(self) -> None:
        self._stale = True
        self.call_after_refresh(self._draw_soon)

    def on_resize(self, event: events.Resize) -> None:
        if event.size == self._drawn_size:
            return
        self._drawn_size = event.size
        self._stale = True
        self._describe()
        self.call_after_refresh(self._draw_soon)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        if self.is_mounted:
            self._changed()

    # Painting

    def _draw_soon(self) -> None:
        """Now, or as soon as the last painting is old enough."""
        if self._later is not None:
            return
        wait = self._drawn_at + EVERY_S - self._clock()
        if wait <= 0:
            self._draw()
        else:
            self._later = self.set_timer(wait, self._draw)

    def _draw(self) -> None:
        self._later = None
        if not self.size:
            return  # hidden: drawn when it is shown
        room = self.size.width >= ROOM[0] and self.size.height >= ROOM[1]
        drawable = room and bool(self._shown.series)
        if drawable and self._plot is None:
            self._load()
            return
        self.set_class(drawable, "-drawn")
        if not drawable:
            self._say()
        elif self._plot is not None and not self._plot.size:
            self._await_layout()
        elif self._plot is not None and self._stale:
            self._stale = False
            self._drawn_at = self._clock()
            self._paint(self._plot)

    def _await_layout(self) -> None:
        """Just shown, and laid out next; under another screen that may take as long as it likes."""
        if self.screen.is_active:
            self.call_after_refresh(self._draw_soon)
        else:
            self._later = self.set_timer(EVERY_S, self._draw)

    def _say(self) -> None:
        """Words in place of a canvas: the newest values where there is no room for one."""
        newest = [f"{n} {self._form(p[-1][1])}" for n, p in self._shown.series.items()]
        self.query_one(Static).update("\n".join(newest) or self.empty)

    def _load(self) -> None:
        """numpy takes a while; the interface goes on meanwhile."""
        if not self._loading:
            self._loading = True
            self.run_worker(self._mount_canvas())

    async def _mount_canvas(self) -> None:
        module = await asyncio.to_thread(importlib.import_module, "cnp_tui.widgets.plotting")
        made: Plot = module.Plot()
        await self.mount(made)
        self._plot = made
        self.call_after_refresh(self._draw_soon)

    def _paint(self, plot: Plot) -> None:
        from cnp_tui.widgets.plotting import Curve, Upright

        curves = [
            Curve(points, self._style(i), self._marker(i), name in self._shown.dots)
            for i, (name, points) in enumerate(self._shown.series.items())
        ]
        glyphs = self._glyphs
        uprights = [  # where some meet, the first is seen
            Upright(mark.x, self._colour(mark.colour), mark.sign(glyphs))
            for mark in reversed(self._shown.marks)
        ]
        if self.crosshair is not None:
            uprights.append(Upright(self.crosshair, self._colour("foreground")))
        plot.draw(
            curves, uprights, self._shown.y_range, glyphs.mode,
            log=self.log_axis, smooth=self.smoothed,
        )  # fmt: skip

    @property
    def _glyphs(self) -> Glyphs:
        return cast("CnpApp", self.app).glyphs

    def _style(self, index: int) -> str:
        return self._colour(COLOURS[index % len(COLOURS)])

    def _colour(self, name: str) -> str:
        from textual.color import Color

        return str(Color.parse(self.app.theme_variables[name]).rich_color.name)

    def _marker(self, index: int) -> str:
        markers = MARKERS[self._glyphs.mode]
        return markers[index % len(markers)]

    # Words in the border

    def _describe(self) -> None:
        legend = [
            f"[{self._style(i)}]{self._marker(i)}[/] {escape(name)}"
            for i, name in enumerate(self._shown.series)
        ]
        how = [word for word, on in (("log", self.log_axis), ("smoothed", self.smoothed)) if on]
        head = escape(" ".join([self.title, *(f"({word})" for word in how)]).strip())
        said = ["  ".join([head, *legend]), "  ".join(legend or [head])]
        marked = [self._marked(brief) for brief in (False, True)]
        border(self, fitting(self, *said), self._inspected() or fitting(self, *marked))

    def _marked(self, brief: bool) -> str:
        marks = [self._named(mark, brief) for mark in self._shown.marks]
        return "   ".join([escape(self.unit), *marks] if self._shown.series else marks)

    def _named(self, mark: Mark, brief: bool) -> str:
        """``brief`` names it by its sign alone, where it has one."""
        sign, x = mark.sign(self._glyphs), self._form_x(mark.x)
        said = x if brief and sign else f"{mark.label} at {x}"
        return f"[{self._colour(mark.colour)}]{sign}[/] {escape(said)}" if sign else escape(said)

    def _inspected(self) -> str:
        """The crosshair's x and every series' value there, with ~ where it was not measured."""
        if self.crosshair is None:
            return ""
        values = [
            f"{name} {'' if found.measured else '~'}{self._form(found.value)}"
            for name, points in self._shown.series.items()
            if (found := value_at(points, self.crosshair)) is not None
        ]
        return escape("  ".join([f"{self.unit} {self._form_x(self.crosshair)}", *values]))

    @staticmethod
    def _form_x(x: float) -> str:
        return f"{x:,.0f}" if x == round(x) else f"{x:.4g}"

    # Keys and mouse

    def action_zoom(self, way: int) -> None:
        if self._plot is not None:
            plot = self._plot
            plot.action_zoom_x_in() if way > 0 else plot.action_zoom_x_out()

    def action_pan(self, x: int, y: int) -> None:
        if self._plot is not None:
            factor = self._plot.KEYBOARD_PAN_FACTOR
            self._plot.move(2 * factor * x, factor * y)

    def action_reset(self) -> None:
        if self._plot is not None:
            self._plot.action_reset_scales()
            self._changed()

    def action_log(self) -> None:
        self.log_axis, self._log_by_user = not self.log_axis, True
        if self._plot is not None:
            self._plot.action_reset_scales()
        self._changed()

    def action_smooth(self) -> None:
        self.smoothed = not self.smoothed
        self._changed()

    def action_inspect(self, way: int) -> None:
        """Another point of any series; past the newest the crosshair is put away."""
        xs = sorted({x for points in self._shown.series.values() for x, _ in points})
        if not xs:
            return
        if self.crosshair is None:
            at = len(xs) - 1 if way < 0 else 0
        elif way > 0:
            at = bisect.bisect_right(xs, self.crosshair)
        else:
            at = max(0, bisect.bisect_left(xs, self.crosshair) - 1)
        self._point_at(xs[at] if at < len(xs) else None, pinned=True)

    def _point_at(self, x: float | None, pinned: bool) -> None:
        self._pinned = pinned and x is not None
        if x != self.crosshair:
            self.crosshair = x
            self._changed()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if event.button == 0 and not self._pinned:
            self._point_at(self._nearest(event), pinned=False)

    def on_click(self, event: events.Click) -> None:
        if event.chain == 2:
            self._point_at(None, pinned=False)
        elif event.delta_x == 0:
            self._point_at(self._nearest(event), pinned=True)

    def on_leave(self, event: events.Leave) -> None:
        if not self._pinned and not self.is_mouse_over:
            self._point_at(None, pinned=False)

    def on_plot_widget_scale_changed(self, event: PlotWidget.ScaleChanged) -> None:
        """Zoomed or panned by mouse or key: what is visible is thinned anew."""
        event.stop()
        self._changed()

    def _nearest(self, event: events.MouseEvent) -> float | None:
        """The x, of any series, next to the pointer."""
        if self._plot is None or not self.has_class("-drawn"):
            return None
        wanted = self._plot.value_at(int(event.screen_x))
        near = [closest(points, wanted) for points in self._shown.series.values()]
        return min(near, key=lambda x: abs(x - wanted), default=None)
