"""RunConfig: everything a run depends on, frozen, with the help each front end shows.

Light: no torch. A key that does not exist is refused with the nearest one that does.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal


def setting(default: Any, help: str, *, low: float | None = None, high: float | None = None) -> Any:
    """A documented setting; ``low`` and ``high`` are inclusive bounds for a number."""
    return field(default=default, metadata={"help": help, "low": low, "high": high})


@dataclass(frozen=True)
class TargetSettings:
    """Which class the backdoor answers (METHOD section 3.1 and 5)."""

    steps: int = setting(150, "reversal steps for every class", low=1)


@dataclass(frozen=True)
class TriggerSettings:
    """Trigger reversal (METHOD section 3.2)."""

    steps: int = setting(300, "largest number of reversal steps for a suspect class", low=1)


@dataclass(frozen=True)
class MaskSettings:
    """Contrastive mask optimisation (METHOD section 3.3)."""

    steps: int = setting(200, "largest number of mask steps", low=1)
    batch: int = setting(128, "images a step", low=8)
    lr: float = setting(5.0, "learning rate of the masks", low=0.0)
    momentum: float = setting(0.9, "momentum of SGD on the masks", low=0.0, high=1.0)
    temperature: float = setting(0.3, "temperature of the contrastive similarities", low=1e-3)
    eps: float = setting(0.4, "bound of the neuron perturbation", low=0.0)


@dataclass(frozen=True)
class SweepSettings:
    """The curve over the number of pruned neurons (METHOD section 3.4)."""

    max_fraction: float = setting(0.05, "largest share of all neurons swept", low=0.0, high=1.0)


@dataclass(frozen=True)
class RunConfig:
    """One run. Paths are as given; they are made absolute when the run is created."""

    model: str
    data: str
    arch: str | None = setting(None, "architecture name or module:factory, else recognised")
    classes: int | None = setting(None, "number of classes, else read off the classifier head")
    normalize: str = setting("auto", "auto, none, cifar10, imagenet, ... or m,m,m/s,s,s")
    clean: int = setting(1000, "clean images used", low=1)
    clean_dir: str | None = setting(None, "folder of clean images used in place of the train split")
    attack: str | None = setting(None, "attack.toml of a known attack: measures, never decides")
    trigger: str | None = setting(None, "trigger file of a known attack: measures, never decides")
    targets: tuple[int, ...] = setting((), "target classes known to the user, else inferred")
    defense: str = setting("cnp", "how neurons are scored")
    preset: Literal["fast", "reference"] = setting("fast", "fast, or the paper's own schedule")
    device: str = setting("auto", "auto, cpu, cuda, cuda:N or mps")
    seed: int = setting(0, "seed of everything drawn", low=0)
    target: TargetSettings = field(default_factory=TargetSettings)
    reversal: TriggerSettings = field(default_factory=TriggerSettings)
    masks: MaskSettings = field(default_factory=MaskSettings)
    sweep: SweepSettings = field(default_factory=SweepSettings)


PRESETS: dict[str, dict[str, Any]] = {"fast": {}, "reference": {}}
"""Dotted settings a preset changes from the defaults above."""

__all__ = ["PRESETS", "MaskSettings", "RunConfig", "SweepSettings", "TargetSettings",
           "TriggerSettings", "dataclasses", "setting"]
