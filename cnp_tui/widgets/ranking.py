"""The target classes as bars: how far each trigger is under the others', against the suspicion."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from rich.cells import set_cell_size
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from cnp_engine.aims import row_name, short_name
from cnp_engine.events import TargetSizes
from cnp_engine.export.wording import figure
from cnp_engine.outliers import counted
from cnp_engine.state import RunState
from cnp_tui.glyphs import Glyphs
from cnp_tui.widgets.borders import border

if TYPE_CHECKING:
    from cnp_tui.app import CnpApp

NAME = 14
"""Cells of a class name."""


@dataclass(frozen=True)
class Bar:
    """One class. ``octaves``: how far its trigger is under the others', as that counts."""

    index: int
    name: str
    octaves: float | None
    mask_l1: float | None = None
    strength: float | None = None
    warp: float | None = None
    votes: float | None = None
    followed: bool = False


def bars(state: RunState) -> tuple[Bar, ...]:
    """Best first once ranked; while the sizes form, by how far each stands out so far."""
    if state.target is not None:
        followed = state.target.targets
        return tuple(
            Bar(row.index, row.name, row.score, row.mask_l1, row.signals.get("strength"),
                row.signals.get("warp"), row.votes, row.index in followed)
            for row in state.target.ranking
        )  # fmt: skip
    forming = _forming(state.sizes, state.data.classes if state.data else ())
    return tuple(sorted(forming, key=lambda bar: -(bar.octaves or -math.inf)))


def _forming(sizes: Mapping[str, TargetSizes], names: Sequence[str]) -> list[Bar]:
    patch, blend, warp = (sizes[f].sizes if f in sizes else () for f in ("patch", "blend", "warp"))
    scores = [octaves(family) for family in (patch, blend, warp)]
    found = []
    for index in range(max(len(patch), len(blend), len(warp))):
        known = [s[index] for s in scores if index < len(s)]
        best = max((value for value in known if value is not None), default=None)
        name = short_name(names, index)
        each = _at(patch, index), _at(blend, index), _at(warp, index)
        found.append(Bar(index, name, best, *each))
    return found


def _at(values: Sequence[float | None], index: int) -> float | None:
    return values[index] if index < len(values) else None


def octaves(sizes: Sequence[float | None]) -> list[float | None]:
    """How far each class stands out of the others whose triggers are known, as that counts."""
    known = {index: size for index, size in enumerate(sizes) if size is not None}
    if len(known) < 2:
        return [None] * len(sizes)
    found = dict(zip(known, counted(list(known.values())), strict=True))
    return [found.get(index) for index in range(len(sizes))]


def text(bars: Sequence[Bar], threshold: float, glyphs: Glyphs, width: int) -> str:
    """A line a class; the upright in each bar is where suspicion begins."""
    if not bars:
        return "The classes are ranked in the target stage."
    columns = [c for c in _COLUMNS if any(getattr(bar, c[0]) is not None for bar in bars)]
    room = width - NAME - 11 - sum(c[2] + 1 for c in columns)
    while columns and room < 8:
        room += columns.pop()[2] + 1
    scale = max([threshold * 1.25, *(bar.octaves or 0.0 for bar in bars)])
    head = f"  {'class':<{NAME}} {'':<{max(0, room)}} octaves"
    head += "".join(f" {title:>{cells}}" for _, title, cells in columns)
    rows = [_row(bar, columns, threshold, scale, glyphs, max(0, room)) for bar in bars]
    return "\n".join([head, *rows])


_Column = tuple[str, str, int]
_COLUMNS: tuple[_Column, ...] = (
    ("mask_l1", "mask L1", 8),
    ("strength", "strength", 8),
    ("warp", "warp px", 7),
    ("votes", "votes", 6),
)


def _row(
    bar: Bar, columns: Sequence[_Column], threshold: float, scale: float, glyphs: Glyphs, room: int
) -> str:
    cue = ">" if bar.followed else " "
    shown = bar.name if bar.name == str(bar.index) else row_name(bar.index, bar.name)
    drawn = _drawn(bar.octaves or 0.0, threshold, scale, glyphs, room)
    octaves = "-" if bar.octaves is None else f"{bar.octaves:+.2f}"
    line = f"{cue} {set_cell_size(shown, NAME)} {drawn} {octaves:>7}"
    for key, _, cells in columns:
        value = getattr(bar, key)
        line += f" {_told(key, value):>{cells}}"
    return line


def _told(key: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:+.2f}" if key == "votes" else figure(value, 3)


def _drawn(value: float, threshold: float, scale: float, glyphs: Glyphs, room: int) -> str:
    """A bar with an upright where suspicion begins."""
    if room < 1:
        return ""
    cells = list(glyphs.bar(value / scale, room))
    at = min(room - 1, round(threshold / scale * room))
    if cells[at] != glyphs.fill:
        cells[at] = glyphs.reference
    return "".join(cells)


class Ranking(VerticalScroll, can_focus=True):
    """All classes, scrolled where they are many."""

    DEFAULT_CSS = """
    Ranking { border: round $secondary; padding: 0 1; scrollbar-gutter: stable;
        scrollbar-size-vertical: 1;
        border-title-color: $foreground;
        border-subtitle-color: $foreground; }
    Ranking:focus { border: heavy $primary; }
    Ranking > Static { width: 1fr; height: auto; }
    """

    ALLOW_MAXIMIZE = True
    BORDER_TITLE = "Target classes"

    def __init__(self, threshold: float, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._threshold = threshold
        self._bars: tuple[Bar, ...] = ()
        self._told = ""

    def compose(self) -> ComposeResult:
        yield Static(markup=False)

    def update(self, state: RunState) -> None:
        self._bars = bars(state)
        forming = " (so far)" if self._bars and state.target is None else ""
        border(self, f"Target classes{forming}")
        self._paint()

    def on_resize(self) -> None:
        self._paint()

    def on_show(self) -> None:
        self._paint()

    def _paint(self) -> None:
        if not self.display:
            return  # an update of text lays the whole screen out again
        # the gutter is kept free also while nothing is scrolled
        width = self.scrollable_content_region.width - (not self.show_vertical_scrollbar)
        if width < 1:
            return
        glyphs = cast("CnpApp", self.app).glyphs
        told = text(self._bars, self._threshold, glyphs, width)
        if told != self._told:
            self._told = told
            self.query_one(Static).update(Content(told))
            border(self, subtitle=self._meaning(glyphs) if self._bars else "")

    def _meaning(self, glyphs: Glyphs) -> str:
        octaves = "octave" if self._threshold == 1 else "octaves"
        times = f"{2**self._threshold:.3g} times smaller"
        return f"{glyphs.reference} suspects: {self._threshold:g} {octaves}, {times}"
