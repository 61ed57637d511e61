"""What a run looks like at one moment: a pure fold over its events, and nothing else.

Every front end shows a RunState; none keeps a state of its own. Knows neither files nor screens.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, TypeVar, cast

from cnp_engine import events as ev
from cnp_engine.events import STAGES, Event, Stage
from cnp_engine.jsonl import Record

E = TypeVar("E", bound=Event)
K = TypeVar("K")
V = TypeVar("V")

StageStatus = Literal["waiting", "running", "done"]
Outcome = Literal["created", "running", "finished", "failed", "cancelled"]


@dataclass(frozen=True)
class StageState:
    """One stage; ``values`` are the latest of what can be plotted, ``seconds`` only when done."""

    status: StageStatus = "waiting"
    done: int = 0
    total: int | None = None
    unit: str = ""
    label: str = ""
    values: Mapping[str, float | None] = field(default_factory=dict)
    started_at: float | None = None
    seconds: float | None = None
    restored: bool = False


def _waiting() -> Mapping[Stage, StageState]:
    return MappingProxyType({stage: StageState() for stage in STAGES})


@dataclass(frozen=True)
class RunState:
    """The latest event of each kind; None or empty where there was none yet.

    ``recommended`` is the automatic choice; ``chosen``, ``remeasured`` and ``healed`` tell what
    stands in the run's own exports, the automatic choice or what the user exported in its place.
    ``copied`` is the latest model written elsewhere, ``healed_copy`` the latest that was healed
    for there; ``exported`` the latest files wherever they are.
    ``seq`` and ``at`` are those of the last event folded, ``begun_at`` that of the first,
    ``worker_at`` when the latest worker began and ``ended_at`` when it said its last word.
    ``asked`` tells how far an answer to somebody is, while one is under way.
    ``failure``, ``cancelled`` and ``summary`` tell how the latest worker ended and are empty again
    when the run is resumed.
    """

    seq: int = -1
    at: float | None = None
    begun_at: float | None = None
    worker_at: float | None = None
    ended_at: float | None = None
    started: ev.RunStarted | None = None
    stages: Mapping[Stage, StageState] = field(default_factory=_waiting)
    model: ev.ModelLoaded | None = None
    data: ev.DataLoaded | None = None
    normalize: ev.NormalizeChosen | None = None
    before: ev.Measured | None = None
    target: ev.TargetRanked | None = None
    sizes: Mapping[str, ev.TargetSizes] = field(default_factory=dict)
    previews: Mapping[int, ev.TriggerPreview] = field(default_factory=dict)
    triggers: Mapping[int, ev.TriggerReversed] = field(default_factory=dict)
    scores: ev.ScoresReady | None = None
    curve: Mapping[int, ev.CurvePoint] = field(default_factory=dict)
    chosen: ev.Chosen | None = None
    recommended: ev.Chosen | None = None
    verdict: ev.VerdictReached | None = None
    exported: ev.Exported | None = None
    remeasured: ev.Remeasured | None = None
    healed: ev.Healed | None = None
    healed_copy: ev.Healed | None = None
    copied: ev.Remeasured | None = None
    evaluated: Mapping[int, ev.Evaluated] = field(default_factory=dict)
    refused: ev.Refused | None = None
    asked: ev.Progress | None = None
    resources: ev.Resources | None = None
    warnings: tuple[ev.Warned, ...] = ()
    paused: bool = False
    paused_at: float | None = None
    failure: ev.Failed | None = None
    cancelled: ev.Cancelled | None = None
    summary: Mapping[str, Any] | None = None

    @classmethod
    def from_events(cls, events: Iterable[Event]) -> RunState:
        state = cls()
        for event in events:
            state = fold(state, event)
        return state

    @classmethod
    def from_records(cls, records: Iterable[Record[Event]]) -> RunState:
        state = cls()
        for record in records:
            state = fold(state, record.value, record.at)
        return state

    @property
    def spent_s(self) -> float | None:
        """Seconds of the latest worker up to its last word: what it answers later is no work."""
        until = self.ended_at if self.ended_at is not None else self.at
        return None if until is None or self.worker_at is None else until - self.worker_at

    @property
    def ended(self) -> bool:
        """Whether the latest worker said its last word."""
        return self.outcome in ("finished", "failed", "cancelled")

    @property
    def outcome(self) -> Outcome:
        """What the log alone says; that a worker died only its lock tells (``launch.status``)."""
        if self.summary is not None:
            return "finished"
        if self.failure is not None:
            return "failed"
        if self.cancelled is not None:
            return "cancelled"
        return "running" if self.seq >= 0 else "created"

    @property
    def stage(self) -> Stage | None:
        """The stage at work, None between stages and at the end."""
        return next((s for s in STAGES if self.stages[s].status == "running"), None)


def fold(state: RunState, event: Event, at: float | None = None) -> RunState:
    """``state`` after one more event, which happened ``at`` seconds since the epoch. Pure."""
    begun = state.begun_at if state.begun_at is not None else at
    state = dataclasses.replace(state, seq=state.seq + 1, at=at, begun_at=begun)
    state = _FOLDS[type(event)](state, event)
    if state.ended and state.ended_at is None:
        state = dataclasses.replace(state, ended_at=at)
    return state


Fold = Callable[[RunState, Event], RunState]
_FOLDS: dict[type[Event], Fold] = {}


def _folds(kind: type[E]) -> Callable[[Callable[[RunState, E], RunState]], None]:
    def register(function: Callable[[RunState, E], RunState]) -> None:
        _FOLDS[kind] = cast(Fold, function)

    return register


def _latest(kind: type[E], name: str, take: Callable[[E], Any] = lambda event: event) -> None:
    """The event, or what ``take`` makes of it, replaces the field ``name``."""

    @_folds(kind)
    def replace(state: RunState, event: E) -> RunState:
        changed: dict[str, Any] = {name: take(event)}
        return dataclasses.replace(state, **changed)


def _keyed(kind: type[E], name: str, key: Callable[[E], int | str]) -> None:
    """The event replaces the one of the same key in the mapping ``name``."""

    @_folds(kind)
    def replace(state: RunState, event: E) -> RunState:
        changed: dict[str, Any] = {name: _with(getattr(state, name), key(event), event)}
        return dataclasses.replace(state, **changed)


def _with(mapping: Mapping[K, V], key: K, value: V) -> Mapping[K, V]:
    return MappingProxyType({**mapping, key: value})


_latest(ev.ModelLoaded, "model")
_latest(ev.DataLoaded, "data")
_latest(ev.NormalizeChosen, "normalize")
_latest(ev.MeasuredBefore, "before", lambda event: event.measured)
_latest(ev.TargetRanked, "target")
_latest(ev.ScoresReady, "scores")
_latest(ev.VerdictReached, "verdict")
_latest(ev.Resources, "resources")
_latest(ev.Failed, "failure")
_latest(ev.Cancelled, "cancelled")
_keyed(ev.TargetSizes, "sizes", lambda event: event.family)
_keyed(ev.TriggerPreview, "previews", lambda event: event.target)
_keyed(ev.TriggerReversed, "triggers", lambda event: event.target)
_keyed(ev.CurvePoint, "curve", lambda event: event.k)
_keyed(ev.Evaluated, "evaluated", lambda event: event.k)


@_folds(ev.Exported)
def _exported(state: RunState, event: ev.Exported) -> RunState:
    return dataclasses.replace(state, exported=event, asked=None)


@_folds(ev.Refused)
def _refused(state: RunState, event: ev.Refused) -> RunState:
    return dataclasses.replace(state, refused=event, asked=None)


@_folds(ev.Finished)
def _finished(state: RunState, event: ev.Finished) -> RunState:
    """Said again by each worker that is to answer: what the last one was at is over."""
    return dataclasses.replace(state, summary=MappingProxyType(event.summary), asked=None)


@_folds(ev.Paused)
def _paused(state: RunState, event: ev.Paused) -> RunState:
    return dataclasses.replace(state, paused=True, paused_at=state.at)


@_folds(ev.Continued)
def _continued(state: RunState, event: ev.Continued) -> RunState:
    """The pace of the stage at work is that of its work: the pause is taken out of its time."""
    stage, since, at = state.stage, state.paused_at, state.at
    state = dataclasses.replace(state, paused=False, paused_at=None)
    if stage is None or since is None or at is None:
        return state
    now = state.stages[stage]
    if now.started_at is None:
        return state
    return _stage(state, stage, dataclasses.replace(now, started_at=now.started_at + at - since))


@_folds(ev.Chosen)
def _chosen(state: RunState, event: ev.Chosen) -> RunState:
    """What the user chose later does not hide what was recommended."""
    recommended = state.recommended if event.by_user else event
    return dataclasses.replace(state, chosen=event, recommended=recommended)


@_folds(ev.Remeasured)
def _remeasured(state: RunState, event: ev.Remeasured) -> RunState:
    """A copy elsewhere does not change what stands in the run's exports."""
    if event.copy:
        return dataclasses.replace(state, copied=event, healed_copy=None)
    return dataclasses.replace(state, remeasured=event, healed=None)  # of what stood there before


