"""Reverse: triggers of the suspects (METHOD section 3.2), to teach the masks and to judge them.

Gets ``Material`` only, as ``finding`` does: no label, no true trigger, no true target.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from cnp_engine import codec, runtime
from cnp_engine.aims import whom
from cnp_engine.algorithms import waves
from cnp_engine.algorithms.augment import SHIFT
from cnp_engine.algorithms.folding import folded
from cnp_engine.algorithms.overlay import answers
from cnp_engine.algorithms.preview import preview
from cnp_engine.algorithms.pruning import NOTHING, Strong
from cnp_engine.algorithms.ranking import median_of_others
from cnp_engine.algorithms.reversal import reverse, success
from cnp_engine.algorithms.triggers import (
    SEARCHES,
    Family,
    Found,
    ReversalPlan,
    made,
    smallest,
)
from cnp_engine.events import (
    Event,
    StageStarted,
    TargetRow,
    TriggerPreview,
    TriggerReversed,
    Warned,
)
from cnp_engine.stages.finding import Target
from cnp_engine.stages.material import Clock, Material, has, load, load_json, save, save_json

TRIGGER, TRIGGERS = "trigger.json", "trigger.safetensors"

WEAK = 0.92
"""A reversed trigger that works on fewer of the images it was not made from than this share of the
success that was wanted of it is told with a warning."""

GROWN_WAVE = 1.5
"""A wave that judges what is left is so many times as high as the weakest that works."""


@dataclass(frozen=True, eq=False)
class Triggers:
    """``strong`` teach the masks, each at a strength of its own; ``grown`` judge what is left.

    ``events``: what was said of the smallest of each suspect and family.
    """

    strong: tuple[Strong, ...] = ()
    grown: tuple[Strong, ...] = ()
    events: tuple[TriggerReversed, ...] = ()

    @property
    def judges(self) -> tuple[Strong, ...]:
        """A run that grew none is judged by those that taught its masks."""
        return self.grown or self.strong

    def aimed_at(self, targets: Sequence[int]) -> Triggers:
        strong, grown = (
            tuple(one for one in some if one[0].target in targets)
            for some in (self.strong, self.grown)
        )
        return replace(self, strong=strong, grown=grown)


def trigger_stage(material: Material, target: Target) -> Generator[Event, None, Triggers]:
    """Triggers for each suspect, in the families in which it stands out."""
    clock, store, config = Clock(), material.store, material.config
    if has(store, TRIGGER, TRIGGERS):
        triggers = load_triggers(material)
        yield from triggers.events
        yield clock.finished("trigger", restored=True)
        return triggers
    jobs = [(t, f) for t in target.ranked.targets for f in target.families[str(t)]]
    plans = _Searches(material, len(jobs))
    yield StageStarted("trigger", plans.total, "steps")
    strong: list[Strong] = []
    grown: list[Strong] = []
    events: list[TriggerReversed] = []
    weak: list[Warned] = []
    previews: list[TriggerPreview] = []
    for index, family in jobs:
        found = yield from plans.smallest(index, family)
        strong += strengthened(found, config.reversal.boost)
        events.append(_reversed(material, found))
        weak += weakness(family, plans.plan, events[-1])
        previews.append(preview(smallest(found)))
        yield previews[-1]
        size = grown_size(target.ranked.ranking, index, found)
        grown += yield from plans.grown(index, family, size)
    # readers keep the last word on a class: let it be its smallest trigger
    last = sorted(zip(events, previews, strict=True), key=lambda pair: -pair[0].mask_l1)
    events, previews = [event for event, _ in last], [picture for _, picture in last]
    triggers = Triggers(tuple(strong), tuple(grown), tuple(events))
    _save_triggers(material, triggers)
    yield from (*previews, *events, *weak)
    yield clock.finished("trigger")
    return triggers


class _Searches:
    """The searches of this stage, one after the other, and where in the stage each begins."""

    def __init__(self, material: Material, jobs: int) -> None:
        self._material = material
        self._network = folded(material.network, material.optimise)
        self._settings = material.config.reversal
        self.plan = _plan(material)
        self._begun = 0
        self._waves: dict[int, Found] = {}
        self.total = self.plan.steps * jobs * (2 if self._settings.grown else 1)

    def smallest(self, target: int, family: Family) -> Generator[Event, None, Found]:
        if family not in SEARCHES:
            return (yield from self._wave(target))
        wanted = [target] * self._settings.restarts
        return (yield from self._search(f"trigger/{target}/{family}", wanted, family, self.plan))

    def grown(
        self, target: int, family: Family, size: float
    ) -> Generator[Event, None, list[Strong]]:
        """As strong as triggers of ``size`` get; none where the settings want none."""
        wanted = [target] * self._settings.grown
        if not wanted:
            return []
        if family not in SEARCHES:
            self._begun += self.plan.steps
            return [(smallest(self._waves[target]), GROWN_WAVE)]  # it has no size to grow to
        plan = replace(self.plan, budget=size)
        found = yield from self._search(f"grown/{target}/{family}", wanted, family, plan)
        return [(trigger, 1.0) for trigger in found.triggers]

    def _wave(self, target: int) -> Generator[Event, None, Found]:
        """The narrow wave of a class once more, and how weak it may be."""
        material, classes = self._material, len(self._material.names)
        peaks = yield from waves.peaks(
            self._network, material.optimise, classes, count=material.config.target.waves,
            stage="trigger", offset=self._begun, total=self.total,
        )  # fmt: skip
        self._begun += self.plan.steps
        found = waves.weakest(
            self._network, material.optimise, peaks[target].trigger, self.plan.success,
            self._settings.restarts,
        )  # fmt: skip
        self._waves[target] = found
        return found

    def _search(
        self, purpose: str, wanted: Sequence[int], family: Family, plan: ReversalPlan
    ) -> Generator[Event, None, Found]:
        draws = runtime.generator(self._material.config.seed, purpose)
        offset, self._begun = self._begun, self._begun + plan.steps
        look = None if plan.budget else lambda found: preview(smallest(found))
        search = reverse(
            self._network, self._material.optimise, wanted, family, plan, draws,
            offset=offset, total=self.total, look=look,
        )  # fmt: skip
        return (yield from search)


def weakness(family: Family, plan: ReversalPlan, found: TriggerReversed) -> list[Warned]:
    """A warning where the smallest trigger works on few images that it was not made from."""
    kind = SEARCHES.get(family)
    wanted = kind.wants(plan, [found.target]) if kind else plan.success
    if found.success.value >= WEAK * wanted:
        return []
    said = (
        f"The trigger reversed for {whom(found.target)} moves only "
        f"{100 * found.success.value:.0f} % of the images: the real one may be of another kind."
    )
    return [Warned("weak_trigger", said)]


def grown_size(ranking: Sequence[TargetRow], target: int, found: Found) -> float:
    """Half way, in octaves, between the trigger of ``target`` and those of the other classes.

    The planted trigger is larger than the smallest that works, which leaves neurons out that carry
    the surplus; one as large as other classes need would work without any backdoor.
    """
    own = min(found.sizes)
    if not math.isfinite(own):  # nothing worked: what there is
        own = found.triggers[0].size
    others = median_of_others(ranking, target, found.triggers[0].family)
    return own if others is None else max(own, math.sqrt(own * others))


def _plan(material: Material) -> ReversalPlan:
    given = material.config.reversal
    return ReversalPlan(
        steps=given.steps, batch=given.batch, lr=given.lr, success=given.success,
        weight=given.weight, adapt=given.adapt, flip=given.flip,
        shift=SHIFT if material.few else 0.0, uniform_start=given.uniform_start,
    )  # fmt: skip


def strengthened(found: Found, boost: float) -> list[Strong]:
    """Each restart at a strength of its own, as its family has it; none with a ``boost`` of 1."""
    count = len(found.triggers)
    return [
        (trigger, 1.0 if boost == 1.0 else trigger.strength(number, count, boost))
        for number, trigger in enumerate(found.triggers)
    ]


def _reversed(material: Material, found: Found) -> TriggerReversed:
    trigger = smallest(found)
    original = answers(material.network, material.select)
    rate = success(material.network, trigger, material.select, original) or NOTHING
    return TriggerReversed(trigger.target, rate, trigger.mask_l1, found.steps)


def _save_triggers(material: Material, triggers: Triggers) -> None:
    tensors: dict[str, Tensor] = {}
    about: list[dict[str, Any]] = []
    every = [*((one, False) for one in triggers.strong), *((one, True) for one in triggers.grown)]
    for number, ((trigger, strength), grown) in enumerate(every):
        tensors[f"{number}.pattern"] = trigger.pattern_CHW
        tensors[f"{number}.mask"] = trigger.mask_HW
        kind = {"family": trigger.family, "target": trigger.target}
        about.append({**kind, "strength": strength, "grown": grown})
    save(material.store, TRIGGERS, tensors)
    events = codec.encode(triggers.events)
    save_json(material.store, TRIGGER, {"triggers": about, "events": events})


def load_triggers(material: Material) -> Triggers:
    """The reversed triggers of a run that has come that far. Raises RunDamaged."""
    about = load_json(material.store, TRIGGER)
    tensors = load(material.store, TRIGGERS)
    device = material.network.device

    def strong(number: int, one: dict[str, Any]) -> Strong:
        pattern, mask = tensors[f"{number}.pattern"], tensors[f"{number}.mask"]
        trigger = made(one["family"], one["target"], pattern.to(device), mask.to(device))
        return trigger, float(one["strength"])

    read = [(strong(number, one), one.get("grown")) for number, one in enumerate(about["triggers"])]
    return Triggers(
        tuple(one for one, grown in read if not grown),
        tuple(one for one, grown in read if grown),
        tuple(codec.decode(TriggerReversed, event) for event in about["events"]),
    )
