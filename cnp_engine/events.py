"""What a run says while it works: one class an event, plain data, a literal tag each.

Knows nothing of torch, files or screens. An event is written as one JSON object a line;
the log writer adds ``seq`` (from 0, gapless) and ``at`` (seconds since the epoch). A value that
is not there is ``null``, never NaN. Rates are in 0..1; times in seconds; sizes in bytes.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

SCHEMA = 3
"""Version of this vocabulary; a reader refuses a log with a larger one."""

Stage = Literal["load", "target", "trigger", "scores", "sweep", "heal", "export"]

Family = Literal["patch", "blend", "warp", "wave"]
"""What triggers are stamped as."""

FAMILIES: tuple[Family, ...] = ("patch", "blend", "warp", "wave")
STAGES: tuple[Stage, ...] = ("load", "target", "trigger", "scores", "sweep", "heal", "export")


@dataclass(frozen=True)
class Rate:
    """A measured share with its sample size and Wilson 95 % interval."""

    value: float
    n: int
    low: float
    high: float


@dataclass(frozen=True)
class Measured:
    """Against ground truth, where it was given: reporting only (METHOD section 6)."""

    ba: Rate | None = None
    asr: Rate | None = None
    ra: Rate | None = None
    asr_all: Rate | None = None


@dataclass(frozen=True)
class LabelFree:
    """Without labels, on clean images that optimised nothing."""

    retention: Rate | None = None
    residual: Rate | None = None
    recovery: Rate | None = None


@dataclass(frozen=True)
class TargetRow:
    """One class of the ranking; ``mask_l1`` in pixels, ``score`` larger for a likelier target."""

    index: int
    name: str
    score: float
    mask_l1: float | None = None
    success: float | None = None
    anomaly: float | None = None
    votes: float | None = None
    signals: dict[str, float | None] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class Event:
    tag: ClassVar[str] = ""


@dataclass(frozen=True)
class RunStarted(Event):
    tag: ClassVar[str] = "run_started"
    schema: int
    digest: str
    resumed: bool
    versions: dict[str, str]
    device: str
    threads: int
    pid: int


@dataclass(frozen=True)
class StageStarted(Event):
    tag: ClassVar[str] = "stage_started"
    stage: Stage
    total: int | None = None
    unit: str = ""


@dataclass(frozen=True)
class StageFinished(Event):
    """``restored``: the artifact of an earlier worker was taken over."""

    tag: ClassVar[str] = "stage_finished"
    stage: Stage
    seconds: float
    restored: bool = False


@dataclass(frozen=True)
class ModelLoaded(Event):
    tag: ClassVar[str] = "model_loaded"
    path: str
    sha256: str
    format: str
    weights_at: str
    architecture: str
    classes: int
    neurons: int
    layers: tuple[tuple[str, int], ...]
    parameters: int


@dataclass(frozen=True)
class DataLoaded(Event):
    """``optimise`` images train masks, ``select`` ones choose the threshold, ``test`` measures."""

    tag: ClassVar[str] = "data_loaded"
    source: str
    sha256: str
    classes: tuple[str, ...]
    height: int
    width: int
    optimise: int
    select: int
    test: int
    labelled_test: bool
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class NormalizeChosen(Event):
    """``confidence`` in 0..1, null where the user said it."""

    tag: ClassVar[str] = "normalize_chosen"
    name: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    bgr: bool
    confidence: float | None
    candidates: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class MeasuredBefore(Event):
    tag: ClassVar[str] = "measured_before"
    measured: Measured


@dataclass(frozen=True)
class Progress(Event):
    """``values`` are what can be plotted: loss, success, mask_l1, recovery, under_half, rate."""

    tag: ClassVar[str] = "progress"
    stage: Stage
    done: int
    total: int
    values: dict[str, float | None] = dataclasses.field(default_factory=dict)
    label: str = ""
    asked: bool = False  # of an answer to somebody, which is no stage


@dataclass(frozen=True)
class TargetRanked(Event):
    """``ranking`` best first; ``targets`` those taken on; ``margin`` of the first over the next."""

    tag: ClassVar[str] = "target_ranked"
    ranking: tuple[TargetRow, ...]
    targets: tuple[int, ...]
    margin: float
    suspicious: bool


@dataclass(frozen=True)
class TargetSizes(Event):
    """The ranking as it forms: the smallest trigger of each class so far, null where none works.

    ``sizes`` by class index: mask L1 in pixels (``patch``) or strength (``blend``).
    """

    tag: ClassVar[str] = "target_sizes"
    family: str
    sizes: tuple[float | None, ...]


@dataclass(frozen=True)
class TriggerPreview(Event):
    """What the trigger looks like so far: ``rgba`` is base64 of height x width x 4 bytes."""

    tag: ClassVar[str] = "trigger_preview"
    target: int
    height: int
    width: int
    rgba: str


@dataclass(frozen=True)
class TriggerReversed(Event):
    tag: ClassVar[str] = "trigger_reversed"
    target: int
    success: Rate
    mask_l1: float
    steps: int


@dataclass(frozen=True)
class ScoresReady(Event):
    """Mask scores: how many were kept, how many fell under one half, the lowest few by name.

    ``order``: (layer of ``ModelLoaded.layers``, channel), first to be pruned first, as far as the
    curve goes; empty in logs of older engines.
    """

    tag: ClassVar[str] = "scores_ready"
    neurons: int
    under_half: int
    recovery: float | None
    steps: int
    lowest: tuple[tuple[str, int, float], ...] = ()
    order: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class CurvePoint(Event):
    """The model with the first ``k`` neurons of the order pruned."""

    tag: ClassVar[str] = "curve_point"
    k: int
    threshold: float | None
    label_free: LabelFree
    measured: Measured = Measured()


@dataclass(frozen=True)
class Chosen(Event):
    """What stands in the run's exports; ``k`` 0 prunes nothing.

    The automatic threshold, found without the attack, or what the user exported in its place.
    """

    tag: ClassVar[str] = "chosen"
    k: int
    threshold: float | None
    fraction: float
    rule: str
    by_user: bool = False


@dataclass(frozen=True)
class VerdictReached(Event):
    tag: ClassVar[str] = "verdict"
    verdict: Literal["backdoored", "no_evidence"]
    targets: tuple[int, ...]
    confidence: float
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Exported(Event):
    """Files written; ``sha256`` of the measured model; ``copy``: not in the run's own exports."""

    tag: ClassVar[str] = "exported"
    paths: tuple[str, ...]
    sha256: str
    copy: bool = False


