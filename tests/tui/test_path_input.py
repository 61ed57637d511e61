"""The path field by its keys and by mouse, over real folders and over one that never answers."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widgets import Button, OptionList

from cnp_tui import completion
from cnp_tui.completion import CHECKPOINTS, Listing, Rules
from cnp_tui.widgets import path_input
from cnp_tui.widgets.path_input import PathInput, Read
from tests.tui.screens import until

asyncio = pytest.mark.asyncio


class Fields(App[None]):
    CSS = """
    PathInput { height: 1; }
    PathInput OptionList { display: none; overlay: screen; height: auto; max-height: 8; }
    """

    def __init__(self, read: Read) -> None:
        super().__init__()
        rules = Rules(CHECKPOINTS, prefixes=("cifar10",), names=("demo",))
        self.path = PathInput(rules, ("/before.pth", "/earlier.pth"), read=read)
        self.said: list[tuple[str, str]] = []

    def compose(self) -> ComposeResult:
        yield self.path
        yield Button("next")

    def on_path_input_changed(self, event: PathInput.Changed) -> None:
        self.said.append(("changed", event.text))

    def on_path_input_taken(self, event: PathInput.Taken) -> None:
        self.said.append(("taken", event.text))


@asynccontextmanager
async def field(
    read: Read = lambda text, rules: completion.complete(text, rules),
) -> AsyncIterator[tuple[Pilot[None], Fields]]:
    for name in ("runs/", "models/"):
        (Path.cwd() / name).mkdir(exist_ok=True)
    for name in ("net.pth", "net2.pth", "notes.txt", "models/deep.th"):
        (Path.cwd() / name).touch()
    app = Fields(read)
    async with app.run_test(size=(60, 20)) as pilot:
        app.path.line.focus()
        await until(pilot, lambda: app.path.line.has_focus, "the focus")
        yield pilot, app


def listed(app: Fields) -> list[str]:
    shown = app.path.query_one(OptionList)
    return [str(option.prompt) for option in shown.options] if shown.display else []


@asyncio
async def test_empty_it_offers_what_was_used_before_when_asked() -> None:
    async with field() as (pilot, app):
        await pilot.pause()
        assert not app.path.open, "it would lie over what is below"
        assert app.path.line.placeholder.endswith("down: used before")
        await pilot.press("down")
        assert listed(app) == ["/before.pth", "/earlier.pth"]
        await pilot.press("down", "down", "enter")
        assert app.said[-1] == ("taken", "/earlier.pth")
        assert not app.path.open


@asyncio
async def test_letters_are_typed_and_candidates_come() -> None:
    async with field() as (pilot, app):
        await pilot.press("h", "j", "k", "l")
        assert app.path.text == "hjkl"
        await pilot.press("ctrl+u", "n")
        await until(pilot, lambda: listed(app) == ["net.pth", "net2.pth"], "the candidates")


@asyncio
async def test_tab_completes_and_then_leads_on() -> None:
    async with field() as (pilot, app):
        await pilot.press("n")
        await until(pilot, lambda: len(listed(app)) == 2, "the candidates")
        await pilot.press("tab")
        assert app.path.text == "net"
        assert app.focused is app.path.line
        await until(pilot, lambda: len(listed(app)) == 2, "the candidates")
        await pilot.press("down", "tab")
        assert app.path.text == "net.pth"
        await until(pilot, lambda: not listed(app), "the list to close on the only one")
        await pilot.press("tab")
        assert isinstance(app.focused, Button)


@asyncio
async def test_right_takes_the_suggestion_and_goes_into_folders() -> None:
    async with field() as (pilot, app):
        await pilot.press("m")
        await until(pilot, lambda: listed(app) == ["models/"], "the folder")
        await pilot.press("right")
        assert app.path.text == "models/"
        await until(pilot, lambda: listed(app) == ["deep.th"], "what is in it")
        await pilot.press("down", "right")
        assert app.path.text == "models/deep.th"


@asyncio
async def test_enter_goes_into_a_folder_and_takes_a_file() -> None:
    async with field() as (pilot, app):
        await pilot.press("m")
        await until(pilot, lambda: listed(app) == ["models/"], "the folder")
        await pilot.press("down", "enter")
        assert ("taken", "models/") not in app.said
        await until(pilot, lambda: listed(app) == ["deep.th"], "what is in it")
        await pilot.press("down", "enter")
        assert app.said[-1] == ("taken", "models/deep.th")
        assert not app.path.open


@asyncio
async def test_enter_takes_what_is_typed_and_escape_closes() -> None:
    async with field() as (pilot, app):
        await pilot.press("n")
        await until(pilot, lambda: len(listed(app)) == 2, "the candidates")
        await pilot.press("escape")
        assert (listed(app), app.path.text) == ([], "n")
        await pilot.press("down")
        await until(pilot, lambda: len(listed(app)) == 2, "the candidates again")
        await pilot.press("up", "up", "up", "escape", "enter")
        assert app.said[-1] == ("taken", "n")


@asyncio
async def test_a_click_takes_a_candidate() -> None:
    async with field() as (pilot, app):
        await pilot.press("n")
        await until(pilot, lambda: len(listed(app)) == 2, "the candidates")
        await pilot.pause()
        await pilot.click(OptionList, offset=(3, 1))
        await until(pilot, lambda: ("taken", "net2.pth") in app.said, "the click")
        assert app.focused is app.path.line


@asyncio
async def test_a_folder_that_does_not_answer_freezes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(path_input, "PATIENCE_S", 0.2)
    hung, release = [], threading.Event()

    def read(text: str, rules: Rules) -> Listing:
        hung.append(text)
        release.wait(20)
        return Listing()

    async with field(read) as (pilot, app):
        await pilot.press(*"share/x")
        assert app.path.text == "share/x"
        await until(pilot, lambda: listed(app) == ["share does not answer"], "the note")
        assert 1 <= len(hung) <= 4
        release.set()


@asyncio
async def test_set_from_outside_no_list_opens() -> None:
    async with field() as (pilot, app):
        app.path.show("net.pth")
        await pilot.pause()
        assert (app.path.text, app.path.open, app.said) == ("net.pth", False, [])
