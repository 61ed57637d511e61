"""What `cnp bench` does: the cells of a grid, strictly one after another, each an ordinary run.

Everything a call needs to go on lies in the folder: runs, trained models, and no state beside
them. The tables are written anew after every cell.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cnp_engine import launch, lock
from cnp_engine.config import RunConfig
from cnp_engine.errors import (
    CnpError,
    DeviceMissing,
    Interrupted,
    RunDamaged,
    RunDirectoryError,
    RunExists,
    RunLocked,
    RunUnwritable,
    SettingInvalid,
    SettingUnknown,
    Terminated,
)
from cnp_engine.files import absolute, write_atomic, writing
from cnp_engine.grid import table
from cnp_engine.grid.cells import RUNS, Cell, cells, config
from cnp_engine.grid.grid import Grid, read
from cnp_engine.grid.models import Model
from cnp_engine.grid.results import Result, network_name, of_summary
from cnp_engine.rundir import CONFIG, SUMMARY, RunDirectory
from cnp_engine.settings import show
from cnp_engine.state import RunState, fold
from cnp_tui import faults, preflight, trained
from cnp_tui.jobs import Manner
from cnp_tui.plain import PATIENCE_S, View, stoppable, view

LOCK = "bench.lock"
"""Marks a folder as a bench's, and is held while one is at work there."""

FAILED = 5
"""Exit code where a cell failed."""

_OF_ALL: tuple[type[CnpError], ...] = (Interrupted, DeviceMissing, RunUnwritable)
"""What meets every cell alike ends the bench; anything else is one cell's failure."""

_IN_TRAINING: tuple[type[CnpError], ...] = (
    *_OF_ALL,
    RunDirectoryError,
    SettingInvalid,
    SettingUnknown,
)


def bench(path: Path, out: Path | None, device: str | None, manner: Manner) -> int:
    """Carry out the grid in the file ``path``; the exit code of the command.

    Raises UsageError for a grid that cannot be, RunExists for a folder that holds something else,
    RunLocked, RunUnwritable, Interrupted, and what is missing of the grid's files.
    """
    grid = read(path)
    folder = absolute(out if out is not None else f"bench-{grid.name}")
    planned = [_Planned(cell, config(grid, cell, folder, device)) for cell in cells(grid)]
    with stoppable(), claimed(folder):
        job = _Bench(grid, folder, planned, device, manner)
        job.check()
        job.run()
    return job.conclude()


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Hold a bench's folder for a block. Raises RunExists, RunLocked, RunUnwritable."""
    marker = folder / LOCK
    with writing(folder):
        if folder.exists() and not marker.is_file() and _occupied(folder):
            raise RunExists(f"{folder} is there already and is no bench.", "Choose another --out.")
        folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(lock.hold(marker))
        except RunLocked:
            by = lock.holder(marker)
            who = f"process {by.pid} on {by.host}" if by else "another process"
            raise RunLocked(
                f"The bench in {folder} is being worked on by {who}.",
                "Wait for it, stop it there with Ctrl-C, or choose another --out.",
            ) from None
        yield


def _occupied(folder: Path) -> bool:
    return not folder.is_dir() or next(folder.iterdir(), None) is not None


@dataclass(frozen=True)
class _Planned:
    cell: Cell
    config: RunConfig


