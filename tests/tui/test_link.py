"""What a screen gets of a run on disk, whatever happens to it meanwhile."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from cnp_engine import launch
from cnp_engine.commands import Cancel, Pause
from cnp_engine.errors import RunMissing
from cnp_engine.events import SCHEMA, RunStarted
from cnp_engine.rundir import RunDirectory
from cnp_tui.link import Live
from tests.engine.runs.stand_in import MODULE
from tests.engine.runs.tools import CANCELLED, FAILED, FINISHED, STARTED, config, new_run
from tests.tui.recorded import folder


def test_a_recorded_run_is_told_once(tmp_path: Path) -> None:
    link = Live(folder(tmp_path / "run", "demo"))
    assert link.poll()
    assert link.snapshot.status == "finished"
    assert link.snapshot.state.curve
    assert not link.snapshot.answering
    assert not link.poll()


@pytest.mark.parametrize(
    ("events", "alive", "status"),
    [
        ((), False, "created"),
        ((), True, "running"),
        ((STARTED,), True, "running"),
        ((STARTED,), False, "died"),
        ((STARTED, FAILED), False, "failed"),
        ((STARTED, CANCELLED), False, "cancelled"),
        ((STARTED, FINISHED), False, "finished"),
        ((STARTED, FINISHED), True, "finished"),
    ],
)
def test_the_lock_and_the_log_together_say_how_it_stands(
    tmp_path: Path, events: tuple[RunStarted, ...], alive: bool, status: str
) -> None:
    run = new_run(tmp_path)
    for event in events:
        run.events().append(event)
    link = Live(run)
    if alive:
        with run.lock():
            link.poll()
    else:
        link.poll()
    assert link.snapshot.status == status


def test_a_finished_run_with_a_worker_answers(tmp_path: Path) -> None:
    run = folder(tmp_path / "run", "demo")
    link = Live(run)
    with run.lock():
        link.poll()
    assert link.snapshot.answering
    assert link.poll()  # that nobody answers any more is news
    assert not link.snapshot.answering


def test_a_torn_last_line_is_waited_for(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    run.events().append(STARTED)
    link = Live(run)
    link.poll()
    log = run.events().path
    whole = json.dumps({"seq": 1, "at": 2.0, "tag": "paused"}).encode() + b"\n"
    with log.open("ab") as file:
        file.write(whole[:10])
    with run.lock():
        link.poll()
        assert not link.snapshot.state.paused
        assert link.snapshot.trouble is None
        with log.open("ab") as file:
            file.write(whole[10:])
        assert link.poll()
    assert link.snapshot.state.paused


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (f'{{"seq":1,"at":1.0,"tag":"run_started","schema":{SCHEMA + 1}}}', "A newer cnp"),
        ("this is no log", "is damaged"),
        ('{"seq":7,"at":1.0,"tag":"paused"}', "line 7 stands where 1 should"),
    ],
)
def test_what_cannot_be_read_is_trouble_and_what_was_read_stays(
    tmp_path: Path, line: str, says: str
) -> None:
    run = new_run(tmp_path)
    run.events().append(STARTED)
    link = Live(run)
    link.poll()
    with run.events().path.open("a") as file:
        file.write(line + "\n")
    assert link.poll()
    assert link.snapshot.status == "damaged"
    assert link.snapshot.trouble is not None
    assert says in str(link.snapshot.trouble)
    assert link.snapshot.trouble.todo
    assert link.snapshot.state.started == STARTED
    assert not link.poll()


def test_a_vanished_folder_is_trouble(tmp_path: Path) -> None:
    run = folder(tmp_path / "run", "demo")
    link = Live(run)
    link.poll()
    shutil.rmtree(run.path)
    assert link.poll()
    assert link.snapshot.status == "damaged"
    assert isinstance(link.snapshot.trouble, RunMissing)
    assert link.snapshot.state.curve
    assert not link.poll()


def test_requests_reach_the_worker(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "run", config("steps"))
    worker = launch.start(run, MODULE)
    link = Live(run, worker)
    link.send(Pause())
    link.send(Cancel("enough"))
    assert launch.wait(run, 20.0)
    link.poll()
    assert link.snapshot.status == "cancelled"
    worker.process.wait()


def test_waking_a_run_at_work_changes_nothing(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    with run.lock():
        Live(run).wake()
    assert not run.events().path.exists()


def test_it_is_viewed_while_it_is_open(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    link = Live(run)
    assert run.viewed()
    link.close()
    assert not run.viewed()
