"""The whole way in a real terminal at 80x24, by keys alone: Home, the demo, a slider, an export."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from cnp_engine import launch, lock
from cnp_engine.rundir import RunDirectory
from tests.tui.tmux import SANE, Terminal, needs_tmux, wait_until

LONG_S = 500.0
"""Half a minute on two free cores; the tests may have neither."""

BRIEF = {
    "CNP_TARGETS": "5", "CNP_CLEAN": "200", "CNP_TARGET_FAMILIES": "patch",
    "CNP_TARGET_STEPS": "40", "CNP_TARGET_BATCH": "8", "CNP_TARGET_RESTARTS": "1",
    "CNP_REVERSAL_STEPS": "30", "CNP_REVERSAL_BATCH": "16", "CNP_MASKS_ROUNDS": "2",
    "CNP_MASKS_ORDER_LIMIT": "4", "CNP_SWEEP_MEASURED_POINTS": "1", "CNP_HEAL_WHEN": "never",
    "OMP_NUM_THREADS": "1",
}  # fmt: skip
"""The same way with a named target, fewer images and steps: minutes on a busy machine become
seconds. What it comes to is told elsewhere."""


@pytest.fixture(name="runs", autouse=True)
def no_worker_outlives_the_test(home: Path) -> Iterator[None]:
    yield
    for path in home.glob("*/lock"):
        by = lock.holder(path)
        if by is not None and lock.held(path):
            os.kill(by.pid, signal.SIGKILL)


@needs_tmux
@pytest.mark.slow
def test_from_an_empty_home_to_an_exported_file(tmp_path: Path, home: Path) -> None:
    with Terminal(tmp_path, env=BRIEF) as terminal:
        terminal.wait_for("There are no runs yet.")
        terminal.press("d")
        wait_until(lambda: any(home.glob("*/events.jsonl")))
        run = RunDirectory.open(next(home.glob("*")))
        terminal.press("p")  # too early: said, and nothing happens
        terminal.wait_for("backdoored", patience_s=LONG_S)
        wait_until(lambda: run.events().path.read_text().count('"tag":"finished"') == 1,
                   patience_s=LONG_S)  # fmt: skip
        terminal.press("p")
        terminal.wait_for("pruned", "of 600")
        chosen = launch.status(run)[1].chosen
        assert chosen is not None
        terminal.wait_for(f"pruned {chosen.k} of 600")
        terminal.press("Right")
        terminal.wait_for(f"pruned {chosen.k + 1} of 600")
        terminal.press("S-Right")
        terminal.wait_for(f"pruned {chosen.k + 11} of 600")
        terminal.press("r")
        terminal.wait_for(f"pruned {chosen.k} of 600")
        before = {path: path.stat().st_mtime_ns for path in run.exports.iterdir()}
        terminal.press("e", "Enter")
        wait_until(lambda: any(path.stat().st_mtime_ns > before.get(path, 0)
                               for path in run.exports.iterdir()), patience_s=LONG_S)  # fmt: skip
        terminal.wait_for("exports", "purified")
        terminal.press("q")  # finished: nothing is asked
        assert terminal.wait_for_exit() == 0
        assert terminal.flags == SANE
    wait_until(lambda: not lock.held(run.lock_path))
