"""The lock against real processes: held, told, released by any death, handed over without a gap."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cnp_engine import lock, process
from cnp_engine.errors import RunLocked

HOLDER = (
    "import pathlib, sys, time; from cnp_engine import lock\n"
    "with lock.hold(pathlib.Path(sys.argv[1])):\n"
    "    print('held', flush=True); time.sleep(60)"
)


def other_process(path: Path) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", HOLDER, str(path)]
    child = subprocess.Popen(words, env=process.environment(), stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    return child


def test_another_process_is_refused_and_named(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    child = other_process(path)
    try:
        assert lock.held(path)
        with pytest.raises(RunLocked) as caught, lock.hold(path, patience_s=0.05):
            raise AssertionError("two hold it")
        assert f"process {child.pid} on {socket.gethostname()}" in caught.value.what
        assert "cnp cancel" in caught.value.todo
        assert caught.value.exit_code == 6
        by = lock.holder(path)
        assert by is not None
        assert by.here
        assert abs(by.since - time.time()) < 60
    finally:
        child.kill()
        child.communicate()


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    child = other_process(path)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    assert not lock.held(path)
    with lock.hold(path):
        assert lock.held(path)
    assert not lock.held(path)


def test_waits_out_a_short_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    child = other_process(path)
    killer = subprocess.Popen(["sh", "-c", f"sleep 0.2; kill -9 {child.pid}"])
    with lock.hold(path, patience_s=10.0):
        holder = lock.holder(path)
        assert holder is not None
        assert holder.pid == os.getpid()
    killer.wait()
    child.communicate()


def test_a_lock_handed_over_is_held_without_a_gap(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    handle = lock.acquire(path)
    child = subprocess.Popen(["sleep", "60"], pass_fds=(handle,))
    lock.sign(handle, child.pid)
    os.close(handle)
    try:
        assert lock.held(path)
        by = lock.holder(path)
        assert by is not None
        assert by.pid == child.pid
    finally:
        child.kill()
        child.wait()
    assert not lock.held(path)


@pytest.mark.parametrize("text", ["", "nobody", "1 2 3 4", "x host 1.0"])
def test_a_lock_file_that_says_nothing_names_nobody(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lock"
    path.write_text(text)
    assert lock.holder(path) is None
    assert not lock.held(path)


def test_no_file_is_no_lock(tmp_path: Path) -> None:
    assert not lock.held(tmp_path / "lock")
    assert not (tmp_path / "lock").exists()
