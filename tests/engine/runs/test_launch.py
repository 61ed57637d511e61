"""Starting, following and stopping a worker from another process."""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cnp_engine import launch
from cnp_engine.errors import RunDamaged, RunLocked, RunUnwritable, WorkerDied
from cnp_engine.events import Cancelled, Failed, Finished, Progress, RunStarted
from cnp_engine.rundir import RunDirectory
from tests.engine.runs.stand_in import MODULE
from tests.engine.runs.tools import CANCELLED, FAILED, FINISHED, STARTED, new_run


@pytest.fixture(name="stop", autouse=True)
def leave_nobody_behind() -> Iterator[None]:
    yield
    for worker in launch._started:
        worker.process.kill()
        worker.process.wait()


def start(run: RunDirectory) -> launch.Worker:
    return launch.start(run, MODULE)


def test_follows_a_run_from_its_first_event_to_its_last(tmp_path: Path) -> None:
    run = new_run(tmp_path, "ends")
    records = list(launch.attach(run, start(run)))
    assert [type(record.value) for record in records] == [RunStarted, Progress, Finished]
    assert not run.locked()
    assert launch.status(run)[0] == "finished"
    assert list(launch.attach(run)) == records


def test_the_lock_is_held_from_the_start_on(tmp_path: Path) -> None:
    run = new_run(tmp_path, "stuck")
    worker = start(run)
    assert run.locked()
    with pytest.raises(RunLocked, match=f"process {worker.process.pid}"):
        start(run)
    assert launch.status(run)[0] == "running"
    assert os.getsid(worker.process.pid) == worker.process.pid


def test_a_cancelled_run_goes_on(tmp_path: Path) -> None:
    run = new_run(tmp_path, "steps")
    worker = start(run)
    for record in launch.attach(run, worker):
        if isinstance(record.value, Progress) and record.value.done == 2:
            assert launch.cancel(run, "enough")
            assert launch.wait(run, 20.0)
    assert record.value == Cancelled("enough", 130)
    assert launch.status(run)[0] == "cancelled"
    assert not launch.cancel(run)
    again = start(run)
    seen = []
    for later in launch.attach(run, again):
        seen.append(later)
        if later.seq == again.since + 3:
            launch.cancel(run, grace_s=20.0)
    assert [later.seq for later in seen] == list(range(len(seen)))
    assert again.since == record.seq + 1


def test_an_old_last_word_does_not_end_a_new_worker(tmp_path: Path) -> None:
    run = new_run(tmp_path, "ends")
    run.events().append(dataclasses.replace(STARTED, digest=run.config.digest()))
    run.events().append(FAILED)
    kinds = [type(record.value) for record in launch.attach(run, start(run))]
    assert kinds == [RunStarted, Failed, RunStarted, Progress, Finished]


@pytest.mark.parametrize(("how", "says"), [("dies", "something dreadful"), ("killed", "signal 9")])
def test_a_death_without_a_word_is_told(tmp_path: Path, how: str, says: str) -> None:
    run = new_run(tmp_path, "stuck" if how == "killed" else how)
    worker = start(run)

    def follow() -> None:
        for record in launch.attach(run, worker):
            if how == "killed" and isinstance(record.value, Progress):
                os.kill(worker.process.pid, signal.SIGKILL)

    with pytest.raises(WorkerDied) as caught:
        follow()
    assert says in caught.value.what
    assert f"cnp resume {run.path}" in caught.value.todo
    assert launch.status(run)[0] == "died"
    with pytest.raises(WorkerDied):
        list(launch.attach(run))


def test_a_death_for_want_of_space_is_told_as_such(tmp_path: Path) -> None:
    run = new_run(tmp_path, "steps")
    os.truncate(run.path / "run.toml", 3)  # its worker ends with 6 and cannot say why
    with pytest.raises(RunUnwritable, match="could not write"):
        list(launch.attach(run, start(run)))


def test_a_worker_that_hears_nothing_is_ended_after_its_grace(tmp_path: Path) -> None:
    run = new_run(tmp_path, "stuck")
    worker = start(run)
    for record in launch.attach(run, worker):
        if isinstance(record.value, Progress):
            (run.path / "commands.jsonl").write_text("rubbish\n")
            time.sleep(0.3)
            (run.path / "commands.jsonl").unlink()
            assert launch.cancel(run, grace_s=0.2)
    assert record.value == Cancelled("SIGTERM", 143)


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ((), "created"),
        ((STARTED,), "died"),
        ((STARTED, FAILED), "failed"),
        ((STARTED, CANCELLED), "cancelled"),
        ((STARTED, FINISHED), "finished"),
    ],
)
def test_how_a_run_stands(tmp_path: Path, events: tuple[Finished, ...], status: str) -> None:
    run = new_run(tmp_path)
    for event in events:
        run.events().append(event)
    assert launch.status(run)[0] == status
    with run.lock():  # taken after the last word: a later worker is about to begin
        assert launch.status(run)[0] == ("finished" if status == "finished" else "running")


def test_nothing_is_started_on_a_damaged_log(tmp_path: Path) -> None:
    run = new_run(tmp_path, "ends")
    (run.path / "events.jsonl").write_text("rubbish\n")
    with pytest.raises(RunDamaged):
        start(run)
    assert not run.locked()