@dataclass
class _Bench:
    grid: Grid
    folder: Path
    planned: list[_Planned]
    device: str | None
    manner: Manner
    results: dict[str, Result] = field(default_factory=dict)
    untrained: dict[str, CnpError] = field(default_factory=dict)

    def check(self) -> None:
        """Slips of the pen, before anything is done for hours.

        Raises the error of a file that is not there, RunExists for a run or a model in the folder
        that was begun otherwise.
        """
        for one in self.planned:
            for key, error in preflight.problems(one.config).items():
                if one.cell.model.plan is None or key not in ("model", "attack"):
                    raise type(error)(error.what, "Check the grid file.")
        for model in self.grid.models:
            trained.check(self.folder, model)
        for one in self.planned:
            self._check_run(one)

    def _check_run(self, one: _Planned) -> None:
        place = self._place(one.cell)
        if not (place / CONFIG).is_file():
            return
        try:
            there = RunDirectory.open(place).config.values()
        except RunDamaged:  # one cell's failure
            return
        for key, value in one.config.values().items():
            if there[key] != value:
                raise RunExists(
                    f"The run {place} was made with {key} = {show(there[key])}, and the grid now "
                    f"says {show(value)}.",
                    "Choose another --out, or delete that run.",
                )

    def run(self) -> None:
        """Raises what ends a bench; whatever is done by then is in the tables."""
        for one in self.planned:
            self.results[one.cell.name] = self._standing(one)
        self._save()
        done = self._tables.number("done")
        if done:
            self._tell(f"{done} of {len(self.planned)} cells are done already")
        for number, one in enumerate(self.planned, 1):
            if not self.results[one.cell.name].done:
                self._tell(f"[{number} of {len(self.planned)}] {one.cell.name}")
                try:
                    self._carry_out(one)
                except (KeyboardInterrupt, Interrupted) as stop:
                    raise self._stopped(stop) from None

    def _carry_out(self, one: _Planned) -> None:
        result = self._attempt(one)
        self.results[one.cell.name] = result
        self._save()
        self._tell(f"{one.cell.name}: {line(result)}")

    def _attempt(self, one: _Planned) -> Result:
        """Whatever goes wrong with one cell is kept in its row."""
        model = one.cell.model
        try:
            if model.name in self.untrained:
                raise self.untrained[model.name]
            self._train(model)
            return self._run(one)
        except _OF_ALL:
            raise
        except CnpError as error:
            return _failed(one.cell, error)

    def _train(self, model: Model) -> None:
        if trained.ready(self.folder, model):
            return
        self._tell(f"training {model.name}")
        try:
            trained.train(self.folder, model, self.device, self.manner.quiet)
        except _IN_TRAINING:
            raise
        except CnpError as error:
            self.untrained[model.name] = error
            raise

    def _run(self, one: _Planned) -> Result:
        run = _opened(self._place(one.cell), one.config)
        status, state = launch.status(run)
        if not (status == "finished" and _whole(run)):
            worker = None if status == "running" else launch.start(run)
            with view(self.manner.quiet) as shown:
                state = _watched(run, worker, shown)
        if state.failure is not None:
            error = faults.from_event(state.failure)
            if isinstance(error, _OF_ALL):
                raise error
        if state.cancelled is not None:
            raise Interrupted(f"The run {run.path} was stopped ({state.cancelled.reason}).")
        return _result(one, state)

    def _standing(self, one: _Planned) -> Result:
        """What the folder says of a cell before anything is done for it."""
        place = self._place(one.cell)
        if not (place / CONFIG).is_file():
            return Result(one.cell, network=network_name(one.cell))
        try:
            run = RunDirectory.open(place)
            status, state = launch.status(run)
        except CnpError as error:
            return _failed(one.cell, error)
        if status == "finished" and not _whole(run):
            return Result(one.cell, "stopped", network=network_name(one.cell))
        return _result(one, state)

    def _stopped(self, stop: BaseException) -> CnpError:
        kind = Terminated if isinstance(stop, Terminated) else Interrupted
        said = f" {stop}" if isinstance(stop, Interrupted) and kind is Interrupted else ""
        for one in self.planned:
            if not self.results[one.cell.name].done:
                self.results[one.cell.name] = self._standing(one)
        self._save()
        return kind(
            f"The bench was stopped: {self._tables.standing}.{said}",
            f"The same command goes on; the tables are in {self.folder}.",
        )

    def conclude(self) -> int:
        """The tables on stdout: all of them as text, or the one object of --json."""
        if self.manner.as_json:
            print(self._json())
        else:
            print(table.markdown(self._tables))
        if self._tables.number("failed"):
            self._tell(f"{self._tables.standing}; the same command tries those again")
            return FAILED
        return 0

    @property
    def _tables(self) -> table.Bench:
        return table.Bench(self.grid, [self.results[one.cell.name] for one in self.planned])

    def _json(self) -> str:
        value = {**table.as_json(self._tables), "out": str(self.folder)}
        return json.dumps(value, indent=2, allow_nan=False)

    def _save(self) -> None:
        for name, text in (
            ("bench.json", self._json() + "\n"),
            ("bench.csv", table.as_csv(self._tables)),
            ("bench.md", table.markdown(self._tables) + "\n"),
        ):
            write_atomic(self.folder / name, text.encode())

    def _place(self, cell: Cell) -> Path:
        return self.folder / RUNS / cell.name

    def _tell(self, text: str) -> None:
        if not self.manner.quiet:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()


