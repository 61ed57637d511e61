"""Find: which class, which trigger, which neurons (METHOD sections 3.1 to 3.3).

Gets ``Material`` only: no label, no true trigger, no true target reaches this module.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cnp_engine import codec, runtime
from cnp_engine.algorithms.contrastive import (
    MaskPlan,
    MaskState,
    OriginalFeatures,
    optimise_masks,
)
from cnp_engine.algorithms.overlay import answers
from cnp_engine.algorithms.preview import preview
from cnp_engine.algorithms.pruning import NOTHING, Strong
from cnp_engine.algorithms.reversal import (
    Family,
    Found,
    ReversalPlan,
    Trigger,
    reverse,
    smallest,
    success,
)
from cnp_engine.algorithms.scores import NeuronScores, leave_one_out, score
from cnp_engine.algorithms.target import Ranking, rank_by_votes, rank_classes
from cnp_engine.config import RunConfig
from cnp_engine.events import (
    Event,
    ScoresReady,
    StageStarted,
    TargetRanked,
    TriggerReversed,
    Warned,
)
from cnp_engine.stages.material import Clock, Material, has, load, load_json, save, save_json

TARGET, TRIGGER, TRIGGERS = "target.json", "trigger.json", "trigger.safetensors"
MASKS, SCORES = "masks.safetensors", "scores.safetensors"

MOST_SUSPECTS = 3
"""Classes followed up; the ranking shows all."""

STRONGEST_BLEND = 0.2
"""A blend is never stamped stronger than this (METHOD section 7: Blended uses 0.15 to 0.2)."""

ORDER_IMAGES = 128
"""Clean images that order the neurons inside the pruned group."""


@dataclass(frozen=True)
class Target:
    """``families`` by suspect: the trigger families in which the class stands out."""

    ranked: TargetRanked
    families: dict[str, tuple[Family, ...]]


@dataclass(frozen=True, eq=False)
class Triggers:
    """Reversed triggers with the strength each is stamped at, and what was said of them."""

    strong: tuple[Strong, ...]
    events: tuple[TriggerReversed, ...]

    def aimed_at(self, targets: Sequence[int]) -> list[Strong]:
        return [strong for strong in self.strong if strong[0].target in targets]


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
                flip=config.reversal.flip,
            ),
            draws,
            threshold=config.target.threshold,
            eps=config.target.eps,
        )  # fmt: skip
    target = _follow(config, ranking)
    save_json(store, TARGET, codec.encode(target))
    yield target.ranked
    yield clock.finished("target")
    return target


def _follow(config: RunConfig, ranking: Ranking) -> Target:
    targets = config.targets or ranking.suspects[:MOST_SUSPECTS]
    families = {str(t): ranking.families.get(t) or ranking.strongest_family(t) for t in targets}
    ranked = TargetRanked(ranking.rows, targets, ranking.margin, ranking.suspicious)
    return Target(ranked, families)


def trigger_stage(material: Material, target: Target) -> Generator[Event, None, Triggers]:
    """Several reversed triggers for each suspect, each with the strength it is stamped at."""
    clock, store = Clock(), material.store
    if has(store, TRIGGER, TRIGGERS):
        triggers = load_triggers(material)
        yield from triggers.events
        yield clock.finished("trigger", restored=True)
        return triggers
    jobs = [(t, f) for t in target.ranked.targets for f in target.families[str(t)]]
    plan = _plan(material.config)
    total = plan.steps * len(jobs)
    yield StageStarted("trigger", total, "steps")
    strong: list[Strong] = []
    events: list[TriggerReversed] = []
    for number, (index, family) in enumerate(jobs):
        draws = runtime.generator(material.config.seed, f"trigger/{index}/{family}")
        wanted = [index] * material.config.reversal.restarts
        found = yield from reverse(
            material.network, material.optimise, wanted, family, plan, draws,
            offset=number * plan.steps, total=total, look=lambda found: preview(smallest(found)),
        )  # fmt: skip
        strong += strengthened(found, family, material.config.reversal.boost)
        events.append(_reversed(material, found))
        yield preview(smallest(found))
    # readers keep the last word on a class: let it be its smallest trigger
    events.sort(key=lambda event: -event.mask_l1)
    _save_triggers(material, strong, events)
    yield from events
    weak = [event for event in events if event.success.value < 0.9]
    for event in weak:
        yield Warned(
            "weak_trigger",
            f"The trigger reversed for class {event.target} moves only "
            f"{event.success.value:.0%} of the images: the real one may not be a static pattern.",
        )
    yield clock.finished("trigger")
    return Triggers(tuple(strong), tuple(events))


def _plan(config: RunConfig) -> ReversalPlan:
    given = config.reversal
    return ReversalPlan(
        steps=given.steps, batch=given.batch, lr=given.lr, success=given.success,
        weight=given.weight, adapt=given.adapt, flip=given.flip,
        uniform_start=given.uniform_start,
    )  # fmt: skip


def strengthened(found: Found, family: Family, boost: float) -> list[Strong]:
    """Each restart at a strength of its own.

    A reversed trigger is the weakest that works; the planted one is stronger, and neurons that
    carry only the surplus have to show too.
    """
    count = len(found.triggers)
    if boost == 1.0:
        return [(trigger, 1.0) for trigger in found.triggers]
    if family == "patch":
        factors = [boost ** (i / max(1, count - 1)) for i in range(count)]
        return list(zip(found.triggers, factors, strict=True))
    strong = []
    for number, trigger in enumerate(found.triggers):
        strength = max(float(trigger.mask_HW.max()), 1e-3)
        strong.append((trigger, max(1.0, min(boost * (number + 1), STRONGEST_BLEND / strength))))
    return strong


def _reversed(material: Material, found: Found) -> TriggerReversed:
    trigger = smallest(found)
    original = answers(material.network, material.select)
    rate = success(material.network, trigger, material.select, original) or NOTHING
    return TriggerReversed(trigger.target, rate, trigger.mask_l1, found.steps)


def _save_triggers(
    material: Material, triggers: Sequence[Strong], events: Sequence[TriggerReversed]
) -> None:
    tensors: dict[str, Tensor] = {}
    for number, (trigger, _) in enumerate(triggers):
        tensors[f"{number}.pattern"] = trigger.pattern_CHW
        tensors[f"{number}.mask"] = trigger.mask_HW
    save(material.store, TRIGGERS, tensors)
    about = [{"family": t.family, "target": t.target, "strength": s} for t, s in triggers]
    save_json(material.store, TRIGGER, {"triggers": about, "events": codec.encode(tuple(events))})


def load_triggers(material: Material) -> Triggers:
    """The reversed triggers of a run that has come that far. Raises RunDamaged."""
    about = load_json(material.store, TRIGGER)
    tensors = load(material.store, TRIGGERS)
    device = material.network.device

    def trigger(number: int, one: dict[str, Any]) -> Trigger:
        pattern, mask = tensors[f"{number}.pattern"], tensors[f"{number}.mask"]
        return Trigger(one["family"], one["target"], pattern.to(device), mask.to(device))

    strong = [
        (trigger(number, one), float(one["strength"]))
        for number, one in enumerate(about["triggers"])
    ]
    events = [codec.decode(TriggerReversed, event) for event in about["events"]]
    return Triggers(tuple(strong), tuple(events))


def scores_stage(
    material: Material, triggers: Sequence[Strong]
) -> Generator[Event, None, NeuronScores]:
    """Masks round by round, each round saved; then one score a neuron."""
    clock, store, config = Clock(), material.store, material.config
    if has(store, SCORES):
        scores, recovery, steps = load_scores(material)
        yield _ready(material, scores, recovery, steps)
        yield clock.finished("scores", restored=True)
        return scores
    plan = _mask_plan(config)
    yield StageStarted("scores", plan.rounds * plan.batches, "steps")
    originals = OriginalFeatures(material.network, material.optimise, triggers, plan.flip)
    state = yield from _masks(material, originals, plan)
    scores = yield from _ordered(material, triggers, state, plan)
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
    material: Material, triggers: Sequence[Strong], state: MaskState, plan: MaskPlan
) -> Generator[Event, None, NeuronScores]:
    limit = material.config.masks.order_limit
    if not limit:
        return score(state.mask_N, state.pressure_N)
    total = plan.rounds * plan.batches
    contribution = yield from leave_one_out(
        material.network, material.optimise[:ORDER_IMAGES], triggers, state.mask_N,
        limit=limit, offset=int(state.counters[5]), total=total,
    )  # fmt: skip
    return score(state.mask_N, state.pressure_N, contribution)


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
