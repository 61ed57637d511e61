"""Find: which class, and which neurons (METHOD sections 3.1 and 3.3).

Gets ``Material`` only: no label, no true trigger, no true target reaches this module.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import torch

from cnp_engine import codec, runtime
from cnp_engine.algorithms.contrastive import (
    MaskPlan,
    MaskState,
    OriginalFeatures,
    optimise_masks,
)
from cnp_engine.algorithms.pruning import Judge, Strong
from cnp_engine.algorithms.ranking import Ranking
from cnp_engine.algorithms.scores import Harm, NeuronScores, eliminate, put_back, score
from cnp_engine.algorithms.target import rank_by_votes, rank_classes
from cnp_engine.algorithms.triggers import Family, ReversalPlan
from cnp_engine.config import RunConfig
from cnp_engine.events import (
    Event,
    Progress,
    ScoresReady,
    StageStarted,
    TargetRanked,
)
from cnp_engine.stages.material import Clock, Material, has, load, load_json, save, save_json

TARGET, MASKS, SCORES = "target.json", "masks.safetensors", "scores.safetensors"

MOST_SUSPECTS = 3
"""Classes followed up; the ranking shows all."""

ORDER_IMAGES = 128
"""Clean images that order the neurons inside the pruned group; elimination asks half of them."""


@dataclass(frozen=True)
class Target:
    """``families`` by suspect: the trigger families in which the class stands out."""

    ranked: TargetRanked
    families: dict[str, tuple[Family, ...]]


def target_stage(material: Material) -> Generator[Event, None, Target]:
    """Rank the classes; the user's own ``--target`` takes the place of the suspects."""
    clock, config, store = Clock(), material.config, material.store
    if has(store, TARGET):
        target = codec.decode(Target, load_json(store, TARGET))
        yield target.ranked
        yield clock.finished("target", restored=True)
        return target
    yield StageStarted("target", unit="steps")
    draws = runtime.generator(config.seed, "target")
    if config.target.method == "votes":
        ranking = rank_by_votes(
            material.network, material.optimise, material.names, config.target.eps, draws
        )
    else:
        ranking = yield from rank_classes(
            material.network,
            material.optimise,
            material.names,
            ReversalPlan(
                config.target.steps, config.target.batch, success=config.target.success,
                flip=config.reversal.flip, shift=config.target.shift,
            ),
            draws,
            threshold=config.target.threshold,
            eps=config.target.eps,
            glance=config.target.glance,
            restarts=config.target.restarts,
            wave_images=config.target.waves,
            families=config.target.families,
        )  # fmt: skip
    target = follow(config, ranking)
    save_json(store, TARGET, codec.encode(target))
    yield target.ranked
    yield clock.finished("target")
    return target


def follow(config: RunConfig, ranking: Ranking) -> Target:
    """The user's own classes, then what stands out: it is looked into, whatever is repaired."""
    targets = tuple(dict.fromkeys((*config.targets, *ranking.suspects[:MOST_SUSPECTS])))
    if config.target.method == "votes" and config.targets:
        targets = config.targets  # a vote is no suspicion
    families = {str(t): ranking.families.get(t) or ranking.strongest_family(t) for t in targets}
    ranked = TargetRanked(ranking.rows, targets, ranking.margin, ranking.suspicious)
    return Target(ranked, families)


def scores_stage(
    material: Material, strong: Sequence[Strong], grown: Sequence[Strong]
) -> Generator[Event, None, NeuronScores]:
    """Masks round by round, each round saved; then one score a neuron.

    ``strong`` teach the masks; ``grown``, which will judge, have a say in the order as well.
    """
    clock, store, config = Clock(), material.store, material.config
    if has(store, SCORES):
        scores, recovery, steps = load_scores(material)
        yield _ready(material, scores, recovery, steps)
        yield clock.finished("scores", restored=True)
        return scores
    plan = _mask_plan(config)
    yield StageStarted("scores", plan.rounds * plan.batches, "steps")
    originals = OriginalFeatures(material.network, material.optimise, strong, plan.flip)
    state = yield from _masks(material, originals, plan)
    scores = yield from _ordered(material, strong, grown, state, plan)
    steps = int(state.counters[5])
    save(store, SCORES, {
        "scores": scores.scores_N,
        "mask": state.mask_N,
        "about": torch.tensor([scores.under_half, state.recovery, steps], dtype=torch.float64),
    })  # fmt: skip
    yield _ready(material, scores, state.recovery, steps)
    yield clock.finished("scores")
    return scores


