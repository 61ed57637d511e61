"""A device whose memory runs out: the stage again with smaller batches, as long as that is so."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import cast

import pytest
import torch

from cnp_engine import pipeline
from cnp_engine.config import RunConfig
from cnp_engine.events import Event, Warned
from cnp_engine.stages.material import Material
from tests.engine.pipeline.conftest import demo_config

Batches = tuple[int, int, int, int, int]


@dataclass(frozen=True)
class Holder:
    """As much of a material as batches take."""

    config: RunConfig


def batches(config: RunConfig) -> Batches:
    target = config.target
    rest = config.reversal.batch, config.masks.batch, config.heal.batch
    return (target.glance, target.batch, *rest)


def tried(config: RunConfig, fits: int) -> tuple[list[Batches], int]:
    """Batches of each try until none is larger than ``fits``; how often it was said."""
    seen: list[Batches] = []

    def stage(material: Material) -> Generator[Event, None, None]:
        seen.append(batches(material.config))
        if max(seen[-1]) > fits:
            raise torch.OutOfMemoryError
        yield from ()

    steps = pipeline._retried(cast("Material", Holder(config)), stage)
    said = [event for event in steps if isinstance(event, Warned)]
    assert {event.code for event in said} <= {"smaller_batch"}
    return seen, len(said)


def test_batches_are_halved_until_they_fit() -> None:
    seen, said = tried(demo_config("demo_model.pth", "target.batch=64"), 16)
    assert seen == [(8, 64, 32, 64, 64), (8, 32, 16, 32, 32), (8, 16, 8, 16, 16)]
    assert said == 2


def test_small_batches_stay_as_they_are() -> None:
    seen, _ = tried(demo_config("demo_model.pth", "target.batch=4", "target.glance=4"), 32)
    assert seen == [(4, 4, 32, 64, 64), (4, 4, 16, 32, 32)]


def test_what_does_not_fit_in_the_smallest_is_left_to_the_run() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        tried(demo_config(), 4)