@_folds(ev.Healed)
def _healed(state: RunState, event: ev.Healed) -> RunState:
    if event.copy:
        return dataclasses.replace(state, healed_copy=event)
    return dataclasses.replace(state, healed=event)


@_folds(ev.RunStarted)
def _run_started(state: RunState, event: ev.RunStarted) -> RunState:
    """A worker begins: how the last one ended is no longer so, and its stages start over."""
    return dataclasses.replace(
        state,
        started=event,
        worker_at=state.at,
        ended_at=None,
        stages=_waiting(),
        paused=False,
        paused_at=None,
        failure=None,
        cancelled=None,
        summary=None,
        asked=None,
    )


@_folds(ev.StageStarted)
def _stage_started(state: RunState, event: ev.StageStarted) -> RunState:
    begun = StageState("running", total=event.total, unit=event.unit, started_at=state.at)
    return _stage(state, event.stage, begun)


@_folds(ev.Progress)
def _progress(state: RunState, event: ev.Progress) -> RunState:
    if event.asked:
        return dataclasses.replace(state, asked=event)
    now = dataclasses.replace(
        state.stages[event.stage],
        status="running",
        done=event.done,
        total=event.total,
        label=event.label,
        values=MappingProxyType(event.values),
    )
    return _stage(state, event.stage, now)


@_folds(ev.StageFinished)
def _stage_finished(state: RunState, event: ev.StageFinished) -> RunState:
    now = dataclasses.replace(
        state.stages[event.stage], status="done", seconds=event.seconds, restored=event.restored
    )
    return _stage(state, event.stage, now)


@_folds(ev.Warned)
def _warned(state: RunState, event: ev.Warned) -> RunState:
    if event in state.warnings:
        return state
    return dataclasses.replace(state, warnings=(*state.warnings, event))


def _stage(state: RunState, stage: Stage, now: StageState) -> RunState:
    return dataclasses.replace(state, stages=_with(state.stages, stage, now))
