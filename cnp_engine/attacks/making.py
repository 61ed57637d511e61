"""Attacks by name with the field's default parameters, their tensors drawn by a generator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cnp_engine.attacks.catalogue import (
    KINDS,
    check_size,
    check_target,
    checked,
    materials,
    parameters,
)
from cnp_engine.attacks.frequency import low_frequency
from cnp_engine.attacks.input_aware import trigger_net
from cnp_engine.attacks.protocol import Attack
from cnp_engine.attacks.static import Blend
from cnp_engine.attacks.warp import warp_field
from cnp_engine.errors import AttackInvalid

NAMES = tuple(KINDS)

DRAWN: dict[str, dict[str, Any]] = {
    "wanet": {"k": 4},
    "lf": {"budget": 20 / 255, "cut": 4},
    "refool": {"count": 16},
}
"""Options, with defaults, of how tensors are drawn: the attack itself has no such parameter.

count: pictures that reflections are taken from, drawn from those given.
"""


@dataclass(frozen=True)
class _Draw:
    """What tensors are drawn from. size: (height, width). pictures: float (n, 3, H, W)."""

    name: str
    size: tuple[int, int]
    generator: torch.Generator
    pictures: Tensor | None

    def some(self, count: int = 1) -> Tensor:
        if self.pictures is None or not len(self.pictures):
            raise AttackInvalid(
                f"{self.name} is made of pictures, and none were given.",
                "Give a folder of pictures to draw its trigger from.",
            )
        order = torch.randperm(len(self.pictures), generator=self.generator)
        return self.pictures[order[:count]].float().clone()


_MATERIALS: dict[str, Callable[..., dict[str, Any]]] = {
    "wanet": lambda draw, k: {"flow": warp_field(draw.size, draw.generator, k)},
    "fiba": lambda draw: {"pattern": draw.some()[0]},
    "lf": lambda draw, budget, cut: {
        "pattern": low_frequency(draw.size, draw.generator, budget, min(cut, *draw.size))
    },
    "refool": lambda draw, count: {"pictures": draw.some(count)},
    "input-aware": lambda draw: {
        "pattern_net": trigger_net(3, draw.generator),
        "mask_net": trigger_net(1, draw.generator),
    },
}


def make(
    name: str,
    *,
    target: int,
    size: tuple[int, int],
    generator: torch.Generator,
    classes: int,
    pictures: Tensor | None = None,
    **options: Any,
) -> Attack:
    """One of ``NAMES``, for images of ``size`` (height, width) and a network with ``classes``.

    pictures: float (n, 3, H, W) in [0, 1], H and W being ``size``: what fiba, refool and, where
    given, blended draw their material from; blended is noise without. options: parameters of the
    attack, and those of ``DRAWN``. Input-aware comes with untrained networks. `AllToAll` and
    `Several` are made of what this gives. Raises AttackInvalid for an unknown name or option, a
    value out of range, a target outside the classes, and a trigger larger than the images.
    """
    if name not in KINDS:
        raise AttackInvalid(f"There is no attack {name}.", f"Known attacks are {', '.join(NAMES)}.")
    kind, extra = KINDS[name], DRAWN.get(name, {})
    options = checked(name, options, parameters(kind) | extra)
    target = check_target(name, target, classes)
    draw = _Draw(name, size, generator, pictures)
    plain = {key: value for key, value in options.items() if key not in extra}
    attack: Attack
    if name == "blended" and pictures is not None and not {"noise", "seed"} & plain.keys():
        pattern = draw.some()[0]
        weight = float(plain.get("weight", parameters(kind)["weight"]))
        attack = Blend(target, pattern, torch.full_like(pattern, weight), name)
    else:
        if name == "blended" and "seed" not in plain:
            plain["seed"] = int(torch.randint(2**31, (), generator=generator))
        how = extra | {key: options[key] for key in options.keys() & extra.keys()}
        made = _MATERIALS[name](draw, **how) if materials(kind) else {}
        attack = kind(target=target, name=name, **made, **plain)
    check_size(name, attack, size)
    return attack
