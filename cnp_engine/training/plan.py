"""What a training depends on: frozen, plain data. Light: no torch."""

from __future__ import annotations

import dataclasses
import difflib
import math
from dataclasses import dataclass
from typing import Any, Literal

from cnp_engine.errors import SettingInvalid

Goal = Literal["all-to-one", "all-to-all"]
GOALS: tuple[Goal, ...] = ("all-to-one", "all-to-all")

ATTACKS = (
    "badnets", "blended", "wanet", "fiba", "sig", "label-consistent", "input-aware", "lf",
    "refool", "physical",
)  # fmt: skip
"""What `cnp poison --attack` takes (METHOD section 7)."""

CLEAN_LABEL = ("sig", "label-consistent")
"""Only images of the target class are poisoned, and keep their label."""


NARROWEST = 8
"""Channels: with 4 or 6, torch 2.14 corrupts memory on some processors (docs/log.md)."""


@dataclass(frozen=True)
class TrainingPlan:
    """``rate``: share of the training images that is poisoned; 0 trains the clean twin.

    ``targets``: one class, or several, each with a trigger of its own. ``images``: at most so many
    training images, drawn by seed. ``options``: parameters of the attack, as attack.toml has them.
    ``lr`` is the peak of a one-cycle schedule (Smith & Topin 2019) of SGD with momentum 0.9 and
    ``decay``; ``flip``: mirror images at random.
    """

    attack: str
    data: str
    arch: str = "resnet18"
    width: int | None = None
    rate: float = 0.1
    targets: tuple[int, ...] = (0,)
    goal: Goal = "all-to-one"
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    normalize: str = "none"
    images: int | None = None
    epochs: int = 30
    batch: int = 128
    lr: float = 0.1
    decay: float = 5e-4
    flip: bool = True
    seed: int = 0

    @property
    def clean(self) -> bool:
        """Whether this trains the twin without a backdoor."""
        return self.rate == 0


def check(plan: TrainingPlan) -> TrainingPlan:
    """The plan, where its values can be meant. Raises SettingInvalid."""
    if plan.attack not in ATTACKS:
        close = difflib.get_close_matches(plan.attack, ATTACKS, n=1)
        hint = f"Did you mean {close[0]}?" if close else f"Known are {', '.join(ATTACKS)}."
        raise SettingInvalid(f"There is no attack {plan.attack!r}.", hint)
    if plan.goal not in GOALS:
        raise SettingInvalid(f"There is no goal {plan.goal!r}.", f"Give {' or '.join(GOALS)}.")
    if not 0 <= plan.rate <= 1:
        raise SettingInvalid(f"--rate {plan.rate:g} is no share.", "Give a number from 0 to 1.")
    for name, value in (("epochs", plan.epochs), ("batch", plan.batch), ("images", plan.images)):
        if value is not None and value < 1:
            raise SettingInvalid(f"--{name} {value} leaves nothing to do.", "Give 1 or more.")
    if plan.width is not None and not NARROWEST <= plan.width <= 1024:
        raise SettingInvalid(
            f"--width {plan.width} is no width.", f"Give {NARROWEST} to 1024 channels."
        )
    if not (math.isfinite(plan.lr) and plan.lr > 0):
        raise SettingInvalid(f"--lr {plan.lr:g} trains nothing.", "Give a number above 0.")
    if not plan.targets or len(set(plan.targets)) < len(plan.targets):
        raise SettingInvalid("--target names a class twice, or none.", "Give each class once.")
    if plan.goal == "all-to-all" and plan.attack in CLEAN_LABEL:
        raise SettingInvalid(
            f"{plan.attack} keeps the labels of what it poisons; it has no all-to-all kind.",
            "Give another attack, or leave --goal away.",
        )
    if len(plan.targets) > 1 and plan.attack != "badnets":
        raise SettingInvalid(
            "Several targets take a trigger each, which badnets alone has (a corner each).",
            "Give --attack badnets, or one --target.",
        )
    if len(plan.targets) > 1 and "corner" in plan.options:
        raise SettingInvalid("Several targets have a corner each.", "Leave --option corner away.")
    reserved = sorted(
        {"name", "target", "size", "generator", "classes", "pictures"} & {*plan.options}
    )
    if reserved:
        raise SettingInvalid(
            f"{reserved[0]} is no parameter of an attack.", "Leave that --option away."
        )
    if len(plan.targets) > 4:
        raise SettingInvalid("There are four corners for triggers.", "Give at most four targets.")
    return plan
