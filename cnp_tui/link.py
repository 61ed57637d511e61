"""What a screen has of a run: looks at it, and requests that go the other way.

Knows the log, the lock and commands; no widgets. Screens see a ``Snapshot``, pulled at the pace
of the interface and never pushed, so that a burst of events costs one repaint.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from cnp_engine import launch
from cnp_engine.commands import Command
from cnp_engine.errors import CnpError, RunLocked, RunMissing
from cnp_engine.eventlog import EventRecord, EventTail
from cnp_engine.rundir import CONFIG, RunDirectory
from cnp_engine.state import RunState, fold
from cnp_tui.history import History

Status = Literal["created", "running", "finished", "failed", "cancelled", "died", "damaged"]


@dataclass(frozen=True)
class Snapshot:
    """One look at a run.

    ``answering``: a worker is there and the run is finished, so exact slider positions come.
    ``trouble``: why the run can no longer be read (a vanished folder, a damaged log); what was
    read before stays on the screen.
    """

    status: Status = "created"
    state: RunState = field(default_factory=RunState)
    history: History = field(default_factory=History)
    answering: bool = False
    trouble: CnpError | None = None


class Link(Protocol):
    """A run that lives (``Live``), or one that is played back (``replay.Replay``)."""

    @property
    def run(self) -> RunDirectory: ...

    @property
    def snapshot(self) -> Snapshot: ...

    @property
    def live(self) -> bool:
        """Whether requests make sense; a replay has none to send them to."""
        ...

    @property
    def started(self) -> bool:
        """Whether a worker that was started from here is there."""
        ...

    def poll(self) -> bool:
        """Look again; whether anything is different. Never raises: trouble is in the snapshot."""
        ...

    def send(self, command: Command) -> None:
        """Ask the worker. Raises RunUnwritable."""
        ...

    def wake(self) -> None:
        """See to it that a worker answers or goes on. Raises CnpError."""
        ...

    def close(self) -> None: ...


class Live:
    """A run on disk, watched while this is open: its worker stays to answer."""

    live = True

    def __init__(self, run: RunDirectory, worker: launch.Worker | None = None) -> None:
        self.run = run
        self.snapshot = Snapshot()
        self._worker = worker
        self._tail: EventTail = run.events().tail()
        self._viewing = contextlib.ExitStack()
        self._viewing.enter_context(launch.viewing(run))

    @property
    def started(self) -> bool:
        return self._worker is not None and self._worker.process.poll() is None

    def poll(self) -> bool:
        before = self.snapshot
        try:
            alive = self.run.locked()  # asked first: what a dead worker said last is still read
            records = self._tail.poll()
            self._check()
        except CnpError as error:
            self.snapshot = replace(before, status="damaged", answering=False, trouble=error)
            return before.trouble is None
        self.snapshot = _look(before, records, alive)
        return bool(records) or self.snapshot != before

    def _check(self) -> None:
        """A log that is not there is an empty one, unless the whole run is gone. RunMissing."""
        if not (self.run.path / CONFIG).exists():
            raise RunMissing(
                f"The run {self.run.path} is not there any more.",
                "Put its folder back, or go to Home with 1.",
            )

    def send(self, command: Command) -> None:
        self.run.commands().append(command)

    def wake(self) -> None:
        """A worker of another terminal that came first is as good as ours."""
        if self.run.locked():
            return
        with contextlib.suppress(RunLocked):
            self._worker = launch.start(self.run)

    def close(self) -> None:
        self._viewing.close()


def _look(before: Snapshot, records: list[EventRecord], alive: bool) -> Snapshot:
    state, history = before.state, before.history
    for record in records:
        state = fold(state, record.value, record.at)
    history = history.extended(records)
    if alive:
        status: Status = state.outcome if state.ended else "running"
    else:
        status = "died" if state.outcome == "running" else state.outcome
    answering = alive and state.outcome == "finished" and bool(state.curve)
    return Snapshot(status, state, history, answering)
