"""Whole runs on the embedded demo, each done once for all tests that look at it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cnp_engine import pipeline
from cnp_engine.commands import Command
from cnp_engine.config import RunConfig
from cnp_engine.data.sources import open_source
from cnp_engine.events import Event, Finished
from cnp_engine.rundir import RunDirectory

ASSETS = Path(__file__).resolve().parents[3] / "assets"
SHARED = Path(__file__).resolve().parents[4] / "shared"

SHORT = (
    "target.steps=6", "target.batch=4", "target.waves=1", "target.threshold=0.3",
    "reversal.steps=6", "reversal.batch=4", "reversal.restarts=2",
    "masks.rounds=3", "masks.batches=2", "masks.batch=16", "masks.early_stop=false",
    "masks.order_limit=2", "sweep.max_fraction=0.008", "normalize=none", "sweep.measured_points=0",
    "heal.when=never",
)  # fmt: skip
"""A schedule that passes through everything in seconds; its figures mean nothing."""


TARGETED = (*SHORT, "targets=5")


def demo_config(model: str = "demo_model.pth", *sets: str, seed: int = 0) -> RunConfig:
    values = {
        "model": str(ASSETS / model),
        "data": "demo",
        "attack": str(ASSETS / "demo_attack.toml"),
        "seed": seed,
        "device": "cpu",
    }
    return RunConfig.build(values, sets, env={})


@pytest.fixture(scope="session")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hundred clean demo images and a few that measure, for runs whose figures mean nothing."""
    source = open_source("demo")
    assert source.train is not None
    assert source.test is not None
    train, test = source.train.take(range(0, 1200, 12)), source.test.labelled(range(0, 1000, 20))
    path = tmp_path_factory.mktemp("data") / "few.npz"
    np.savez(
        path, x_train=train.images.numpy(), x_test=test.images.numpy(), y_test=test.labels.numpy(),
    )  # fmt: skip
    return path


def nobody_asks(timeout_s: float = 0.0) -> list[Command]:
    return []


def drive(store: RunDirectory, stop_before: int | None = None) -> list[Event]:
    """What a worker does, in this process; ``stop_before`` drops the pipeline dead at an event."""
    events: list[Event] = []
    log = store.events()
    for event in pipeline.run(store.config, store, nobody_asks):
        if len(events) == stop_before:
            break
        log.append(event)
        events.append(event)
    return events


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory, few: Path) -> tuple[RunDirectory, list[Event]]:
    """A run of the short schedule that has come to its end; copy it to change it."""
    config = demo_config("demo_model.pth", *TARGETED, f"data={few}")
    store = RunDirectory.create(tmp_path_factory.mktemp("runs") / "whole", config)
    return store, drive(store)


def finished(events: list[Event]) -> Finished:
    last = events[-1]
    assert isinstance(last, Finished)
    return last


@pytest.fixture(scope="session")
def repaired(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunDirectory, list[Event]]:
    """The backdoored demo model, default preset."""
    store = RunDirectory.create(tmp_path_factory.mktemp("runs") / "repaired", demo_config())
    return store, drive(store)


@pytest.fixture(scope="session")
def cleared(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunDirectory, list[Event]]:
    """Its clean twin."""
    config = demo_config("demo_clean.pth")
    store = RunDirectory.create(tmp_path_factory.mktemp("runs") / "cleared", config)
    return store, drive(store)
