"""New run: Enter leads on only where nothing is wrong, and waits where nobody can say yet."""

from __future__ import annotations

import asyncio as aio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Tabs

from cnp_engine.errors import CheckpointUnsafe, CnpError
from cnp_tui import bridge, jobs, preferences
from cnp_tui.preferences import Preferences
from cnp_tui.screens.new_run import LOOKING, NewRunScreen
from cnp_tui.widgets.data_pane import DataPane
from cnp_tui.widgets.field import Field
from cnp_tui.widgets.parts import Parts
from cnp_tui.widgets.truth_pane import TruthPane
from tests.engine.models.hostile import PICKLES, torch_zip
from tests.tui.forms import idle, new_run, part, problem, text_of
from tests.tui.screens import until
from tests.tui.test_told import SOUND

asyncio = pytest.mark.asyncio
DEMO = jobs.demo_inputs()


class Answers:
    """In place of the process that looks into a file: answers when told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.error: CnpError | None = None
        self.may = aio.Event()
        self._survey = bridge.ask
        monkeypatch.setattr(bridge, "ask", self._ask)

    async def _ask(self, task: str, **request: Any) -> dict[str, Any]:
        if task != "inspect":
            return await self._survey(task, **request)
        self.asked.append(request["file"])
        await self.may.wait()
        if self.error is not None:
            raise self.error
        return SOUND


@pytest.fixture(name="answers")
def answers_when_told(monkeypatch: pytest.MonkeyPatch) -> Answers:
    return Answers(monkeypatch)


def focused(screen: NewRunScreen, key: str) -> bool:
    return screen.query_one(f"#field-{key}", Field).line.has_focus


def tab(screen: NewRunScreen, name: str) -> str:
    return screen.query_one(Parts).get_tab(name).label_text


def says(screen: NewRunScreen, words: str) -> bool:
    return words in screen.headline.render().plain


async def turned_to(pilot: Pilot[int], screen: NewRunScreen, key: str) -> None:
    await until(pilot, lambda: part(screen) == key, key)
    pane = screen.query_one(f"TabPane#{key}")
    await until(pilot, lambda: pane.has_focus_within, f"a field of {key}")


@asyncio
async def test_a_malicious_checkpoint_holds_on_the_model(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    (tmp_path / "here" / "evil.pth").write_bytes(torch_zip(PICKLES["os.system"][0](canary)))
    async with new_run() as (pilot, screen):
        await pilot.press(*"evil.pth", "enter")
        await until(pilot, lambda: "posix.system" in problem(screen, "model"), "the refusal")
        await pilot.pause()
        assert (part(screen), focused(screen, "model")) == ("model", True)
        assert not says(screen, LOOKING)
        await pilot.press("enter")
        await pilot.pause()
        assert part(screen) == "model"
        await pilot.press("f3")  # on purpose
        await turned_to(pilot, screen, "data")
        assert tab(screen, "model") == "F2 Model !"
        screen.put("model", "")
        assert tab(screen, "model") == "F2 Model"
    assert not canary.exists()


@asyncio
async def test_enter_goes_on_once_the_model_is_accepted(answers: Answers, tmp_path: Path) -> None:
    (tmp_path / "here" / "net.pth").touch()
    async with new_run() as (pilot, screen):
        await pilot.press(*"net.pth", "enter")
        await until(pilot, lambda: bool(answers.asked), "the question")
        await until(pilot, lambda: says(screen, LOOKING), "a line that says so")
        assert part(screen) == "model"
        answers.may.set()
        await turned_to(pilot, screen, "data")
        assert not says(screen, LOOKING)


@asyncio
@pytest.mark.parametrize("by", ["typing", "turning", "leaving", "refusal"])
async def test_enter_does_not_go_on_later(answers: Answers, tmp_path: Path, by: str) -> None:
    """Who did something else meanwhile is not taken elsewhere."""
    (tmp_path / "here" / "net.pth").touch()
    meanwhile: dict[str, Callable[[Pilot[Any]], Awaitable[None]]] = {
        "typing": lambda pilot: pilot.press("x"),
        "turning": lambda pilot: pilot.press("f5"),
        "leaving": lambda pilot: pilot.press("escape"),
        "refusal": lambda pilot: pilot.pause(),
    }
    answers.error = CheckpointUnsafe("It is malicious.", "", ()) if by == "refusal" else None
    async with new_run() as (pilot, screen):
        await pilot.press(*"net.pth", "enter")
        await until(pilot, lambda: bool(answers.asked), "the question")
        await meanwhile[by](pilot)
        wanted = {"turning": "settings"}.get(by, "model")
        await until(pilot, lambda: part(screen) == wanted, wanted)
        answers.may.set()
        await until(pilot, lambda: not says(screen, LOOKING), "the end of the waiting")
        await pilot.pause()
        assert part(screen) == wanted
        assert by != "refusal" or problem(screen, "model") == "! It is malicious."


@asyncio
async def test_the_screen_may_be_left_while_the_model_is_looked_into(
    answers: Answers, tmp_path: Path
) -> None:
    (tmp_path / "here" / "net.pth").touch()
    async with new_run() as (pilot, screen):
        await pilot.press(*"net.pth", "enter")
        await until(pilot, lambda: bool(answers.asked), "the question")
        await idle(pilot, screen)
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is not screen, "Home")
        answers.may.set()
        await pilot.pause()


@asyncio
async def test_a_file_that_comes_to_be_is_looked_into_at_enter(
    answers: Answers, tmp_path: Path
) -> None:
    answers.may.set()
    async with new_run() as (pilot, screen):
        await pilot.press(*"net.pth", "enter")
        await until(pilot, lambda: "no checkpoint" in problem(screen, "model"), "the disk")
        await pilot.app.workers.wait_for_complete()
        assert (part(screen), focused(screen, "model")) == ("model", True)
        (tmp_path / "here" / "net.pth").touch()
        await pilot.press("enter")
        await turned_to(pilot, screen, "data")
        assert answers.asked == [str(tmp_path / "here" / "net.pth")]


@asyncio
async def test_a_folder_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "here" / "models").mkdir()
    async with new_run() as (pilot, screen):
        await pilot.press(*"models", "enter")
        await until(pilot, lambda: "is a folder." in problem(screen, "model"), "the problem")
        assert part(screen) == "model"


@asyncio
async def test_enter_stays_where_something_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "here" / "empty").mkdir()
    async with new_run() as (pilot, screen):
        await pilot.press("f3")
        await until(pilot, lambda: focused(screen, "data"), "the data")
        await pilot.press(*"nowhere", "enter")
        await until(pilot, lambda: "no data source" in problem(screen, "data"), "the problem")
        await pilot.press("enter", "enter")
        await pilot.app.workers.wait_for_complete()
        assert focused(screen, "data")
        screen.query_one("#field-normalize", Field).take_focus()
        await pilot.press("x")
        assert problem(screen, "normalize").startswith("! 'x' is no known normalisation.")
        await pilot.press("enter")
        assert focused(screen, "normalize")
        assert "normalize" not in text_of(screen, "#command")
        await pilot.press("backspace", *"none", "enter")
        await until(pilot, lambda: focused(screen, "clean_dir"), "the next field")
        assert problem(screen, "normalize") == ""
        assert "no data source" in problem(screen, "data")
        screen.query_one("#field-data", Field).take_focus()
        await pilot.press("ctrl+u", *"empty")
        pane = screen.query_one(DataPane)
        await until(pilot, lambda: pane.nothing_there, "the survey")
        await pilot.press("escape", "enter")
        await pilot.app.workers.wait_for_complete()
        assert focused(screen, "data")
        await pilot.press("ctrl+u", *"demo", "enter")
        await until(pilot, lambda: focused(screen, "clean"), "how many")


@asyncio
async def test_the_buttons_under_an_empty_path_are_not_covered() -> None:
    preferences.save(Preferences(models=("/a.pth", "/b.pth"), sources=("demo",)))
    async with new_run() as (pilot, screen):
        listed = screen.query_one("#field-model PathInput OptionList", OptionList)
        await pilot.pause()
        assert not listed.display
        await pilot.press("down")
        await until(pilot, lambda: listed.display, "what was used before")
        await pilot.press("escape")
        await until(pilot, lambda: not listed.display, "the list to close")
        await pilot.click("#demo")
        await until(pilot, lambda: part(screen) == "review", "the demo")
        assert dict(screen.draft.given) == DEMO


@asyncio
async def test_escape_is_back_outside_a_field_only() -> None:
    async with new_run() as (pilot, screen):
        await pilot.press("f5")
        listed, choose = (screen.query_one(f"#{id}", OptionList) for id in ("catalogue", "choices"))
        await until(pilot, lambda: listed.has_focus, "the settings")
        await pilot.press("enter")
        await until(pilot, lambda: choose.has_focus, "the choices")
        await pilot.press("escape")
        await until(pilot, lambda: listed.has_focus, "the settings again")
        await pilot.press("f3")
        screen.query_one("#field-clean", Field).take_focus()
        await until(pilot, lambda: isinstance(screen.focused, Input), "a plain field")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(screen.focused, Tabs), "the parts")
        assert pilot.app.screen is screen
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is not screen, "Home")


def test_the_placeholder_of_the_attack_names_no_command() -> None:
    (field,) = [each for each in TruthPane(()).compose() if getattr(each, "key", "") == "attack"]
    assert isinstance(field, Field)
    assert field.line.placeholder == "attack.toml: its kind, target class, trigger"
