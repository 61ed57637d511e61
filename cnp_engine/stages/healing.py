"""Heal: the pruned model taught by the original, where that is called for; a file of its own.

Gets ``Material`` only, as ``finding`` does. Whether the healed model is kept is decided on the
images that chose, which taught it nothing.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cnp_engine import codec, runtime
from cnp_engine.algorithms.healing import SHARES, HealPlan, farthest, gains, heal, partly
from cnp_engine.algorithms.overlay import SMALLEST, pruned_mask
from cnp_engine.algorithms.pruning import Strong
from cnp_engine.config import HealSettings
from cnp_engine.events import CurvePoint, Event, Healed, StageStarted
from cnp_engine.stages.material import Clock, Material, has, load, load_json, save, save_json
from cnp_engine.stages.reversing import Triggers

HEALED, HEALING = "healed.safetensors", "healed.json"


@dataclass(frozen=True, eq=False)
class Healing:
    """``tensors``: healed weights and biases of BatchNorm by name; ``event``: what came of them."""

    event: Healed
    tensors: dict[str, Tensor]

    def state(self, material: Material) -> dict[str, Tensor]:
        """The checkpoint's own tensors, healed: names, types and order as they came."""
        return {
            name: self.tensors[name].to(tensor.dtype) if name in self.tensors else tensor
            for name, tensor in material.loaded.checkpoint.state.items()
        }

    def prunes(self, material: Material, order_N: Tensor, k: int) -> bool:
        """Whether the first ``k`` neurons of the order, which may be another by now, are 0."""
        sizes = [channels for _, channels in material.layers]
        kept = torch.split(pruned_mask(order_N, k), sizes)
        return self.event.k == k and not any(
            bool(self.tensors[f"{name}.weight"][mask == 0].any())
            for (name, _), mask in zip(material.layers, kept, strict=True)
        )


def called_for(settings: HealSettings, pruned: CurvePoint) -> bool:
    """Whether a run is to heal the model with as many neurons pruned as ``pruned`` has.

    Left to the run: where nothing could be pruned, or the images that chose say that pruning has
    cost clean answers or has left something of the backdoor.
    """
    free = pruned.label_free
    if settings.when != "auto" or free.retention is None or free.residual is None:
        return settings.when == "always"
    kept, left = free.retention.value, free.residual.value
    return pruned.k == 0 or kept < settings.retention or left > settings.residual


def wanted(
    material: Material, judges: Sequence[Strong], order_N: Tensor, pruned: CurvePoint
) -> bool:
    """``called_for``; where few images choose, by the views of them that decided on ``pruned``."""
    settings = material.config.heal
    if settings.when == "auto" and material.views > 1 and pruned.k:
        _, decides = material.judges(judges)
        pruned = replace(pruned, label_free=decides.point(pruned.k, order_N).label_free)
    return called_for(settings, pruned)


def heal_stage(
    material: Material, triggers: Triggers, order_N: Tensor, k: int
) -> Generator[Event, None, Healing]:
    """Heal the model with the first ``k`` neurons pruned, or take over what an earlier worker did.

    ``triggers.strong`` teach, ``triggers.judges`` judge.
    """
    clock = Clock()
    standing = load_healing(material, order_N, k)
    if standing is not None:
        yield clock.finished("heal", restored=True)
        return standing
    yield StageStarted("heal", material.config.heal.steps, "steps")
    healing = yield from _healed(material, triggers, order_N, k)
    save(material.store, HEALED, healing.tensors)
    save_json(material.store, HEALING, codec.encode(healing.event))
    yield clock.finished("heal")
    return healing


def healing_of(
    material: Material, triggers: Triggers, order_N: Tensor, k: int
) -> Generator[Event, None, Healing]:
    """The same outside of a run, for any ``k``; what the run has healed itself is taken over.

    In smaller batches where the device's memory runs out.
    """
    standing = load_healing(material, order_N, k)
    if standing is not None:
        return standing
    try:
        return (yield from _healed(material, triggers, order_N, k))
    except torch.OutOfMemoryError:
        heal = material.config.heal
        if heal.batch <= SMALLEST:
            raise
    smaller = replace(heal, batch=max(SMALLEST, heal.batch // 2))
    less = replace(material, config=replace(material.config, heal=smaller))
    return (yield from healing_of(less, triggers, order_N, k))


def load_healing(material: Material, order_N: Tensor, k: int) -> Healing | None:
    """What the run has healed with the first ``k`` neurons pruned, if it has. Raises RunDamaged."""
    if not has(material.store, HEALED, HEALING):
        return None
    event = codec.decode(Healed, load_json(material.store, HEALING))
    healing = Healing(event, load(material.store, HEALED))
    return healing if healing.prunes(material, order_N, k) else None


def _healed(
    material: Material, triggers: Triggers, order_N: Tensor, k: int
) -> Generator[Event, None, Healing]:
    given, sweep = material.config.heal, material.config.sweep
    plan = HealPlan(given.steps, given.batch, given.lr, given.flip)
    draws = runtime.generator(material.config.seed, "heal")
    mask_N = pruned_mask(order_N.to(material.network.device), k)
    judges = list(dict.fromkeys(material.judges(triggers.judges)))  # the last decides
    before = [judge.judge(k, mask_N) for judge in judges]
    taught = yield from heal(
        material.network, mask_N, material.optimise, triggers.strong, plan, draws
    )
    tried = []
    for share in SHARES:
        healed = partly(material.network, mask_N, taught, share)
        tried.append(judges[-1].judge(k, None, healed))
    at = farthest(before[-1], tried, sweep.price, sweep.noise, material.views)
    kept = gains(before[-1], tried[at], sweep.price, sweep.noise, material.views)
    healed = partly(material.network, mask_N, taught, SHARES[at])
    told = judges[0].judge(k, None, healed) if len(judges) > 1 else tried[at]
    event = Healed(k, plan.steps, kept, before[0].label_free, told.label_free, share=SHARES[at])
    tensors = {
        f"{name}.{kind}": healed.module.get_parameter(f"{name}.{kind}").detach().cpu()
        for name, _ in material.layers
        for kind in ("weight", "bias")
    }
    return Healing(event, tensors)
