"""The first line of every screen: what is looked at, and how it stands."""

from __future__ import annotations

from pathlib import Path

from rich.cells import cell_len, set_cell_size
from textual.content import Content
from textual.widget import Widget

from cnp_engine.aims import class_name
from cnp_engine.export.wording import shorten
from cnp_tui.entries import WORDS
from cnp_tui.glyphs import Glyphs
from cnp_tui.link import Link, Snapshot
from cnp_tui.replay import Replay

VERDICTS = {"backdoored": "backdoored", "no_evidence": "no evidence of a backdoor"}


class Headline(Widget):
    """Left what, right how; the right side is never cut before the left."""

    DEFAULT_CSS = """
    Headline {
        dock: top; height: 1; width: 1fr; padding: 0 1;
        background: $panel; color: $foreground; text-style: bold;
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._said = ("cnp", "")

    def say(self, left: str, right: str = "") -> None:
        """Painted only where something is different."""
        if (left, right) != self._said:
            self._said = (left, right)
            self.refresh()

    def render(self) -> Content:
        return Content(line(*self._said, self.content_size.width))


def line(left: str, right: str, width: int) -> str:
    """Both on one line of ``width`` cells."""
    right = shorten(right, width) if right else ""
    room = width - cell_len(right) - (2 if right else 0)
    left = shorten(left, room) if room > 3 else ""
    return set_cell_size(left, max(0, width - cell_len(right))) + right


def of_run(link: Link, glyphs: Glyphs) -> tuple[str, str]:
    """Left and right about a run."""
    model = Path(link.run.config.model).name
    return f"{link.run.name}   {model}", _standing(link, glyphs)


def _standing(link: Link, glyphs: Glyphs) -> str:
    said = standing(link.snapshot, glyphs)
    return f"{said}   {link.told(glyphs)}" if isinstance(link, Replay) else said


def standing(snapshot: Snapshot, glyphs: Glyphs) -> str:
    """One phrase: the stage at work, or what came of it."""
    state = snapshot.state
    if snapshot.trouble is not None:
        return "cannot be read any more"
    if snapshot.status == "running":
        if state.paused:
            return "paused"
        if state.stage is None:
            return "starting" if state.seq < 1 else "running"
        now = state.stages[state.stage]
        share = f" {100 * now.done // now.total} %" if now.total else ""
        return f"{state.stage}{share}"
    if snapshot.status != "finished" or state.verdict is None:
        return WORDS.get(snapshot.status, snapshot.status)
    names = state.data.classes if state.data else ()
    targets = ", ".join(class_name(names, index) for index in state.verdict.targets)
    word = VERDICTS[state.verdict.verdict]
    return f"{word} {glyphs.arrow} {targets}" if targets else word
