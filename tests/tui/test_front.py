"""``cnp run`` around a real worker: what it prints, how it ends, what a signal does."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cnp_engine import launch, lock, process
from cnp_engine.events import Cancelled, Progress
from cnp_engine.rundir import RunDirectory

PATIENCE_S = 30.0
COLOUR = re.compile(rb"\x1b\[[0-9;]*3[0-9]")


@pytest.fixture(name="place")
def where_the_run_goes(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "run"
    by = lock.holder(tmp_path / "run" / "lock")
    if by is not None and lock.held(tmp_path / "run" / "lock"):
        os.kill(by.pid, signal.SIGKILL)


def words(behaviour: str, place: Path, *flags: str) -> list[str]:
    return [sys.executable, "-m", "tests.tui.front", behaviour, str(place), *flags]


def front(behaviour: str, place: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words(behaviour, place, *flags),
        env=process.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )


def begin(behaviour: str, place: Path, *flags: str) -> subprocess.Popen[str]:
    """A front end whose worker has got to its first step."""
    child = subprocess.Popen(
        words(behaviour, place, *flags),
        env=process.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # under nohup the tests, and so the child, would never hear a hang-up
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )
    wait_for(lambda: (place / "events.jsonl").exists() and steps(place) > 0)
    return child


def steps(place: Path) -> int:
    records = RunDirectory.open(place).events().read()
    return sum(isinstance(record.value, Progress) for record in records)


def wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("behaviour", "code", "says"),
    [
        ("refuses", 4, "error: There is nothing here.\n  Look elsewhere.\n"),
        ("breaks", 5, "error: The engine failed unexpectedly (ZeroDivisionError: one over none)."),
        ("dies", 5, "its last line was: something dreadful.\n  Go on with `cnp resume "),
    ],
)
def test_what_the_worker_met_is_said_once_and_briefly(
    place: Path, behaviour: str, code: int, says: str
) -> None:
    done = front(behaviour, place, "--json")
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr
    assert done.stderr.count("error: ") == 1
    assert "Traceback" not in done.stderr


def test_debug_shows_where_the_worker_broke(place: Path) -> None:
    done = front("breaks", place, "--debug")
    assert "in _breaks" in done.stderr


def test_stdout_is_one_object_and_stderr_is_silent_when_asked(place: Path) -> None:
    done = front("ends", place, "--json", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"verdict": "no_evidence", "run": str(place)}


def test_without_a_terminal_progress_is_plain_lines(place: Path) -> None:
    done = front("ends", place)
    assert done.returncode == 0
    assert "\x1b" not in done.stderr
    assert re.search(r"^\[ +\d+\.\d s\] started  on cpu$", done.stderr, re.MULTILINE)
    assert "repeat     cnp run --model" in done.stdout


def test_coming_back_to_a_run_tells_nothing_twice(place: Path) -> None:
    assert "started  on cpu" in front("refuses", place).stderr
    again = front("refuses", place, "--again")
    assert again.returncode == 4
    assert "resumed  on cpu" in again.stderr
    assert "started  on cpu" not in again.stderr
    assert again.stderr.count("error: ") == 1


@pytest.mark.parametrize("no_colour", [False, True])
def test_on_a_terminal_there_are_bars_and_no_color_is_honoured(
    place: Path, no_colour: bool
) -> None:
    ours, theirs = pty.openpty()
    env = {**process.environment(), "TERM": "xterm-256color"}
    env.pop("NO_COLOR", None)
    if no_colour:
        env["NO_COLOR"] = "1"
    child = subprocess.Popen(
        words("ends", place), env=env, stdout=subprocess.DEVNULL, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 65536):
            shown += part
    except OSError:  # the other end was closed
        pass
    os.close(ours)
    assert child.wait(PATIENCE_S) == 0
    assert "━".encode() in shown
    assert bool(COLOUR.search(shown)) is not no_colour


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"]
)
@pytest.mark.parametrize("behaviour", ["steps", "stuck"])
def test_an_interruption_stops_the_run_which_can_go_on(
    place: Path, behaviour: str, number: int, code: int
) -> None:
    child = begin(behaviour, place, "--json")
    child.send_signal(number)
    out, err = child.communicate(timeout=PATIENCE_S)
    assert (child.returncode, out) == (code, "")
    assert f"cnp resume {place}" in err
    run = RunDirectory.open(place)
    last = run.events().read()[-1].value
    assert isinstance(last, Cancelled)
    assert last.exit_code == code
    assert not run.locked()


def test_an_interruption_counts_even_where_a_shell_had_it_ignored(place: Path) -> None:
    shell = subprocess.Popen(
        ["sh", "-c", f"{' '.join(words('stuck', place))} & echo $!; wait $!; echo $?"],
        env=process.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert shell.stdout is not None
    pid = int(shell.stdout.readline())
    wait_for(lambda: (place / "events.jsonl").exists() and steps(place) > 0)
    os.kill(pid, signal.SIGINT)
    assert shell.communicate(timeout=PATIENCE_S)[0].strip() == "130"


def test_a_hang_up_ends_the_front_end_only(place: Path) -> None:
    child = begin("steps", place)
    child.send_signal(signal.SIGHUP)
    child.communicate(timeout=PATIENCE_S)
    assert child.returncode == -signal.SIGHUP
    before = steps(place)
    wait_for(lambda: steps(place) > before + 5)
    run = RunDirectory.open(place)
    assert run.locked()
    assert launch.cancel(run, grace_s=PATIENCE_S)


def test_a_detached_run_is_left_to_work_and_can_be_followed_and_stopped(place: Path) -> None:
    done = front("steps", place, "--detach", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"run": str(place)}
    wait_for(lambda: steps(place) > 0)
    cnp = [sys.executable, "-m", "cnp_tui"]
    viewer = subprocess.Popen(
        [*cnp, "attach", str(place)],
        env=process.environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert viewer.stderr is not None
    assert "started" in viewer.stderr.readline()
    viewer.send_signal(signal.SIGINT)
    rest = viewer.communicate(timeout=PATIENCE_S)[1]
    assert viewer.returncode == 130
    assert "the run goes on" in rest
    assert "error" not in rest
    assert RunDirectory.open(place).locked()
    stopped = subprocess.run(
        [*cnp, "cancel", str(place)],
        env=process.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (stopped.returncode, stopped.stdout) == (0, "")
    assert not RunDirectory.open(place).locked()
