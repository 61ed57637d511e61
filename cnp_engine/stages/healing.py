"""Heal: the pruned model taught by the original, where the user wants it; a file of its own.

Gets ``Material`` only, as ``finding`` does. Whether the healed model is kept is decided on the
images that chose, which taught it nothing.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from torch import Tensor

from cnp_engine import codec, runtime
from cnp_engine.algorithms.healing import HealPlan, gains, heal
from cnp_engine.algorithms.overlay import pruned_mask
from cnp_engine.algorithms.pruning import Judge, prune_state
from cnp_engine.events import Event, Healed, StageStarted
from cnp_engine.stages.material import Clock, Material, has, load, load_json, save, save_json
from cnp_engine.stages.reversing import Triggers
from cnp_engine.steps import result

HEALED, HEALING = "healed.safetensors", "healed.json"


@dataclass(frozen=True, eq=False)
class Healing:
    """``tensors`` of the healed module by its own names; ``event`` says what they came to."""

    event: Healed
    tensors: dict[str, Tensor]

    def state(self, material: Material, order_N: Tensor) -> dict[str, Tensor]:
        """The checkpoint's own tensors, healed: names, types and order as they came."""
        state = prune_state(
            material.loaded.checkpoint.state, material.layers, order_N, self.event.k
        )
        return {
            name: self.tensors[name].to(tensor.dtype) if name in self.tensors else tensor
            for name, tensor in state.items()
        }


def heal_stage(
    material: Material, triggers: Triggers, order_N: Tensor, k: int
) -> Generator[Event, None, Healing]:
    """Heal the model with the first ``k`` neurons pruned, or take over what an earlier worker did.

    ``triggers.strong`` teach, ``triggers.judges`` judge.
    """
    clock = Clock()
    standing = load_healing(material, k)
    if standing is not None:
        yield clock.finished("heal", restored=True)
        return standing
    yield StageStarted("heal", material.config.heal.steps, "steps")
    healing = yield from _healed(material, triggers, order_N, k)
    save(material.store, HEALED, healing.tensors)
    save_json(material.store, HEALING, codec.encode(healing.event))
    yield clock.finished("heal")
    return healing


def healing_of(material: Material, triggers: Triggers, order_N: Tensor, k: int) -> Healing:
    """The same without a word, for any ``k``; what the run has healed itself is taken over."""
    standing = load_healing(material, k)
    if standing is not None:
        return standing
    return result(_healed(material, triggers, order_N, k))


def load_healing(material: Material, k: int) -> Healing | None:
    """What the run has healed with ``k`` neurons pruned, if it has. Raises RunDamaged."""
    if not has(material.store, HEALED, HEALING):
        return None
    event = codec.decode(Healed, load_json(material.store, HEALING))
    return Healing(event, load(material.store, HEALED)) if event.k == k else None


def _healed(
    material: Material, triggers: Triggers, order_N: Tensor, k: int
) -> Generator[Event, None, Healing]:
    given, sweep = material.config.heal, material.config.sweep
    plan = HealPlan(given.steps, given.batch, given.lr, given.flip)
    draws = runtime.generator(material.config.seed, "heal")
    mask_N = pruned_mask(order_N.to(material.network.device), k)
    judge = Judge(material.network, material.select, triggers.judges)
    before = judge.judge(k, mask_N)
    healed = yield from heal(
        material.network, mask_N, material.optimise, triggers.strong, plan, draws
    )
    after = judge.judge(k, None, healed)
    kept = gains(before, after, sweep.price, sweep.noise)
    event = Healed(k, plan.steps, kept, before.label_free, after.label_free)
    tensors = {
        name: tensor.cpu()
        for name, tensor in healed.module.state_dict().items()
        if tensor.is_floating_point()
    }
    return Healing(event, tensors)
