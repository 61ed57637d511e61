"""The terminal application: which screen is shown, and the one timer that looks at the open run.

Knows screens, the open link and preferences; what is on a screen is the screen's affair.
"""

from __future__ import annotations

import dataclasses
import importlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from textual.app import App
from textual.binding import Binding, BindingType
from textual.command import Provider
from textual.events import Event
from textual.filter import LineFilter
from textual.notifications import SeverityLevel
from textual.widgets import Input

from cnp_engine.errors import CnpError
from cnp_tui import glyphs, leaving, preferences, themes
from cnp_tui.ascii import Ascii, Styled, plain
from cnp_tui.draft import EMPTY
from cnp_tui.link import Link, Live
from cnp_tui.position import Position
from cnp_tui.preferences import Preferences
from cnp_tui.replay import STEP_S, Replay
from cnp_tui.screens.base import CnpScreen, RunScreen
from cnp_tui.screens.painted import Painted
from cnp_tui.widgets.late import late
from cnp_tui.writing import Writing

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

ABOVE: dict[Name, tuple[Name, ...]] = {
    "home": (),
    "new": ("new",),
    "run": ("run",),
    "prune": ("run", "prune"),
    "export": ("run", "prune", "export"),
    "compare": ("compare",),
}
"""What stands above Home for each, so that back leads where one expects."""

KEYS = {"enter": "enter", "backspace": "bksp", "escape": "esc"}
"""Keys that are easier to know by name than by sign."""

STAYS_S: dict[SeverityLevel, float] = {"information": 3.0, "warning": 5.0, "error": 8.0}
"""How long a word over the screen stays: it covers figures, and what went wrong is longer."""

NEEDS_A_RUN = "No run is open: open one on Home with enter, or begin one with d or n."
NEEDS_A_CURVE = "There is no curve yet: the sweep has to measure it first."


def _palette() -> type[Provider]:
    from cnp_tui.palette import Commands

    return Commands