def _masks(
    material: Material, originals: OriginalFeatures, plan: MaskPlan
) -> Generator[Event, None, MaskState]:
    store = material.store
    if has(store, MASKS):
        state = MaskState.restore(load(store, MASKS))
    else:
        draws = runtime.generator(material.config.seed, "masks")
        state = MaskState.start(material.network.neurons, draws, plan.lr)
    for item in optimise_masks(material.network, originals, plan, state):
        if isinstance(item, MaskState):
            save(store, MASKS, item.tensors())
        else:
            yield item
    return state


def _ordered(
    material: Material,
    strong: Sequence[Strong],
    grown: Sequence[Strong],
    state: MaskState,
    plan: MaskPlan,
) -> Generator[Event, None, NeuronScores]:
    """Two orders of the group; the one on which pruning comes cheaper counts.

    Cheaper as the choice will count it (``pruning.cost``), but on images that optimise.
    """
    limit, network = material.config.masks.order_limit, material.network
    if not limit:
        return score(state.mask_N, state.pressure_N)
    at = (int(state.counters[5]), plan.rounds * plan.batches)
    images = material.optimise[:ORDER_IMAGES]
    every = (*strong, *grown)
    once = yield from put_back(Harm(network, images, strong, state.mask_N, limit), *at)
    half = images[: ORDER_IMAGES // 2]
    again = yield from eliminate(Harm(network, half, every, state.mask_N, limit), *at)
    judge, price = Judge(network, images, grown or strong), material.config.sweep.price
    cheapest, best, checked = math.inf, once, 0
    for order in (once, again):
        # from the last on: that is likelier to be cheap, which ends asking about the others early
        for k in reversed(looked_at(min(limit, len(order)))):
            mask_N = torch.ones_like(state.mask_N, device=network.device)
            mask_N[order[:k]] = 0
            cost = judge.priced(mask_N, price, under=cheapest)
            if cost < cheapest:
                cheapest, best = cost, order
            checked += 1
            yield Progress("scores", *at, {"checked": float(checked)}, "order")
    return score(state.mask_N, state.pressure_N, best)


def looked_at(last: int) -> list[int]:
    """Every k at first, then steps of a third, and the last: two orders are only compared."""
    counts, k = [], 1
    while k < last:
        counts.append(k)
        k += max(1, k // 3)
    return [*counts, last] if last else []


def _mask_plan(config: RunConfig) -> MaskPlan:
    given = config.masks
    return MaskPlan(
        rounds=given.rounds, batches=given.batches, batch=given.batch, lr=given.lr,
        momentum=given.momentum, temperature=given.temperature, eps=given.eps,
        optimiser=given.optimiser, sparsity=given.sparsity, binary=given.binary,
        batch_statistics=given.batch_statistics, lr_floor=given.lr_floor,
        patience=given.patience, flip=given.flip, early_stop=given.early_stop,
    )  # fmt: skip


def load_scores(material: Material) -> tuple[NeuronScores, float, int]:
    """Scores, recovery rate of the masks, and steps, of a run that has come that far."""
    tensors = load(material.store, SCORES)
    under_half, recovery, steps = tensors["about"].tolist()
    return NeuronScores(tensors["scores"], int(under_half)), recovery, int(steps)


def _ready(material: Material, scores: NeuronScores, recovery: float, steps: int) -> ScoresReady:
    return ScoresReady(
        material.network.neurons, scores.under_half, recovery, steps,
        tuple(_lowest(material, scores, 12)), _order(material, scores),
    )  # fmt: skip


def _order(material: Material, scores: NeuronScores) -> tuple[tuple[int, int], ...]:
    """As many neurons as the curve will reach, or the masks take out."""
    reach = int(material.network.neurons * material.config.sweep.max_fraction)
    first = scores.order_N[: max(1, reach, scores.under_half)].tolist()
    indices = {name: index for index, (name, _) in enumerate(material.layers)}
    places = (material.network.overlay.locate(neuron) for neuron in first)
    return tuple((indices[layer], channel) for layer, channel in places)


def _lowest(
    material: Material, scores: NeuronScores, count: int
) -> Iterator[tuple[str, int, float]]:
    for neuron in scores.order_N[:count].tolist():
        layer, channel = material.network.overlay.locate(neuron)
        yield layer, channel, float(scores.scores_N[neuron])
