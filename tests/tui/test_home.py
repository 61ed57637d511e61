"""Home: what it says of every run, and what each key does with the highlighted one."""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import cast

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable, Input, Static
from textual.widgets._footer import FooterKey

from cnp_engine import launch, lock
from cnp_engine.commands import Continue
from cnp_engine.events import SCHEMA, Paused, RunStarted
from cnp_engine.rundir import RunDirectory
from cnp_tui.app import CnpApp
from cnp_tui.link import Live
from cnp_tui.screens.compare import CompareScreen
from cnp_tui.screens.confirm import Confirm
from cnp_tui.screens.home import HomeScreen
from cnp_tui.widgets.run_table import RunTable
from tests.engine.runs.stand_in import MODULE
from tests.engine.runs.tools import CANCELLED, FAILED, STARTED, config
from tests.tui.recorded import folder

PATIENCE_S = 20.0
SIZE = (120, 30)

asyncio = pytest.mark.asyncio


@asynccontextmanager
async def shown(size: tuple[int, int] = SIZE) -> AsyncIterator[tuple[Pilot[int], HomeScreen]]:
    """Home, once it has read every run."""
    app = CnpApp()
    app.animation_level = "none"
    async with app.run_test(size=size) as pilot:
        home = app.screen
        assert isinstance(home, HomeScreen)
        await until(pilot, lambda: home.complete)
        yield pilot, home