class CnpApp(App[int], inherit_bindings=False):
    """``return_code`` of the process is what ``exit`` was given.

    ``begin`` is called once the event loop runs; ``farewell`` is said on stderr once the terminal
    is back; ``crash`` is our own mistake.
    """

    TITLE = "cnp"
    ENABLE_COMMAND_PALETTE = True
    COMMANDS = {_palette}

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "leave", "Quit", id="quit", tooltip="Leave; asks where a run would go on"),
        Binding("ctrl+c", "leave", "Quit", show=False, id="quit.ctrl", tooltip="Leave"),
        Binding("question_mark", "help", "Help", key_display="?", id="help",
                tooltip="What can be done on this screen"),
        Binding("f1", "help", "Help", show=False, id="help.f1",
                tooltip="What can be done on this screen"),
        Binding("t", "theme", "Theme", show=False, id="theme",
                tooltip="The next colours: dark, light, high contrast, the terminal's own"),
        Binding("1", "screen('home')", "Home", show=False, id="screen.home", tooltip="All runs"),
        Binding("2", "screen('new')", "New run", show=False, id="screen.new",
                tooltip="Set up a run"),
        Binding("3", "screen('run')", "Run", show=False, id="screen.run",
                tooltip="The open run at work"),
        Binding("4", "screen('prune')", "Prune", show=False, id="screen.prune",
                tooltip="How many neurons to suppress"),
        Binding("5", "screen('export')", "Export", show=False, id="screen.export",
                tooltip="Write the repaired model"),
        Binding("6", "screen('compare')", "Compare", show=False, id="screen.compare",
                tooltip="The runs that are marked on Home, side by side"),
    ]  # fmt: skip

    REPLAY: ClassVar[list[BindingType]] = [
        Binding("space", "replay('pause')", "Play", priority=True, id="replay.pause",
                tooltip="Hold the replay, or play on; at its end from the start"),
        Binding("plus,equals_sign", "replay('faster')", "Faster", priority=True, show=False,
                id="replay.faster", tooltip="Twice as fast"),
        Binding("minus", "replay('slower')", "Slower", priority=True, show=False,
                id="replay.slower", tooltip="Half as fast"),
        Binding("right", "replay('on')", "On", show=False, id="replay.on",
                tooltip="Five seconds on, where the screen does not use the key"),
        Binding("left", "replay('back')", "Back", show=False, id="replay.back",
                tooltip="Five seconds back, where the screen does not use the key"),
    ]  # fmt: skip

    def __init__(self, link: Link | None = None, first: Name = "home", *args: Any) -> None:
        """``first`` is shown at the start, with ``args``."""
        super().__init__(css_path=sorted(Path(__file__).parent.glob("styles/*.tcss")))
        self.preferences = preferences.load()
        self.glyphs = glyphs.fitting(self.preferences.glyphs)
        self.link = link
        self.begin: Callable[[], object] = lambda: None
        self.positions: dict[Path, Position] = {}
        self.draft = EMPTY
        self._writing: Writing | None = None
        self.farewell = ""
        self.crash: BaseException | None = None
        self._ascii = Ascii(enabled=self.glyphs.mode == "ascii")
        self._first: tuple[Name, tuple[Any, ...]] = (first, args)
        self._left: list[Link] = []
        if os.environ.get("SSH_CONNECTION") and "TEXTUAL_ANIMATIONS" not in os.environ:
            self.animation_level = "none"
        for theme in themes.THEMES:
            self.register_theme(theme)
        known = self.preferences.theme in themes.NAMES
        self.theme = self.preferences.theme if known else themes.NAMES[0]
        self.set_class(self._ascii.enabled, "-ascii")
        if isinstance(link, Replay):
            self._bind_replay()

    def _bind_replay(self) -> None:
        for binding in Binding.make_bindings(self.REPLAY):
            self._bindings.key_to_bindings.setdefault(binding.key, []).append(binding)

    def on_mount(self) -> None:
        self.begin()
        self.push_screen(self.make("home"))
        name, args = self._first
        if self.link is not None:
            self.link.poll()
        self.go(name, *args)
        self.set_interval(EVERY_S, self.look)

    # Which screen is shown

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
        while len(self.screen_stack) > 2:
            self.pop_screen()
        for step in ABOVE[name]:
            self.push_screen(self.make(step, *(args if step == name else ())))

    def go_back(self) -> None:
        if len(self.screen_stack) > 2:
            self.pop_screen()

    def closed(self, name: Name) -> str | None:
        """Why a screen cannot be shown now; None where it can."""
        if name in ("run", "prune", "export"):
            if self.link is None:
                return NEEDS_A_RUN
            if name != "run" and not self.link.snapshot.state.curve:
                return NEEDS_A_CURVE
        return None

    def open_run(self, run: Path | Link, first: Name = "run") -> None:
        """Look at another run from now on. Raises CnpError."""
        from cnp_engine.rundir import RunDirectory

        link: Link = Live(RunDirectory.open(run)) if isinstance(run, Path) else run
        if self.link is not None:
            if self.link.started:
                self._left.append(self.link)
            self.link.close()
        self.link = link
        link.poll()
        self.go(first)

    def close_run(self, path: Path) -> None:
        """Look away from a run, if it is the open one."""
        if self.link is not None and self.link.run.path == path:
            self.link.close()
            self.link = None

    def look(self) -> None:
        """Pull a snapshot; the shown screen gets it where something is different."""
        if not self.screen_stack:  # a last tick while all is taken down
            return
        screen = self.screen
        if self.link is None or not self.link.poll():
            return
        if isinstance(screen, RunScreen) and screen.is_mounted:  # else it pulls one when it is
            with late():  # it may be on its way out, its widgets gone before itself
                screen.say()
                screen.show(self.link.snapshot)

    def post_display_hook(self) -> None:
        """Called by Textual when the screen on top was brought to the terminal."""
        screen = self.screen
        if isinstance(screen, Painted) and not screen.painted:
            screen.painted_at = Event().time

    def writing(self, link: Link) -> Writing:
        """The export of the run that is open, as it was left."""
        if self._writing is None or self._writing.link is not link:
            self._writing = Writing(link)
        return self._writing

    # What is said

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = True,
    ) -> None:
        stays = STAYS_S[severity] if timeout is None else timeout
        super().notify(message, title=title, severity=severity, timeout=stays, markup=markup)

    def tell(self, error: CnpError) -> None:
        """What happened and what to do, over whatever is shown."""
        self.notify(error.todo, title=error.what, severity="error", markup=False)

    def prefer(self, preferred: Preferences) -> None:
        """Keep what the user set."""
        self.preferences = preferred
        preferences.save(preferred)

    # Actions

    def action_screen(self, name: Name) -> None:
        from cnp_tui.screens.home import HomeScreen

        why = self.closed(name)
        if why is not None:
            self.notify(why, severity="warning")
        elif name == "compare":
            homes = [screen for screen in self.screen_stack if isinstance(screen, HomeScreen)]
            self.go(name, [path for home in homes for path in home.marked])
        else:
            self.go(name)

    def action_help(self) -> None:
        from cnp_tui.screens.help import HelpScreen

        self.push_screen(HelpScreen(self.screen))

    def action_theme(self, name: str = "") -> None:
        self.theme = name or themes.following(self.theme)
        self.prefer(dataclasses.replace(self.preferences, theme=self.theme))
        self.notify(self.theme, title="Theme", timeout=2.0)

    def action_runs_folder(self) -> None:
        """Home asks for another folder of runs."""
        from cnp_tui.screens.home import HomeScreen

        self.go("home")
        assert isinstance(self.screen, HomeScreen)
        self.screen.action_folder()

    def action_replay(self, what: str) -> None:
        assert isinstance(self.link, Replay)
        match what:
            case "pause":
                self.link.pause()
            case "faster" | "slower":
                self.link.faster(1 if what == "faster" else -1)
            case _:
                self.link.seek(self.link.position_s + (STEP_S if what == "on" else -STEP_S))
        self.look()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "replay":
            replaying = isinstance(self.link, Replay) and isinstance(self.screen, RunScreen)
            return replaying and not isinstance(self.focused, Input)
        return super().check_action(action, parameters)

    # Leaving

    @property
    def at_work(self) -> list[Link]:
        """The run that is watched and those started from here, where they are at work now."""
        opened = {link.run.path: link for link in self._left}
        for link in opened.values():
            link.poll()
        if self.link is not None:
            self.look()
            opened[self.link.run.path] = self.link
        return [link for link in opened.values() if leaving.working(link)]

    def action_leave(self) -> None:
        working = self.at_work
        if working:
            leaving.ask(self, working)
        else:
            self.exit(0)

    # Textual's own ways of saying things

    def get_line_filters(self) -> Sequence[LineFilter]:
        filters = super().get_line_filters()
        filters = [Styled(), *filters] if filters else filters
        return [*filters, self._ascii] if self._ascii.enabled else filters

    def get_key_display(self, binding: Binding) -> str:
        shown = binding.key_display or KEYS.get(binding.key) or super().get_key_display(binding)
        return plain(shown) if self._ascii.enabled else shown

    def _fatal_error(self) -> None:
        """No traceback over the screen: ``terminal`` says it in two sentences."""
        self.crash = self._exception
        self._close_messages_no_wait()

    def panic(self, *renderables: object) -> None:
        strange = RuntimeError("the terminal's input could not be read")
        self.crash = self.crash or self._exception or strange
        self._close_messages_no_wait()

    async def run_async(self, *, headless: bool = False, **options: Any) -> int | None:
        """Without a terminal a program drives this: what went wrong is raised to it."""
        try:
            return await super().run_async(headless=headless, **options)
        finally:
            if headless and self.crash is not None:
                raise self.crash
