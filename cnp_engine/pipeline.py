"""The whole job as one generator of events; a worker drains it into the run's log.

Knows the order of the stages, and that answers may follow them. A stage that an earlier worker
finished is restored from its artifact; mask optimisation goes on from its last saved round.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

import torch

from cnp_engine import runtime
from cnp_engine.aims import whom
from cnp_engine.algorithms.scores import NeuronScores
from cnp_engine.config import RunConfig
from cnp_engine.errors import OutOfMemory
from cnp_engine.events import (
    SCHEMA,
    Chosen,
    Event,
    Finished,
    RunStarted,
    StageFinished,
    StageStarted,
    VerdictReached,
    Warned,
)
from cnp_engine.inbox import Requests
from cnp_engine.rundir import RunDirectory
from cnp_engine.serving import serve
from cnp_engine.stages import closing, committing, finding, healing, judging, loading, reversing
from cnp_engine.stages.desk import Desk
from cnp_engine.stages.evidence import Evidence
from cnp_engine.stages.judging import Curve
from cnp_engine.stages.material import Material
from cnp_engine.stages.reversing import Triggers
from cnp_engine.stages.session import Session, aims, load_summary, reopen, whole
from cnp_engine.state import RunState

T = TypeVar("T")

PULSE_S = 5.0
"""How often the memory in use is told."""

SMALLEST_BATCH = 8
"""Below this a batch is not halved any more when memory runs out."""


def run(config: RunConfig, store: RunDirectory, inbox: Requests) -> Iterator[Event]:
    """Load, rank, reverse, score, sweep, decide, export; then answer whoever looks on.

    Events up to ``Finished``, and after it what ``inbox`` asks for; a run that is finished already
    begins there. Raises CnpError before, nothing after.
    """
    earlier = [record.value for record in store.events().read()]
    state = RunState.from_events(earlier)
    if whole(store, state):
        yield from _again(config, store, state, inbox)
        return
    committing.forget(store)
    device = runtime.pick_device(config.device)
    yield RunStarted(
        SCHEMA, store.digest, state.started is not None, runtime.versions(),
        runtime.describe(device), torch.get_num_threads(), os.getpid(),
    )  # fmt: skip
    seconds = _seconds(earlier)
    try:
        session = yield from _accompanied(_stages(config, store, seconds), device, seconds)
    except torch.OutOfMemoryError as error:
        raise OutOfMemory(
            "Not even the smallest batch fits into the memory of the device.",
            "Free the device, or run with --device cpu.",
        ) from error
    if session is not None:
        answers = serve(store, Desk(lambda: session), inbox)
        yield from _accompanied(answers, device, {})


def _again(
    config: RunConfig, store: RunDirectory, state: RunState, inbox: Requests
) -> Iterator[Event]:
    """The last word of a finished run once more, at once; what answers take is loaded after it.

    No RunStarted and no stage: whatever stands in the way, the log goes on saying how it ended.
    """
    for event in committing.settle(store):
        if not isinstance(event, Finished):
            yield event
    summary = load_summary(store)
    assert summary is not None, "it is part of a whole run"
    yield Finished(summary)
    if state.curve:
        yield from serve(store, Desk(lambda: reopen(config, store, state)), inbox)


def _accompanied(
    events: Generator[Event, None, T], device: torch.device, seconds: dict[str, float]
) -> Generator[Event, None, T]:
    """``events``, times of stages noted in ``seconds``, and every few seconds the memory in use.

    A stage has not worked while whoever takes the events holds it, as a pause does.
    """
    beat, held = time.monotonic(), 0.0
    with contextlib.closing(events):
        while True:
            try:
                event = next(events)
            except StopIteration as stop:
                result: T = stop.value
                return result
            if isinstance(event, StageStarted):
                held = 0.0
            if isinstance(event, StageFinished) and not event.restored:
                event = replace(event, seconds=max(0.0, event.seconds - held))
                seconds[event.stage] = event.seconds
            said = [event]
            if time.monotonic() - beat >= PULSE_S and not isinstance(event, Finished):
                beat = time.monotonic()
                said.insert(0, runtime.resources(device))
            for each in said:
                given = time.monotonic()
                yield each
                held += time.monotonic() - given


def _seconds(earlier: Sequence[Event]) -> dict[str, float]:
    """Time of each stage that an earlier worker has finished."""
    return {
        event.stage: event.seconds
        for event in earlier
        if isinstance(event, StageFinished) and not event.restored
    }


def _stages(
    config: RunConfig, store: RunDirectory, seconds: dict[str, float]
) -> Generator[Event, None, Session | None]:
    """Everything up to the last word; what can be asked about afterwards, where there is a curve.

    ``seconds`` of each stage, the earlier ones and those that have passed since.
    """
    material, evidence = yield from loading.load_stage(config, store)
    target = yield from _retried(material, finding.target_stage)
    triggers = reversing.Triggers()
    if target.ranked.targets:
        triggers = yield from _retried(material, lambda m: reversing.trigger_stage(m, target))
    found = judging.verdict(target, config, triggers.events)
    yield found
    delivered, session = closing.Delivery(None, ()), None
    if config.until == "export":
        followed = aims(config, found)
        yield from _named(config, found, followed)
        delivered, session = yield from _repair(material, evidence, triggers.aimed_at(followed))
    total = {**seconds, "total": sum(seconds.values())}
    yield closing.finish(
        material, evidence, target.ranked, triggers.events, found, delivered, total
    )
    return session


def _named(config: RunConfig, found: VerdictReached, repaired: Sequence[int]) -> Iterator[Event]:
    """What the user names is repaired, and no evidence by that; what is not named is left."""
    unfounded = [target for target in config.targets if target not in found.targets]
    left = [target for target in found.targets if target not in repaired]
    if unfounded and found.verdict == "no_evidence":
        yield Warned(
            "forced",
            "There is no evidence of a backdoor; neurons are pruned only because --target asks.",
        )
    elif unfounded:
        yield Warned(
            "forced",
            f"There is no evidence of a backdoor to {_listed(unfounded)}; neurons are pruned for "
            "it only because --target asks.",
        )
    if left:
        yield Warned(
            "unrepaired",
            f"The backdoor to {_listed(left)} is not repaired, for --target names others. Run "
            "again without it to repair all that was found.",
        )


def _listed(targets: Sequence[int]) -> str:
    return " and ".join(whom(target) for target in targets)


def _repair(
    material: Material, evidence: Evidence, triggers: Triggers
) -> Generator[Event, None, tuple[closing.Delivery, Session | None]]:
    """Scores, curve, export; a report alone where there is nothing to aim at."""
    scores: NeuronScores | None = None
    curve: Curve | None = None
    session: Session | None = None
    healed: healing.Healing | None = None
    if triggers.strong:
        scores = yield from _retried(
            material, lambda m: finding.scores_stage(m, triggers.strong, triggers.grown)
        )
        curve = yield from judging.sweep_stage(material, evidence, triggers.judges, scores)
        session = Session(material, evidence, triggers, scores, curve)
        order_N, k = scores.order_N, curve.chosen.k
        if healing.wanted(material, triggers.judges, order_N, curve.point(k)):
            healed = yield from _retried(
                material, lambda m: healing.heal_stage(m, triggers, order_N, k)
            )
    else:
        yield Chosen(0, None, 0.0, "no evidence of a backdoor: nothing is pruned")
    delivered = yield from closing.export_stage(material, evidence, triggers, scores, curve, healed)
    return delivered, session


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
    batches = [config.target.batch, config.reversal.batch, config.masks.batch]
    if config.heal.when != "never":
        batches.append(config.heal.batch)
    if max(batches) <= SMALLEST_BATCH:
        return None

    def half(batch: int) -> int:
        return min(batch, max(SMALLEST_BATCH, batch // 2))

    return replace(
        config,
        target=replace(
            config.target, batch=half(config.target.batch), glance=half(config.target.glance)
        ),
        reversal=replace(config.reversal, batch=half(config.reversal.batch)),
        masks=replace(config.masks, batch=half(config.masks.batch)),
        heal=replace(config.heal, batch=half(config.heal.batch)),
    )
