"""Where the slider of a run stands, and where it stood before: kept while the application runs."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cnp_engine.state import RunState
from cnp_tui.scale import MODES, Mode

MOST = 100
"""Positions that can be undone."""


@dataclass(frozen=True)
class Position:
    """``k`` is where the slider rested last; ``mode`` is what a typed value sets.

    ``moved``: the user set it; until then it follows what the run recommends.
    """

    k: int = 0
    moved: bool = False
    past: tuple[int, ...] = ()
    future: tuple[int, ...] = ()
    mode: Mode = "count"

    def rested(self, k: int) -> Position:
        """At ``k``, which can be undone; what had been undone is forgotten."""
        if k == self.k:
            return replace(self, moved=True)
        return replace(self, k=k, moved=True, past=(*self.past, self.k)[-MOST:], future=())

    def undone(self) -> Position:
        if not self.past:
            return self
        *past, k = self.past
        return replace(self, k=k, past=tuple(past), future=(self.k, *self.future))

    def redone(self) -> Position:
        if not self.future:
            return self
        k, *future = self.future
        return replace(self, k=k, past=(*self.past, self.k), future=tuple(future))

    def other_mode(self) -> Position:
        return replace(self, mode=MODES[(MODES.index(self.mode) + 1) % len(MODES)])

    def following(self, state: RunState) -> Position:
        """At what the run's exports hold, or will, until the user sets something else."""
        if self.moved or state.chosen is None:
            return self
        return replace(self, k=state.chosen.k)
