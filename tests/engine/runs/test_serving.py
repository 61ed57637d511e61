"""A worker that stays after its last word, while somebody looks at its run."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cnp_engine import launch, process
from cnp_engine.commands import Cancel, Command, Evaluate, Export, Pause
from cnp_engine.events import Evaluated, Event, Exported, Finished, Progress, RunStarted
from cnp_engine.rundir import RunDirectory
from cnp_engine.serving import Pending
from tests.engine.runs.stand_in import MODULE
from tests.engine.runs.tools import new_run

PATIENCE_S = 30.0
VIEWER = """
import sys
from cnp_engine import launch
from cnp_engine.rundir import RunDirectory
with launch.viewing(RunDirectory.open(sys.argv[1])):
    print("looking", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _leave_nobody_behind() -> Iterator[None]:
    yield
    for worker in launch._started:
        worker.process.kill()
        worker.process.wait()


@contextlib.contextmanager
def viewer(run: RunDirectory) -> Iterator[subprocess.Popen[str]]:
    """A front end of its own process."""
    child = subprocess.Popen(
        [sys.executable, "-c", VIEWER, str(run.path)], env=process.environment(),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "looking\n"
        yield child
        child.kill()


def events(run: RunDirectory) -> list[Event]:
    return [record.value for record in run.events().read()]


def wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def finished(run: RunDirectory) -> bool:
    return any(isinstance(event, Finished) for event in events(run))


def evaluated(run: RunDirectory) -> list[int]:
    return [event.k for event in events(run) if isinstance(event, Evaluated)]


@contextlib.contextmanager
def viewed_run(folder: Path) -> Iterator[tuple[RunDirectory, launch.Worker]]:
    run = new_run(folder, "serves")
    with launch.viewing(run):
        worker = launch.start(run, MODULE)
        wait_for(lambda: finished(run))
        yield run, worker


def test_viewers_are_told_apart_from_nobody(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    assert not launch.viewed(run)
    with launch.viewing(run), launch.viewing(run):
        assert launch.viewed(run)
    with launch.viewing(run):
        assert launch.viewed(run)
    assert not launch.viewed(run)
    assert not run.locked(), "looking is not working"


def test_a_run_that_cannot_be_written_is_looked_at_all_the_same(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    run.path.joinpath("viewers").mkdir()  # what root is refused too
    with launch.viewing(run):
        assert not launch.viewed(run)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_looked_at_all_the_same(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    run.path.chmod(0o555)
    with launch.viewing(run):
        assert not launch.viewed(run)
    run.path.chmod(0o755)


def test_a_viewer_that_is_killed_looks_no_more(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    with viewer(run) as one, viewer(run) as two:
        assert launch.viewed(run)
        os.kill(one.pid, signal.SIGKILL)
        one.wait(PATIENCE_S)
        assert launch.viewed(run)
        os.kill(two.pid, signal.SIGKILL)
        two.wait(PATIENCE_S)
        assert not launch.viewed(run)


@pytest.mark.parametrize("behaviour", ["serves", "ends"])
def test_nobody_looks_and_the_worker_leaves_at_once(tmp_path: Path, behaviour: str) -> None:
    run = new_run(tmp_path, behaviour)
    worker = launch.start(run, MODULE)
    records = list(launch.attach(run, worker))
    assert [type(record.value) for record in records] == [RunStarted, Progress, Finished]
    assert worker.process.wait(1.5) == 0


def test_a_run_without_answers_ends_although_it_is_viewed(tmp_path: Path) -> None:
    run = new_run(tmp_path, "ends")
    with launch.viewing(run):
        assert launch.start(run, MODULE).process.wait(PATIENCE_S) == 0


def test_it_answers_until_the_last_viewer_is_gone(tmp_path: Path) -> None:
    with viewed_run(tmp_path) as (run, worker), viewer(run) as other:
        run.commands().append(Evaluate(3))
        wait_for(lambda: evaluated(run) == [3])
        other.kill()
        other.wait(PATIENCE_S)
        run.commands().append(Evaluate(4))
        wait_for(lambda: evaluated(run) == [3, 4])
        assert worker.process.poll() is None
    left = time.monotonic()
    assert worker.process.wait(PATIENCE_S) == 0
    assert time.monotonic() - left < 10
    assert launch.status(run)[0] == "finished"


def test_while_it_answers_the_run_counts_as_finished(tmp_path: Path) -> None:
    with viewed_run(tmp_path) as (run, worker):
        assert run.locked()
        assert launch.status(run)[0] == "finished"
        followed = [type(record.value) for record in launch.attach(run, worker)]
        assert followed[-1] is Finished
        run.commands().append(Evaluate(3))
        wait_for(lambda: evaluated(run) == [3])
        again = list(launch.attach(run))
        assert isinstance(again[-1].value, Evaluated)


def test_a_request_is_heard_at_once(tmp_path: Path) -> None:
    """The best of several: the machine may be busy, but nothing waits on purpose."""
    took = []
    with viewed_run(tmp_path) as (run, _):
        tail = run.events().tail()
        for k in range(8):
            begun = time.monotonic()
            run.commands().append(Evaluate(k))
            while not any(isinstance(r.value, Evaluated) for r in tail.poll()):
                assert time.monotonic() - begun < PATIENCE_S
                time.sleep(0.001)
            took.append(time.monotonic() - begun)
    assert min(took) < 0.1, took


def test_what_was_asked_before_it_could_answer_is_answered(tmp_path: Path) -> None:
    run = new_run(tmp_path, "serves")
    with launch.viewing(run):
        worker = launch.start(run, MODULE)
        run.commands().append(Evaluate(5))
        run.commands().append(Export(6))
        wait_for(lambda: any(isinstance(event, Exported) for event in events(run)))
        assert evaluated(run) == [5]
        assert worker.process.poll() is None


def test_what_waits_gives_way_to_the_newest_and_exports_do_not(tmp_path: Path) -> None:
    with viewed_run(tmp_path) as (run, _):
        asked: list[Command] = [Export(1), Evaluate(2), Export(3), Evaluate(4), Evaluate(5)]
        run.commands().append(asked[0])
        wait_for(lambda: run.commands().size() > 0)
        for command in asked[1:]:
            run.commands().append(command)
        wait_for(lambda: sum(isinstance(e, Exported) for e in events(run)) == 2)
        assert [e.paths for e in events(run) if isinstance(e, Exported)] == [("1",), ("3",)]
        assert evaluated(run)[-1] == 5
        assert 4 not in evaluated(run) or evaluated(run).index(4) < evaluated(run).index(5)


def test_pending_requests() -> None:
    pending = Pending()
    assert pending.take() is None
    pending.add([Evaluate(1), Export(2), Evaluate(3), Pause(), Export(4)])
    taken = [pending.take() for _ in range(4)]
    assert taken == [Evaluate(3), Export(2), Export(4), None]
    assert not pending.waiting


def test_an_export_is_done_although_its_viewer_has_left(tmp_path: Path) -> None:
    with viewed_run(tmp_path) as (run, worker):
        for k in range(4):  # longer than the farewell takes
            run.commands().append(Export(k))
    assert worker.process.wait(PATIENCE_S) == 0
    exported = [event.paths for event in events(run) if isinstance(event, Exported)]
    assert exported == [("0",), ("1",), ("2",), ("3",)]


@pytest.mark.parametrize("how", ["cancel", "TERM", "INT", "KILL", "while it works"])
def test_being_stopped_while_answering_leaves_the_run_finished(tmp_path: Path, how: str) -> None:
    with viewed_run(tmp_path) as (run, worker):
        if how == "cancel":
            assert launch.cancel(run, "enough", grace_s=PATIENCE_S)
        elif how == "while it works":
            run.commands().append(Export(1))
            run.commands().append(Cancel())
        else:
            worker.process.send_signal(getattr(signal, f"SIG{how}"))
        code = worker.process.wait(PATIENCE_S)
        assert code == (-9 if how == "KILL" else 0)
        assert isinstance(events(run)[-1], Finished)
        assert launch.status(run)[0] == "finished"
        assert [record.value for record in launch.attach(run)] == events(run)


def test_a_torn_command_is_waited_for(tmp_path: Path) -> None:
    """Half a line is no command; the whole of it is, and the next writer cuts a dead one off."""
    with viewed_run(tmp_path) as (run, _):
        path, tail = run.path / "commands.jsonl", run.commands().tail()
        whole = b'{"seq":0,"at":1.0,"tag":"evaluate","k":7}\n'
        with path.open("ab", buffering=0) as file:
            file.write(whole[:20])
            assert tail.poll() == []
            file.write(whole[20:])
        assert [record.value for record in tail.poll()] == [Evaluate(7)]
        wait_for(lambda: evaluated(run) == [7])
        with path.open("ab", buffering=0) as file:
            file.write(b'{"seq":1,"at":2.0,"tag":"eva')
        run.commands().append(Evaluate(8))
        wait_for(lambda: evaluated(run) == [7, 8])


def test_a_later_worker_on_an_unfinished_run_counts_as_running(tmp_path: Path) -> None:
    run = new_run(tmp_path, "steps")
    with launch.viewing(run):
        worker = launch.start(run, MODULE)
        wait_for(lambda: any(isinstance(event, Progress) for event in events(run)))
        assert launch.status(run)[0] == "running"
        assert launch.cancel(run, grace_s=PATIENCE_S)
        worker.process.wait(PATIENCE_S)
        assert launch.status(run)[0] == "cancelled"
