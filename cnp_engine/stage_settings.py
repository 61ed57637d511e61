"""The settings of each stage, frozen, with the help each front end shows. Light: no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from cnp_engine.events import FAMILIES, Family


def setting(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    path: Literal["", "file", "source", "factory"] = "",
    some: bool = False,
) -> Any:
    """A documented setting; ``low`` and ``high`` are inclusive bounds for a number.

    ``path`` marks what is made absolute when a run is created: a file or folder, a source that may
    be ``prefix:FOLDER``, or a factory that may be ``FILE.py:NAME``. A default of
    ``dataclasses.MISSING`` has to be given by the user. ``some``: a list may not be empty.
    """
    about = {"help": help, "low": low, "high": high, "path": path, "some": some}
    return field(default=default, metadata=about)


@dataclass(frozen=True)
class TargetSettings:
    """Which class the backdoor answers (METHOD sections 3.1 and 5)."""

    method: Literal["reversal", "votes"] = setting(
        "reversal", "rank by reversing every class, or by the reference's perturbed-neuron votes"
    )
    steps: int = setting(120, "reversal steps for every class, in each trigger family", low=1)
    restarts: int = setting(
        2,
        "starts of every class's patch, each with half of the steps; the best has the rest",
        low=1,
    )
    batch: int = setting(16, "images a step for every class", low=4)
    glance: int = setting(
        8,
        "images a step of a first ranking, which stands where its first class is far from the "
        "threshold; as many as batch or more: no first ranking",
        low=4,
    )
    families: tuple[Family, ...] = setting(
        FAMILIES, "kinds of triggers looked for; fewer are faster", some=True
    )
    waves: int = setting(24, "images on which every plane wave is tried", low=1)
    success: float = setting(0.95, "success wanted of each class's trigger", low=0.0, high=1.0)
    shift: float = setting(
        0.25,
        "move images at random while classes are compared, by this share of their height at most: "
        "a planted trigger stands that better than what fits the images; not for warps and waves",
        low=0.0,
        high=0.5,
    )
    threshold: float = setting(
        1.0,
        "octaves under the other classes' median trigger from which a class is a suspect; they "
        "count as less where those classes differ much",
        low=0,
    )
    eps: float = setting(0.4, "bound of the neuron perturbation behind the votes", low=0.0)

    @property
    def first_batch(self) -> int:
        """Images a step of the ranking that comes first, and in most runs is the only one."""
        return min(self.glance, self.batch)


@dataclass(frozen=True)
class TriggerSettings:
    """Trigger reversal of the suspects (METHOD section 3.2)."""

    steps: int = setting(120, "Adam steps", low=1)
    batch: int = setting(32, "images a step for every trigger", low=4)
    restarts: int = setting(3, "triggers searched for each suspect and family", low=1)
    lr: float = setting(0.1, "Adam learning rate", low=0.0)
    weight: float = setting(0.01, "weight of the mask's L1 (lambda), where it starts", low=0.0)
    adapt: bool = setting(True, "adapt that weight to the success wanted, and keep the best")
    success: float = setting(0.98, "success wanted of a reversed trigger", low=0.0, high=1.0)
    uniform_start: bool = setting(False, "start pattern and mask from U(0, 1)")
    boost: float = setting(
        2.0,
        "strength range of stamping: a real trigger is stronger than the weakest that works",
        low=1.0,
    )
    grown: int = setting(
        2,
        "triggers grown to half way between a suspect's and the other classes' size, which judge "
        "what is left of the backdoor; 0 judges by the smallest that work",
        low=0,
    )
    flip: bool = setting(True, "mirror images at random")
    crop_under: int = setting(
        256,
        "move images at random (an eighth of their height at most; not for warps) where fewer "
        "than so many optimise; 0 never does",
        low=0,
    )


@dataclass(frozen=True)
class MaskSettings:
    """Contrastive mask optimisation (METHOD section 3.3)."""

    rounds: int = setting(10, "largest number of rounds", low=1)
    batches: int = setting(8, "steps a round; the state is saved after each round", low=1)
    batch: int = setting(64, "images a step", low=8)
    optimiser: Literal["adam", "sgd"] = setting("adam", "optimiser of the masks")
    lr: float = setting(0.05, "learning rate of the masks", low=0.0)
    lr_floor: float = setting(0.01, "where the halving of the learning rate ends (sgd)", low=0.0)
    patience: int = setting(2, "rounds without a higher recovery rate before halving", low=1)
    momentum: float = setting(0.9, "momentum (first moment of adam)", low=0.0, high=0.999)
    temperature: float = setting(0.3, "temperature of the contrastive similarities", low=1e-3)
    eps: float = setting(0.05, "bound of the neuron perturbation", low=0.0)
    sparsity: float = setting(0.001, "pull of every mask towards 1", low=0.0)
    binary: float = setting(0.05, "pull of every mask towards 0 or 1, ramped up", low=0.0)
    batch_statistics: bool = setting(False, "use batch statistics, as the reference does")
    early_stop: bool = setting(True, "stop when no mask moves and recovery no longer rises")
    flip: bool = setting(True, "mirror images at random")
    order_limit: int = setting(
        48, "neurons ordered by putting them back; 0 orders by mask alone", low=0
    )


@dataclass(frozen=True)
class SweepSettings:
    """The curve over the number of pruned neurons and the choice on it (METHOD section 3.4)."""

    max_fraction: float = setting(0.05, "largest share of all neurons swept", low=0.0, high=1.0)
    cap: float = setting(0.03, "largest share the automatic choice may prune", low=0.0, high=1.0)
    price: float = setting(4.0, "points of residual that a point of retention has to buy", low=0.0)
    noise: float = setting(0.02, "differences in cost not told apart", low=0.0, high=1.0)
    retention: float = setting(0.75, "retention below which no choice is made", low=0.0, high=1.0)
    spend: float = setting(
        0.025, "retention spent on less residual beyond the knee", low=0.0, high=1.0
    )
    views: int = setting(
        300,
        "images that choose, at least: fewer are looked at in several views each, moved by an "
        "eighth of their height and mirrored; 0: each once",
        low=0,
    )
    step: float = setting(
        0.0, "share of all neurons between points; 0 takes every k where it matters", low=0.0
    )
    measured_points: int = setting(6, "points of the curve that also measure BA and ASR", low=0)
    measured_images: int = setting(1000, "test images behind those points", low=1)


@dataclass(frozen=True)
class HealSettings:
    """Self-distillation of the pruned model, a stage of its own beside the method's."""

    when: Literal["auto", "always", "never"] = setting(
        "auto",
        "heal the pruned model, as a file of its own; auto: where it is past the two bounds below, "
        "or nothing could be pruned",
    )
    retention: float = setting(0.95, "retention under which auto heals", low=0.0, high=1.0)
    residual: float = setting(0.05, "residual over which auto heals", low=0.0, high=1.0)
    steps: int = setting(200, "Adam steps", low=1)
    batch: int = setting(64, "clean images a step, each also stamped", low=4)
    lr: float = setting(3e-3, "learning rate, falling to 0 in a line", low=0.0)
    flip: bool = setting(True, "mirror images at random")
