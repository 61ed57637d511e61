"""Which cuts of a network are worth the memory of their activations, and proof that they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cnp_engine.algorithms.execution import Trace, catching, nothing_like, replaying, trace
from cnp_engine.algorithms.overlay import MaskedNetwork

PROBE = 2
"""Images a cut is tried on."""

TRIALS = 12
"""Replays that find out which modules of a cut nobody listens to."""

CANDIDATES = 20
"""Cuts that are tried at most: a network of hundreds of layers gains nothing by more."""


@dataclass(frozen=True)
class Cut:
    """Before the BN layer that is number ``position`` in order of execution.

    ``needed`` modules answer with what they answered, the ``idle`` ones with nothing: what they
    return is used by other replayed modules only. ``progress``: share of all work that is saved.
    """

    position: int
    needed: tuple[str, ...]
    idle: tuple[str, ...]
    progress: float


@dataclass(frozen=True, eq=False)
class Plan:
    """``position_N``: of each neuron's layer in order of execution. ``cuts`` deepest last.

    ``kept`` outputs serve all cuts, ``bytes_per_image`` together. ``examples`` of the outputs of
    idle modules, (1, ...).
    """

    modules: Mapping[str, nn.Module]
    position_N: Tensor
    cuts: tuple[Cut, ...]
    kept: tuple[str, ...]
    fragile: frozenset[str]
    examples: Mapping[str, Tensor]
    bytes_per_image: float

    def nothing(self, name: str, images: int) -> Tensor:
        """What an idle module returns for a batch."""
        return nothing_like(self.examples[name][:1].expand(images, *self.examples[name].shape[1:]))

    def first_change(self, one_N: Tensor, other_N: Tensor) -> int:
        """Position of the first layer in which two masks (on the CPU) differ."""
        changed = self.position_N[one_N != other_N]
        return int(changed.min()) if len(changed) else 1 << 30


@torch.no_grad()
def plan_cuts(network: MaskedNetwork, images_BCHW: Tensor, bytes_per_image: float) -> Plan | None:
    """Cuts whose activations fit into ``bytes_per_image``; None where the network has none.

    Each is tried on a few of ``images_BCHW``: replayed, with a neuron of the layer behind it
    pruned, the network must answer the very bits of a full call.
    """
    probe = images_BCHW[:PROBE]
    seen = trace(network, probe)
    names = [name for name, _ in network.overlay.layers]
    if not set(names) <= seen.replayable:
        return None
    order = sorted(range(len(names)), key=lambda index: seen.begun[names[index]])
    modules = {name: network.module.get_submodule(name) for name in seen.replayable}
    with catching(modules, list(modules), seen.fragile) as values:
        network(probe)
    cuts: list[Cut] = []
    for position in _candidates(seen, [names[index] for index in order]):
        trial = _Trial(
            network, probe, modules, seen.fragile, _without_some(network, order[position])
        )
        cut = _cut(trial, values, seen, position, names[order[position]])
        cuts += [] if cut is None else [cut]
    sizes = {name: _bytes(output) / len(probe) for name, output in seen.outputs.items()}
    chosen = _worth(cuts, sizes, bytes_per_image)
    if not chosen:
        return None
    kept = tuple(dict.fromkeys(name for cut in chosen for name in cut.needed))
    place = {index: position for position, index in enumerate(order)}
    position_N = torch.cat(
        [torch.full((c,), place[i]) for i, (_, c) in enumerate(network.overlay.layers)]
    )
    idle = {name: seen.outputs[name][:1].clone() for cut in chosen for name in cut.idle}
    total = sum(sizes[name] for name in kept)
    return Plan(modules, position_N, tuple(chosen), kept, seen.fragile, idle, total)


def _candidates(seen: Trace, layers: Sequence[str]) -> list[int]:
    """Positions worth trying, spread evenly over the work of a network of many layers."""
    if len(layers) <= CANDIDATES:
        return list(range(len(layers)))
    spread = [(_progress(seen, seen.before(name)), at) for at, name in enumerate(layers)]
    wanted = [number / CANDIDATES for number in range(CANDIDATES)]
    return sorted({next(at for done, at in spread if done >= want or at == len(layers) - 1)
                   for want in wanted})  # fmt: skip


def _cut(
    trial: _Trial, outputs: Mapping[str, Tensor], seen: Trace, position: int, layer: str
) -> Cut | None:
    """None where nothing is saved, or where replaying is not the same as computing."""
    names = seen.before(layer)
    values = {name: outputs[name] for name in names}
    if not names or not trial.same(values):
        return None
    # the shape of an output for another batch is known where it counts the images
    countable = [name for name in names if len(values[name]) == trial.images]
    idle = set(trial.idle(values, countable))
    used = tuple(name for name in names if name not in idle)
    unused = tuple(name for name in names if name in idle)
    return Cut(position, used, unused, _progress(seen, names))


class _Trial:
    """Replays a few images under a mask that the values know nothing of."""

    def __init__(
        self,
        network: MaskedNetwork,
        probe: Tensor,
        modules: Mapping[str, nn.Module],
        fragile: frozenset[str],
        mask_N: Tensor,
    ) -> None:
        self._network, self._probe, self._mask_N = network, probe, mask_N
        self._modules, self._fragile = modules, fragile
        self._wanted = network(probe, mask_N).logits_BK
        self.images = len(probe)

    def same(self, values: Mapping[str, Tensor]) -> bool:
        """Whether the answers are the very bits of a full call, and the values are left alone."""
        given = {n: v.clone() if n in self._fragile else v for n, v in values.items()}
        firm = [value for name, value in given.items() if name not in self._fragile]
        versions = [value._version for value in firm]
        try:
            with replaying(self._modules, given):
                logits = self._network(self._probe, self._mask_N).logits_BK
        except (RuntimeError, TypeError, ValueError, IndexError):
            return False  # work in place on nothing, or code that looks at values
        untouched = [value._version for value in firm] == versions
        return untouched and torch.equal(logits, self._wanted)

    def idle(self, values: Mapping[str, Tensor], names: Sequence[str]) -> list[str]:
        """Those of ``names`` that only other replayed modules listen to: halved until known.

        What is not known after a few trials is taken as needed: that costs memory, nothing else.
        """
        needed, idle = dict(values), list[str]()
        waiting, left = [list(names)], TRIALS
        while waiting and left:
            left -= 1
            some = waiting.pop(0)
            tried = {**needed, **{name: nothing_like(values[name]) for name in some}}
            if self.same(tried):
                needed, idle = tried, [*idle, *some]
            elif len(some) > 1:
                waiting += [some[: len(some) // 2], some[len(some) // 2 :]]
        return idle


def _without_some(network: MaskedNetwork, index: int) -> Tensor:
    """The mask that prunes the first half of a layer, so that something changes."""
    mask_N = network.ones()
    start = sum(channels for _, channels in network.overlay.layers[:index])
    mask_N[start : start + max(1, network.overlay.layers[index][1] // 2)] = 0
    return mask_N


def _progress(seen: Trace, names: Sequence[str]) -> float:
    inside = sum(
        work for leaf, work in seen.work.items()
        if any(leaf == name or leaf.startswith(f"{name}.") for name in names)
    )  # fmt: skip
    return inside / max(1e-9, sum(seen.work.values()))


def _worth(cuts: Sequence[Cut], sizes: Mapping[str, float], limit: float) -> list[Cut]:
    """Greedily the cuts that save most for their memory, as if every layer changed as often."""
    chosen: list[Cut] = []
    left = list(cuts)
    while left:
        spent = _kept(chosen)
        fitting = [
            cut for cut in left if _total(spent | set(cut.needed), sizes) <= limit
        ]  # fmt: skip
        if not fitting:
            break

        def value(cut: Cut, spent: set[str] = spent) -> float:
            gain = _saved([*chosen, cut], cuts) - _saved(chosen, cuts)
            return gain / max(1.0, _total(set(cut.needed) - spent, sizes))

        best = max(fitting, key=value)
        chosen.append(best)
        left.remove(best)
    return sorted(chosen, key=lambda cut: cut.position)


def _saved(chosen: Sequence[Cut], cuts: Sequence[Cut]) -> float:
    return sum(
        max((cut.progress for cut in chosen if cut.position <= at.position), default=0.0)
        for at in cuts
    )


def _kept(cuts: Sequence[Cut]) -> set[str]:
    return {name for cut in cuts for name in cut.needed}


def _total(names: set[str], sizes: Mapping[str, float]) -> float:
    return sum(sizes[name] for name in names)


def _bytes(value: Tensor) -> int:
    return value.numel() * value.element_size()
