"""The list of runs: one line each, as much of it as the width allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.style import Style
from rich.text import Text
from textual.actions import SkipAction
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.events import Resize
from textual.widgets import DataTable

from cnp_engine.events import Rate
from cnp_engine.export.wording import percent, shorten
from cnp_tui.entries import WORDS, Entry
from cnp_tui.glyphs import Glyphs

PADDING = 1
NORMAL, WIDE, FULL = 66, 110, 150
"""From these widths on figures are told; the target and how much was pruned; the model."""

FIGURES = "before and after, in %"

COLOURS = {
    "backdoored": "error",
    "failed": "error",
    "died": "error",
    "damaged": "error",
    "gone": "warning",
    "running": "primary",
    "no_evidence": "success",
}
"""Variable of the theme by status or verdict; the word says the same."""


@dataclass(frozen=True)
class Column:
    """``width`` in cells; 0 takes what the others leave."""

    title: str
    width: int
    text: Callable[[Entry, Glyphs, float], str]


class RunTable(DataTable[Text]):
    TOPIC = "the list of runs"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select_cursor", "Open", id="runs.open",
                tooltip="Look at the highlighted run"),
    ]  # fmt: skip

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__(cursor_type="row", zebra_stripes=False, cell_padding=PADDING, id="runs")
        self._glyphs = glyphs
        self._marked: frozenset[Path] = frozenset()
        self._shown: dict[Path, tuple[Text, ...]] = {}
        self._laid_out: tuple[Column, ...] = ()
        self._latest: tuple[Sequence[Entry], float] = ((), 0.0)
        self._known = False

    @property
    def current(self) -> Path | None:
        """The run under the cursor."""
        paths = list(self._shown)
        return paths[self.cursor_row] if 0 <= self.cursor_row < len(paths) else None

    def show(
        self, entries: Sequence[Entry], marked: frozenset[Path], now: float, *, known: bool = True
    ) -> None:
        """Paint what is different; ``now`` in seconds since the epoch.

        Until all of them are ``known`` their order changes: the cursor stays on the first line.
        """
        self._latest, self._marked = (entries, now), marked
        rows = {entry.path: self._cells(entry, now) for entry in entries}
        if list(rows) != list(self._shown):
            self._rebuild(rows)
            self._known = known
            return
        self._known = known
        for path, cells in rows.items():
            for column, cell, before in zip(self.columns, cells, self._shown[path], strict=True):
                if cell != before:
                    self.update_cell(str(path), column, cell)
        self._shown = rows

    def repaint(self) -> None:
        """The same runs again, in new colours or another width."""
        self._shown = {}
        self.show(self._latest[0], self._marked, self._latest[1], known=self._known)

    def on_mount(self) -> None:
        self.watch(self.app, "theme", self.repaint, init=False)

    def on_resize(self, event: Resize) -> None:
        laid_out = columns(self.scrollable_content_region.width or event.size.width, self._glyphs)
        if laid_out != self._laid_out:
            self._laid_out = laid_out
            here = self.current
            self.clear(columns=True)
            for column in laid_out:
                self.add_column(column.title, width=column.width)
            self.repaint()
            self.go_to(here)

    def action_select_cursor(self) -> None:
        """The screen says why nothing opens where there is nothing."""
        if not self.row_count:
            raise SkipAction
        super().action_select_cursor()

    def _cells(self, entry: Entry, now: float) -> tuple[Text, ...]:
        says = entry.verdict if entry.status == "finished" else entry.status
        style = self._style(COLOURS.get(says or ""))
        cells: list[Text] = []
        for number, column in enumerate(self._laid_out):
            text = column.text(entry, self._glyphs, now)
            if number == 0:
                mark = "*" if entry.path in self._marked else " "
                text = mark + shorten(text, column.width - 1)
            fitting = cut(text, column.width, self._glyphs)
            cells.append(Text(fitting, style if column.title == "state" else "", no_wrap=True))
        return tuple(cells)

    def _style(self, variable: str | None) -> Style:
        colour = self.app.theme_variables.get(variable or "")
        return Style(color=Color.parse(colour).rich_color) if colour else Style()

    def _rebuild(self, rows: dict[Path, tuple[Text, ...]]) -> None:
        here, at = self.current, self.cursor_row
        if at == 0 and not self._known:
            here = None
        self.clear()
        if self._laid_out:
            for path, cells in rows.items():
                self.add_row(*cells, key=str(path))
        self._shown = rows
        if not self.go_to(here) and rows:
            self.move_cursor(row=min(at, len(rows) - 1))

    def go_to(self, path: Path | None) -> bool:
        """Put the cursor on a run; whether it is in the list."""
        paths = list(self._shown)
        if path is None or path not in paths:
            return False
        self.move_cursor(row=paths.index(path))
        return True


def columns(width: int, glyphs: Glyphs) -> tuple[Column, ...]:
    """Those that fit ``width`` cells, with their widths."""
    wide = width >= WIDE
    wanted = [Column("run", 0, lambda e, g, now: e.name)]
    if width >= FULL:
        wanted.append(Column("model", 26, lambda e, g, now: Path(e.model).name))
    if wide:
        wanted.append(Column("state", 24, told))
        wanted.append(Column("pruned", 11, lambda e, g, now: pruned(e)))
    else:
        wanted.append(Column("state", 11, lambda e, g, now: told(e, g, now, brief=True)))
    if width >= NORMAL:
        room = 26 + 2 * len(glyphs.arrow)
        wanted.append(Column(FIGURES, room, lambda e, g, now: figures(e, g)))
    wanted.append(Column("age", 4, lambda e, g, now: age(e, now)))
    left = max(8, width - sum(column.width + 2 * PADDING for column in wanted))
    return tuple(replace(column, width=column.width or left) for column in wanted)


def told(entry: Entry, glyphs: Glyphs, now: float, brief: bool = False) -> str:
    """How it stands; of a finished run its verdict, and unless ``brief`` the target."""
    if entry.status == "finished":
        if entry.verdict is None:
            return "finished"
        word = "no evidence" if entry.verdict == "no_evidence" else entry.verdict
        return word if brief else " ".join((word, ",".join(entry.targets))).rstrip()
    if entry.status == "unread":
        return glyphs.ellipsis
    if entry.status != "running":
        return WORDS.get(entry.status, entry.status)
    if entry.paused:
        return "paused"
    share = f" {100 * entry.share:.0f} %" if entry.share is not None else ""
    return f"{entry.stage}{share}" if entry.stage else "starting"


def cut(text: str, width: int, glyphs: Glyphs) -> str:
    """The beginning of ``text``, where it does not fit."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - len(glyphs.ellipsis)) + glyphs.ellipsis


def pruned(entry: Entry) -> str:
    if entry.pruned is None or entry.neurons is None:
        return ""
    return f"{entry.pruned}/{entry.neurons}"


def figures(entry: Entry, glyphs: Glyphs) -> str:
    """BA and ASR where the truth was given, else retention and residual; a bar while at work."""
    if entry.status == "running":
        return glyphs.bar(entry.share or 0.0, 20)
    before, after, free = entry.before, entry.after, entry.label_free
    known = [
        f"{name} {_bare(one)}{glyphs.arrow}{_bare(other)}" if other else f"{name} {_bare(one)}"
        for name, one, other in (("BA", before.ba, after.ba), ("ASR", before.asr, after.asr))
        if one is not None
    ]
    if before.asr is None and free.retention is not None and free.residual is not None:
        known = [f"retention {_bare(free.retention)}", f"residual {_bare(free.residual)}"]
    return "  ".join(known) or entry.what.removeprefix(f"{entry.path}/")


def _bare(rate: Rate | None) -> str:
    return percent(rate.value if rate else None).removesuffix(" %").replace("under ", "<")


def age(entry: Entry, now: float) -> str:
    if entry.begun_at is None:
        return ""
    seconds = max(0.0, now - entry.begun_at)
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.0f} s"
