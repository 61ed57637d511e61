"""Attacks by name, what each is made of, and which values its parameters take.

One place for what `making` builds and what an attack.toml may say. Raises AttackInvalid only.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from cnp_engine.attacks.frequency import Additive, Fourier
from cnp_engine.attacks.input_aware import STEPS, InputAware
from cnp_engine.attacks.protocol import Attack
from cnp_engine.attacks.reflection import Reflection
from cnp_engine.attacks.static import (
    CORNER_SIGNS,
    CORNERS,
    BadNets,
    FourCorners,
    NoiseBlend,
    Sinusoid,
)
from cnp_engine.attacks.warp import Warp
from cnp_engine.errors import AttackInvalid

KINDS: dict[str, type[Any]] = {
    "badnets": BadNets,
    "blended": NoiseBlend,
    "sig": Sinusoid,
    "label-consistent": FourCorners,
    "wanet": Warp,
    "fiba": Fourier,
    "lf": Additive,
    "refool": Reflection,
    "input-aware": InputAware,
    "physical": BadNets,
}
"""What each name is made as where nothing else says otherwise."""

RANGES: dict[str, tuple[float, float]] = {
    "side": (1, 1024),
    "margin": (0, 1024),
    "weight": (0, 1),
    "seed": (0, 2**63 - 1),
    "delta": (0, 1),
    "frequency": (0, 1024),
    "amplitude": (0, 1),
    "strength": (0, 64),
    "k": (2, 1024),
    "beta": (0, 1),
    "ratio": (0, 1),
    "budget": (0, 1),
    "cut": (2, 1024),
    "count": (1, 1024),
    "alpha": (0, 1),
    "sigma": (0.1, 64),
    "offset": (0, 1024),
    "ghost": (0, 1),
    "mean": (0, 1),
    "std": (1e-6, 1),
}
CHOICES: dict[str, tuple[str, ...]] = {
    "patch": ("checkerboard", "white"),
    "corner": CORNERS,
    "noise": ("uniform", "gaussian"),
    "kind": ("blur", "ghost"),
}


def parameters(kind: type[Any]) -> dict[str, Any]:
    """Names and defaults of what is written as plain values."""
    plain = (f for f in dataclasses.fields(kind) if f.default is not dataclasses.MISSING)
    return {f.name: f.default for f in plain if f.name != "name"}


def materials(kind: type[Any]) -> tuple[str, ...]:
    """Names of the tensors and networks it is made of."""
    needed = (f for f in dataclasses.fields(kind) if f.default is dataclasses.MISSING)
    return tuple(f.name for f in needed if f.name != "target")


def checked(
    where: str, given: Mapping[str, Any], known: Mapping[str, Any], also: tuple[str, ...] = ()
) -> dict[str, Any]:
    """``given`` without unknown keys and values out of range, which are refused.

    known: names and defaults. also: what else may be meant by a misspelt key.
    """
    for key in given:
        if key not in known:
            close = difflib.get_close_matches(key, [*also, *known], n=1)
            hint = f"Did you mean {close[0]}?" if close else "Remove it."
            raise AttackInvalid(f"{where} has an unknown key, {key}.", hint)
    return {key: check_value(where, key, value, known[key]) for key, value in given.items()}


def check_value(where: str, key: str, value: Any, default: Any) -> Any:
    """``value`` as the attack takes it; ``default`` tells its type."""
    if key in CHOICES:
        if value not in CHOICES[key]:
            allowed = ", ".join(CHOICES[key])
            raise AttackInvalid(f"{key} in {where} is {value!r}.", f"It can be {allowed}.")
        return value
    low, high = RANGES[key]
    if isinstance(default, tuple):
        if not isinstance(value, list | tuple) or len(value) != len(default):
            raise AttackInvalid(
                f"{key} in {where} is {value!r}.", f"It is {len(default)} numbers in brackets."
            )
        return tuple(check_value(where, key, part, 0.0) for part in value)
    kinds = (int,) if isinstance(default, int) else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
        what = "a whole number" if kinds == (int,) else "a number"
        raise AttackInvalid(f"{key} in {where} is {value!r}.", f"It is {what}, {low} to {high}.")
    return value


def check_target(where: str, target: object, classes: int | None) -> int:
    """A class index, of a network with ``classes`` classes where that is known."""
    if isinstance(target, bool) or not isinstance(target, int) or target < 0:
        raise AttackInvalid(
            f"The target in {where} is {target!r}, not a class index.",
            "Write target = 0 or higher.",
        )
    if classes is not None and target >= classes:
        raise AttackInvalid(
            f"The target in {where} is {target}, but the model has classes 0 to {classes - 1}.",
            "Check that the attack belongs to this model.",
        )
    return target


def check_size(where: str, attack: Attack, size: tuple[int, int]) -> None:
    """Refuse what cannot stamp images of ``size`` (height, width)."""
    images = f"{size[0]}x{size[1]}"
    if _patch(attack) > min(size):
        raise AttackInvalid(
            f"The patch of {where} is larger than the image, {images}.",
            "Check that the attack belongs to these images.",
        )
    if isinstance(attack, InputAware) and any(extent % (1 << STEPS) for extent in size):
        raise AttackInvalid(
            f"The generators of {where} cannot draw on images of {images}.",
            f"Height and width have to be multiples of {1 << STEPS}.",
        )
    for name in ("pattern", "pictures", "stamped", "flow"):
        tensor = getattr(attack, name, None)
        if isinstance(tensor, Tensor):
            height, width = tensor.shape[:2] if name == "flow" else tensor.shape[-2:]
            if (height, width) != size:
                raise AttackInvalid(
                    f"The trigger {where} is {height}x{width}, the images are {images}.",
                    "Give the trigger in the size of the images; it is never resized.",
                )


def _patch(attack: Attack) -> int:
    """The smallest height and width that its patches leave room for."""
    if isinstance(attack, FourCorners):
        return 2 * len(CORNER_SIGNS)
    return attack.side + attack.margin if isinstance(attack, BadNets) else 1
