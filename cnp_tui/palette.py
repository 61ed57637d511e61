"""The command palette: every screen, colour and thing to copy by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, cast

from textual.actions import parse
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.screen import Screen

from cnp_engine.export.command import command_line
from cnp_tui import clipboard, themes
from cnp_tui.app import CnpApp, Name
from cnp_tui.screens.help import bindings

Entry = tuple[str, str, Callable[[], object]]

_SCREENS: dict[Name, str] = {
    "home": "Home: all runs",
    "new": "New run",
    "run": "Run: the open run at work",
    "prune": "Prune: how many neurons to suppress",
    "export": "Export: write the repaired model",
    "compare": "Compare runs",
}


class Commands(Provider):
    async def discover(self) -> Hits:
        for name, meaning, call in self._entries():
            yield DiscoveryHit(name, call, help=meaning)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name, meaning, call in self._entries():
            score = matcher.match(name)
            if score > 0:
                yield Hit(score, matcher.highlight(name), call, help=meaning)

    def _entries(self) -> Iterator[Entry]:
        app = cast(CnpApp, self.app)
        yield from _of_screen(app, self.screen)
        for name, title in _SCREENS.items():
            yield title, app.closed(name) or "Show this screen", partial(app.action_screen, name)
        yield "Open another runs folder", "Its runs on Home", app.action_runs_folder
        for theme in themes.NAMES:
            yield f"Theme: {theme}", "Change the colours", partial(app.action_theme, theme)
        yield from _copies(app)
        yield "Help", "What can be done on this screen", app.action_help
        yield "Quit", "Leave; asks where a run is at work", app.action_leave


def _of_screen(app: CnpApp, screen: Screen[Any]) -> Iterator[Entry]:
    """What the keys of the screen below do now, for a hand on the mouse."""
    seen = {"back"}
    for binding in bindings(type(screen)):
        _, name, parameters = parse(binding.action)
        if screen.check_action(name, parameters) is False:
            continue
        if binding.action not in seen and not binding.action.startswith("arrow"):
            seen.add(binding.action)
            call = partial(app.run_action, binding.action, screen)
            yield f"{binding.description} ({app.get_key_display(binding)})", binding.tooltip, call


def _copies(app: CnpApp) -> Iterator[Entry]:
    if app.link is None:
        return
    run = app.link.run
    copy = partial(clipboard.copy, app, folder=run.path)
    yield (
        "Copy the command that repeats this run",
        "cnp run ...",
        partial(copy, command_line(run.config), what="The command"),
    )
    yield (
        "Copy the path of this run",
        str(run.path),
        partial(copy, str(run.path), what="The path"),
    )
