"""The slider by itself: every way to move it, what it says, and when."""

from __future__ import annotations

from typing import Any

import pytest
from textual.app import App, ComposeResult
from textual.events import MouseScrollDown, MouseScrollUp
from textual.pilot import Pilot
from textual.widgets import Static

from cnp_tui.glyphs import BLOCK
from cnp_tui.messages import Moved, Rested
from cnp_tui.widgets.slider import Marks, Slider, Typed
from tests.tui.screens import until

LONG = 60.0
"""A rest that does not come within a test."""


class Stage(App[None]):
    """A slider from 0 to 120 on 60 columns, and room around it."""

    CSS = "Slider { margin: 2 10; }"
    glyphs = BLOCK

    def __init__(self, k: int = 20, rest_s: float = LONG) -> None:
        super().__init__()
        self.slider = Slider(rest_s=rest_s)
        self.k = k
        self.moved: list[int] = []
        self.rested: list[int] = []
        self.typed: list[str] = []

    def compose(self) -> ComposeResult:
        yield self.slider
        yield Static("below")

    def on_mount(self) -> None:
        self.slider.show(120, Marks(28, 24, (0, 1, 2, 120)), self.k)
        self.slider.focus()

    def on_moved(self, message: Moved) -> None:
        self.moved.append(message.k)

    def on_rested(self, message: Rested) -> None:
        self.rested.append(message.k)

    def on_typed(self, message: Typed) -> None:
        self.typed.append(message.text)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("keys", "k"),
    [
        (["left"], 19), (["right"], 21), (["h"], 19), (["l"], 21),
        (["shift+left"], 10), (["shift+right"], 30), (["H"], 10), (["L"], 30),
        (["pageup"], 26), (["pagedown"], 14), (["home"], 0), (["end"], 120),
        (["home", "left"], 0), (["end", "right"], 120), (["right"] * 5, 25),
        (["end", "shift+right"], 120), (["home", "shift+left", "right"], 1),
    ],
)  # fmt: skip
async def test_keys(keys: list[str], k: int) -> None:
    app = Stage()
    async with app.run_test() as pilot:
        await pilot.press(*keys)
        await pilot.pause()
        assert app.slider.k == k
        assert app.moved[-1] == k
        assert not app.rested, "not while keys may follow"


@pytest.mark.asyncio
async def test_it_rests_once_a_moment_after_the_last_key() -> None:
    app = Stage(rest_s=0.15)
    async with app.run_test() as pilot:
        await pilot.press("right", "right", "right")
        await until(pilot, lambda: bool(app.rested), "a rest")
        assert app.rested == [23]
        assert app.moved == [21, 22, 23]
        assert not app.slider.waiting


@pytest.mark.asyncio
async def test_enter_asks_at_once() -> None:
    app = Stage()
    async with app.run_test() as pilot:
        await pilot.press("right", "enter")
        await pilot.pause()
        assert app.rested == [21]
        assert not app.slider.waiting


async def drag(pilot: Pilot[Any], *cells: int, row: int = 0) -> None:
    slider = pilot.app.query_one(Slider)
    await pilot.mouse_down(slider, offset=(cells[0], row))
    for cell in cells[1:]:
        await pilot.hover(slider, offset=(cell, row))


@pytest.mark.asyncio
async def test_a_drag_moves_cheaply_and_rests_once() -> None:
    app = Stage()
    async with app.run_test() as pilot:
        await drag(pilot, 5, 8, 12)
        await until(pilot, lambda: len(app.moved) == 3, "the drag")
        assert app.moved == [5, 8, 12], "one cell is one neuron near 0"
        assert not app.rested
        await pilot.mouse_up(app.slider, offset=(12, 0))
        await pilot.pause()
        assert app.rested == [12]
        assert app.mouse_captured is None
        assert not app.screen.selections, "a selection repaints the whole screen at every cell"


@pytest.mark.asyncio
async def test_a_drag_goes_on_where_the_pointer_leaves_the_slider() -> None:
    app = Stage()
    async with app.run_test() as pilot:
        await drag(pilot, 5)
        await pilot.hover(None, offset=(10 + 17, 20))
        await pilot.pause()
        assert app.slider.k == 17
        await pilot.hover(None, offset=(0, 20))
        await pilot.pause()
        assert app.slider.k == 0
        await pilot.mouse_up(None, offset=(0, 20))
        await pilot.pause()
        assert app.rested == [0]


@pytest.mark.asyncio
async def test_the_pointer_alone_moves_nothing() -> None:
    app = Stage()
    async with app.run_test() as pilot:
        await pilot.hover(app.slider, offset=(40, 0))
        await pilot.mouse_down(app.slider, offset=(40, 0))
        await pilot.mouse_up(app.slider, offset=(40, 0))
        moved = app.slider.k
        await pilot.hover(app.slider, offset=(3, 0))
        await pilot.pause()
        assert app.slider.k == moved
        assert app.rested == [moved]


@pytest.mark.asyncio
async def test_a_click_on_a_mark_goes_to_its_very_count() -> None:
    app = Stage()
    async with app.run_test() as pilot:
        cell = app.slider.scale.cell(28)
        await pilot.click(app.slider, offset=(cell, 1))
        await pilot.pause()
        assert app.rested == [28]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("event", "shift", "ctrl", "k"),
    [
        (MouseScrollUp, False, False, 21), (MouseScrollDown, False, False, 19),
        (MouseScrollUp, True, False, 30), (MouseScrollDown, False, True, 10),
    ],
)  # fmt: skip
async def test_wheel(
    event: type[MouseScrollUp | MouseScrollDown], shift: bool, ctrl: bool, k: int
) -> None:
    app = Stage()
    async with app.run_test() as pilot:
        await pilot._post_mouse_events(
            [event], app.slider, (3, 0), button=0, shift=shift, control=ctrl
        )
        await pilot.pause()
        assert app.slider.k == k
        assert app.slider.waiting, "it rests when the wheel stands still"


@pytest.mark.asyncio
async def test_digits_begin_a_typed_value_and_reach_nobody_else() -> None:
    app = Stage()
    async with app.run_test() as pilot:
        await pilot.press("2", ".", "x")
        await pilot.pause()
        assert app.typed == ["2", "."]
        assert app.slider.k == 20


@pytest.mark.asyncio
async def test_what_is_shown_from_outside_is_not_said_again() -> None:
    app = Stage()
    async with app.run_test() as pilot:
        app.slider.show(50, Marks(), 70)
        await pilot.pause()
        assert app.slider.k == 50
        assert app.moved == []
        assert app.rested == []


@pytest.mark.asyncio
async def test_the_rows_tell_position_marks_and_range() -> None:
    app = Stage(k=0)
    async with app.run_test() as pilot:
        await pilot.pause()
        track, marks, legend = app.slider.render().plain.split("\n")
        scale = app.slider.scale
        assert track == "↓" + "░" * 59
        assert marks[scale.cell(28)] == "☆"
        assert marks[scale.cell(24)] == "│"
        assert marks[scale.cell(1)] == "'"
        assert legend.startswith("0  ☆ recommended 28   │ 24")
        assert legend.endswith("120")
        assert len(legend) == 60


@pytest.mark.asyncio
@pytest.mark.parametrize("width", [12, 20, 30, 45])
async def test_a_narrow_legend_is_shortened_and_never_wraps(width: int) -> None:
    app = Stage()
    async with app.run_test(size=(width + 20, 10)) as pilot:
        await pilot.pause()
        rows = app.slider.render().plain.split("\n")
        assert [len(row) for row in rows] == [width] * 3
        assert rows[2].endswith("120")
