"""A run that has come to its curve, in memory: all that answering and exporting take."""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, cast

from cnp_engine.aims import ANY
from cnp_engine.algorithms.scores import NeuronScores
from cnp_engine.config import RunConfig
from cnp_engine.errors import RunDamaged
from cnp_engine.events import Chosen, DataLoaded, Event, ModelLoaded, VerdictReached
from cnp_engine.rundir import CURVE, SUMMARY, RunDirectory
from cnp_engine.stages import finding, loading
from cnp_engine.stages.evidence import Evidence
from cnp_engine.stages.judging import Curve, load_curve, threshold_of
from cnp_engine.stages.material import Material, has
from cnp_engine.stages.reversing import TRIGGER, TRIGGERS, Triggers, load_triggers
from cnp_engine.state import RunState
from cnp_engine.steps import result

BY_HAND = "chosen by hand"


@dataclass(frozen=True, eq=False)
class Session:
    """``triggers`` are those aimed at the classes the run repairs."""

    material: Material
    evidence: Evidence
    triggers: Triggers
    scores: NeuronScores
    curve: Curve

    @property
    def neurons(self) -> int:
        return self.material.network.neurons

    def chosen(self, k: int) -> Chosen:
        """The run's own choice where ``k`` is that, else the user's."""
        if k == self.curve.chosen.k:
            return self.curve.chosen
        threshold = threshold_of(self.scores, k)
        return Chosen(k, threshold, k / self.neurons, BY_HAND, by_user=True)


def whole(store: RunDirectory, state: RunState) -> bool:
    """Whether a finished run still has all that it needs to be taken up where it ended."""
    if state.outcome != "finished" or load_summary(store) is None:
        return False
    return not state.curve or (
        has(store, finding.SCORES, TRIGGER, TRIGGERS) and (store.path / CURVE).is_file()
    )


def load_summary(store: RunDirectory) -> dict[str, Any] | None:
    """summary.json; None where there is none that can be read."""
    try:
        found = json.loads((store.path / SUMMARY).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None


def reopen(config: RunConfig, store: RunDirectory, state: RunState) -> Session:
    """A finished run from its artifacts; nothing is measured again.

    Raises RunDamaged where the model or the images are no longer what they were, CnpError.
    """
    material, evidence = _unchanged(loading.load_stage(config, store), state)
    triggers = load_triggers(material).aimed_at(aims(config, state.verdict))
    scores = finding.load_scores(material)[0]
    return Session(material, evidence, triggers, scores, load_curve(material))


def aims(config: RunConfig, verdict: VerdictReached | None) -> tuple[int, ...]:
    """What a run repairs: the classes the user named, else those of its verdict; a backdoor that
    aims at no class in particular in any case."""
    found = () if verdict is None else verdict.targets
    named = config.targets
    others = (target for target in found if not named or target == ANY)
    return tuple(dict.fromkeys((*named, *others)))


def _unchanged(
    loading_: Generator[Event, None, tuple[Material, Evidence]], state: RunState
) -> tuple[Material, Evidence]:
    def see(event: Event) -> None:
        if isinstance(event, ModelLoaded) and state.model is not None:
            _compare(event.path, event.sha256, state.model.sha256)
        if isinstance(event, DataLoaded) and state.data is not None:
            _compare(event.source, event.sha256, state.data.sha256)

    return result(loading_, see)


def _compare(path: str, now: str, then: str) -> None:
    if now != then:
        raise RunDamaged(
            f"{path} is no longer what the run has read.",
            "Put it back as it was, or begin a new run.",
        )
