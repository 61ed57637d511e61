"""Help lists under Everywhere no key that means something else where it was asked for."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from cnp_tui.app import Name
from cnp_tui.screens.help import sections
from cnp_tui.widgets.slider import Slider
from tests.tui.alone import Alone
from tests.tui.recorded import state
from tests.tui.screens import until

DIGITS = set("123456")


def everywhere(pilot: Pilot[int]) -> set[str]:
    *_, last = sections(pilot.app.screen)
    assert last.title == "Everywhere"
    return {key for row in last.rows for key in row.keys}


@pytest.mark.asyncio
@pytest.mark.parametrize(("name", "go"), [("prune", set()), ("export", DIGITS)])
async def test_digits_are_told_of_where_they_go_to_a_screen(name: Name, go: set[str]) -> None:
    app = Alone(state("answering"), name)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.focused is not None, "the focus")
        told = everywhere(pilot)
        assert told & DIGITS == go
        assert {"q", "?", "t"} <= told
        assert isinstance(app.focused, Slider) == (name == "prune")


@pytest.mark.asyncio
async def test_where_no_slider_is_focused_digits_go_to_a_screen() -> None:
    app = Alone(state("masks"), "prune")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.focused is None, "no slider to focus")
        assert everywhere(pilot) >= DIGITS
