"""New run: every key, every mistake at its field, and a start that is the line that was shown."""

from __future__ import annotations

import shlex
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
from textual.binding import Binding
from textual.events import Key
from textual.widgets import Button, Checkbox, Input, OptionList

from cnp_engine import launch
from cnp_engine.config import RunConfig
from cnp_engine.rundir import RunDirectory
from cnp_tui import jobs, preferences
from cnp_tui.app import CnpApp
from cnp_tui.draft import CATALOGUE
from cnp_tui.preferences import Preferences
from cnp_tui.screens.new_run import NewRunScreen
from cnp_tui.screens.run import WatchScreen
from cnp_tui.widgets.data_pane import Thumbnail
from cnp_tui.widgets.field import Field
from cnp_tui.widgets.path_input import Line
from cnp_tui.widgets.rows import Rows
from cnp_tui.widgets.settings_form import SettingsForm
from tests.engine.models.hostile import PICKLES, torch_zip
from tests.tui.forms import idle, new_run, part, problem, text_of
from tests.tui.screens import toasts, until

asyncio = pytest.mark.asyncio
DEMO = jobs.demo_inputs()


def test_every_binding_has_an_id_and_a_tooltip() -> None:
    bindings = [each for each in NewRunScreen.BINDINGS if isinstance(each, Binding)]
    assert len({each.id for each in bindings}) == len(bindings)
    assert all(each.tooltip for each in bindings)


@asyncio
async def test_parts_by_key_and_by_mouse() -> None:
    async with new_run() as (pilot, screen):

        async def shows(name: str) -> None:
            pane = screen.query_one(f"TabPane#{name}")
            await until(pilot, lambda: part(screen) == name, name)
            await until(pilot, lambda: pane.has_focus_within, f"the first field of {name}")

        for key, name in zip(
            ("f3", "f4", "f5", "f6", "f2"),
            ("data", "truth", "settings", "review", "model"),
            strict=True,
        ):
            await pilot.press(key)
            await shows(name)
        await idle(pilot, screen)
        await pilot.press("right_square_bracket")
        await shows("data")
        await idle(pilot, screen)
        await pilot.press("left_square_bracket")
        await shows("model")
        await pilot.click("#--content-tab-review")
        await until(pilot, lambda: part(screen) == "review", "the click")


@asyncio
async def test_letters_are_typed_while_a_field_has_the_focus() -> None:
    async with new_run() as (pilot, screen):
        await pilot.press(*"sdfyrqt")
        assert screen.draft.text("model") == "sdfyrqt"
        await pilot.press("backspace")
        assert screen.draft.text("model") == "sdfyrq"
        assert part(screen) == "model"


@asyncio
async def test_escape_leaves_the_field_and_then_the_screen() -> None:
    async with new_run() as (pilot, screen):
        await pilot.press("x")
        await idle(pilot, screen)
        assert screen.draft.text("model") == "x"
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is not screen, "Home")


@asyncio
async def test_the_demo_in_two_keys_is_the_embedded_job() -> None:
    async with new_run() as (pilot, screen):
        await idle(pilot, screen)
        await pilot.press("d")
        await until(pilot, lambda: isinstance(screen.focused, Button), "the review")
        assert dict(screen.draft.given) == DEMO
        assert part(screen) == "review"
        line = text_of(screen, "#command")
        assert shlex.split(line)[:4] == ["cnp", "run", "--model", DEMO["model"]]


@asyncio
async def test_copy_and_reset_say_what_they_did(home: Path) -> None:
    async with new_run() as (pilot, screen):
        await idle(pilot, screen)
        await pilot.press("y")
        assert (home / "copied.txt").read_text() == "cnp run --model FILE --data SOURCE\n"
        await pilot.press("r")
        assert "Settings are reset in the part Settings" in toasts(screen.cnp)[-1]


