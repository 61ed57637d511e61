"""Which neurons of which layer go at a number of pruned neurons. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from cnp_engine.state import RunState


@dataclass(frozen=True)
class Layer:
    """A BatchNorm layer: its channels, and those that are among the pruned."""

    name: str
    channels: int
    pruned: tuple[int, ...]


@dataclass(frozen=True)
class LayerMap:
    """Layers as the network has them; ``placed`` of ``k`` pruned neurons are known by place."""

    layers: tuple[Layer, ...]
    k: int
    placed: int


def order(state: RunState) -> tuple[tuple[int, int], ...]:
    """(layer, channel), first to be pruned first; of an older log only the lowest few."""
    if state.model is None or state.scores is None:
        return ()
    if state.scores.order:
        return state.scores.order
    indices = {name: index for index, (name, _) in enumerate(state.model.layers)}
    return tuple(
        (indices[layer], channel) for layer, channel, _ in state.scores.lowest if layer in indices
    )


def at(state: RunState, k: int) -> LayerMap:
    """The layers of the run's network with the first ``k`` neurons pruned."""
    layers = state.model.layers if state.model else ()
    gone: list[list[int]] = [[] for _ in layers]
    first = order(state)[:k]
    for layer, channel in first:
        if layer < len(gone):
            gone[layer].append(channel)
    return LayerMap(
        tuple(
            Layer(name, channels, tuple(sorted(pruned)))
            for (name, channels), pruned in zip(layers, gone, strict=True)
        ),
        k,
        len(first),
    )
