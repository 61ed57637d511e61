"""What is written of an attack is read as the same attack, bit for bit."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cnp_engine.attacks import (
    AllToAll,
    Attack,
    BadNets,
    FourCorners,
    InputAware,
    NoiseBlend,
    Recorded,
    Reflection,
    Several,
    Sinusoid,
    Warp,
    place,
    warp_field,
)
from cnp_engine.attacks.input_aware import trigger_net
from cnp_engine.attacks.making import NAMES, make
from cnp_engine.data.attack_file import load_attack, write_attack

SIZE = (16, 8)
DRAWS = torch.Generator().manual_seed(3)
PICTURES = torch.rand(3, 3, *SIZE, generator=DRAWS)
PIXELS = (PICTURES * 255).byte()
IMAGES = torch.rand(4, 3, *SIZE, generator=DRAWS)


def made(name: str, target: int = 2) -> Attack:
    return make(
        name, target=target, size=SIZE, classes=10, pictures=PICTURES,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip


def nets() -> tuple[nn.Module, nn.Module]:
    both = trigger_net(3, DRAWS), trigger_net(1, DRAWS)
    both[0].train()(torch.rand(4, 3, *SIZE, generator=DRAWS))  # statistics of its own
    return both


ATTACKS: dict[str, Attack] = {
    **{name: made(name) for name in NAMES},
    "badnets with parameters": BadNets(9, 5, "white", "top-left", 2, "badnets"),
    "noise": NoiseBlend(1, 0.1 + 0.2, 2**63 - 1, "gaussian"),
    "sinusoid": Sinusoid(1, 1 / 3, 1e-300),
    "four corners": FourCorners(0, 16 / 255),
    "warp": Warp(1, warp_field(SIZE, DRAWS).double(), strength=1 / 7),
    "ghost": Reflection(3, PICTURES, "ghost", 0.6, 2.5, 3, 0.1),
    "placed": place(PICTURES[0, :, :3, :3], SIZE, 4, "top-right", 1, 0.3, "trojan"),
    "generators": InputAware(1, *nets(), mean=(0.0, 0.1, 1 / 3), std=(1.0, 0.5, 0.7)),
    "recorded": Recorded.of(5, PIXELS, 255 - PIXELS, "ssba"),
    "all to all": AllToAll(BadNets(0), 10),
    "all to all by tensors": AllToAll(made("wanet", 0), 10),
    "several": Several((made("wanet"), BadNets(3), made("refool", 7)), "three"),
    "several to all": AllToAll(Several((BadNets(3), Sinusoid(4))), 10),
    "several goals": Several((AllToAll(made("lf", 0), 10), made("fiba", 1))),
}


def same(one: Any, other: Any) -> bool:
    """Of one type, with fields of the same types and bits."""
    if type(one) is not type(other):
        return False
    if isinstance(one, Tensor):
        return one.dtype == other.dtype and one.shape == other.shape and torch.equal(one, other)
    if isinstance(one, nn.Module):
        return same(dict(one.state_dict()), dict(other.state_dict()))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if dataclasses.is_dataclass(one):
        names = [field.name for field in dataclasses.fields(one)]
        return all(same(getattr(one, name), getattr(other, name)) for name in names)
    return bool(one == other)


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_read_as_it_was_written(tmp_path: Path, name: str) -> None:
    attack = ATTACKS[name]
    path = write_attack(tmp_path / "new", attack, {"poison_rate": 0.1, "normalize": "none"})
    assert path == tmp_path / "new" / "attack.toml"
    again = load_attack(path, SIZE, 10)
    assert same(attack, again)
    torch.testing.assert_close(again.stamp(IMAGES), attack.stamp(IMAGES), atol=1e-6, rtol=0)
    labels = torch.arange(4)
    assert torch.equal(again.aims(IMAGES, labels), attack.aims(IMAGES, labels))
    table = tomllib.loads(path.read_text())
    assert (table["poison_rate"], table["normalize"]) == (0.1, "none")


def test_what_is_compared_would_differ() -> None:
    assert not same(made("wanet"), dataclasses.replace(made("wanet"), strength=0.4))  # type: ignore[type-var]
    other = ATTACKS["generators"]
    assert isinstance(other, InputAware)
    assert not same(other, dataclasses.replace(other, pattern_net=trigger_net(3, DRAWS)))


def test_the_files_are_those_it_needs(tmp_path: Path) -> None:
    write_attack(tmp_path, BadNets(1), {"normalize": None})
    assert [file.name for file in tmp_path.iterdir()] == ["attack.toml"]
    assert "normalize" not in (tmp_path / "attack.toml").read_text()
    write_attack(tmp_path, made("wanet"), {})
    assert {file.name for file in tmp_path.iterdir()} == {"attack.toml", "trigger.safetensors"}
    write_attack(tmp_path / "many", ATTACKS["several"], {})
    assert {file.name for file in (tmp_path / "many").iterdir()} == {
        "attack.toml", "trigger-1.safetensors", "trigger-3.safetensors",
    }  # fmt: skip
