"""Ground truth on its way to what measures, and to nothing else.

A module of its own, so that an import contract can keep it out of what decides (``finding``):
whoever has not imported this has no name for a label, a true trigger or a true target.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cnp_engine.algorithms.metrics import GroundTruth
from cnp_engine.events import Measured


@dataclass(frozen=True, eq=False)
class Evidence:
    """Ground truth, where it was given, and what it said of the checkpoint."""

    truth: GroundTruth | None
    before: Measured = field(default_factory=Measured)
