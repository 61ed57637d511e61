"""Recorded runs as links: what a screen shows of a run, frozen at a moment, and no torch.

``recorded(name, upto=...)`` plays a log of ``tests/fixtures/runs`` to one moment;
``state(name)`` gives the moments every screen has to show; ``folder`` writes one out as a run
on disk, for what reads files (Home, ``cnp replay``, ``cnp runs``).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from cnp_engine.commands import Command
from cnp_engine.config import RunConfig
from cnp_engine.errors import CnpError, RunMissing
from cnp_engine.eventlog import EventLog, EventRecord
from cnp_engine.events import (
    STAGES,
    Cancelled,
    Event,
    Failed,
    Paused,
    Rate,
    RunStarted,
    Stage,
    StageFinished,
    StageStarted,
    Warned,
)
from cnp_engine.rundir import RunDirectory
from cnp_engine.state import RunState, fold
from cnp_tui.history import History
from cnp_tui.link import Snapshot, Status

PLACE = Path(__file__).parents[1] / "fixtures" / "runs"

NAMES = ("demo", "blended", "unlabelled", "clean")
"""A patch and a global trigger, both with ground truth; no labels at all; no backdoor."""


class Recorded:
    """A link that stands still. ``sent`` and ``woken`` tell what a screen asked of it."""

    def __init__(
        self,
        name: str,
        records: Sequence[EventRecord],
        status: Status | None = None,
        *,
        live: bool = True,
        answering: bool = False,
        trouble: CnpError | None = None,
    ) -> None:
        self.run = RunDirectory(Path("/runs") / name, config(name), "digest")
        self.live = live
        self.started = False
        self.sent: list[Command] = []
        self.woken = 0
        self.closed = False
        self.records = list(records)
        self._told = True
        self.snapshot = _snapshot(self.records, status, answering, trouble)

    def poll(self) -> bool:
        """True once after each change."""
        told, self._told = self._told, True
        return not told

    def send(self, command: Command) -> None:
        self.sent.append(command)

    def wake(self) -> None:
        self.woken += 1

    def close(self) -> None:
        self.closed = True

    def hear(self, *events: Event, status: Status | None = None) -> None:
        """The worker says more; the next poll tells."""
        records = _after(self.records, events)
        self.snapshot = Snapshot(
            status or self.snapshot.status,
            RunState.from_records([*self.records, *records]),
            self.snapshot.history.extended(records),
            self.snapshot.answering,
        )
        self.records += records
        self._told = False

    def hear_one(self, event: Event) -> None:
        """As ``hear``, at the cost of one event however much was heard before."""
        (record,) = _after(self.records, [event])
        self.records.append(record)
        state = fold(self.snapshot.state, record.value, record.at)
        history = self.snapshot.history.extended([record])
        self.change(state=state, history=history)

    def change(self, **fields: object) -> None:
        """Replace fields of the snapshot; the next poll tells."""
        self.snapshot = replace(self.snapshot, **fields)  # type: ignore[arg-type]
        self._told = False


def recorded(
    name: str = "demo",
    upto: int | Stage | None = None,
    status: Status | None = None,
    extra: Sequence[Event] = (),
    *,
    live: bool = True,
    answering: bool = False,
    trouble: CnpError | None = None,
) -> Recorded:
    """The recording ``name`` up to a ``seq`` or the middle of a stage, then ``extra`` events.

    ``status`` None: what the log says, a worker being alive where it has not ended.
    """
    records = list(moment(name, upto))
    records += _after(records, extra)
    return Recorded(name, records, status, live=live, answering=answering, trouble=trouble)


def moment(name: str, upto: int | Stage | None = None) -> tuple[EventRecord, ...]:
    """The records of the recording ``name`` up to there."""
    records = log(name)
    if upto is None:
        return records
    if isinstance(upto, int):
        return records[: upto + 1]
    assert upto in STAGES, upto
    begun = seq_of(name, lambda e: isinstance(e, StageStarted) and e.stage == upto)
    ended = seq_of(name, lambda e: isinstance(e, StageFinished) and e.stage == upto)
    return records[: (begun + ended) // 2 + 1]


def seq_of(name: str, wanted: Callable[[Event], bool]) -> int:
    """The ``seq`` of the first event that is ``wanted``."""
    return next(record.seq for record in log(name) if wanted(record.value))


@functools.cache
def log(name: str) -> tuple[EventRecord, ...]:
    return tuple(EventLog(PLACE / f"{name}.jsonl").read())


def config(name: str) -> RunConfig:
    """What the recorded run was told, with paths of nowhere."""
    values: dict[str, str] = {"model": "/models/untrusted.pth", "data": "demo"}
    if name == "unlabelled":
        values["data"] = "/data/images"
    if name in ("demo", "blended"):
        values["attack"] = "/models/attack.toml"
    return RunConfig.build(values, env={})


def folder(place: Path, name: str = "demo", upto: int | Stage | None = None) -> RunDirectory:
    """The recording as a run on disk at ``place``; nobody holds its lock."""
    run = RunDirectory.create(place, config(name))
    records = moment(name, upto)
    times = iter([record.at for record in records])
    written = EventLog(run.path / "events.jsonl", clock=lambda: next(times))
    for record in records:
        written.append(_of(run, record.value), durable=False)
    return run


def _of(run: RunDirectory, event: Event) -> Event:
    """A worker says the digest of its own configuration; a resumed run is held to it."""
    return replace(event, digest=run.config.digest()) if isinstance(event, RunStarted) else event


def _after(records: Sequence[EventRecord], events: Sequence[Event]) -> list[EventRecord]:
    """``events`` as the next records, a tenth of a second apart."""
    seq, at = len(records), records[-1].at if records else 1_000_000_000.0
    return [
        EventRecord(seq + number, at + 0.1 * (number + 1), event)
        for number, event in enumerate(events)
    ]


def _snapshot(
    records: Sequence[EventRecord],
    status: Status | None,
    answering: bool,
    trouble: CnpError | None,
) -> Snapshot:
    state = RunState.from_records(records)
    history = History().extended(records)
    said: Status = state.outcome if state.ended else "running"
    return Snapshot(status or said, state, history, answering, trouble)


WEAK = Warned(
    "weak_trigger",
    "The trigger reversed for class 5 moves only 62% of the images: "
    "the real one may not be a static pattern.",
)
OUT_OF_MEMORY = Failed(
    "OutOfMemory",
    5,
    "The device ran out of memory even with 8 images a step.",
    "Free memory on the device, or give --device cpu.",
)
GONE = RunMissing("There is no run at /runs/demo.", "List the runs with `cnp runs`.")


def _with_weak_trigger() -> Recorded:
    """Mid masks; the reversed trigger moves 62 % only."""
    found = recorded("demo", "scores").snapshot.state.triggers[5]
    weak = replace(found, success=Rate(0.624, 263, 0.5637, 0.6803))
    return recorded("demo", "scores", extra=[weak, WEAK])


STATES: dict[str, Callable[[], Recorded]] = {
    "created": lambda: Recorded("demo", [], "created"),
    "before": lambda: recorded("demo", 1),
    "target": lambda: recorded("demo", "target"),
    "trigger": lambda: recorded("demo", "trigger"),
    "masks": lambda: recorded("demo", "scores"),
    "sweep": lambda: recorded("demo", "sweep"),
    "warning": _with_weak_trigger,
    "paused": lambda: recorded("demo", "scores", extra=[Paused()]),
    "failed": lambda: recorded("demo", "scores", extra=[OUT_OF_MEMORY]),
    "cancelled": lambda: recorded("demo", "scores", extra=[Cancelled("Ctrl-C", 130)]),
    "died": lambda: recorded("demo", "scores", "died"),
    "damaged": lambda: recorded("demo", "scores", "damaged", trouble=GONE),
    "finished": lambda: recorded("demo"),
    "answering": lambda: recorded("demo", answering=True),
    "blended": lambda: recorded("blended"),
    "unlabelled": lambda: recorded("unlabelled"),
    "no_evidence": lambda: recorded("clean"),
    "replay": lambda: recorded("demo", "trigger", live=False),
}


def state(name: str) -> Recorded:
    """A new link in one of the moments of ``STATES``."""
    return STATES[name]()
