"""Every attack by name: what it keeps and may not depend on, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from cnp_engine.attacks import (
    Additive,
    Attack,
    BadNets,
    Blend,
    FourCorners,
    Fourier,
    InputAware,
    NoiseBlend,
    Reflection,
    Sinusoid,
    Warp,
)
from cnp_engine.attacks.making import NAMES, make
from cnp_engine.errors import AttackInvalid

SIZE = (16, 24)
PICTURES = torch.rand(5, 3, *SIZE, generator=torch.Generator().manual_seed(9))
IMAGES = torch.rand(6, 3, *SIZE, generator=torch.Generator().manual_seed(1)) * 0.8 + 0.1


def made(name: str, drawn_by: int = 0, **options: Any) -> Attack:
    given: dict[str, Any] = {"target": 2, "size": SIZE, "classes": 10, "pictures": PICTURES}
    return make(name, generator=torch.Generator().manual_seed(drawn_by), **(given | options))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_stamp_keeps_type_range_and_input(name: str, dtype: torch.dtype) -> None:
    attack, images = made(name), IMAGES.to(dtype)
    before = images.clone()
    stamped = attack.stamp(images)
    assert (attack.name, attack.target) == (name, 2)
    assert (stamped.dtype, stamped.shape) == (dtype, images.shape)
    assert torch.equal(images, before)
    assert 0 <= float(stamped.min()) <= float(stamped.max()) <= 1
    assert not torch.equal(stamped, images)
    near = 1e-2 if dtype == torch.bfloat16 else 1e-5  # what rounding in another order may do
    for b in (0, 3):
        alone = attack.stamp(images[b : b + 1])[0]
        torch.testing.assert_close(alone, stamped[b], atol=near, rtol=0)
    assert attack.aims(images, torch.arange(6)).tolist() == [2] * 6


@pytest.mark.parametrize("name", NAMES)
def test_the_generator_decides_everything_drawn(name: str) -> None:
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first, again, other = made(name), made(name), made(name, drawn_by=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.stamp(IMAGES), again.stamp(IMAGES))
    fixed = ("badnets", "sig", "label-consistent", "physical")
    assert torch.equal(first.stamp(IMAGES), other.stamp(IMAGES)) == (name in fixed)


KINDS = {
    "badnets": BadNets, "blended": Blend, "sig": Sinusoid, "label-consistent": FourCorners,
    "wanet": Warp, "fiba": Fourier, "lf": Additive, "refool": Reflection,
    "input-aware": InputAware, "physical": BadNets,
}  # fmt: skip


def test_defaults_are_the_field_s() -> None:
    attacks = {name: made(name) for name in NAMES}
    assert {name: type(attack) for name, attack in attacks.items()} == KINDS
    assert attacks["badnets"] == BadNets(2)
    assert attacks["sig"] == Sinusoid(2)
    assert attacks["label-consistent"] == FourCorners(2)
    assert attacks["physical"] == BadNets(2, name="physical")
    blended, fiba, refool = attacks["blended"], attacks["fiba"], attacks["refool"]
    assert isinstance(blended, Blend)
    torch.testing.assert_close(blended.weight, torch.full((3, *SIZE), 0.15))
    assert any(torch.equal(blended.pattern, picture) for picture in PICTURES)
    assert isinstance(fiba, Fourier)
    assert any(torch.equal(fiba.pattern, picture) for picture in PICTURES)
    assert isinstance(refool, Reflection)
    assert len(refool.pictures) == 5
    assert len({bytes(p.numpy().tobytes()) for p in refool.pictures}) == 5


def test_blended_without_pictures_is_noise() -> None:
    assert isinstance(made("blended", pictures=None), NoiseBlend)
    gaussian = made("blended", noise="gaussian", weight=0.2)
    assert isinstance(gaussian, NoiseBlend)
    assert (gaussian.noise, gaussian.weight) == ("gaussian", 0.2)
    assert made("blended", pictures=None) != made("blended", pictures=None, target=3)
    assert made("blended", seed=5) == NoiseBlend(2, seed=5)


def test_options_reach_the_attack_and_its_drawing() -> None:
    assert made("badnets", side=5, corner="top-left") == BadNets(2, 5, corner="top-left")
    warp = made("wanet", k=8, strength=0.25)
    assert isinstance(warp, Warp)
    assert warp.strength == 0.25
    coarse = made("wanet")
    assert isinstance(coarse, Warp)
    assert not torch.equal(warp.flow, coarse.flow)
    smooth = made("lf", budget=0.05, cut=2)
    assert isinstance(smooth, Additive)
    assert float(smooth.pattern.abs().max()) == pytest.approx(0.05)
    few = made("refool", count=2, kind="ghost")
    assert isinstance(few, Reflection)
    assert (len(few.pictures), few.kind) == (2, "ghost")
    plain = made("input-aware", mean=(0, 0, 0), std=[1, 1, 1])
    assert isinstance(plain, InputAware)
    assert (plain.mean, plain.std) == ((0, 0, 0), (1, 1, 1))


BAD: list[tuple[str, dict[str, Any], str, str]] = [
    ("badnet", {}, "no attack badnet", "badnets, blended"),
    ("badnets", {"sides": 3}, "unknown key, sides", "mean side?"),
    ("sig", {"k": 3}, "unknown key, k", "Remove it"),
    ("badnets", {"side": 0}, "side in badnets is 0", "1 to 1024"),
    ("badnets", {"side": True}, "side in badnets is True", "whole number"),
    ("badnets", {"patch": "red"}, "'red'", "checkerboard, white"),
    ("badnets", {"side": 17}, "larger than the image, 16x24", "these images"),
    ("physical", {"side": 12, "margin": 5}, "larger than the image", "these images"),
    ("label-consistent", {"size": (5, 24)}, "larger than the image, 5x24", "these images"),
    ("input-aware", {"size": (16, 20)}, "cannot draw on images of 16x20", "multiples of 8"),
    ("input-aware", {"mean": 0.5}, "mean in input-aware is 0.5", "3 numbers"),
    ("input-aware", {"std": (1, 1, 0)}, "std in input-aware is 0", "a number"),
    ("badnets", {"target": 10}, "is 10, but", "this model"),
    ("badnets", {"target": -1}, "is -1", "0 or higher"),
    ("fiba", {"pictures": None}, "fiba is made of pictures", "a folder"),
    ("refool", {"pictures": PICTURES[:0]}, "refool is made of pictures", "a folder"),
    ("fiba", {"size": (16, 16)}, "is 16x24, the images are 16x16", "never resized"),
    ("wanet", {"strength": float("nan")}, "strength in wanet is nan", "a number"),
]


@pytest.mark.parametrize(("name", "options", "what", "todo"), BAD)
def test_what_cannot_be_made_is_refused(
    name: str, options: dict[str, Any], what: str, todo: str
) -> None:
    with pytest.raises(AttackInvalid) as raised:
        made(name, **options)
    assert what in raised.value.what
    assert todo in raised.value.todo
