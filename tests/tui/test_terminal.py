"""The application in a real terminal: how it starts, and that every way out leaves it whole."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cnp_engine import launch, lock
from cnp_engine.rundir import RunDirectory
from tests.engine.runs.stand_in import MODULE
from tests.engine.runs.tools import FINISHED, STARTED, config
from tests.tui.tmux import SANE, Terminal, alive, needs_tmux, wait_until

pytestmark = needs_tmux

CNP = (sys.executable, "-m", "cnp_tui")

BREAKS = """
import sys
from cnp_tui.app import CnpApp
from cnp_tui.cli import main

CnpApp.action_help = lambda self: 1 / 0
main(sys.argv[1:])
"""


@pytest.fixture(name="run")
def run_at_work(home: Path) -> Iterator[RunDirectory]:
    """A run whose worker takes half a minute."""
    run = RunDirectory.create(home / "at-work", config("steps"))
    worker = launch.start(run, MODULE)
    yield run
    if worker.process.poll() is None:
        worker.process.kill()
        worker.process.wait()


@pytest.fixture(name="done")
def finished_run(home: Path) -> RunDirectory:
    run = RunDirectory.create(home / "done", config())
    for event in (STARTED, FINISHED):
        run.events().append(event)
    return run


def at_work(run: RunDirectory) -> bool:
    return lock.held(run.lock_path)


def test_cnp_opens_home_and_q_leaves(tmp_path: Path) -> None:
    with Terminal(tmp_path) as terminal:
        terminal.wait_for("There are no runs yet.", "q Quit")
        assert terminal.flags != SANE
        terminal.press("q")
        assert terminal.wait_for_exit() == 0
        assert terminal.flags == SANE
        assert "Traceback" not in terminal.screen


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)]
)
def test_a_signal_leaves_the_terminal_whole_and_the_run_at_work(
    tmp_path: Path, run: RunDirectory, number: signal.Signals, code: int
) -> None:
    with Terminal(tmp_path, "tui", "at-work") as terminal:
        terminal.wait_for("at-work", "q Quit")
        os.kill(terminal.pid, number)
        assert terminal.wait_for_exit() == code
        assert terminal.flags == SANE
    assert at_work(run)


def test_a_mistake_of_ours_is_two_sentences_and_a_file(tmp_path: Path, home: Path) -> None:
    argv = [sys.executable, "-c", BREAKS]
    with Terminal(tmp_path, "tui", argv=argv, columns=120) as terminal:
        terminal.wait_for("There are no runs yet.")
        terminal.press("?")
        assert terminal.wait_for_exit() == 5
        assert terminal.flags == SANE
        screen = terminal.screen
    assert "error: cnp failed unexpectedly (ZeroDivisionError: division by zero)." in screen
    assert "Traceback" not in screen
    told = home.parent / "tui.log"
    assert "tui.log" in screen
    assert "ZeroDivisionError" in told.read_text()


@pytest.mark.parametrize(
    "codes",
    [(0x1B, 0x5B, 0x4D, 0x40, 0x9F, 0x30), (0xFF, 0xFE, 0xC3)],
    ids=["legacy mouse report", "no text at all"],
)
def test_bytes_that_are_no_text_do_not_end_it(tmp_path: Path, codes: tuple[int, ...]) -> None:
    with Terminal(tmp_path) as terminal:
        terminal.wait_for("There are no runs yet.")
        terminal.send(*codes)
        terminal.press("?")
        terminal.wait_for("Help: runs")
        terminal.press("q")  # out of help
        wait_until(lambda: "Help: runs" not in terminal.screen)
        terminal.press("q")
        assert terminal.wait_for_exit() == 0


def test_detach_leaves_the_run_at_work_and_one_comes_back(
    tmp_path: Path, run: RunDirectory
) -> None:
    with Terminal(tmp_path, "tui", "at-work") as terminal:
        terminal.wait_for("at-work", "scores")
        terminal.press("q")
        terminal.wait_for("goes on without", "leave", "stop", "stay")
        terminal.press("y")
        assert terminal.wait_for_exit() == 0
        assert terminal.flags == SANE
        assert "at-work goes on" in terminal.screen
    assert at_work(run)
    with Terminal(tmp_path, "tui", str(run.path)) as terminal:
        terminal.wait_for("at-work", "scores")
        terminal.press("q")
        terminal.wait_for("goes on without")
        terminal.press("n")
        wait_until(lambda: "goes on without" not in terminal.screen)
        terminal.press("q")
        terminal.wait_for("goes on without")
        terminal.press("x")
        assert terminal.wait_for_exit() == 0
        assert terminal.flags == SANE
        assert "at-work stopped; go on with" in terminal.screen
    wait_until(lambda: not at_work(run))
    assert launch.status(run)[0] == "cancelled"


def test_a_killed_view_and_a_killed_server_leave_the_run_at_work(
    tmp_path: Path, run: RunDirectory
) -> None:
    with Terminal(tmp_path, "tui", "at-work") as terminal:
        terminal.wait_for("at-work", "scores")
        os.kill(terminal.pid, signal.SIGKILL)
        assert terminal.wait_for_exit() == 137
    with Terminal(tmp_path, "tui", "at-work") as terminal:
        terminal.wait_for("at-work", "scores")
        pid = terminal.pid
        terminal.kill_server()
        wait_until(lambda: not alive(pid), lambda: "the view outlived its terminal")
    assert at_work(run)
    assert launch.status(run)[0] == "running"


def test_a_killed_worker_is_told_on_the_screen_and_at_home(
    tmp_path: Path, run: RunDirectory
) -> None:
    by = lock.holder(run.lock_path)
    assert by is not None
    with Terminal(tmp_path, "tui", "at-work") as terminal:
        terminal.wait_for("at-work", "scores")
        os.kill(by.pid, signal.SIGKILL)
        terminal.wait_for("died")
        terminal.press("1")
        terminal.wait_for("died", "Go on with R")
        terminal.press("q")  # nothing is at work any more, so nothing is asked
        assert terminal.wait_for_exit() == 0


@pytest.mark.parametrize("env", [{}, {"COLUMNS": "80", "LINES": "24"}], ids=["", "exported"])
def test_it_is_told_apart_by_size_live(
    tmp_path: Path, done: RunDirectory, env: dict[str, str]
) -> None:
    with Terminal(tmp_path, env=env) as terminal:
        terminal.wait_for("done", "before and after")
        assert "model" not in terminal.screen.splitlines()[1]
        terminal.resize(160, 40)
        wait_until(lambda: "model" in terminal.screen.splitlines()[1], lambda: terminal.screen)
        terminal.resize(60, 15)
        wait_until(lambda: "model" not in terminal.screen.splitlines()[1], lambda: terminal.screen)


def test_the_mouse_alone_opens_and_leaves(tmp_path: Path, done: RunDirectory) -> None:
    with Terminal(tmp_path) as terminal:
        terminal.wait_for("before and after")
        terminal.click_on(" done")
        terminal.click_on(" done")
        wait_until(lambda: "before and after" not in terminal.screen)
        terminal.wait_for("Quit")
        terminal.click_on("Quit")
        assert terminal.wait_for_exit() == 0
        assert terminal.flags == SANE


def test_without_utf8_only_ascii_is_shown(tmp_path: Path, done: RunDirectory) -> None:
    plain = {"LANG": "C", "LC_ALL": "C"}
    with Terminal(tmp_path, env=plain) as terminal:
        terminal.wait_for("done", "before and after")
        assert terminal.screen.isascii()
        terminal.press("?")
        assert terminal.wait_for("Help: runs").isascii()
        terminal.press("Escape")
        wait_until(lambda: "Help: runs" not in terminal.screen)
        terminal.press("C-p")
        assert terminal.wait_for("Search for commands").isascii()


@pytest.mark.parametrize("words", [(), ("runs",)])
def test_a_dumb_terminal_is_not_painted_on(tmp_path: Path, words: tuple[str, ...]) -> None:
    with Terminal(tmp_path, *words, env={}, argv=["env", "TERM=dumb", *CNP]) as terminal:
        assert terminal.wait_for_exit() == 0
        assert "There are no runs yet." in terminal.screen


def test_a_dumb_terminal_is_refused_where_the_application_was_asked_for(tmp_path: Path) -> None:
    argv = ["env", "TERM=dumb", *CNP]
    with Terminal(tmp_path, "tui", argv=argv, columns=120) as terminal:
        assert terminal.wait_for_exit() == 2
        assert "This terminal cannot show the application (TERM=dumb)." in terminal.screen


def test_the_demo_asks_whether_to_be_watched(tmp_path: Path) -> None:
    with Terminal(tmp_path, "demo", "--set", "nonsense=1", columns=120) as terminal:
        terminal.wait_for("Watch it in the application? [Y/n]")
        terminal.press("n", "Enter")
        assert terminal.wait_for_exit() == 2
        assert "nonsense" in terminal.screen
