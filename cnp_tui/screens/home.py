"""All runs of a folder: what came of each, and everything that can be done with one."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import DataTable, Input, Static

from cnp_engine import launch, runs
from cnp_engine.commands import Continue
from cnp_engine.errors import CnpError
from cnp_engine.export.command import command_line
from cnp_engine.files import absolute
from cnp_engine.rundir import RunDirectory
from cnp_tui import clipboard, deletion, jobs, leaving, particulars
from cnp_tui.entries import WORDS, Entry
from cnp_tui.index import Index
from cnp_tui.link import Link, Live
from cnp_tui.screens.base import CnpScreen
from cnp_tui.screens.confirm import YES, Choice, Confirm
from cnp_tui.widgets.footer import Footer
from cnp_tui.widgets.run_table import RunTable

EVERY_S = 0.5
"""Between two looks at the folder."""

READ_S = 0.02
"""Between two helpings of runs that are not known yet; keys are answered in between."""

NOTHING = "There is no run here. Begin one with d (the demo) or n."

EMPTY = """\
There are no runs yet.

  d   the demo: find and suppress the backdoor of a small model
      that comes with cnp (about a minute on two cores, no download)
  n   set up a run of your own: a checkpoint and some clean images
  o   open another folder of runs

A run goes on when this terminal closes. ? says what every key does."""


MORE = ("home.mark", "home.compare", "home.stop", "home.delete", "home.folder", "home.copy")
"""Keys the footer names where there is room."""


class HomeScreen(CnpScreen):
    TOPIC = "runs"
    ABOUT = """All runs: those at work, then the one that wrote last. A run is a checkpoint that
        was examined and, where a backdoor was found, repaired; it is done by a process of its own,
        so leaving this program stops nothing. BA is the accuracy on clean images, ASR the share of
        triggered images that get the attacker's answer; retention and residual stand in for them
        where there are no labels or no known attack. Before and after are those of the original
        and of the exported model, read back from disk."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("backspace", "back", "Back", show=False, id="home.back",
                tooltip="All runs again: the filter goes"),
        Binding("escape", "back", "Back", show=False, id="home.back.escape",
                tooltip="All runs again: the filter goes"),
        Binding("enter", "open", "Open", show=False, id="home.open",
                tooltip="Look at the highlighted run"),
        Binding("d", "demo", "Demo", id="home.demo",
                tooltip="The whole job on the model that comes with cnp"),
        Binding("n", "app.screen('new')", "New run", id="home.new", tooltip="Set up a run"),
        Binding("R", "resume", "Resume", id="home.resume",
                tooltip="Go on with a run that is paused, was stopped, failed, or lost its worker"),
        Binding("x", "stop", "Stop", id="home.stop", show=False,
                tooltip="Stop the highlighted run; asks, and what is done stays"),
        Binding("slash", "filter", "Filter", key_display="/", id="home.filter",
                tooltip="Only runs that hold these words: name, model, state, verdict"),
        Binding("c", "compare", "Compare", id="home.compare", show=False,
                tooltip="Mark this run; with two or more marked, show them side by side"),
        Binding("space", "mark", "Mark", id="home.mark", show=False,
                tooltip="Mark this run for comparing, or take the mark off"),
        Binding("y", "copy", "Copy command", id="home.copy", show=False,
                tooltip="Copy the command that repeats this run"),
        Binding("o", "folder", "Folder", id="home.folder", show=False,
                tooltip="Open another folder of runs"),
        Binding("D", "delete", "Delete", id="home.delete", show=False,
                tooltip="Delete the highlighted run and its exports; asks"),
    ]  # fmt: skip

    def __init__(self, place: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._index = Index(place)
        self._clock = clock
        self._marked: frozenset[Path] = frozenset()
        self._filter = ""
        self._told: tuple[Entry | None, float] | None = None
        self._seen: Link | None = None

    def compose(self) -> ComposeResult:
        yield Static(Content(EMPTY), id="empty")
        yield RunTable(self.cnp.glyphs)
        yield Static(id="particulars")
        yield Input(id="filter", placeholder="/ words the run has to hold; esc: all", compact=True)
        yield Input(id="folder", placeholder="o folder of runs; empty: your own", compact=True)
        yield Footer(also=MORE)

    def on_mount(self) -> None:
        for name in ("#filter", "#folder", "#empty"):
            self.query_one(name).display = False
        self.table.focus()
        self._index.scan()
        self.set_interval(EVERY_S, self._look)
        self.call_after_refresh(self._read)

    def on_screen_resume(self) -> None:
        """The cursor is on the run that one comes from."""
        self._look()
        link = self.cnp.link
        if link is not self._seen and link is not None:
            self.table.go_to(link.run.path)
        self._seen = link

    @property
    def table(self) -> RunTable:
        return self.query_one(RunTable)

    @property
    def place(self) -> Path:
        return self._index.place

    @property
    def complete(self) -> bool:
        """Whether everything there is to know is on the screen."""
        return self._index.complete

    @property
    def entry(self) -> Entry | None:
        """The highlighted run."""
        path = self.table.current
        return next((entry for entry in self._index.entries if entry.path == path), None)

    @property
    def marked(self) -> list[Path]:
        """Runs to compare, in the order of the list."""
        return [entry.path for entry in self._index.entries if entry.path in self._marked]

    def say(self) -> None:
        entries = self._index.entries
        working = sum(entry.status == "running" for entry in entries)
        right = f"{len(entries)} runs" if len(entries) != 1 else "1 run"
        right += f", {working} at work" if working else ""
        self.headline.say(f"cnp   {self.place}", right)

    # Looking at the folder

    def _look(self) -> None:
        if not self.is_active or not self.is_mounted:
            return
        self._index.scan()
        self._read()

    def _read(self) -> None:
        """A helping of what is not known; the rest once the keys of meanwhile are answered."""
        self._index.step()
        self._paint()
        if not self._index.complete:
            self.set_timer(READ_S, self._read)

    def _paint(self) -> None:
        entries = self._index.entries
        words = self._filter.lower().split()
        shown = [entry for entry in entries if all(word in _text(entry) for word in words)]
        self.query_one("#empty").display = not entries
        self.table.display = bool(entries)
        self.table.show(shown, self._marked, self._clock(), known=self.complete)
        self._describe()
        self.say()

    def _describe(self) -> None:
        """Everything about the highlighted run that a line has no room for."""
        entry, width = self.entry, self.size.width
        if (entry, width) != self._told:
            self._told = (entry, width)
            text = particulars.told(entry, self.cnp.glyphs) if entry is not None else ""
            self.query_one("#particulars", Static).update(Content(text))

    @on(DataTable.RowHighlighted)
    def _highlighted(self) -> None:
        self._describe()

    # What is done with a run

    @on(DataTable.RowSelected)
    def _selected(self) -> None:
        if self.is_active:  # the second of two quick clicks comes too late
            self.action_open()

    def action_open(self) -> None:
        entry = self.entry
        if entry is None:
            self._refuse(NOTHING)
        elif entry.status in ("damaged", "gone"):
            self._refuse(f"{entry.what} {entry.todo}")
        else:
            self._try(partial(self.cnp.open_run, entry.path))

    def action_demo(self) -> None:
        """Asks where there are runs: d has just meant to detach from one."""
        if not self._index.entries:
            self._try(self._begin_demo)
        elif self.painted:
            sure = Choice(YES, "begin", "It takes about a minute of every core.")
            self.app.push_screen(
                Confirm("Begin the demo?", (sure,)),
                lambda key: self._try(self._begin_demo) if key == sure.key else None,
            )

    def _begin_demo(self) -> None:
        run = jobs.begin(jobs.demo_inputs(), [], None, jobs.Place(None))
        self.cnp.open_run(Live(run, launch.start(run)))

    def action_resume(self) -> None:
        entry = self.entry
        if entry is None:
            self._refuse(NOTHING)
        elif entry.paused or entry.resumable:
            self._try(partial(self._resume, entry))
        else:
            self._refuse(_why_not_resumed(entry))

    def _resume(self, entry: Entry) -> None:
        link = Live(RunDirectory.open(entry.path))
        try:
            if entry.resumable:
                link.wake()
            else:
                link.send(Continue())
        except CnpError:
            link.close()
            raise
        self.cnp.open_run(link)

    def action_stop(self) -> None:
        entry = self.entry
        if not self.painted:
            return
        if entry is None or entry.status != "running":
            self._refuse("Only a run at work can be stopped." if entry else NOTHING)
            return
        leaving.ask_to_stop(self.cnp, entry.name, lambda: self._try(partial(_stop, entry)))

    def action_delete(self) -> None:
        entry = self.entry
        if not self.painted:
            return
        if entry is None or entry.status == "running":
            self._refuse("It is at work: stop it first, with x." if entry else NOTHING)
            return
        lost = "Its log, its figures and its exports are gone then."
        sure = Choice(YES, "delete", lost if entry.status != "gone" else "Off the list.")
        self.app.push_screen(
            Confirm(f"Delete {entry.path}?", (sure,)),
            lambda key: self._try(partial(self._delete, entry)) if key == sure.key else None,
        )

    def _delete(self, entry: Entry) -> None:
        self.cnp.close_run(entry.path)
        deletion.delete(entry.path, self.place)
        self._marked -= {entry.path}
        self._index.forget(entry.path)
        self._look()

    def action_mark(self) -> None:
        entry = self.entry
        if entry is not None:
            self._marked ^= {entry.path}
            self._paint()

    def action_compare(self) -> None:
        entry = self.entry
        if entry is None:
            self._refuse(NOTHING)
            return
        alone = self._marked == {entry.path}
        self._marked |= {entry.path}
        self._paint()
        if len(self.marked) > 1:
            self.cnp.go("compare", self.marked)
        else:
            said = "is marked" if not alone else "is the only one marked"
            self.notify(f"{entry.name} {said}; go to another run and press c again.", markup=False)

    def action_copy(self) -> None:
        entry = self.entry
        if entry is None:
            self._refuse(NOTHING)
        else:
            self._try(partial(self._copy, entry.path))

    def _copy(self, path: Path) -> None:
        command = command_line(RunDirectory.open(path).config)
        clipboard.copy(self.cnp, command, path, "The command")

    # Filter and folder

    def action_filter(self) -> None:
        self._ask("#filter", self._filter)

    def action_folder(self) -> None:
        self._ask("#folder", str(self.place))

    def _ask(self, name: str, value: str) -> None:
        line = self.query_one(name, Input)
        line.value, line.display = value, True
        line.focus()

    @on(Input.Changed, "#filter")
    def _filtered(self, event: Input.Changed) -> None:
        self._filter = event.value
        self._paint()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        line = event.input
        line.display = bool(line.id == "filter" and line.value)
        self.table.focus()
        if line.id == "folder":
            self._open_folder(line.value.strip())

    def _open_folder(self, text: str) -> None:
        place = absolute(text) if text else runs.home()
        if not place.is_dir():
            self._refuse(f"There is no folder {place}.")
            return
        self._index, self._marked = Index(place), frozenset()
        self._look()

    def action_back(self) -> None:
        """Out of a line; then the filter goes. There is nothing below Home: q leaves."""
        lines = [line for line in self.query(Input) if line.has_focus]
        if not lines or lines[0].id == "filter":
            self._filter = self.query_one("#filter", Input).value = ""
            self._paint()
        for line in self.query(Input):
            line.display = False
        self.table.focus()

    # Saying no

    def _try(self, action: Callable[[], None]) -> None:
        try:
            action()
        except CnpError as error:
            self.cnp.tell(error)

    def _refuse(self, why: str) -> None:
        self.notify(why, severity="warning", markup=False)


def _text(entry: Entry) -> str:
    stands = WORDS.get(entry.status, entry.status)
    words = (entry.name, entry.model, stands, entry.verdict or "", *entry.targets)
    return " ".join((*words, entry.stage or "")).lower()


def _stop(entry: Entry) -> None:
    launch.cancel(RunDirectory.open(entry.path), leaving.REASON)


def _why_not_resumed(entry: Entry) -> str:
    if entry.status == "running":
        return "It is at work already; enter looks at it."
    if entry.status == "finished":
        return "It is finished; there is nothing left to do. y copies the command that repeats it."
    return f"{entry.what} {entry.todo}".strip() or "It was not read yet."
