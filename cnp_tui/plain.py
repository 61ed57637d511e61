"""The headless view: what a run is doing, on stderr. Bars on a terminal, lines anywhere else."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Protocol

from cnp_engine import launch
from cnp_engine.errors import Interrupted, Terminated
from cnp_engine.events import Event, Stage
from cnp_engine.rundir import RunDirectory
from cnp_engine.state import RunState, fold
from cnp_tui import phrases

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

EVERY_S = 3.0
"""Between two lines of progress where there is no terminal."""

PATIENCE_S = 10.0
"""How long a stopped run may take to say so before it is left to itself."""


class View(Protocol):
    """Shown every event, with the state after it."""

    def show(self, state: RunState, event: Event) -> None: ...

    def tell(self, text: str) -> None: ...


class Silent:
    def show(self, state: RunState, event: Event) -> None:
        pass

    def tell(self, text: str) -> None:
        pass


class Lines:
    """One line an event that matters, and progress every few seconds."""

    def __init__(
        self, write: Callable[[str], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write = write
        self._clock = clock
        self._last = clock()

    def show(self, state: RunState, event: Event) -> None:
        text = phrases.line(event)
        if text is None and self._clock() - self._last >= EVERY_S:
            text = phrases.progress(event)
        if text is not None:
            self._last = self._clock()
            self.tell(f"{phrases.elapsed(state)} {text}")

    def tell(self, text: str) -> None:
        self._write(text + "\n")


class Bars:
    """A bar for the stage at work under the lines of what is done; ``progress`` is rich's."""

    def __init__(self, console: Console) -> None:
        from rich import progress

        self.progress = progress.Progress(
            progress.SpinnerColumn(),
            progress.TextColumn("{task.description:<8}", markup=False),
            progress.BarColumn(bar_width=30),
            progress.MofNCompleteColumn(),
            progress.TimeElapsedColumn(),
            progress.TimeRemainingColumn(),
            progress.TextColumn("{task.fields[values]}", markup=False),
            console=console,
            transient=True,
        )
        self._task: TaskID = self.progress.add_task("starting", total=None, values="")
        self._stage: Stage | None = None

    def show(self, state: RunState, event: Event) -> None:
        text = phrases.line(event)
        if text is not None:
            self.tell(f"{phrases.elapsed(state)} {text}")
        if state.stage is None:
            return
        now = state.stages[state.stage]
        if state.stage != self._stage:
            self._stage = state.stage
            self.progress.reset(self._task, description=state.stage, total=now.total)
        values = phrases.values(now.values, now.label)
        self.progress.update(self._task, completed=now.done, total=now.total, values=values)

    def tell(self, text: str) -> None:
        self.progress.console.print(text, markup=False, highlight=False, soft_wrap=True)


@contextlib.contextmanager
def view(quiet: bool) -> Iterator[View]:
    """The view that fits stderr."""
    if quiet:
        yield Silent()
        return
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal or console.is_dumb_terminal:
        yield Lines(console.file.write)
        return
    bars = Bars(console)
    with bars.progress:
        yield bars


def follow(
    run: RunDirectory, worker: launch.Worker | None, quiet: bool, *, owner: bool
) -> RunState:
    """Show a run until its worker ends; what it came to.

    An ``owner`` that is interrupted stops the run first, any other leaves it at work.
    Raises Interrupted, Terminated, WorkerDied, RunDirectoryError.
    """
    watcher = _Watcher(run, worker)
    with view(quiet) as shown, stoppable():
        try:
            return watcher.watch(shown)
        except (KeyboardInterrupt, Terminated) as stop:
            code = Terminated.exit_code if isinstance(stop, Terminated) else Interrupted.exit_code
            kind = Terminated if isinstance(stop, Terminated) else Interrupted
            if not owner:
                raise kind(
                    "This view was left; the run goes on.",
                    f"Come back with `cnp attach {run.path}`.",
                ) from None
            shown.tell("stopping...")
            return watcher.stop(shown, code)


class _Watcher:
    """Folds events into a state; after an interruption it goes on where it was."""

    def __init__(self, run: RunDirectory, worker: launch.Worker | None) -> None:
        self._run = run
        self._worker = worker
        self._since = worker.since if worker else 0
        self._state = RunState()

    def watch(self, shown: View) -> RunState:
        for record in launch.attach(self._run, self._worker):
            if record.seq > self._state.seq:
                self._state = fold(self._state, record.value, record.at)
                if record.seq >= self._since:  # what an earlier worker said was shown then
                    shown.show(self._state, record.value)
        return self._state

    def stop(self, shown: View, code: int) -> RunState:
        """Ask the worker to stop and hear its last word; ended by a second interruption."""
        kind = Terminated if code == Terminated.exit_code else Interrupted
        try:
            reason = "SIGTERM" if kind is Terminated else "Ctrl-C"
            launch.cancel(self._run, reason, code, grace_s=PATIENCE_S)
            return self.watch(shown)
        except (KeyboardInterrupt, Terminated):
            raise kind(
                "The run was asked to stop.",
                f"See whether it did with `cnp attach {self._run.path}`.",
            ) from None


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """SIGINT and SIGTERM as exceptions, for a block.

    SIGINT too where it was ignored, as a shell does for what it puts into the background: a run
    that is told to stop shall stop.
    """

    def on_term(number: int, frame: FrameType | None) -> None:
        raise Terminated("SIGTERM")

    before_int = signal.signal(signal.SIGINT, signal.default_int_handler)
    before_term = signal.signal(signal.SIGTERM, on_term)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before_int)
        signal.signal(signal.SIGTERM, before_term)
