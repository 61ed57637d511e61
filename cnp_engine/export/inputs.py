"""What a report is made of, and how it is gathered from a run's event log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from cnp_engine.aims import class_name
from cnp_engine.config import RunConfig
from cnp_engine.events import (
    STAGES,
    Chosen,
    CurvePoint,
    DataLoaded,
    Event,
    Exported,
    Healed,
    MeasuredBefore,
    ModelLoaded,
    NormalizeChosen,
    Progress,
    Remeasured,
    RunStarted,
    ScoresReady,
    StageFinished,
    TargetRanked,
    TriggerReversed,
    VerdictReached,
    Warned,
)

E = TypeVar("E", bound=Event)


class PrunedNeuron(NamedTuple):
    """One pruned neuron; ``score`` lower was pruned earlier."""

    layer: str
    channel: int
    score: float


@dataclass(frozen=True)
class Picture:
    """A PNG with the words for those who do not see it.

    ``file`` is where report.md finds it, relative to itself; None keeps it out of there.
    """

    png: bytes
    alt: str
    caption: str = ""
    file: str | None = None


@dataclass(frozen=True)
class ReportInput:
    """Plain facts of a run; what it did not come to is None or empty, and is left out.

    ``scores`` (N,) are flat in layer order. ``measured_at`` is any text that says when.
    """

    config: RunConfig
    started: RunStarted | None = None
    model: ModelLoaded | None = None
    data: DataLoaded | None = None
    normalize: NormalizeChosen | None = None
    before: MeasuredBefore | None = None
    ranking: TargetRanked | None = None
    triggers: tuple[TriggerReversed, ...] = ()
    scored: ScoresReady | None = None
    mask_progress: tuple[Progress, ...] = ()
    curve: tuple[CurvePoint, ...] = ()
    chosen: Chosen | None = None
    verdict: VerdictReached | None = None
    exported: Exported | None = None
    after: Remeasured | None = None
    healed: Healed | None = None
    warnings: tuple[Warned, ...] = ()
    seconds: tuple[tuple[str, float], ...] = ()
    peak_memory_bytes: int | None = None
    scores: tuple[float, ...] = ()
    pruned: tuple[PrunedNeuron, ...] = ()
    pictures: tuple[Picture, ...] = ()
    measured_at: str | None = None

    @property
    def neurons(self) -> int | None:
        return None if self.model is None else self.model.neurons

    @property
    def layers(self) -> tuple[tuple[str, int], ...]:
        return () if self.model is None else self.model.layers

    @property
    def targets(self) -> tuple[int, ...]:
        return () if self.verdict is None else self.verdict.targets

    def class_name(self, index: int) -> str:
        """ "3 (stop)"; the number alone where the data names no such class."""
        return class_name(() if self.data is None else self.data.classes, index)


def gather(
    config: RunConfig,
    events: Iterable[Event],
    *,
    scores: Sequence[float] = (),
    pruned: Sequence[PrunedNeuron] = (),
    pictures: Sequence[Picture] = (),
    peak_memory_bytes: int | None = None,
    measured_at: str | None = None,
) -> ReportInput:
    """Take the facts out of a log; of what was said again (a resumed run), the last holds."""
    log = list(events)
    return ReportInput(
        config=config,
        started=_last(log, RunStarted),
        model=_last(log, ModelLoaded),
        data=_last(log, DataLoaded),
        normalize=_last(log, NormalizeChosen),
        before=_last(log, MeasuredBefore),
        ranking=_last(log, TargetRanked),
        triggers=tuple({one.target: one for one in _all(log, TriggerReversed)}.values()),
        scored=_last(log, ScoresReady),
        mask_progress=_mask_progress(log),
        curve=_curve(log),
        chosen=_last(log, Chosen),
        verdict=_last(log, VerdictReached),
        exported=_last(log, Exported),
        after=_last(log, Remeasured),
        healed=_healed(log),
        warnings=tuple(dict.fromkeys(_all(log, Warned))),
        seconds=_seconds(log),
        peak_memory_bytes=peak_memory_bytes,
        scores=tuple(scores),
        pruned=tuple(pruned),
        pictures=tuple(pictures),
        measured_at=measured_at,
    )


def _all(log: Sequence[Event], kind: type[E]) -> list[E]:
    return [event for event in log if isinstance(event, kind)]


def _last(log: Sequence[Event], kind: type[E]) -> E | None:
    found = _all(log, kind)
    return found[-1] if found else None


def _healed(log: Sequence[Event]) -> Healed | None:
    """What was healed of the model that was measured last, if it was."""
    found: Healed | None = None
    for event in log:
        if isinstance(event, Remeasured):
            found = None
        elif isinstance(event, Healed):
            found = event
    return found


def _mask_progress(log: Sequence[Event]) -> tuple[Progress, ...]:
    steps = {one.done: one for one in _all(log, Progress) if one.stage == "scores"}
    return tuple(steps[step] for step in sorted(steps))


def _curve(log: Sequence[Event]) -> tuple[CurvePoint, ...]:
    points = {point.k: point for point in _all(log, CurvePoint)}
    return tuple(points[k] for k in sorted(points))


def _seconds(log: Sequence[Event]) -> tuple[tuple[str, float], ...]:
    """Time of each stage where it ran; a restored stage keeps the time of its first run."""
    seconds: dict[str, float] = {}
    for one in _all(log, StageFinished):
        if not (one.restored and one.stage in seconds):
            seconds[one.stage] = one.seconds
    return tuple((stage, seconds[stage]) for stage in STAGES if stage in seconds)