@asyncio
async def test_a_start_that_cannot_be_is_told_at_the_field(home: Path) -> None:
    async with new_run() as (pilot, screen):
        assert problem(screen, "model") == ""
        await idle(pilot, screen)
        await pilot.press("s")
        await until(pilot, lambda: bool(problem(screen, "model")), "the problem")
        assert problem(screen, "model").startswith("! No checkpoint is given.")
        await until(pilot, lambda: isinstance(screen.focused, Input), "the field")
        await pilot.press(*"/no.pth")
        await until(pilot, lambda: "no checkpoint at /no.pth" in problem(screen, "model"), "disk")
        assert not home.exists()


@asyncio
async def test_enter_leads_from_field_to_field() -> None:
    async with new_run() as (pilot, screen):
        await pilot.press("enter")
        await until(pilot, lambda: part(screen) == "data", "the data")
        await until(pilot, lambda: screen.query_one("#field-data", Field).has_focus_within, "focus")
        await pilot.press(*"demo", "enter")
        clean = screen.query_one("#field-clean", Field)
        await until(pilot, lambda: clean.has_focus_within, "how many")
        await pilot.press(*"0")
        assert problem(screen, "clean").startswith("! clean cannot be 0.")
        await pilot.press("backspace", *"500", "enter", "enter")
        assert problem(screen, "clean") == ""
        assert screen.draft.config().clean == 500


@asyncio
async def test_settings_are_edited_filtered_chosen_and_reset() -> None:
    async with new_run() as (pilot, screen):
        await pilot.press("f5")
        form = screen.query_one(SettingsForm)
        listed = screen.query_one("#catalogue", OptionList)
        await until(pilot, lambda: listed.has_focus, "the list")
        assert sum(str(option.id).startswith("key-") for option in listed.options) == len(CATALOGUE)
        assert form.key == "preset"
        choose = screen.query_one("#choices", OptionList)
        await pilot.press("enter")
        await until(pilot, lambda: choose.has_focus, "the choices")
        await pilot.press("down", "down", "enter")
        assert screen.draft.text("preset") == "reference"
        await pilot.press("slash", *"mask learning", "enter")
        assert form.key == "masks.lr"
        await pilot.press("enter", *"fast")
        said = text_of(screen, "#setting-problem")
        assert said == (
            "! masks.lr cannot be fast. Give a number from 0 upwards. The default is 0.2."
        ), "that of the reference preset, which is chosen"
        await pilot.press("ctrl+u", *"0.3", "enter", "j")
        assert screen.draft.config().masks.lr == 0.3
        row = str(listed.get_option("key-masks.lr").prompt)
        assert row.startswith("* masks.lr")
        assert "0.3" in row
        await pilot.press("k", "r")
        assert "masks.lr" not in screen.draft.given
        assert screen.draft.config().masks.lr == 0.2


@asyncio
async def test_what_is_typed_fast_is_not_overtaken_by_what_was_known() -> None:
    """The draft learns of each letter by message, so it may be letters behind."""
    async with new_run() as (pilot, screen):
        await pilot.press("f5")
        listed = screen.query_one("#catalogue", OptionList)
        await until(pilot, lambda: listed.has_focus, "the list")
        await pilot.press("slash", *"mask learning", "enter", "enter")
        editor = screen.query_one("#setting-text", Input)
        await until(pilot, lambda: editor.has_focus, "the editor")
        behind = screen.draft
        await pilot.press("ctrl+u", *"0.3")
        screen.query_one(SettingsForm).show(behind, {})
        assert (editor.value, editor.cursor_position) == ("0.3", 3)
        await pilot.press("escape", "r")
        await until(pilot, lambda: editor.value != "0.3", "the default again")


