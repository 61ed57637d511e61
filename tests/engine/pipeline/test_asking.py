"""A network is asked for a few clean images before anything is made of its answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from cnp_engine.actions import evaluate_model
from cnp_engine.errors import CheckpointError, WeightsMismatch, WeightsNotFinite
from cnp_engine.events import Event, Warned
from cnp_engine.rundir import RunDirectory
from cnp_engine.stages.loading import load_stage
from tests.engine.pipeline.conftest import ASSETS, demo_config

OWN = """
import torch
from torch import nn


class Own(nn.Module):
    def __init__(self, channels=3, classes=10, twice=False):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4)
        self.head, self.twice = nn.Linear(4, classes), twice

    def forward(self, x):
        logits = self.head(self.bn(self.conv(x)).relu().mean((2, 3)))
        return (logits, logits) if self.twice else logits


def grey():
    return Own(channels=1)


def pair():
    return Own(twice=True)


class Named(Own):
    def forward(self, x):
        return {"logits": super().forward(x)}


class Large(Own):
    def forward(self, x):
        assert x.shape[-1] == 64, "64 pixels"
        return super().forward(x)
"""


def asked(folder: Path, few: Path, factory: str) -> float:
    """BA of the network that ``OWN`` has under that name."""
    (folder / "own.py").write_text(OWN)
    scope: dict[str, Any] = {}
    exec(compile(OWN, "own", "exec"), scope)
    torch.save(scope[factory]().state_dict(), folder / "model.pth")
    found = evaluate_model(
        str(folder / "model.pth"), str(few), arch=f"{folder / 'own.py'}:{factory}",
        normalize="none", device="cpu",
    )  # fmt: skip
    ba: float = found["ba"]
    return ba


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        ("grey", r"images of \(3, 32, 32\).*RuntimeError"),
        ("Named", "answers 8 images with a dict, where one number"),
        ("Large", "AssertionError: 64 pixels"),
    ],
)
def test_a_network_that_takes_or_answers_something_else(
    tmp_path: Path, few: Path, factory: str, said: str
) -> None:
    with pytest.raises(WeightsMismatch, match=said):
        asked(tmp_path, few, factory)


def test_a_network_that_answers_its_features_too(tmp_path: Path, few: Path) -> None:
    assert 0 <= asked(tmp_path, few, "pair") <= 1


def loaded(folder: Path, few: Path, model: str) -> list[Event]:
    config = demo_config(str(folder / model), f"data={few}")
    return list(load_stage(config, RunDirectory.create(folder / "run", config)))


def demo_state() -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(ASSETS / "demo_model.pth", weights_only=True)
    return state


def test_answers_that_are_no_numbers(tmp_path: Path, few: Path) -> None:
    state = demo_state()
    head = next(name for name in reversed(state) if name.endswith("weight"))
    weight = state[head].float()
    state[head] = weight / weight.abs().max() * 3e38
    torch.save(state, tmp_path / "model.pth")
    with pytest.raises(WeightsNotFinite, match="no finite numbers") as caught:
        evaluate_model(str(tmp_path / "model.pth"), str(few), device="cpu")
    assert isinstance(caught.value, CheckpointError)
    with pytest.raises(WeightsNotFinite):
        loaded(tmp_path, few, "model.pth")


def test_a_run_warns_of_weights_that_it_does_not_examine(tmp_path: Path, few: Path) -> None:
    torch.save({"model": demo_state(), "ema": demo_state()}, tmp_path / "two.pth")
    events = loaded(tmp_path, few, "two.pth")
    warned = {event.code: event.text for event in events if isinstance(event, Warned)}
    assert "weights at ema: only those at model are examined" in warned["several_weights"]
    found = evaluate_model(str(tmp_path / "two.pth"), str(few), device="cpu")
    assert any("weights at ema" in notice for notice in found["notices"])
