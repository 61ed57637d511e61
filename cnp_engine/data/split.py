"""The clean images a run works with, drawn by seed, and the images that measure it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from cnp_engine.data.images import Images, LabelledImages
from cnp_engine.data.sources import DataSource


@dataclass(frozen=True)
class Split:
    """clean: the pool, without labels by type. optimise, select: int64 positions in the pool.

    The two are disjoint and cover the pool (70/30); ``optimise`` trains, ``select`` chooses the
    threshold. test: measures only; no image of it occurs in the pool; None without labels.
    """

    clean: Images
    optimise: Tensor
    select: Tensor
    test: LabelledImages | None
    notices: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """Plain data for an artifact: indices and names of the pool, and who does what."""
        raise NotImplementedError


def split(source: DataSource, clean: int, seed: int, clean_dir: DataSource | None = None) -> Split:
    """Draw ``clean`` images from the train split, or from ``clean_dir`` where given.

    Raises TooFewImages below 20 usable images, DataMismatch where ``clean_dir`` has another size.
    """
    raise NotImplementedError