def line(result: Result) -> str:
    """A cell that has ended, on one line."""
    if not result.done:
        return f"{result.state}. {result.error}".strip()
    before, after = result.before, result.after
    said = [f"verdict {table.VERDICTS[result.verdict]} ({table.WORDS[result.verdict_right]})"]
    if result.target_right is not None:
        said.append(f"target {table.WORDS[result.target_right]}")
    for name, old, new in (("ASR", before.asr, after.asr), ("BA", before.ba, after.ba)):
        if old is not None and new is not None:
            said.append(f"{name} {table.percent(old.value)} -> {table.percent(new.value)} %")
    if result.pruned is not None and result.neurons is not None:
        said.append(f"pruned {result.pruned} of {result.neurons:,}")
    if result.seconds is not None:
        said.append(f"{result.seconds:.1f} s")
    return ", ".join(said)


def _watched(run: RunDirectory, worker: launch.Worker | None, shown: View) -> RunState:
    """See a run to its end. Interrupted, it is stopped first, and then nothing follows it: unlike
    `plain.follow`, which tells of a run that ended nevertheless as if nothing had been."""
    state, since = RunState(), worker.since if worker else 0
    try:
        for record in launch.attach(run, worker):
            state = fold(state, record.value, record.at)
            if record.seq >= since:
                shown.show(state, record.value)
    except (KeyboardInterrupt, Terminated) as stop:
        shown.tell("stopping...")
        kind = Terminated if isinstance(stop, Terminated) else Interrupted
        reason = "SIGTERM" if kind is Terminated else "Ctrl-C"
        launch.cancel(run, reason, kind.exit_code, grace_s=PATIENCE_S)
        launch.wait(run, PATIENCE_S)
        raise
    return state


def _opened(place: Path, config: RunConfig) -> RunDirectory:
    if (place / CONFIG).is_file():
        return RunDirectory.open(place)
    if place.is_dir() and not _kept(place):  # killed while it was being made
        with writing(place):
            shutil.rmtree(place)
    return RunDirectory.create(place, config)


def _kept(place: Path) -> bool:
    """Whether anything is in ``place`` but what making a run leaves when it is cut off."""
    return any(
        not (entry.is_dir() or entry.name.startswith(f".{CONFIG}.")) for entry in place.rglob("*")
    )


def _whole(run: RunDirectory) -> bool:
    """Whether the summary of a finished run lies there; a worker writes it again where not."""
    try:
        json.loads((run.path / SUMMARY).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return True


def _result(one: _Planned, state: RunState) -> Result:
    """Of a run as it stands."""
    cell = one.cell
    if state.failure is not None:
        return _failed(cell, faults.from_event(state.failure))
    if state.outcome == "finished" and state.summary is not None:
        network = state.model.architecture if state.model else ""
        return of_summary(cell, state.summary, network, one.config.until == "export")
    return Result(cell, "stopped", network=network_name(cell))


def _failed(cell: Cell, error: CnpError) -> Result:
    said = f"{error.what} {error.todo}".strip()
    return Result(cell, "failed", said, network_name(cell))