@asyncio
@pytest.mark.parametrize("key", ["clean", "data"])
async def test_a_field_is_not_overtaken_either(key: str) -> None:
    async with new_run() as (pilot, screen):
        await pilot.press("enter")
        await until(pilot, lambda: part(screen) == "data", "the data")
        field = screen.query_one(f"#field-{key}", Field)
        field.take_focus()
        await until(pilot, lambda: field.has_focus_within, "the field")
        field.line.value, field.line.cursor_position = "50", 2  # typed, and the draft not told yet
        for behind in ("", "5"):
            screen.draft = screen.draft.put(key, behind)
            screen._bring_up_to_date()
            assert (field.text, field.line.cursor_position) == ("50", 2)
        await until(pilot, lambda: screen.draft.text(key) == "50", "the draft hears of it")
        screen.put(key, "700")
        assert (field.text, field.line.cursor_position) == ("700", 3)
        field.line.value = "7000"
        field.line.value = "700"  # and taken back, before either is heard of
        await until(pilot, lambda: screen.draft.text(key) == "700", "the latest")
        await pilot.pause()
        assert field.text == screen.draft.text(key) == "700"
        field.line.value = "700 "
        await pilot.pause()
        screen.put(key, "800")  # from outside, past the blank that the draft may not keep
        assert field.text == "800"


@asyncio
async def test_settings_by_mouse() -> None:
    async with new_run((120, 40)) as (pilot, screen):
        await pilot.click("#--content-tab-settings")
        await until(pilot, lambda: part(screen) == "settings", "the settings")
        form, choose = screen.query_one(SettingsForm), screen.query_one("#choices", OptionList)
        await until(pilot, lambda: form.key == "preset", "the first setting")
        await pilot.pause()
        await pilot.click("#catalogue", offset=(5, 4))
        await until(pilot, lambda: form.key == "precision", "the click")
        await until(pilot, lambda: choose.option_count == 3 and choose.region.height == 3, "three")
        await pilot.click("#choices", offset=(2, 1))
        await until(pilot, lambda: screen.draft.text("precision") == "float32", "the choice")
        await pilot.click("#reset")
        await until(pilot, lambda: screen.draft.text("precision") == "", "the default")


@asyncio
async def test_find_lists_and_takes_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "here" / "deep").mkdir()
    shutil.copy(DEMO["model"], tmp_path / "here" / "deep" / "a.pth")
    async with new_run() as (pilot, screen):
        await idle(pilot, screen)
        await pilot.press("f")
        listed = screen.query_one("#checkpoints", OptionList)
        await until(pilot, lambda: listed.option_count == 1, "the file")
        await until(
            pilot, lambda: text_of(screen, "#scanned") == "1 checkpoint in 2 folders", "end"
        )
        assert "382 KiB" in str(listed.get_option_at_index(0).prompt)
        await pilot.press("down", "enter")
        await until(pilot, lambda: part(screen) == "data", "the data")
        assert screen.draft.text("model") == str(tmp_path / "here" / "deep" / "a.pth")


@asyncio
async def test_real_inspection_of_a_hostile_and_of_a_sound_checkpoint(tmp_path: Path) -> None:
    canary, hostile = tmp_path / "canary", tmp_path / "hostile.pth"
    hostile.write_bytes(torch_zip(PICKLES["os.system"][0](canary)))
    preferences.save(Preferences(models=(str(hostile), DEMO["model"])))
    async with new_run() as (pilot, screen):
        told = screen.query_one("#inspected", Rows)
        listed = screen.query_one("#checkpoints", OptionList)
        await until(pilot, lambda: listed.option_count == 2, "the recents")
        screen.put("data", "demo")
        screen.put("model", str(hostile))
        looking = "The model is still being looked into."
        await until(pilot, lambda: text_of(screen, "#ready") == looking, "no verdict yet")
        await until(pilot, lambda: "imports posix.system" in told.said, "the refusal")
        assert "it tries to import posix.system; nothing in it was executed" in told.said
        refusal = "would import posix.system"
        await until(pilot, lambda: refusal in problem(screen, "model"), "the problem")
        wrong, ready = "Before it can start:", "Everything needed is there."
        await until(pilot, lambda: text_of(screen, "#ready") == wrong, "what stands in the way")
        await idle(pilot, screen)
        await pilot.press("s")
        await until(pilot, lambda: bool(toasts(screen.cnp)), "the toast")
        assert "posix.system" in toasts(screen.cnp)[0]
        screen.put("model", DEMO["model"])
        await until(pilot, lambda: "600 in 20 BatchNorm layers" in told.said, "the demo")
        assert "read as data; nothing in it was executed" in told.said
        await until(pilot, lambda: text_of(screen, "#ready") == ready, "the verdict")
        assert problem(screen, "model") == ""
    assert not canary.exists()


