"""Ground truth on its way to what measures, and to nothing else.

A module of its own, so that an import contract can keep it out of what decides (``finding``):
whoever has not imported this has no name for a label, a true trigger or a true target.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field

from cnp_engine.algorithms.metrics import GroundTruth, measuring
from cnp_engine.algorithms.overlay import MaskedNetwork
from cnp_engine.events import Event, Measured, Progress, Stage
from cnp_engine.steps import retold


@dataclass(frozen=True, eq=False)
class Evidence:
    """Ground truth, where it was given, and what it said of the checkpoint."""

    truth: GroundTruth | None
    before: Measured = field(default_factory=Measured)


def measured(
    stage: Stage, network: MaskedNetwork, truth: GroundTruth
) -> Generator[Event, None, Measured]:
    """BA, ASR and RA in float32, with progress over the test images: it may take minutes."""
    total = len(truth.labels_B)
    return (
        yield from retold(
            measuring(network, truth),
            lambda done: Progress(stage, done, total, label="measuring"),
        )
    )
