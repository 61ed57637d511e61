"""A recorded run played again: the same screens, fed from its log at any speed.

Knows the log and a clock; no widgets.
"""

from __future__ import annotations

import bisect
import math
import time
from collections.abc import Callable, Sequence

from cnp_engine.commands import Command
from cnp_engine.errors import UsageError
from cnp_engine.eventlog import EventRecord
from cnp_engine.events import RunStarted
from cnp_engine.rundir import RunDirectory
from cnp_engine.state import RunState, fold
from cnp_tui.glyphs import Glyphs
from cnp_tui.history import History
from cnp_tui.link import Snapshot, Status

LONGEST_GAP_S = 3.0
"""Between two workers: a run that was resumed the next day is not silent for a day."""

SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
STEP_S = 5.0
"""How far one key press seeks."""


class Replay:
    """``position_s`` counts from the first event; ``clock`` in seconds, monotonic."""

    live = False
    started = False

    def __init__(
        self,
        run: RunDirectory,
        records: Sequence[EventRecord],
        speed: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.run = run
        self.speed = speed
        self.paused = False
        self.position_s = 0.0
        self.snapshot = Snapshot()
        self._records = records
        self._times = timeline(records)
        self._clock = clock
        self._at = clock()
        self._shown = 0
        self._moved = True

    @classmethod
    def of(
        cls, run: RunDirectory, speed: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> Replay:
        """Raises RunDamaged, UsageError where there is nothing to play."""
        records = run.events().read()
        if not records:
            raise UsageError(
                f"The run {run.path} has no events yet.", f"Begin it with `cnp resume {run.path}`."
            )
        return cls(run, records, speed, clock)

    @property
    def length_s(self) -> float:
        return self._times[-1]

    @property
    def over(self) -> bool:
        return self.position_s >= self.length_s

    def poll(self) -> bool:
        """Play on to now."""
        now = self._clock()
        if not self.paused:
            self._place(self.position_s + (now - self._at) * self.speed)
        self._at = now
        moved, self._moved = self._moved, False
        return moved

    def pause(self, paused: bool | None = None) -> None:
        """Hold or go on; at the end, from the start again."""
        self.poll()
        if self.over and paused is None:
            self.seek(0.0)
            self.paused = False
        else:
            self.paused = not self.paused if paused is None else paused
        self._moved = True

    def faster(self, steps: int) -> None:
        """To the next of ``SPEEDS``, or with -1 to the one before."""
        self.poll()
        nearest = min(range(len(SPEEDS)), key=lambda i: abs(SPEEDS[i] - self.speed))
        self.speed = SPEEDS[max(0, min(len(SPEEDS) - 1, nearest + steps))]
        self._moved = True

    def seek(self, position_s: float) -> None:
        """To a moment, forwards or back."""
        self._place(position_s)
        self._at = self._clock()
        self._moved = True

    def told(self, glyphs: Glyphs) -> str:
        """Where it stands, for the first line of a screen."""
        how = "paused" if self.paused else "end" if self.over else f"{self.speed:g}x"
        times = f"{_minutes(self.position_s)} / {_minutes(self.length_s)}"
        return f"replay {glyphs.bar(self.position_s / max(self.length_s, 1e-9), 8)} {times} {how}"

    def send(self, command: Command) -> None:
        """Nobody is there to be asked."""

    def wake(self) -> None:
        """Nobody is there to be woken."""

    def close(self) -> None:
        """Nothing is held."""

    def _place(self, position_s: float) -> None:
        position_s = max(0.0, min(self.length_s, position_s))
        told = _minutes(self.position_s) != _minutes(position_s)
        self.position_s = position_s
        upto = self._count(position_s)
        if upto < self._shown:
            self.snapshot, self._shown = Snapshot(), 0
        if upto != self._shown:
            self.snapshot = _after(self.snapshot, self._records[self._shown : upto])
            self._shown = upto
            told = True
        self._moved = self._moved or told

    def _count(self, position_s: float) -> int:
        """How many events have happened by then; the first always has."""
        return bisect.bisect_right(self._times, position_s + 1e-9)


def timeline(records: Sequence[EventRecord]) -> list[float]:
    """Seconds from the first event to each, without the time in which nobody worked."""
    times: list[float] = []
    now = before = 0.0
    for record in records:
        if times:
            longest = LONGEST_GAP_S if isinstance(record.value, RunStarted) else math.inf
            now += max(0.0, min(longest, record.at - before))
        before = record.at
        times.append(now)
    return times


def _after(snapshot: Snapshot, records: Sequence[EventRecord]) -> Snapshot:
    state: RunState = snapshot.state
    history: History = snapshot.history
    for record in records:
        state = fold(state, record.value, record.at)
    status: Status = state.outcome
    return Snapshot(status, state, history.extended(records))


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
