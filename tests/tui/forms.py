"""The form of a new run: opened, read, and left alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from textual.pilot import Pilot
from textual.widgets import Input, Static, TabbedContent, Tabs

from cnp_tui.app import CnpApp
from cnp_tui.screens.new_run import NewRunScreen
from tests.tui.screens import until


@asynccontextmanager
async def new_run(
    size: tuple[int, int] = (80, 24),
) -> AsyncIterator[tuple[Pilot[int], NewRunScreen]]:
    app = CnpApp(None, "new")
    app.animation_level = "none"
    async with app.run_test(size=size) as pilot:
        screen = app.screen
        assert isinstance(screen, NewRunScreen)
        await until(pilot, lambda: isinstance(app.focused, Input), "the first field")
        yield pilot, screen


def part(screen: NewRunScreen) -> str:
    return screen.query_one("#parts", TabbedContent).active


def text_of(screen: NewRunScreen, place: str) -> str:
    return str(screen.query_one(place, Static).content)


def problem(screen: NewRunScreen, key: str) -> str:
    shown = screen.query_one(f"#field-{key} .problem", Static)
    return str(shown.content) if shown.display else ""


async def idle(pilot: Pilot[int], screen: NewRunScreen) -> None:
    """Out of the first field, so that letters are keys."""
    await pilot.pause()
    while isinstance(screen.focused, Input):  # a list of candidates is closed first
        await pilot.press("escape")
    await until(pilot, lambda: isinstance(screen.focused, Tabs), "the row of parts")
