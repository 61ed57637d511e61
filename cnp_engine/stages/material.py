"""What the stages hand on: the network and unlabelled images, and artifacts in and out.

``Material`` is all that a deciding stage gets; it has no label, no true trigger, no true target.
Those are in ``evidence.Evidence``, which this module must not import.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from cnp_engine import runtime
from cnp_engine.algorithms.augment import several
from cnp_engine.algorithms.overlay import MaskedNetwork
from cnp_engine.algorithms.pruning import Judge, Strong
from cnp_engine.config import RunConfig
from cnp_engine.data.normalize import Normalize
from cnp_engine.errors import RunDamaged
from cnp_engine.events import StageFinished
from cnp_engine.models.registry import LoadedModel
from cnp_engine.rundir import RunDirectory


@dataclass(frozen=True, eq=False)
class Material:
    """The network and its unlabelled clean images, float (B, 3, H, W) in [0, 1], on the device."""

    config: RunConfig
    store: RunDirectory
    loaded: LoadedModel
    network: MaskedNetwork
    normalize: Normalize
    optimise: Tensor
    select: Tensor
    names: tuple[str, ...]

    @property
    def layers(self) -> tuple[tuple[str, int], ...]:
        return self.network.overlay.layers

    @property
    def few(self) -> bool:
        """Whether a reversed trigger might fit the images that optimise and no others."""
        return len(self.optimise) < self.config.reversal.crop_under

    @property
    def views(self) -> int:
        """How often each image that chooses is looked at."""
        return max(1, math.ceil(self.config.sweep.views / len(self.select)))

    def judges(self, triggers: Sequence[Strong]) -> tuple[Judge, Judge]:
        """What is told is of ``select``; what decides is of ``views`` views of it: on thirty images
        a lost point of accuracy is not seen. The same one where each is looked at once."""
        told = Judge(self.network, self.select, triggers)
        if self.views == 1:
            return told, told
        draws = runtime.generator(self.config.seed, "views")
        views = several(self.select, self.views, draws, flip=self.config.reversal.flip)
        return told, Judge(self.network, views, triggers)


class Clock:
    """Seconds since a stage began."""

    def __init__(self) -> None:
        self._start = perf_counter()

    def finished(self, stage: Any, restored: bool = False) -> StageFinished:
        return StageFinished(stage, perf_counter() - self._start, restored)

    @property
    def seconds(self) -> float:
        return perf_counter() - self._start


def save_json(store: RunDirectory, name: str, value: Any) -> None:
    store.write(f"artifacts/{name}", (json.dumps(value, indent=1) + "\n").encode())


def load_json(store: RunDirectory, name: str) -> Any:
    """Raises RunDamaged."""
    try:
        return json.loads(store.artifact(name).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(store, name) from error


def save(store: RunDirectory, name: str, tensors: dict[str, Tensor]) -> None:
    # copies: safetensors refuses tensors that share memory, as one trigger at two strengths does
    whole = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
    store.write(f"artifacts/{name}", save_tensors(whole))


def load(store: RunDirectory, name: str) -> dict[str, Tensor]:
    """Raises RunDamaged."""
    try:
        tensors: dict[str, Tensor] = load_tensors(store.artifact(name).read_bytes())
    except (OSError, SafetensorError) as error:
        raise _damaged(store, name) from error
    return tensors


def has(store: RunDirectory, *names: str) -> bool:
    return all(store.artifact(name).is_file() for name in names)


def floats(images: Tensor, device: torch.device) -> Tensor:
    """uint8 images to [0, 1] on the device."""
    return images.to(device).float() / 255


def _damaged(store: RunDirectory, name: str) -> RunDamaged:
    return RunDamaged(
        f"{store.artifact(name)} cannot be read.", "Delete that file and resume, or begin again."
    )
