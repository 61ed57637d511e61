"""The worker as a real process: its last word, its exit code, signals, commands, resumption."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cnp_engine import process
from cnp_engine.commands import Cancel, Command, Continue, Evaluate, Pause
from cnp_engine.errors import CheckpointUnsafe, OutOfMemory
from cnp_engine.events import (
    Cancelled,
    Continued,
    Evaluated,
    Event,
    Failed,
    Finished,
    Paused,
    Progress,
    Refused,
    RunStarted,
)
from cnp_engine.rundir import RunDirectory
from cnp_engine.state import RunState
from cnp_engine.worker import last_word
from tests.engine.runs.stand_in import MODULE
from tests.engine.runs.tools import new_run

PATIENCE_S = 30.0


def spawn(run: RunDirectory) -> subprocess.Popen[bytes]:
    """A worker started by hand, as ``python -m`` does."""
    words = [sys.executable, "-m", MODULE, str(run.path)]
    with run.worker_log.open("ab") as log:
        return subprocess.Popen(words, env=process.environment(), stdout=log, stderr=log)


def events(run: RunDirectory) -> list[Event]:
    return [record.value for record in run.events().read()]


def wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def at_work(run: RunDirectory) -> bool:
    return any(isinstance(event, Progress) for event in events(run))


@pytest.mark.parametrize(
    ("behaviour", "code", "last"),
    [
        ("ends", 0, Finished),
        ("goes_on_talking", 0, Finished),
        ("refuses", 4, Failed),
        ("breaks", 5, Failed),
        ("starves", 5, Failed),
        ("silent", 5, Failed),
    ],
)
def test_the_last_word_and_the_exit_code_agree(
    tmp_path: Path, behaviour: str, code: int, last: type[Event]
) -> None:
    run = new_run(tmp_path, behaviour)
    assert spawn(run).wait(PATIENCE_S) == code
    said = events(run)
    assert isinstance(said[0], RunStarted)
    assert isinstance(said[-1], last)
    assert [type(event) for event in said].count(last) == 1
    assert (run.path / "cleaned-up").exists()
    assert not run.locked()
    failed = said[-1]
    if isinstance(failed, Failed):
        assert failed.exit_code == code
        assert failed.what.endswith(".")
        assert failed.todo


def test_a_failure_the_user_can_mend_has_no_traceback(tmp_path: Path) -> None:
    run = new_run(tmp_path, "refuses")
    spawn(run).wait(PATIENCE_S)
    assert events(run)[-1] == Failed("DataMissing", 4, "There is nothing here.", "Look elsewhere.")
    assert run.worker_log.read_text() == ""


def test_our_own_mistake_keeps_its_traceback_for_later(tmp_path: Path) -> None:
    run = new_run(tmp_path, "breaks")
    spawn(run).wait(PATIENCE_S)
    failed = events(run)[-1]
    assert isinstance(failed, Failed)
    assert failed.code == "EngineError"
    assert "ZeroDivisionError: one over none" in failed.what
    assert failed.details[-1] == "ZeroDivisionError: one over none"
    assert "Traceback" in run.worker_log.read_text()


def test_refused_imports_and_want_of_memory_are_told() -> None:
    unsafe = last_word(CheckpointUnsafe("It would run code.", "Do not load it.", ("os.system",)))
    assert isinstance(unsafe, Failed)
    assert (unsafe.exit_code, unsafe.details) == (3, ("os.system",))
    starved = last_word(MemoryError())
    assert isinstance(starved, Failed)
    assert (starved.code, starved.exit_code) == (OutOfMemory.__name__, 5)


@pytest.mark.parametrize("behaviour", ["steps", "stuck"])
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"]
)
def test_signals_end_it_promptly_and_cleanly(
    tmp_path: Path, behaviour: str, number: int, code: int
) -> None:
    run = new_run(tmp_path, behaviour)
    child = spawn(run)
    wait_for(lambda: at_work(run))
    child.send_signal(number)
    asked = time.monotonic()
    assert child.wait(PATIENCE_S) == code
    assert time.monotonic() - asked < 5
    last = events(run)[-1]
    assert isinstance(last, Cancelled)
    assert last.exit_code == code
    assert (run.path / "cleaned-up").exists()


def test_a_hang_up_does_not_reach_it(tmp_path: Path) -> None:
    run = new_run(tmp_path, "steps")
    child = spawn(run)
    wait_for(lambda: at_work(run))
    child.send_signal(signal.SIGHUP)
    before = len(events(run))
    wait_for(lambda: len(events(run)) > before + 5)
    assert child.poll() is None
    child.terminate()
    assert child.wait(PATIENCE_S) == 143


@pytest.mark.parametrize(("command", "code"), [(Cancel("enough"), 130), (Cancel("term", 143), 143)])
@pytest.mark.parametrize("behaviour", ["steps", "stuck"])
def test_a_cancel_command_is_heard_within_a_step(
    tmp_path: Path, behaviour: str, command: Cancel, code: int
) -> None:
    run = new_run(tmp_path, behaviour)
    child = spawn(run)
    wait_for(lambda: at_work(run))
    run.commands().append(command)
    assert child.wait(PATIENCE_S) == code
    assert events(run)[-1] == Cancelled(command.reason, code)


def test_commands_for_an_earlier_worker_are_not_obeyed(tmp_path: Path) -> None:
    run = new_run(tmp_path, "ends")
    run.commands().append(Cancel())
    assert spawn(run).wait(PATIENCE_S) == 0


def test_pause_holds_and_continue_goes_on(tmp_path: Path) -> None:
    run = new_run(tmp_path, "steps")
    child = spawn(run)
    wait_for(lambda: at_work(run))
    run.commands().append(Pause())
    wait_for(lambda: Paused() in events(run))
    held = len(events(run))
    time.sleep(0.3)
    assert len(events(run)) == held
    run.commands().append(Continue())
    wait_for(lambda: len(events(run)) > held + 3)
    assert events(run)[held] == Continued()
    run.commands().append(Pause())
    wait_for(lambda: isinstance(events(run)[-1], Paused))
    run.commands().append(Cancel())
    assert child.wait(PATIENCE_S) == 130


def test_other_commands_reach_the_pipeline(tmp_path: Path) -> None:
    run = new_run(tmp_path, "answers")
    child = spawn(run)
    wait_for(lambda: bool(events(run)))
    commands: list[Command] = [Evaluate(12)]
    for command in commands:
        run.commands().append(command)
    assert child.wait(PATIENCE_S) == 0
    assert [e.k for e in events(run) if isinstance(e, Evaluated)] == [12]


def test_a_damaged_command_log_does_not_stop_the_work(tmp_path: Path) -> None:
    run = new_run(tmp_path, "steps")
    child = spawn(run)
    wait_for(lambda: at_work(run))
    (run.path / "commands.jsonl").write_text("rubbish\n")
    wait_for(lambda: "no longer listening" in run.worker_log.read_text())
    assert child.poll() is None
    child.terminate()
    assert child.wait(PATIENCE_S) == 143


def test_a_second_worker_is_refused(tmp_path: Path) -> None:
    run = new_run(tmp_path, "stuck")
    first = spawn(run)
    wait_for(lambda: at_work(run))
    assert spawn(run).wait(PATIENCE_S) == 6
    assert f"by process {first.pid}" in run.worker_log.read_text()
    first.terminate()
    first.wait(PATIENCE_S)
    assert sum(isinstance(event, RunStarted) for event in events(run)) == 1


def test_a_killed_worker_leaves_a_log_that_the_next_one_continues(tmp_path: Path) -> None:
    run = new_run(tmp_path, "steps")
    child = spawn(run)
    wait_for(lambda: at_work(run))
    os.kill(child.pid, signal.SIGKILL)
    child.wait(PATIENCE_S)
    assert not run.locked()
    before = run.events().read()
    with (run.path / "events.jsonl").open("ab") as file:
        file.write(b'{"seq":')
    again = spawn(run)
    wait_for(lambda: len(run.events().read()) > len(before) + 2)
    again.terminate()
    assert again.wait(PATIENCE_S) == 143
    records = run.events().read()
    assert records[: len(before)] == before
    assert [record.seq for record in records] == list(range(len(records)))
    started = records[len(before)].value
    assert isinstance(started, RunStarted)
    assert started.resumed


def change(run: RunDirectory, old: str, new: str) -> None:
    text = (run.path / "run.toml").read_text()
    assert old in text
    (run.path / "run.toml").write_text(text.replace(old, new))


def test_a_configuration_changed_meanwhile_is_refused(tmp_path: Path) -> None:
    run = new_run(tmp_path, "refuses")
    assert spawn(run).wait(PATIENCE_S) == 4
    change(run, "seed = 0", "seed = 1")
    assert spawn(run).wait(PATIENCE_S) == 6
    last = events(run)[-1]
    assert isinstance(last, Failed)
    assert last.code == "RunDamaged"
    assert "changed after the run had begun" in last.what


def test_a_finished_run_that_was_changed_stays_finished_and_says_why_nobody_answers(
    tmp_path: Path,
) -> None:
    run = new_run(tmp_path, "ends")
    assert spawn(run).wait(PATIENCE_S) == 0
    change(run, "seed = 0", "seed = 1")
    assert spawn(run).wait(PATIENCE_S) == 6
    assert RunState.from_events(events(run)).outcome == "finished"
    last = events(run)[-1]
    assert isinstance(last, Refused)
    assert (last.request, last.k) == ("wake", None)
    assert "changed after the run had begun" in last.what


def test_a_run_that_knew_fewer_settings_is_taken_up_as_it_was(tmp_path: Path) -> None:
    """As an earlier version leaves it: a setting it did not have is not in its run.toml."""
    run = new_run(tmp_path, "refuses")
    change(run, "grown = 2\n", "")
    assert RunDirectory.open(run.path).digest != run.digest
    assert spawn(run).wait(PATIENCE_S) == 4
    assert spawn(run).wait(PATIENCE_S) == 4, "not 6: it is the run that was begun"


def test_a_full_disk_ends_it_with_its_code(tmp_path: Path) -> None:
    run = new_run(tmp_path, "steps")
    words = f"ulimit -f 4; exec {sys.executable} -m {MODULE} {run.path}"
    with run.worker_log.open("ab") as log:
        child = subprocess.Popen(["bash", "-c", words], env=process.environment(), stderr=log)
    assert child.wait(PATIENCE_S) == 6
    assert "error: There is no space left" in run.worker_log.read_text()
    assert (run.path / "events.jsonl").read_bytes().endswith(b"\n")
    assert at_work(run)


@pytest.mark.parametrize("content", [None, "= ="])
def test_what_is_no_run_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "run.toml").write_text(content)
    words = [sys.executable, "-m", "cnp_engine.worker", str(tmp_path)]
    done = subprocess.run(
        words, env=process.environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 6
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
