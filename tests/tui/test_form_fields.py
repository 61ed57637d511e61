"""New run, field by field: what its keys are, what is wrong in it, and what stays of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Checkbox, Input
from textual.widgets._footer import FooterKey

from cnp_tui.draft import Draft
from cnp_tui.screens.help import HelpScreen
from cnp_tui.screens.new_run import NewRunScreen
from cnp_tui.widgets.field import Field
from cnp_tui.widgets.rows import Rows
from tests.tui.forms import idle, new_run, problem
from tests.tui.screens import toasts, until

asyncio = pytest.mark.asyncio


@asyncio
async def test_the_keys_of_a_field_stand_in_the_footer() -> None:
    async with new_run() as (pilot, screen):

        def footer() -> list[str]:
            keys = screen.query(FooterKey)
            return [f"{each.key_display} {each.description}" for each in keys if each.region]

        every = ["enter Next", "esc Leave", "F1 Help"]
        await until(pilot, lambda: set(every) < set(footer()), "a path")
        await pilot.press("f3")
        screen.query_one("#field-clean", Field).take_focus()
        await until(pilot, lambda: footer()[:3] == every, "a plain field")
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(pilot.app.screen, HelpScreen), "help")
        await pilot.press("escape")
        await idle(pilot, screen)
        await until(pilot, lambda: "s Start" in footer() and "F1 Help" not in footer(), "outside")


@asyncio
async def test_what_is_wrong_is_readable_under_the_candidates(tmp_path: Path) -> None:
    (tmp_path / "here" / "models").mkdir()
    async with new_run() as (pilot, screen):
        await pilot.press(*"mod")
        said = screen.query_one("#field-model .problem")
        listed = screen.query_one("#field-model PathInput OptionList")
        await until(pilot, lambda: bool(said.region) and listed.display, "both")
        assert "Check the path to the model." in problem(screen, "model")
        await until(pilot, lambda: listed.region.y >= said.region.bottom, "one under the other")
        await pilot.press("tab")
        assert screen.draft.text("model") == "models/"


@asyncio
async def test_what_was_typed_is_there_again_and_can_be_cleared(tmp_path: Path) -> None:
    (tmp_path / "here" / "a.pth").write_bytes(b"x")
    async with new_run() as (pilot, screen):
        await pilot.press(*"a.pth")
        screen.put("seed", "7")
        screen.put("out", str(tmp_path / "out"))
        screen.query_one("#force", Checkbox).value = True
        await until(pilot, lambda: screen.draft.force, "replace")
        await idle(pilot, screen)
        await pilot.press("backspace")
        await until(pilot, lambda: pilot.app.screen is not screen, "Home")
        await pilot.press("n")
        await until(pilot, lambda: isinstance(pilot.app.focused, Input), "the form")
        again = pilot.app.screen
        assert isinstance(again, NewRunScreen)
        assert again is not screen
        assert again.query_one("#field-model", Field).text == "a.pth"
        assert again.query_one("#field-out", Field).text == str(tmp_path / "out")
        assert again.query_one("#force", Checkbox).value
        assert "as you left it" in again.headline.render().plain
        assert dict(again.draft.given) == {"model": "a.pth", "seed": "7"}
        told = again.query_one("#inspected", Rows)
        await until(pilot, lambda: "refused" in told.said, "what the file is")
        await idle(pilot, again)
        await pilot.press("c")
        assert again.query_one("#field-model", Field).text == ""
        assert again.draft == Draft()
        await until(pilot, lambda: told.said == "", "nothing is looked into")
        assert "brings back" in toasts(again.cnp)[-1]
        await pilot.press("c")
        assert again.query_one("#field-model", Field).text == "a.pth"
        assert again.draft.force
    async with new_run() as (_, screen):
        assert screen.draft == Draft(), "of another application"
