"""The whole job as one generator of events; a worker drains it into the run's log.

Knows the order of the stages. A stage that an earlier worker finished is restored from its
artifact; mask optimisation goes on from its last saved round.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import torch

from cnp_engine import runtime
from cnp_engine.algorithms.pruning import Strong
from cnp_engine.algorithms.scores import NeuronScores
from cnp_engine.commands import Command
from cnp_engine.config import RunConfig
from cnp_engine.errors import OutOfMemory
from cnp_engine.events import (
    SCHEMA,
    Chosen,
    Event,
    RunStarted,
    StageFinished,
    Warned,
)
from cnp_engine.rundir import RunDirectory
from cnp_engine.stages import closing, finding, judging, loading
from cnp_engine.stages.evidence import Evidence
from cnp_engine.stages.judging import Curve
from cnp_engine.stages.material import Material

T = TypeVar("T")

SMALLEST_BATCH = 8
"""Below this a batch is not halved any more when memory runs out."""


def run(
    config: RunConfig, store: RunDirectory, inbox: Callable[[], list[Command]]
) -> Iterator[Event]:
    """Load, rank, reverse, score, sweep, decide, export. Raises CnpError.

    ``inbox`` is for requests that the worker does not see to itself; none are known yet.
    """
    earlier = [record.value for record in store.events().read()]
    resumed = any(isinstance(event, RunStarted) for event in earlier)
    seconds: dict[str, float] = {
        event.stage: event.seconds
        for event in earlier
        if isinstance(event, StageFinished) and not event.restored
    }
    device = runtime.pick_device(config.device)
    yield RunStarted(
        SCHEMA, config.digest(), resumed, runtime.versions(), runtime.describe(device),
        torch.get_num_threads(), os.getpid(),
    )  # fmt: skip
    try:
        for event in _stages(config, store, seconds):
            if isinstance(event, StageFinished) and not event.restored:
                seconds[event.stage] = event.seconds
            yield event
    except torch.OutOfMemoryError as error:
        raise OutOfMemory(
            "Not even the smallest batch fits into the memory of the device.",
            "Free the device, or run with --device cpu.",
        ) from error


def _stages(
    config: RunConfig, store: RunDirectory, seconds: Mapping[str, float]
) -> Generator[Event, None, None]:
    material, evidence = yield from loading.load_stage(config, store)
    target = yield from _retried(material, finding.target_stage)
    triggers = finding.Triggers((), ())
    if target.ranked.targets:
        triggers = yield from _retried(material, lambda m: finding.trigger_stage(m, target))
    found = judging.verdict(target, config, triggers.events)
    yield found
    if found.verdict == "no_evidence" and config.targets:
        yield Warned(
            "forced",
            "There is no evidence of a backdoor; neurons are pruned only because --target asks.",
        )
    delivered = closing.Delivery(None, ())
    if config.until == "export":
        aims = found.targets or config.targets
        delivered = yield from _repair(material, evidence, triggers.aimed_at(aims))
    total = {**seconds, "total": sum(seconds.values())}
    yield closing.finish(material, evidence, target, triggers.events, found, delivered, total)


def _repair(
    material: Material, evidence: Evidence, strong: Sequence[Strong]
) -> Generator[Event, None, closing.Delivery]:
    """Scores, curve, export; a report alone where there is nothing to aim at."""
    scores: NeuronScores | None = None
    curve: Curve | None = None
    if strong:
        scores = yield from _retried(material, lambda m: finding.scores_stage(m, strong))
        curve = yield from judging.sweep_stage(material, evidence, strong, scores)
    else:
        yield Chosen(0, None, 0.0, "no evidence of a backdoor: nothing is pruned")
    return (yield from closing.export_stage(material, evidence, strong, scores, curve))


def _retried(
    material: Material, stage: Callable[[Material], Generator[Event, None, T]]
) -> Generator[Event, None, T]:
    """Run a stage; when the device's memory runs out, again with batches half as large.

    What does not fit in the smallest either is left to ``run``.
    """
    while True:
        try:
            return (yield from stage(material))
        except torch.OutOfMemoryError:
            smaller = _halved(material.config)
            if smaller is None:
                raise
            material = replace(material, config=smaller)
        torch.cuda.empty_cache()
        yield Warned("smaller_batch", "Memory ran out; going on with batches half as large.")


def _halved(config: RunConfig) -> RunConfig | None:
    """None where a batch is at its smallest already."""
    if max(config.target.batch, config.reversal.batch, config.masks.batch) <= SMALLEST_BATCH:
        return None

    def half(batch: int) -> int:
        return max(SMALLEST_BATCH, batch // 2)

    return replace(
        config,
        target=replace(config.target, batch=half(config.target.batch)),
        reversal=replace(config.reversal, batch=half(config.reversal.batch)),
        masks=replace(config.masks, batch=half(config.masks.batch)),
    )
