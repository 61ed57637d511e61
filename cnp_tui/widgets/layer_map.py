"""The network's layers as bars: which of their channels go at the count that is set."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget

from cnp_engine.export.wording import plural
from cnp_tui.glyphs import Glyphs
from cnp_tui.layers import Layer, LayerMap

NAME = 26
"""Most columns for the name of a layer."""


class Bars(Widget):
    """One row a layer, the input's first; ``show`` repaints only where something is different."""

    DEFAULT_CSS = """
    Bars { height: auto; width: 1fr; }
    """

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__()
        self._glyphs = glyphs
        self._map = LayerMap((), 0, 0)

    def show(self, shown: LayerMap) -> None:
        if shown != self._map:
            taller = len(shown.layers) != len(self._map.layers)
            self._map = shown
            self.refresh(layout=taller)

    def render(self) -> Content:
        return bars(self._map, self.content_size.width, self._glyphs)


class Layers(VerticalScroll, can_focus=False):
    """The bars behind a scroll bar; the border says how much of the map is known."""

    DEFAULT_CSS = """
    Layers {
        border: round $secondary; padding: 0 1; min-height: 4;
        border-title-color: $foreground; border-subtitle-color: $foreground;
    }
    """

    def __init__(self, glyphs: Glyphs, id: str | None = None) -> None:
        self._bars = Bars(glyphs)
        super().__init__(self._bars, id=id)
        self.border_title = "suppressed, by layer"

    def show(self, shown: LayerMap) -> None:
        self._bars.show(shown)
        touched = sum(1 for layer in shown.layers if layer.pruned)
        said = f"{touched} of {plural(len(shown.layers), 'layer')}"
        if shown.placed < shown.k:
            said = f"an older run's log: only the first {shown.placed} of {shown.k} are shown"
        if said != self.border_subtitle:
            self.border_subtitle = said


def bars(shown: LayerMap, width: int, glyphs: Glyphs) -> Content:
    """Every channel has its place on the bar; a cell is filled where one of its channels goes."""
    longest = max((len(layer.name) for layer in shown.layers), default=0)
    name = min(longest, NAME, max(6, width // 3))
    most = max((layer.channels for layer in shown.layers), default=1)
    counts = 2 * len(str(most)) + 4
    room = max(1, width - name - counts - 2)
    lines = [_line(layer, name, room, counts, most, glyphs) for layer in shown.layers]
    return Content("\n").join(lines)


def _line(layer: Layer, name: int, room: int, counts: int, most: int, glyphs: Glyphs) -> Content:
    cells = max(1, min(layer.channels, round(room * layer.channels / most)))
    filled = {channel * cells // layer.channels for channel in layer.pruned}
    gone = len(layer.pruned)
    said = f"{gone} of {layer.channels}" if gone else f"{layer.channels}"
    return Content.assemble(
        (f"{_tail(layer.name, name, glyphs):<{name}} ", "bold" if gone else "$foreground 60%"),
        *_runs([cell in filled for cell in range(cells)], glyphs),
        " " * (room - cells),
        (f" {said:>{counts}}", "bold" if gone else "$foreground 60%"),
    )


def _runs(filled: Sequence[bool], glyphs: Glyphs) -> Iterator[tuple[str, str]]:
    """Neighbours that look the same as one piece of text."""
    for gone, cells in itertools.groupby(filled):
        width = len(list(cells))
        yield (glyphs.fill * width, "$error") if gone else (glyphs.rest * width, "$foreground 30%")


def _tail(name: str, width: int, glyphs: Glyphs) -> str:
    """The end of a layer's name tells it apart."""
    dots = glyphs.ellipsis
    return name if len(name) <= width else dots + name[len(dots) - width :]
