"""What came of a run, as rows of words and figures; scrolled where there is more than fits."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from cnp_tui.watching import Row
from cnp_tui.widgets.borders import border

NAME = 10


class Outcome(VerticalScroll, can_focus=True):
    DEFAULT_CSS = """
    Outcome { border: round $secondary; padding: 0 1; scrollbar-gutter: stable;
        scrollbar-size-vertical: 1;
        border-title-color: $foreground; }
    Outcome:focus { border: heavy $primary; }
    Outcome > Static { width: 1fr; height: auto; }
    """

    ALLOW_MAXIMIZE = True

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._rows: tuple[Row, ...] = ()
        self._notes: tuple[str, ...] = ()
        self._told: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        yield Static(markup=False)

    def update(self, title: str, rows: Sequence[Row], notes: Sequence[str] = ()) -> None:
        """``notes`` stand below, muted: what the figures mean."""
        border(self, title)
        self._rows, self._notes = tuple(rows), tuple(notes)
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
        now = (width, self._rows, self._notes)
        if width < 1 or now == self._told:
            return
        self._told = now
        parts = [Content(line) for line in laid_out(self._rows, width)]
        parts += [Content("")] if self._notes else []
        parts += [
            Content.styled(line, "$text-muted")
            for note in self._notes
            for line in textwrap.wrap(note, width)
        ]
        self.query_one(Static).update(Content("\n").join(parts))


def laid_out(rows: Sequence[Row], width: int) -> list[str]:
    """Names in a column, what is said wrapped beside them."""
    beside = max(12, width - NAME)
    found: list[str] = []
    for name, text in rows:
        wrapped = textwrap.wrap(
            _together(text), beside, subsequent_indent="  ", break_on_hyphens=False
        ) or [""]
        found.append(f"{name:<{NAME}}{wrapped[0]}")
        found += [" " * NAME + line for line in wrapped[1:]]
    return found


def _together(text: str) -> str:
    """Lines are not broken before a per cent sign, nor inside a sample size."""
    return text.replace(" %", "\u00a0%").replace("n = ", "n\u00a0=\u00a0")