@dataclass(frozen=True)
class Remeasured(Event):
    """The exported file, read back from disk and measured; ``copy`` as in ``Exported``."""

    tag: ClassVar[str] = "remeasured"
    path: str
    k: int
    label_free: LabelFree
    measured: Measured
    copy: bool = False


@dataclass(frozen=True)
class Healed(Event):
    """The pruned model after self-distillation: what it came to, beside the pruned one.

    ``kept``: better on the images that chose, so written and measured. ``pruned``: what they said
    of the model before. ``share`` of what was learnt was taken. ``copy`` as in ``Exported``.
    """

    tag: ClassVar[str] = "healed"
    k: int
    steps: int
    kept: bool
    pruned: LabelFree
    label_free: LabelFree
    measured: Measured = Measured()
    path: str = ""
    sha256: str = ""
    copy: bool = False
    share: float = 1.0


@dataclass(frozen=True)
class Evaluated(Event):
    """Answer to an ``evaluate`` command."""

    tag: ClassVar[str] = "evaluated"
    k: int
    label_free: LabelFree
    measured: Measured
    seconds: float


@dataclass(frozen=True)
class Refused(Event):
    """Answer to a command that could not be done; the run is whole.

    ``wake``: a finished run could not be taken up again to answer any.
    """

    tag: ClassVar[str] = "refused"
    request: Literal["evaluate", "export", "wake"]
    k: int | None
    what: str
    todo: str


@dataclass(frozen=True)
class Resources(Event):
    """Memory in use: the worker's resident size, and of its device where that has its own."""

    tag: ClassVar[str] = "resources"
    resident_bytes: int
    device_bytes: int | None = None
    device_total_bytes: int | None = None


@dataclass(frozen=True)
class Warned(Event):
    """Something the reader must know; ``code`` is stable, ``text`` one sentence."""

    tag: ClassVar[str] = "warned"
    code: str
    text: str


@dataclass(frozen=True)
class Paused(Event):
    """The worker waits, as it was asked to."""

    tag: ClassVar[str] = "paused"


@dataclass(frozen=True)
class Continued(Event):
    """The worker goes on after a pause."""

    tag: ClassVar[str] = "continued"


@dataclass(frozen=True)
class Failed(Event):
    """``details``: the imports of a refused file, or a traceback for ``--debug``."""

    tag: ClassVar[str] = "failed"
    code: str
    exit_code: int
    what: str
    todo: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cancelled(Event):
    """Stopped by a command or a signal; ``exit_code`` 130 or 143."""

    tag: ClassVar[str] = "cancelled"
    reason: str
    exit_code: int


@dataclass(frozen=True)
class Finished(Event):
    """The last word of a run that ended well; ``summary`` is what ``--json`` prints.

    Said again where an export that a user asked for later changed the summary.
    """

    tag: ClassVar[str] = "finished"
    summary: dict[str, Any]


def finite(value: float | None) -> float | None:
    """``value`` where it is a number, else None (NaN and infinities are absent, not data)."""
    return float(value) if value is not None and math.isfinite(value) else None