@asyncio
async def test_real_survey_shows_counts_and_pictures() -> None:
    async with new_run() as (pilot, screen):
        await pilot.press("f3")
        screen.put("data", "demo")
        told = screen.query_one("#surveyed", Rows)
        await until(pilot, lambda: "1,200 train, 1,000 test" in told.said, "the survey")
        await until(pilot, lambda: len(screen.query(Thumbnail)) == 12, "the pictures")
        screen.put("data", "nowhere")
        await until(pilot, lambda: "There is no data at" in told.said, "the refusal")
        assert not screen.query(Thumbnail)


@asyncio
async def test_it_starts_the_line_that_is_shown(tmp_path: Path) -> None:
    place = tmp_path / "out"
    run = None
    try:
        async with new_run() as (pilot, screen):
            for key, text in {**DEMO, "seed": "3", "device": "cpu", "out": str(place)}.items():
                screen.put(key, text)
            line = text_of(screen, "#command")
            await idle(pilot, screen)
            await pilot.press("s")
            await until(pilot, lambda: isinstance(pilot.app.screen, WatchScreen), "the Run screen")
            run = RunDirectory.open(place)
            shown, again = preferences.load(), screen.draft
    finally:
        if run is not None:
            launch.cancel(run, grace_s=10)
            assert launch.wait(run, 20)
    assert run is not None
    assert (again.text("model"), again.out) == (DEMO["model"], ""), "that place is taken now"
    assert (shown.models[0], shown.sources[0]) == (DEMO["model"], "demo")
    words = shlex.split(line)
    assert words == [
        "cnp", "run", "--model", DEMO["model"], "--data", "demo", "--attack", DEMO["attack"],
        "--device", "cpu", "--seed", "3", "--out", str(place),
    ]  # fmt: skip
    kept: dict[str, Any] = tomllib.loads((place / "run.toml").read_text())
    assert (kept["seed"], kept["device"], kept["model"]) == (3, "cpu", DEMO["model"])


@asyncio
async def test_a_folder_that_is_taken_is_told_before_the_start(tmp_path: Path) -> None:
    place = tmp_path / "out"
    RunDirectory.create(place, RunConfig(model="/m.pth", data="demo"))
    async with new_run() as (pilot, screen):
        for key, text in {**DEMO, "out": str(place)}.items():
            screen.put(key, text)
        await pilot.press("f6")
        await until(pilot, lambda: "is there already" in problem(screen, "out"), "the problem")
        wrong = screen.query_one("#wrong", OptionList)
        assert wrong.option_count == 1
        await until(pilot, lambda: wrong.region.height > 0, "its row")
        await pilot.pause()
        await pilot.click("#wrong", offset=(2, 0))
        field = screen.query_one("#field-out", Field)
        await until(pilot, lambda: field.has_focus_within, "the field")
        screen.query_one("#force", Checkbox).toggle()
        await until(pilot, lambda: problem(screen, "out") == "", "the way to be free")
        assert text_of(screen, "#command").endswith("--force")


@asyncio
async def test_what_is_typed_ahead_is_no_command(home: Path) -> None:
    app = CnpApp()
    app.animation_level = "none"
    async with app.run_test() as pilot:
        await pilot.pause()
        for key in ("n", *"sdfy"):
            app.post_message(Key(key, key))
        await until(pilot, lambda: isinstance(app.focused, Line), "the field")
        await pilot.pause()
        screen = app.screen
        assert isinstance(screen, NewRunScreen)
        assert (part(screen), dict(screen.draft.given), toasts(app)) == ("model", {}, [])
        assert not home.exists()
