"""Start a worker, follow what it says, ask it to stop: all that a front end needs of a run.

Knows processes and files; not what is shown. The worker has its own session, so that a terminal
that hangs up reaches the front end only.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from cnp_engine import lock, process
from cnp_engine.commands import Cancel
from cnp_engine.errors import CnpError, RunUnwritable, WorkerDied
from cnp_engine.eventlog import ENDS, EventRecord
from cnp_engine.events import Finished, Progress, RunStarted
from cnp_engine.files import writing
from cnp_engine.rundir import RunDirectory
from cnp_engine.state import RunState

WORKER = "cnp_engine.worker"
POLL_S = 0.1
LINGER_S = 5.0
"""How long a front end waits for a worker to leave after its last word."""

Status = Literal["created", "running", "finished", "failed", "cancelled", "died"]


@dataclass
class Worker:
    """A worker this process started; its events begin at ``since``."""

    process: subprocess.Popen[bytes]
    since: int


_started: list[Worker] = []
"""Keeps the handles: a worker may outlive us, and Popen complains when forgotten before that."""


def start(run: RunDirectory, module: str = WORKER) -> Worker:
    """Start a worker on ``run``, which goes on where an earlier one stopped.

    On a finished run it says the last word again and answers whoever looks at it.

    ``module`` is what the new process runs: it takes the arguments of ``cnp_engine.worker``. The
    lock is taken here and handed over. Raises RunLocked, RunUnwritable, RunDamaged.
    """
    records = run.events().read()
    handle = lock.acquire(run.lock_path)
    try:
        with writing(run.worker_log), run.worker_log.open("ab") as log:
            child = subprocess.Popen(  # noqa: S603  # our own module, no shell
                process.argv(
                    module,
                    str(run.path),
                    f"--lock-handle={handle}",
                    f"--commands-from={run.commands().size()}",
                ),
                env=process.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(handle,),
                start_new_session=True,
            )
            lock.sign(handle, child.pid)
    finally:
        os.close(handle)
    worker = Worker(child, len(records))
    _started.append(worker)
    return worker


@contextlib.contextmanager
def viewing(run: RunDirectory) -> Iterator[None]:
    """Look at a run for a block: its worker stays after its last word, to answer commands.

    Any death ends it. In a folder that cannot be written nobody is told, and nothing fails.
    """
    with lock.share(run.viewers_path):
        yield


def viewed(run: RunDirectory) -> bool:
    """Whether anybody looks at the run."""
    return run.viewed()


def attach(
    run: RunDirectory, worker: Worker | None = None, poll_s: float = POLL_S
) -> Iterator[EventRecord]:
    """Every event from the first, then each as it comes, to the worker's last word.

    A worker that stays to answer viewers has said it; what it answers is not waited for.
    Raises WorkerDied where the worker is gone and said no last word, RunUnwritable where it could
    not write one, RunDamaged.
    """
    tail = run.events().tail()
    since = worker.since if worker else 0
    end: EventRecord | None = None
    heard_at = time.monotonic()
    while True:
        alive = run.locked()  # asked first, so that what a dead one wrote last is still read
        records = tail.poll()
        for record in records:
            if not (isinstance(record.value, Progress) and record.value.asked):
                heard_at = time.monotonic()
            end = _last_word(end, record, since)
            yield record
        if not alive:
            if end is not None:
                return
            raise _death(run, worker)
        if end is not None and not _begun_after(run, end.at):
            stays = isinstance(end.value, Finished) and run.viewed()
            if stays or time.monotonic() - heard_at > LINGER_S:
                return
        if not records:
            time.sleep(poll_s)


def _last_word(end: EventRecord | None, record: EventRecord, since: int) -> EventRecord | None:
    """The last word that holds after ``record``; answers to viewers take nothing back."""
    if isinstance(record.value, ENDS):
        return record if record.seq >= since else None
    return None if isinstance(record.value, RunStarted) else end


def _begun_after(run: RunDirectory, at: float) -> bool:
    """Whether the worker that holds the lock is a later one than wrote at ``at``."""
    by = lock.holder(run.lock_path)
    return by is not None and by.since > at


def cancel(
    run: RunDirectory,
    reason: str = "cancelled on request",
    exit_code: int = 130,
    grace_s: float | None = None,
) -> bool:
    """Ask the worker to stop; False where none is at work.

    With ``grace_s``, one of this machine that is still there after so many seconds gets SIGTERM.
    Raises RunUnwritable.
    """
    if not run.locked():
        return False
    run.commands().append(Cancel(reason, exit_code))
    if grace_s is not None and not wait(run, grace_s):
        by = lock.holder(run.lock_path)
        if by is not None and by.here and run.locked():
            os.kill(by.pid, signal.SIGTERM)
    return True


def wait(run: RunDirectory, timeout_s: float, poll_s: float = POLL_S) -> bool:
    """Wait for the worker to be gone; False where it is still there after ``timeout_s``."""
    deadline = time.monotonic() + timeout_s
    while run.locked():
        if time.monotonic() > deadline:
            return False
        time.sleep(poll_s)
    return True


def status(run: RunDirectory) -> tuple[Status, RunState]:
    """How a run stands, and all that its log says. Raises RunDamaged.

    A finished run stays finished while a worker answers its viewers.
    """
    alive = run.locked()
    state = RunState.from_records(run.events().read())
    if not alive:
        return ("died" if state.outcome == "running" else state.outcome), state
    if state.outcome == "finished":
        return "finished", state
    if state.ended and state.at is not None and not _begun_after(run, state.at):
        return state.outcome, state
    return "running", state


def _death(run: RunDirectory, worker: Worker | None) -> CnpError:
    code = worker.process.wait() if worker else None
    resume = f"Go on with `cnp resume {run.path}`."
    if code == RunUnwritable.exit_code:
        return RunUnwritable(
            f"The worker could not write to {run.path} any more.", f"Make space there. {resume}"
        )
    lines = _last_lines(run)
    said = f"; its last line was: {lines[-1]}" if lines else ""
    how = f" by signal {-code}" if code is not None and code < 0 else ""
    if code == -signal.SIGKILL:
        how += " (often for want of memory)"
    return WorkerDied(f"The worker was ended{how} without a last word{said}.", resume, lines)


def _last_lines(run: RunDirectory, count: int = 40) -> tuple[str, ...]:
    try:
        text = run.worker_log.read_text("utf-8", "replace")
    except OSError:
        return ()
    return tuple(line for line in text.splitlines() if line.strip())[-count:]
