"""The terminal application: which screen is shown, and the one timer that looks at the open run.

Knows screens, the open link and preferences; what is on a screen is the screen's affair.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, ClassVar, Literal

from textual.app import App
from textual.binding import Binding, BindingType

from cnp_tui import glyphs, preferences
from cnp_tui.link import Link, Live
from cnp_tui.screens.base import CnpScreen, RunScreen

EVERY_S = 0.2
"""Between two looks at the open run: five a second is as fast as an eye follows figures."""

Name = Literal["home", "new", "run", "prune", "export", "compare"]

SCREENS: dict[Name, str] = {
    "home": "home:HomeScreen",
    "new": "new_run:NewRunScreen",
    "run": "run:WatchScreen",
    "prune": "prune:PruneScreen",
    "export": "export:ExportScreen",
    "compare": "compare:CompareScreen",
}
"""Module and class of each; imported when first shown."""


class CnpApp(App[int]):
    """``return_code`` of the process is what ``exit`` was given."""

    TITLE = "cnp"
    CSS_PATH = "cnp.tcss"
    ENABLE_COMMAND_PALETTE = True

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "leave", "Quit", id="quit", tooltip="Leave; asks where a run is at work"),
    ]

    def __init__(self, link: Link | None = None, first: Name = "home") -> None:
        super().__init__()
        self.preferences = preferences.load()
        self.glyphs = glyphs.fitting(self.preferences.glyphs)
        self.link = link
        self._first: Name = first

    def on_mount(self) -> None:
        self.push_screen(self.make("home"))
        if self.link is not None:
            self.go(self._first if self._first != "home" else "run")
        self.set_interval(EVERY_S, self.look)

    def make(self, name: Name, *args: Any) -> CnpScreen:
        """A new screen; those about a run get the open link."""
        module, _, kind = SCREENS[name].partition(":")
        made = getattr(importlib.import_module(f"cnp_tui.screens.{module}"), kind)
        if issubclass(made, RunScreen):
            assert self.link is not None
            args = (self.link, *args)
        screen: CnpScreen = made(*args)
        return screen

    def go(self, name: Name, *args: Any) -> None:
        """Show a screen above Home; Prune and Export stand above Run, so that back leads there."""
        below: dict[Name, tuple[Name, ...]] = {
            "home": (), "new": ("new",), "run": ("run",), "prune": ("run", "prune"),
            "export": ("run", "prune", "export"), "compare": ("compare",),
        }  # fmt: skip
        while len(self.screen_stack) > 2:
            self.pop_screen()
        for step in below[name]:
            self.push_screen(self.make(step, *(args if step == name else ())))

    def go_back(self) -> None:
        if len(self.screen_stack) > 2:
            self.pop_screen()

    def open_run(self, run: Path | Link, first: Name = "run") -> None:
        """Look at another run from now on. Raises CnpError."""
        from cnp_engine.rundir import RunDirectory

        link: Link = Live(RunDirectory.open(run)) if isinstance(run, Path) else run
        if self.link is not None:
            self.link.close()
        self.link = link
        link.poll()
        self.go(first)

    def look(self) -> None:
        """Pull a snapshot; the shown screen gets it where something is different."""
        if self.link is not None and self.link.poll() and isinstance(self.screen, RunScreen):
            self.screen.show(self.link.snapshot)

    def action_leave(self) -> None:
        self.exit(0)
