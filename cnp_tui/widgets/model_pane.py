"""The checkpoint of a new run: its path, others found under a folder, and what it is."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Button, OptionList, Static
from textual.widgets.option_list import Option

from cnp_engine.errors import CheckpointUnreadable, CnpError
from cnp_engine.export.wording import plural
from cnp_engine.files import absolute
from cnp_tui import bridge, told
from cnp_tui.aside import aside
from cnp_tui.completion import CHECKPOINTS, Rules
from cnp_tui.draft import LABELS
from cnp_tui.faults import revive
from cnp_tui.messages import Accepted, Edited, Inspected
from cnp_tui.scan import File, Scan
from cnp_tui.told import Told
from cnp_tui.widgets.field import Field
from cnp_tui.widgets.late import late
from cnp_tui.widgets.path_input import PathInput
from cnp_tui.widgets.rows import Rows

REST_S = 0.3
"""How long a highlight rests before its file is looked into: a look costs two seconds of a core."""

WATCH_S = 0.25

Known = tuple[tuple[Told, ...], CnpError | None]
_Stamp = tuple[str, int, int]


class ModelPane(Vertical):
    DEFAULT_CLASSES: ClassVar[str] = "part"

    def __init__(self, recent: Sequence[str]) -> None:
        super().__init__()
        self._recent = tuple(recent)
        self._scan: Scan | None = None
        self._listed: list[File] = []
        self._known: dict[_Stamp, Known] = {}
        self._asked = ""
        self._watch: Timer | None = None

    def compose(self) -> ComposeResult:
        editor = PathInput(Rules(CHECKPOINTS), self._recent, "path of a .pth, .pt, .safetensors")
        yield Field("model", LABELS["model"], editor)
        with Horizontal(classes="buttons"):
            yield Button("Find checkpoints", id="find", compact=True)
            yield Button("Use the demo", id="demo", compact=True)
            yield Static(id="scanned", markup=False)
        with Vertical(id="model-body"):
            yield OptionList(id="checkpoints", compact=True)
            with VerticalScroll(id="inspection"):
                yield Rows(id="inspected")

    def on_mount(self) -> None:
        self._say("f looks for others under the folder above")
        self._show_recent()

    @work(group="recent")
    async def _show_recent(self) -> None:
        """Those of the recents that are still there."""
        files = await aside(lambda: _files(self._recent))
        if self._scan is None and files:
            with late():
                self._list(files, "used before")

    # Finding

    def find(self, text: str) -> None:
        """Look under the folder of ``text``; a second time stops looking."""
        if self._scan is not None and not self._scan.done:
            self._scan.stop()
            return
        root = _folder(text)
        self._scan = Scan(root)
        self._listed = []
        self._say(f"looking under {root}")
        self._watch = self._watch or self.set_interval(WATCH_S, self._look, pause=True)
        self._watch.resume()

    def _look(self) -> None:
        scan = self._scan
        assert scan is not None
        done = scan.done  # asked first, so that nothing found last is missed
        files = scan.newest()
        so_far = f"{plural(len(files), 'checkpoint')} in {plural(scan.folders, 'folder')}"
        if done and self._watch is not None:
            self._watch.pause()
        if files != self._listed or done:
            ending = f", {scan.cut}" if scan.cut else ""
            where = f" under {scan.root}" if done and not files else ""
            self._list(files, f"{so_far}{where}{ending}" if done else so_far)
        if not done:
            self._say(f"{so_far}, f stops")

    def on_unmount(self) -> None:
        if self._scan is not None:
            self._scan.stop()

    def _say(self, text: str) -> None:
        self.query_one("#scanned", Static).update(Content(text))

    def _list(self, files: Sequence[File], said: str) -> None:
        self._say(said)
        self._listed = list(files)
        shown = self.query_one("#checkpoints", OptionList)
        at = shown.highlighted
        shown.clear_options()
        now, wide = time.time(), max(20, self.size.width // self._columns - 30)
        shown.add_options(Option(_line(file, now, wide)) for file in files)
        if at is not None and at < len(files):
            shown.highlighted = at

    @property
    def _columns(self) -> int:
        return 2 if self.screen.has_class("-wide") or self.screen.has_class("-full") else 1

    @on(OptionList.OptionHighlighted, "#checkpoints")
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        if event.option_list.has_focus:
            self.look_into(str(self._listed[event.option_index].path))

    @on(OptionList.OptionSelected, "#checkpoints")
    def _picked(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        path = str(self._listed[event.option_index].path)
        self.look_into(path)
        self.post_message(Edited("model", path))
        self.post_message(Accepted("model"))

    # Looking into one

    def look_into(self, path: str) -> None:
        """Say what the file at ``path`` is, soon; a newer question ends an older one."""
        if path != self._asked:
            self._asked = path
            self._inspect(path)

    @work(group="inspect", exclusive=True)
    async def _inspect(self, path: str) -> None:
        await asyncio.sleep(REST_S)
        place = absolute(path) if path else Path()
        stamp = await aside(lambda: _stamp(place))
        if not path or stamp is None:
            folder = bool(path) and await aside(place.is_dir)
            self.tell(path if folder else "", ((), _folder_given(place) if folder else None))
            return
        if stamp not in self._known:
            self._show((Told("", f"Looking into {place.name} ..."),))
            self._known[stamp] = await _ask(place)
        self.tell(path, self._known[stamp])

    def tell(self, path: str, known: Known) -> None:
        """What is known of the file at ``path``; empty where none is, as there may be one later."""
        self._asked = path
        rows, trouble = known
        self._show(rows)
        self.post_message(Inspected(path, trouble))

    def _show(self, rows: Sequence[Told]) -> None:
        with late():
            self.query_one("#inspected", Rows).update(rows)
            self.query_one("#inspection").scroll_home(animate=False)


async def _ask(place: Path) -> Known:
    """What the engine says of a file, in a process of its own."""
    name = Told("file", str(place))
    try:
        found = await bridge.ask("inspect", file=str(place))
    except CnpError as error:
        hint = told.in_form(error.todo)
        return (name, Told("refused", error.what, "bad"), Told("to do", hint)), error
    trouble = None
    if found["refused"]:
        trouble = revive(
            found["error_code"], found["refused"], told.in_form(found["todo"] or ""),
            found["imports"],
        )  # fmt: skip
    elif found["error_code"]:
        trouble = revive(found["error_code"], found["norm"] or "", "Give another model.")
    return (name, *told.checkpoint(found)), trouble


def _folder_given(place: Path) -> CnpError:
    return CheckpointUnreadable(f"{place} is a folder.", "Give a checkpoint that is in it.")


def _stamp(place: Path) -> _Stamp | None:
    """What tells whether a file is still the one that was looked into; None where it is none."""
    try:
        known = place.stat()
    except OSError:
        return None
    return None if place.is_dir() else (str(place), known.st_mtime_ns, known.st_size)


def _files(paths: Sequence[str]) -> list[File]:
    found = []
    for path in paths:
        try:
            known = Path(path).stat()
        except OSError:
            continue
        found.append(File(Path(path), known.st_size, known.st_mtime))
    return found


def _folder(text: str) -> Path:
    """The folder that ``text`` is, or lies in."""
    place = absolute(text or ".")
    return place if text.endswith("/") or not text or place.is_dir() else place.parent


def _line(file: File, now: float, width: int) -> Content:
    """The end of a path tells files apart; a ``~`` saves room."""
    home = os.path.expanduser("~")  # noqa: PTH111  # as text: it is only shown
    path = str(file.path)
    path = f"~{path[len(home) :]}" if path.startswith(f"{home}/") else path
    if len(path) > width:
        path = "..." + path[-(width - 3) :]
    age = told.age(now - file.modified)
    return Content(f"{path:<{width}} {told.size(file.size):>9}  {age}")
