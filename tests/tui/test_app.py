"""What is the same on every screen: its keys, help, colours, the palette, leaving."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.command import CommandList, CommandPalette
from textual.events import Key
from textual.pilot import Pilot
from textual.widgets import Button, Input, Static
from textual.widgets._footer import FooterKey
from textual.widgets._toast import Toast

from cnp_engine.commands import Cancel
from cnp_engine.errors import DataMissing
from cnp_engine.events import Stage
from cnp_tui import clipboard, glyphs, preferences, themes
from cnp_tui.app import SCREENS, CnpApp
from cnp_tui.ascii import plain
from cnp_tui.leaving import Stopping
from cnp_tui.palette import _of_screen
from cnp_tui.screens.confirm import Choice, Confirm
from cnp_tui.screens.help import HelpScreen, bindings, sections
from cnp_tui.widgets.headline import line
from tests.tui.conftest import PATIENCE
from tests.tui.recorded import GONE, Recorded, recorded

PATIENCE_S = 20.0

asyncio = pytest.mark.asyncio


@asynccontextmanager
async def shown(link: Recorded | None = None) -> AsyncIterator[tuple[Pilot[int], CnpApp]]:
    app = CnpApp(link, "run" if link is not None else "home")
    app.animation_level = "none"
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        yield pilot, app


async def until(pilot: Pilot[int], holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        await pilot.pause(0.02)


def notices(app: CnpApp) -> str:
    return " ".join(f"{n.title} {n.message}" for n in app._notifications)


def name(app: CnpApp) -> str:
    return type(app.screen).__name__


@asyncio
async def test_numbers_are_screens() -> None:
    async with shown(recorded("demo")) as (pilot, app):
        for key, wanted in (
            ("1", "HomeScreen"), ("2", "NewRunScreen"), ("3", "WatchScreen"),
            ("4", "PruneScreen"), ("5", "ExportScreen"), ("6", "CompareScreen"),
        ):  # fmt: skip
            app.set_focus(None)
            await pilot.press(key)
            assert name(app) == wanted, key
            app.go("home")
            await pilot.pause()


@asyncio
async def test_what_is_the_same_in_the_footer_is_not_made_anew() -> None:
    """A click on a key that is being replaced is lost."""
    async with shown(recorded("demo")) as (pilot, app):
        await until(pilot, lambda: bool(app.screen.query(FooterKey)))
        await pilot.pause()
        before = list(app.screen.query(FooterKey))
        for _ in range(3):
            await pilot.press("tab")
        app.screen.refresh_bindings()
        await pilot.pause()
        assert list(app.screen.query(FooterKey)) == before
        app.go("home")
        await until(pilot, lambda: "Demo" in [k.description for k in app.screen.query(FooterKey)])


@asyncio
async def test_back_leads_one_level_down() -> None:
    async with shown(recorded("demo")) as (pilot, app):
        app.go("export")
        await pilot.pause()
        for wanted in ("PruneScreen", "WatchScreen", "HomeScreen", "HomeScreen"):
            app.set_focus(None)
            await pilot.press("backspace")
            await pilot.pause()
            assert name(app) == wanted


@asyncio
@pytest.mark.parametrize("key", ["4", "5"])
async def test_a_screen_that_has_nothing_to_show_says_why(key: str) -> None:
    async with shown(recorded("demo", "target")) as (pilot, app):
        await pilot.press(key)
        assert "no curve yet" in notices(app)
        assert name(app) == "WatchScreen"


@asyncio
async def test_help_has_every_key_of_every_screen() -> None:
    async with shown(recorded("demo")) as (pilot, app):
        for number, screen in enumerate(SCREENS):
            app.go(screen, *(([],) if screen == "compare" else ()))
            await pilot.pause()
            app.set_focus(None)
            below = app.screen
            await pilot.press("question_mark" if number % 2 else "f1")
            assert isinstance(app.screen, HelpScreen)
            told = {
                key: f"{row.name}: {row.meaning}"
                for section in sections(below)
                for row in section.rows
                for key in row.keys
            }
            for node in (below, app):
                for binding in bindings(type(node)):
                    assert binding.id, binding
                    assert binding.tooltip, binding
                    assert app.get_key_display(binding) in told, binding
            assert all(
                binding.tooltip in told[app.get_key_display(binding)]
                for binding in bindings(type(app))
            )
            await pilot.press("escape")
            assert app.screen is below


def test_one_id_is_one_binding() -> None:
    ids = [binding.id for binding in bindings(CnpApp)]
    assert len(ids) == len(set(ids))


@asyncio
async def test_widgets_of_ours_have_a_section() -> None:
    async with shown(recorded("demo")) as (pilot, app):
        app.go("home")
        await pilot.pause()
        titles = [section.title for section in sections(app.screen)]
        assert titles[0] == "On this screen"
        assert titles[-1] == "Everywhere"


@asyncio
async def test_t_goes_through_the_colours_and_keeps_them() -> None:
    async with shown() as (pilot, app):
        for wanted in (*themes.NAMES[1:], themes.NAMES[0], themes.NAMES[1]):
            await pilot.press("t")
            assert app.theme == wanted
    assert preferences.load().theme == themes.NAMES[1]
    assert CnpApp().theme == themes.NAMES[1]


def test_an_unknown_theme_is_the_first() -> None:
    preferences.save(preferences.Preferences(theme="gone"))
    assert CnpApp().theme == themes.NAMES[0]


@asyncio
async def test_the_palette_does_what_keys_do() -> None:
    async with shown(recorded("demo")) as (pilot, app):
        app.go("home")
        await pilot.press("ctrl+p")
        assert isinstance(app.screen, CommandPalette)
        await choose(pilot, "high-contrast")
        await until(pilot, lambda: app.theme == "high-contrast")
        await pilot.press("ctrl+p")
        await choose(pilot, "copy the path of this run")
        await until(pilot, lambda: app.clipboard == "/runs/demo")


@asyncio
@pytest.mark.parametrize(
    ("moment", "offered"),
    [("scores", {"Pause", "Stop"}), (None, set())],
    ids=["at work", "finished"],
)
async def test_the_palette_offers_what_can_be_done_now(
    moment: Stage | None, offered: set[str]
) -> None:
    async with shown(recorded("demo", moment)) as (_, app):
        names = {entry[0].split(" (")[0] for entry in _of_screen(app, app.screen)}
        assert names & {"Pause", "Resume", "Stop"} == offered


async def choose(pilot: Pilot[int], words: str) -> None:
    """The only entry of the palette that fits ``words``."""
    palette = pilot.app.screen
    palette.query_one(Input).value = words
    listed = palette.query_one(CommandList)

    def found() -> bool:
        if listed.option_count != 1:
            return False
        return words in str(listed.get_option_at_index(0).prompt).lower()

    await until(pilot, found)
    await pilot.press("enter")


@asyncio
async def test_without_a_run_at_work_q_leaves_at_once() -> None:
    async with shown(recorded("demo")) as (pilot, app):
        await pilot.press("q")
    assert (app.return_value, app.farewell) == (0, "")


@asyncio
async def test_leaving_says_that_the_run_goes_on() -> None:
    link = recorded("demo", "scores")
    async with shown(link) as (pilot, app):
        await pilot.press("q")
        assert said(app).startswith("demo goes on without this application.")
        await pilot.press("y")
    assert app.return_value == 0
    assert app.farewell == "demo goes on; come back with `cnp tui /runs/demo`."
    assert link.sent == []


@asyncio
async def test_x_stops_and_hears_the_run_out() -> None:
    from cnp_engine.events import Cancelled

    link = recorded("demo", "scores")
    async with shown(link) as (pilot, app):
        await pilot.press("q", "x")
        assert isinstance(app.screen, Stopping)
        assert link.sent == [Cancel("stopped in the application")]
        link.hear(Cancelled("stopped in the application", 130), status="cancelled")
        await until(pilot, lambda: app.return_value is not None)
    assert "demo stopped; go on with `cnp resume /runs/demo`." in app.farewell


@asyncio
@pytest.mark.parametrize("key", ["n", "escape", "backspace", "enter"])
async def test_staying_changes_nothing(key: str) -> None:
    link = recorded("demo", "scores")
    async with shown(link) as (pilot, app):
        await pilot.press("q", "q", "ctrl+c")  # held down: the key that asks is no answer
        assert isinstance(app.screen, Confirm)
        await pilot.press(key)
        assert name(app) == "WatchScreen"
        assert app.return_value is None
        assert link.sent == []


def said(app: CnpApp) -> str:
    """The question, and what each answer means."""
    assert isinstance(app.screen, Confirm)
    return "\n".join(str(line.render()) for line in app.screen.query(Static))


@asyncio
@pytest.mark.parametrize(("key", "returned"), [("escape", None), ("q", 0)])
async def test_one_need_not_wait_for_a_run_that_stops(key: str, returned: int | None) -> None:
    async with shown(recorded("demo", "scores")) as (pilot, app):
        await pilot.press("q", "x", key)
        await pilot.pause()
        assert app.return_value == returned


@asyncio
async def test_leaving_speaks_of_runs_started_here_and_of_the_one_that_is_watched() -> None:
    ours, theirs = recorded("demo", "scores"), recorded("clean", "target")
    watched = recorded("blended", "scores")
    ours.started = True
    async with shown(ours) as (pilot, app):
        app.open_run(theirs)  # looked at, and left to whoever started it
        app.open_run(watched)
        await pilot.press("1", "q")
        assert said(app).startswith("demo, blended go on without this application.")
        watched.change(status="finished")
        await pilot.press("n", "q")
        assert said(app).startswith("demo goes on without this application.")
        ours.change(status="finished")
        await pilot.press("n", "q")
    assert app.return_value == 0


@asyncio
async def test_a_run_that_was_just_resumed_is_at_work_before_its_worker_said_so() -> None:
    link = recorded("demo", "scores", "cancelled")
    async with shown(link) as (pilot, app):
        link.started = True
        await pilot.press("q")
        assert isinstance(app.screen, Confirm)
        link.started = False
        await pilot.press("n", "q")
    assert app.return_value == 0


@asyncio
async def test_what_was_typed_before_a_question_is_no_answer() -> None:
    answers: list[str | None] = []
    async with shown() as (pilot, app):
        ask = Confirm("Sure?", [Choice("y", "yes", "It is done.")])
        app.push_screen(ask, answers.append)
        app.post_message(Key("y", "y"))
        await until(pilot, lambda: ask.painted)
        assert app.screen is ask
        await pilot.press("y")
        assert answers == ["y"]


@asyncio
@pytest.mark.parametrize(
    ("size", "seen"),
    [((80, 24), ["plain"]), ((140, 20), ["plain"]), ((140, 40), ["second", "plain"])],
)
async def test_words_over_a_small_screen_do_not_pile_up(
    size: tuple[int, int], seen: list[str]
) -> None:
    app = CnpApp()

    def words() -> list[str]:
        visible = [toast for toast in app.screen.query(Toast) if toast.region]
        return [str(toast.render()).splitlines()[0] for toast in visible]

    async with app.run_test(size=size, notifications=True) as pilot:
        app.tell(DataMissing("second", "third"))
        app.notify("plain")
        await until(pilot, lambda: words() == seen)
        assert [note.timeout for note in app._notifications] == [8.0 * PATIENCE, 3.0 * PATIENCE]


class Broken(CnpApp):
    def action_help(self) -> None:
        raise ZeroDivisionError


@asyncio
async def test_a_mistake_reaches_the_test_that_met_it() -> None:
    app = Broken()
    with pytest.raises(ZeroDivisionError):
        async with app.run_test() as pilot:
            await pilot.press("question_mark")


@asyncio
async def test_a_mistake_reaches_whoever_takes_a_picture() -> None:
    async def picture(pilot: Pilot[int]) -> None:
        await pilot.press("question_mark")
        pilot.app.exit(0)

    with pytest.raises(ZeroDivisionError):
        await Broken().run_async(headless=True, auto_pilot=picture)


@asyncio
async def test_answers_by_mouse_and_by_arrows() -> None:
    answers: list[str | None] = []
    async with shown() as (pilot, app):
        for _ in range(2):
            app.push_screen(Confirm("Sure?", [Choice("y", "yes", "It is done.")]), answers.append)
        await pilot.pause()
        await pilot.click("#answer-y")
        assert app.screen.query_one("#answer-n", Button).has_focus
        await pilot.press("left", "enter")
        assert answers == ["y", "y"]


@asyncio
async def test_errors_are_told_with_what_to_do() -> None:
    async with shown() as (pilot, app):
        app.tell(DataMissing("There is no [red] here.", "Look elsewhere."))
        await pilot.pause()
        assert "There is no [red] here. Look elsewhere." in notices(app)


@asyncio
async def test_a_run_that_cannot_be_read_any_more_is_told_in_the_headline() -> None:
    link = recorded("demo", "scores")
    async with shown(link) as (pilot, app):
        link.change(status="damaged", trouble=GONE)
        app.look()
        await pilot.pause()
        assert "cannot be read any more" in app.screen.headline.render().plain  # type: ignore[attr-defined]


@asyncio
@pytest.mark.parametrize(("ssh", "level"), [("1.2.3.4 22", "none"), ("", "full")])
async def test_nothing_moves_over_ssh(
    ssh: str, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_CONNECTION", ssh)
    assert CnpApp().animation_level == level


@pytest.mark.parametrize(
    ("env", "mode"),
    [
        ({}, "braille"),
        ({"LANG": "en_GB.UTF-8"}, "braille"),
        ({"LANG": "en_GB.utf8"}, "braille"),
        ({"LANG": "de_DE.ISO-8859-1"}, "ascii"),
        ({"LC_ALL": "C"}, "ascii"),
        ({"LC_ALL": "C", "LANG": "C.UTF-8"}, "ascii"),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, "ascii"),
        ({"LC_CTYPE": "C.UTF-8"}, "braille"),
        ({"LC_ALL": "C.UTF-8", "LANG": "C"}, "braille"),
    ],
)
def test_ascii_where_the_locale_is_not_utf8(
    env: dict[str, str], mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("LANG", "LC_ALL", "LC_CTYPE"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in env.items():
        monkeypatch.setenv(variable, value)
    assert glyphs.fitting().mode == mode


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("a→b", "a>b"), ("╭─╮", "+-+"), ("café", "cafe"), ("日本", "????"), ("⣿⠀", "* "), ("…", ".")],
)
def test_ascii_keeps_its_place(text: str, wanted: str) -> None:
    assert plain(text) == wanted


@pytest.mark.parametrize(
    ("left", "right", "width", "wanted"),
    [
        ("run", "done", 12, "run     done"),
        ("a long name of a run", "done", 16, "a lo…a run  done"),
        ("run", "a long standing", 8, "a l…ding"),
    ],
)
def test_the_headline_fits(left: str, right: str, width: int, wanted: str) -> None:
    assert line(left, right, width) == wanted


@asyncio
async def test_copying_under_tmux_goes_through_tmux(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tool = tmp_path / "bin" / "tmux"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/words; cat >{tmp_path}/text\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:/usr/bin:/bin")
    monkeypatch.setenv("TMUX", "somewhere")
    async with shown() as (pilot, app):
        clipboard.copy(app, "cnp run", tmp_path)
        await pilot.pause()
        assert app.clipboard == ""
        assert str(tmp_path / "copied.txt") in notices(app)
    assert (tmp_path / "words").read_text() == "load-buffer -w -\n"
    assert (tmp_path / "text").read_text() == "cnp run"


@asyncio
async def test_copying_into_a_folder_that_takes_nothing_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    async with shown() as (pilot, app):
        clipboard.copy(app, "text", tmp_path / "file")
        await pilot.pause()
        assert app.clipboard == "text"
        assert "Writing" in notices(app)
