"""A network is asked for a few clean images before anything is made of its answers."""

from __future__ import annotations

from pathlib import Path

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
"""


@pytest.mark.parametrize(
    ("factory", "said"), [("grey", r"images of \(3, 32, 32\)"), ("pair", "cannot be asked")]
)
def test_a_network_that_takes_something_else(
    tmp_path: Path, few: Path, factory: str, said: str
) -> None:
    (tmp_path / "own.py").write_text(OWN)
    scope: dict[str, object] = {}
    exec(compile(OWN, "own", "exec"), scope)
    network = scope[factory]
    assert callable(network)
    torch.save(network().state_dict(), tmp_path / "model.pth")
    with pytest.raises(WeightsMismatch, match=said):
        evaluate_model(
            str(tmp_path / "model.pth"), str(few), arch=f"{tmp_path / 'own.py'}:{factory}",
            normalize="none", device="cpu",
        )  # fmt: skip


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
