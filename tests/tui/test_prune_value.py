"""Prune: the line a value is typed into, what it says, and that all of it can be read."""

from __future__ import annotations

import pytest
from textual.widgets import Label

from cnp_tui.position import Position
from cnp_tui.scale import MODES, Mode, takes
from cnp_tui.screens.prune import PruneScreen
from cnp_tui.widgets.slider import Slider
from cnp_tui.widgets.value import Value
from tests.tui.alone import Alone
from tests.tui.recorded import state
from tests.tui.screens import until

asyncio = pytest.mark.asyncio

REFUSED: dict[Mode, tuple[str, ...]] = {
    "count": ("0.5", "9990", "100.0%", "0.1.2.3"),
    "fraction": ("99.9", "0.1.2.3"),
    "threshold": ("9990", "0.1.2.3", "100.0%"),
}


@asyncio
@pytest.mark.parametrize("mode", MODES)
async def test_all_that_is_said_of_a_value_fits_eighty_columns(mode: Mode) -> None:
    link = state("blended")
    app = Alone(link, "prune")
    app.positions[link.run.path] = Position(6, moved=True, mode=mode)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("g")
        typed = app.screen.query_one(Value)
        meant = app.screen.query_one("#meant", Label)
        await until(pilot, lambda: str(meant.content) == takes(mode), "what it takes")
        for value in ("", *REFUSED[mode]):
            typed.value = value
            await until(pilot, lambda: str(meant.content) != takes(mode) or not value, "why not")  # noqa: B023
            await pilot.pause()
            said = str(meant.content)
            assert said.endswith(".") == bool(value)
            assert (len(said) < meant.size.width, meant.size.height) == (True, 1), said
            assert meant.region
        assert "0.31" not in takes("count")


@asyncio
async def test_the_next_key_replaces_what_was_refused() -> None:
    app = Alone(state("answering"), "prune")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("9", "9", "9", "enter")
        typed = app.screen.query_one(Value)
        await until(pilot, lambda: not typed.selection.is_empty, "what was refused")
        await pilot.press("1", "2")
        await until(pilot, lambda: typed.value == "12", "another value")
        await pilot.press("enter")
        slider = app.screen.query_one(Slider)
        await until(pilot, lambda: slider.has_focus, "the slider")
        assert slider.k == 12


@asyncio
async def test_the_footer_says_how_to_leave_the_field() -> None:
    app = Alone(state("answering"), "prune")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("5")
        shown = ["Set", "Leave"]
        await until(pilot, lambda: [
            str(key.description) for key in app.screen.query("FooterKey")  # type: ignore[attr-defined]
        ][:2] == shown, "enter and esc")  # fmt: skip
        await pilot.press("escape")
        await until(pilot, lambda: app.screen.query_one(Slider).has_focus, "the slider")
        assert isinstance(app.screen, PruneScreen)
        assert app.screen.query_one(Slider).k == 6