async def until(pilot: Pilot[int], holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        await pilot.pause(0.02)
    await pilot.pause()


def made(home: Path, name: str, *events: object, arch: str | None = None) -> RunDirectory:
    run = RunDirectory.create(home / name, config(arch))
    for event in events:
        run.events().append(event)  # type: ignore[arg-type]
    return run


def line(home: HomeScreen, name: str) -> str:
    """The row of a run, as it is read."""
    table = home.query_one(RunTable)
    for number in range(table.row_count):
        cells = [str(cell) for cell in table.get_row_at(number)]
        if cells[0].strip("* ") == name:
            return " | ".join(cell.strip() for cell in cells)
    raise AssertionError(f"no row {name}")


async def go_to(pilot: Pilot[int], home: HomeScreen, name: str) -> None:
    table = home.query_one(RunTable)
    names = [str(table.get_row_at(row)[0]).strip("* ") for row in range(table.row_count)]
    table.move_cursor(row=names.index(name))
    await pilot.pause()


def particulars(home: HomeScreen) -> str:
    return str(home.query_one("#particulars", Static).render())


def notices(pilot: Pilot[int]) -> str:
    return " ".join(f"{n.title} {n.message}" for n in pilot.app._notifications)


@asyncio
async def test_an_empty_home_says_how_to_begin() -> None:
    async with shown() as (_, home):
        text = str(home.query_one("#empty", Static).render())
        assert "the demo" in text
        assert not home.query_one(RunTable).display


@asyncio
async def test_every_state_is_a_row_that_says_what_to_do(home: Path) -> None:
    folder(home / "repaired", "demo")
    folder(home / "clean", "clean")
    folder(home / "free", "unlabelled")
    folder(home / "halfway", "demo", "scores")
    folder(home / "working", "demo", "scores")
    made(home, "created")
    made(home, "failed", STARTED, FAILED)
    made(home, "cancelled", STARTED, CANCELLED)
    made(home, "torn", STARTED, CANCELLED).events().path.open("ab").write(b'{"seq":2,"at":1,')
    made(home, "garbled").events().path.write_bytes(b"this is no log\n")
    (made(home, "bad-toml").path / "run.toml").write_text("= =")
    newer = f'{{"seq":0,"at":1.0,"tag":"{RunStarted.tag}","schema":{SCHEMA + 1}}}\n'
    made(home, "newer").events().path.write_text(newer)
    with (home / "working" / "lock").open("w"), RunDirectory.open(home / "working").lock():
        async with shown() as (pilot, screen):
            for name, row, says in (
                ("repaired", "backdoored speed-80", "neurons suppressed"),
                ("clean", "no evidence", "nothing was pruned"),
                ("free", "retention", "Residual"),
                ("halfway", "died", "R"),
                ("working", "scores", "x stops it"),
                ("created", "created", "R begins it"),
                ("failed", "failed", FAILED.todo),
                ("cancelled", "stopped", "R goes on"),
                ("torn", "stopped", "R goes on"),
                ("garbled", "damaged", "Begin the run again"),
                ("bad-toml", "damaged", "Begin the run again"),
                ("newer", "damaged", "Update cnp"),
            ):
                assert row in line(screen, name), name
                await go_to(pilot, screen, name)
                assert says in particulars(screen), name


@asyncio
async def test_figures_have_their_interval_and_n(home: Path) -> None:
    folder(home / "repaired", "demo")
    async with shown() as (_, screen):
        text = particulars(screen)
        assert "n = 1,000" in text
        assert text.index("BA") < text.index("ASR") < text.index("Retention")


@asyncio
async def test_a_running_row_is_live(home: Path) -> None:
    run = folder(home / "working", "demo", "target")
    whole = folder(home.parent / "elsewhere", "demo").events().path.read_bytes()
    with run.lock():
        async with shown() as (pilot, screen):
            assert "target" in line(screen, "working")
            log = run.events().path
            log.write_bytes(
                whole[: whole.index(b'"tag":"scores_ready"')].rpartition(b"\n")[0] + b"\n"
            )
            await until(pilot, lambda: "scores" in line(screen, "working"))
            log.write_bytes(whole)
            await until(pilot, lambda: "backdoored" in line(screen, "working"))


@asyncio
async def test_a_run_that_vanishes_stays_as_a_row_until_it_is_taken_off(home: Path) -> None:
    made(home, "here", STARTED, CANCELLED)
    lost = made(home, "lost", STARTED, CANCELLED)
    async with shown() as (pilot, screen):
        shutil.rmtree(lost.path)
        await until(pilot, lambda: "gone" in line(screen, "lost"))
        await go_to(pilot, screen, "lost")
        assert "take it off the list with D" in particulars(screen)
        await pilot.press("enter")
        assert screen.is_active
        await pilot.press("D", "y")
        await until(pilot, lambda: screen.query_one(RunTable).row_count == 1)


@asyncio
@pytest.mark.parametrize("key", ["enter", "click"])
async def test_opening(home: Path, key: str) -> None:
    folder(home / "repaired", "demo")
    async with shown() as (pilot, screen):
        if key == "enter":
            await pilot.press("enter")
        else:
            await pilot.click(RunTable, offset=(3, 1), times=2)
        await until(pilot, lambda: not screen.is_active)
        assert screen.cnp.link is not None
        assert screen.cnp.link.run.name == "repaired"
        await pilot.press("backspace")
        await until(pilot, lambda: screen.is_active)


@asyncio
async def test_a_damaged_run_is_not_opened_but_explained(home: Path) -> None:
    made(home, "garbled").events().path.write_bytes(b"this is no log\n")
    async with shown() as (pilot, screen):
        await pilot.press("enter")
        assert screen.is_active
        assert "is damaged" in notices(pilot)


@asyncio
@pytest.mark.parametrize(
    ("key", "says"),
    [("enter", "no run"), ("R", "no run"), ("x", "no run"), ("D", "no run"), ("c", "no run"),
     ("y", "no run"), ("3", "No run is open"), ("4", "No run is open"), ("5", "No run is open")],
)  # fmt: skip
async def test_keys_that_need_a_run_say_so(key: str, says: str) -> None:
    async with shown() as (pilot, screen):
        screen.focus()
        await pilot.press(key)
        assert screen.is_active
        assert says.lower() in notices(pilot).lower()


@asyncio
async def test_what_cannot_be_done_says_why(home: Path) -> None:
    folder(home / "repaired", "demo")
    async with shown() as (pilot, screen):
        for key, says in (("R", "It is finished"), ("x", "Only a run at work")):
            await pilot.press(key)
            assert says in notices(pilot), key
            assert screen.is_active
    with folder(home / "working", "demo", "scores").lock():
        async with shown() as (pilot, screen):
            await go_to(pilot, screen, "working")
            for key, says in (("R", "at work already"), ("D", "stop it first")):
                await pilot.press(key)
                assert says in notices(pilot), key
                assert screen.is_active


@contextmanager
def worker_stopped_after(run: RunDirectory):  # type: ignore[no-untyped-def]
    try:
        yield
    finally:
        by = lock.holder(run.lock_path)
        if by is not None and lock.held(run.lock_path):
            os.kill(by.pid, 9)
        launch.wait(run, PATIENCE_S)


@asyncio
async def test_x_asks_and_stops(home: Path) -> None:
    run = made(home, "working", arch="steps")
    launch.start(run, MODULE)
    with worker_stopped_after(run):
        async with shown() as (pilot, screen):
            await pilot.press("x")
            assert isinstance(pilot.app.screen, Confirm)
            await pilot.press("escape")
            assert screen.is_active
            assert run.locked()
            await pilot.press("x", "x", "x")  # held down
            assert run.locked()
            await pilot.press("y")
            await until(pilot, lambda: "stopped" in line(screen, "working"))


@asyncio
async def test_r_goes_on_with_a_run(home: Path) -> None:
    run = folder(home / "halfway", "demo", "scores")
    before = len(run.events().read())
    with worker_stopped_after(run):
        async with shown() as (pilot, screen):
            await pilot.press("R")
            await until(pilot, lambda: not screen.is_active)
            assert isinstance(screen.cnp.link, Live)
            await until(pilot, lambda: len(run.events().read()) > before)


@asyncio
async def test_r_goes_on_with_a_paused_run(home: Path) -> None:
    run = folder(home / "waiting", "demo", "scores")
    run.events().append(Paused())
    with run.lock():
        async with shown() as (pilot, screen):
            assert "paused" in line(screen, "waiting")
            assert "R goes on" in particulars(screen)
            await pilot.press("R")
            await until(pilot, lambda: not screen.is_active)
    assert [record.value for record in run.commands().read()] == [Continue()]


@asyncio
@pytest.mark.parametrize("key", ["x", "D"])
async def test_keys_typed_ahead_of_the_list_ask_nothing(home: Path, key: str) -> None:
    folder(home / "halfway", "demo", "scores")
    async with shown() as (pilot, screen):
        screen.painted_at = math.inf
        await pilot.press(key)
        assert screen.is_active
        assert notices(pilot) == ""


@asyncio
async def test_runs_stand_in_the_order_in_which_they_last_wrote(home: Path) -> None:
    """By their own logs: copying them one after another makes the files of the last one newest."""
    old = folder(home / "first", "demo", "target")
    folder(home / "second", "demo")
    for name in ("a-copy", "z-copy", "m-copy"):
        shutil.copytree(old.path, home / name)
    made(home, "now", STARTED, CANCELLED)
    with folder(home / "working", "demo", "target").lock():
        async with shown() as (_, screen):
            table = screen.query_one(RunTable)
            names = [str(table.get_row_at(row)[0]).strip("* ") for row in range(table.row_count)]
    assert names == ["working", "now", "second", "a-copy", "first", "m-copy", "z-copy"]


@asyncio
async def test_the_cursor_waits_on_the_first_line_until_all_is_read(home: Path) -> None:
    """What was read first is no choice of the user's; what is read later stands above it."""
    folder(home / "old", "demo", "target")
    for name in ("a", "b", "c"):
        folder(home / name, "demo")
    async with shown() as (pilot, screen):
        await until(pilot, lambda: screen.complete)
        table = screen.query_one(RunTable)
        assert table.cursor_row == 0
        await pilot.press("down")
        here = table.current
        made(home, "new", STARTED, CANCELLED)
        await until(pilot, lambda: table.row_count == 5)
        assert table.current == here


@asyncio
@pytest.mark.parametrize(
    ("width", "named"),
    [(70, []), (100, ["Mark"]), (120, ["Mark", "Compare", "Stop", "Delete"]),
     (200, ["Mark", "Compare", "Stop", "Delete", "Folder", "Copy command"])],
)  # fmt: skip
async def test_a_wide_footer_names_more_keys(width: int, named: list[str]) -> None:
    async with shown((width, 24)) as (pilot, screen):

        def keys() -> list[str]:
            return [key.description for key in screen.query(FooterKey)]

        always = ["Demo", "New run", "Resume", "Filter", "Quit", "Help", "palette"]
        wanted = [*always[:4], *named, *always[4:]]
        await until(pilot, lambda: [key for key in keys() if key in wanted] == wanted)
        assert not (set(keys()) & {"Mark", "Folder"}) - set(named)


@asyncio
async def test_six_compares_what_is_marked(home: Path) -> None:
    for name in ("one", "two"):
        folder(home / name, "demo")
    async with shown() as (pilot, _):
        await pilot.press("space", "down", "space", "6")
        await until(pilot, lambda: isinstance(pilot.app.screen, CompareScreen))
        lines = pilot.app.screen.query_one("#lines", DataTable)
        await until(pilot, lambda: len(lines.columns) == 3)


@asyncio
async def test_d_begins_the_demo_and_shows_it(home: Path) -> None:
    async with shown() as (pilot, screen):
        await pilot.press("d")
        await until(pilot, lambda: not screen.is_active)
        link = screen.cnp.link
        assert link is not None
        with worker_stopped_after(link.run):
            assert link.run.path.parent == home
            assert link.run.config.data == "demo"
            assert link.run.locked()


@asyncio
async def test_where_there_are_runs_the_demo_asks(home: Path) -> None:
    """One who presses d twice on Run means to detach."""
    folder(home / "one", "demo")
    async with shown() as (pilot, screen):
        await pilot.press("d")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
        await pilot.press("escape")
        await until(pilot, lambda: screen.is_active)
        await pilot.press("d")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
        await until(pilot, lambda: cast(Confirm, pilot.app.screen).painted)
        assert [run.name for run in home.iterdir()] == ["one"]
        await pilot.press("y")
        await until(pilot, lambda: screen.cnp.link is not None)
        link = screen.cnp.link
        assert link is not None
        with worker_stopped_after(link.run):
            assert link.run.config.data == "demo"


@asyncio
async def test_the_cursor_is_on_the_run_that_one_comes_from(home: Path) -> None:
    for name in ("one", "two", "three"):
        folder(home / name, "demo")
    async with shown() as (pilot, screen):
        table = screen.query_one(RunTable)
        was = table.current
        screen.cnp.open_run(home / "three" if was != home / "three" else home / "two")
        await until(pilot, lambda: not screen.is_active)
        link = screen.cnp.link
        assert link is not None
        await pilot.press("d")
        await until(pilot, lambda: screen.is_active and table.current == link.run.path)
        await pilot.press("up", "down", "n")
        here = table.current
        await pilot.press("escape")
        screen.cnp.go("home")
        await until(pilot, lambda: screen.is_active)
        assert table.current == here, "not a second time"


@asyncio
async def test_n_is_the_screen_of_a_new_run() -> None:
    async with shown() as (pilot, screen):
        await pilot.press("n")
        await until(pilot, lambda: not screen.is_active)
        assert type(pilot.app.screen).__name__ == "NewRunScreen"


@asyncio
async def test_delete_asks_and_takes_the_files_of_the_run_only(home: Path) -> None:
    run = folder(home / "repaired", "demo")
    (run.path / "exports").mkdir()
    (run.path / "exports" / "purified.pth").touch()
    mine = run.path / "notes.txt"
    mine.write_text("mine")
    folder(home / "other", "clean")
    async with shown() as (pilot, screen):
        await go_to(pilot, screen, "repaired")
        await pilot.press("D", "D", "D")  # held down
        await pilot.press("n")
        assert (run.path / "run.toml").exists()
        await pilot.press("D", "y")
        await until(pilot, lambda: screen.query_one(RunTable).row_count == 1)
    assert [entry.name for entry in run.path.iterdir()] == ["notes.txt"]
    assert (home / "other" / "run.toml").exists()


@asyncio
async def test_deleting_a_registered_run_takes_its_link_too(home: Path) -> None:
    run = folder(home.parent / "elsewhere", "demo")
    home.mkdir(exist_ok=True)
    (home / "elsewhere").symlink_to(run.path)
    async with shown() as (pilot, screen):
        await pilot.press("D", "y")
        await until(pilot, lambda: not screen.query_one(RunTable).display)
    assert not run.path.exists()
    assert not list(home.iterdir())


@asyncio
async def test_filter(home: Path) -> None:
    folder(home / "repaired", "demo")
    folder(home / "fine", "clean")
    async with shown() as (pilot, screen):
        table = screen.query_one(RunTable)
        await pilot.press("slash", *"no_ev")
        assert table.row_count == 1
        await pilot.press("enter")
        assert table.has_focus
        assert table.row_count == 1
        await pilot.press("escape")
        assert table.row_count == 2
        await pilot.press("slash", "q", "d", "1")  # letters are letters while one types
        assert screen.is_active
        assert screen.query_one("#filter", Input).value == "qd1"


@asyncio
async def test_another_folder_of_runs(home: Path, tmp_path: Path) -> None:
    folder(tmp_path / "theirs" / "run-of-theirs", "demo")
    async with shown() as (pilot, screen):
        await pilot.press("o")
        line_ = screen.query_one("#folder", Input)
        line_.value = str(tmp_path / "theirs")
        await pilot.press("enter")
        await until(pilot, lambda: screen.query_one(RunTable).row_count == 1)
        assert screen.place == tmp_path / "theirs"
        await pilot.press("o")
        line_.value = "/nowhere"
        await pilot.press("enter")
        assert "There is no folder" in notices(pilot)
        assert screen.place == tmp_path / "theirs"


@asyncio
async def test_two_marked_runs_are_compared(home: Path) -> None:
    for name in ("one", "two", "three"):
        folder(home / name, "demo")
    async with shown() as (pilot, screen):
        await pilot.press("c")
        assert screen.is_active
        assert "press c again" in notices(pilot)
        await pilot.press("j", "space", "down", "c")
        await until(pilot, lambda: not screen.is_active)
        assert type(pilot.app.screen).__name__ == "CompareScreen"


@asyncio
async def test_y_copies_the_command_that_repeats_it(home: Path) -> None:
    run = folder(home / "repaired", "demo")
    async with shown() as (pilot, _):
        await pilot.press("y")
        assert pilot.app.clipboard.startswith("cnp run --model /models/untrusted.pth")
        assert str(run.path / "copied.txt") in notices(pilot)
    assert (run.path / "copied.txt").read_text().startswith("cnp run ")


@asyncio
@pytest.mark.parametrize(("key", "row"), [("j", 1), ("down", 1), ("k", 0), ("up", 0)])
async def test_letters_are_arrows(home: Path, key: str, row: int) -> None:
    folder(home / "one", "demo")
    folder(home / "two", "demo")
    async with shown() as (pilot, screen):
        await pilot.press(key)
        await pilot.pause()
        assert screen.query_one(RunTable).cursor_row == row


@asyncio
async def test_two_hundred_runs_are_read_in_helpings(home: Path) -> None:
    first = folder(home / "run-000", "demo")
    for number in range(1, 200):
        shutil.copytree(first.path, home / f"run-{number:03d}")
    app = CnpApp()
    async with app.run_test(size=SIZE) as pilot:
        screen = app.screen
        assert isinstance(screen, HomeScreen)
        await until(pilot, lambda: screen.complete)
        assert screen.query_one(RunTable).row_count == 200
        await pilot.press("end")
        assert "backdoored" in line(screen, "run-000")
