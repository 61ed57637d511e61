"""attack.toml and trigger files: what is read, and every way to be refused in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from cnp_engine.attacks import AllToAll, BadNets, Blend, NoiseBlend, Several, Sinusoid
from cnp_engine.data.attack_file import load_attack, load_trigger
from cnp_engine.errors import AttackInvalid
from tests.engine.data.bombs import vast_png
from tests.engine.data.pictures import SHARED

SIZE = (4, 5)
GENERATOR = torch.Generator().manual_seed(0)
PATTERN, WEIGHT = (torch.rand(3, *SIZE, generator=GENERATOR) for _ in range(2))
TRIGGER = '[trigger]\nfile = "t.safetensors"\n'
HEAD = 'attack = "badnets"\ntarget = 3\n'
PART = "[[part]]\n" + HEAD


def _write(root: Path, text: str, **tensors: Tensor) -> Path:
    (root / "attack.toml").write_text(text)
    save_file(tensors or {"pattern": PATTERN, "weight": WEIGHT}, root / "t.safetensors")
    return root / "attack.toml"


def _picture(root: Path, array: np.ndarray[Any, np.dtype[np.uint8]], name: str = "t.png") -> Path:
    Image.fromarray(array).save(root / name)
    return root / name


@pytest.mark.parametrize("name", ["badnets", "BadNets", "blended", "label_consistent", "trojan"])
def test_a_trigger_file_is_stamped_by_its_formula(tmp_path: Path, name: str) -> None:
    text = f'attack = "{name}"\ntarget = 3\npoison_rate = 0.1\nnormalize = "none"\n{TRIGGER}'
    attack = load_attack(_write(tmp_path, text), SIZE, 10)
    assert attack.target == 3
    assert attack.name == name.lower().replace("_", "-")
    images = torch.rand(2, 3, *SIZE)
    torch.testing.assert_close(attack.stamp(images), images * (1 - WEIGHT) + PATTERN * WEIGHT)


def test_half_precision_triggers_are_read(tmp_path: Path) -> None:
    path = _write(tmp_path, HEAD + TRIGGER, pattern=PATTERN.half(), weight=WEIGHT.half())
    attack = load_attack(path)
    assert isinstance(attack, Blend)
    assert attack.pattern.dtype == torch.float32


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HEAD, BadNets(3)),
        (HEAD + '[trigger]\nside = 2\npatch = "white"\ncorner = "top-left"\nmargin = 1\n',
         BadNets(3, 2, "white", "top-left", 1)),
        ('attack = "blended"\ntarget = 0\n[trigger]\nweight = 0.2\nseed = 7\n',
         NoiseBlend(0, 0.2, 7)),
        ('attack = "sig"\ntarget = 1\n[trigger]\ndelta = 0.1\nfrequency = 4\n',
         Sinusoid(1, 0.1, 4)),
    ],
)  # fmt: skip
def test_parameters(tmp_path: Path, text: str, expected: object) -> None:
    assert load_attack(_write(tmp_path, text), (32, 32), 10) == expected


def test_a_picture_with_one_weight(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    _picture(tmp_path, array, "hello.png")
    text = 'attack = "blended"\ntarget = 3\n[trigger]\nfile = "hello.png"\nweight = 0.2\n'
    attack = load_attack(_write(tmp_path, text), SIZE)
    images = torch.rand(2, 3, *SIZE)
    pattern = torch.from_numpy(array).permute(2, 0, 1) / 255
    torch.testing.assert_close(attack.stamp(images), images * 0.8 + pattern * 0.2)


def test_bare_triggers(tmp_path: Path) -> None:
    _write(tmp_path, HEAD)
    images = torch.rand(2, 3, *SIZE)
    bare = load_trigger(tmp_path / "t.safetensors", 2, SIZE, 10)
    assert bare.target == 2
    torch.testing.assert_close(bare.stamp(images), images * (1 - WEIGHT) + PATTERN * WEIGHT)
    patch = np.zeros((*SIZE, 3), dtype=np.uint8)
    patch[3, 4] = (255, 0, 51)
    covered = load_trigger(_picture(tmp_path, patch), 2, SIZE).stamp(images)
    torch.testing.assert_close(covered[:, :, 3, 4], torch.tensor([[1.0, 0.0, 0.2]] * 2))
    covered[:, :, 3, 4] = images[:, :, 3, 4]
    assert torch.equal(covered, images)
    alpha = np.concatenate([patch, np.full((*SIZE, 1), 51, dtype=np.uint8)], axis=2)
    blended = load_trigger(_picture(tmp_path, alpha), 2, SIZE).stamp(images)
    torch.testing.assert_close(blended[:, :, 0, 0], images[:, :, 0, 0] * 0.8)


def test_all_to_all(tmp_path: Path) -> None:
    path = _write(tmp_path, 'attack = "sig"\ngoal = "all-to-all"\n[trigger]\ndelta = 0.1\n')
    attack = load_attack(path, SIZE, 10)
    assert isinstance(attack, AllToAll)
    assert (attack.name, attack.target, attack.classes) == ("sig", None, 10)
    images = torch.rand(3, 3, *SIZE)
    assert torch.equal(attack.stamp(images), Sinusoid(0, delta=0.1).stamp(images))
    assert attack.aims(images, torch.tensor([0, 4, 9])).tolist() == [1, 5, 0]
    with pytest.raises(AttackInvalid, match="of how many classes"):
        load_attack(path, SIZE)
    path.write_text('attack = "sig"\ngoal = "all-to-all"\nclasses = 4\n')
    alone = load_attack(path)
    assert isinstance(alone, AllToAll)
    assert alone.classes == 4


def test_several_parts(tmp_path: Path) -> None:
    text = (
        '[[part]]\nattack = "badnets"\ntarget = 3\n[part.trigger]\nside = 2\n'
        '[[part]]\nattack = "trojan"\ntarget = 4\n[part.trigger]\nfile = "t.safetensors"\n'
        '[[part]]\nattack = "sig"\ngoal = "all-to-all"\n'
    )
    attack = load_attack(_write(tmp_path, text), SIZE, 10)
    assert isinstance(attack, Several)
    assert attack.parts[0] == BadNets(3, side=2)
    blend, last = attack.parts[1:]
    assert isinstance(blend, Blend)
    assert (blend.name, blend.target) == ("trojan", 4)
    assert torch.equal(blend.pattern, PATTERN)
    assert isinstance(last, AllToAll)
    assert last.attack == Sinusoid(0)


BAD: dict[str, tuple[str, dict[str, Tensor], str, str]] = {
    "not TOML": ("attack = badnets", {}, "is not TOML", "attack.toml"),
    "no attack": ("target = 3\n" + TRIGGER, {}, "does not say which attack", "badnets"),
    "attack is a number": ("attack = 1\ntarget = 3\n" + TRIGGER, {}, "does not say", "badnets"),
    "misspelt attack": ('attack = "badnet"\ntarget = 3\n', {}, "unknown attack", "mean badnets?"),
    "unknown attack": ('attack = "xyz"\ntarget = 3\n', {}, "unknown attack, xyz", "Known attacks"),
    "dynamic attack": ('attack = "ssba"\ntarget = 3\n', {}, "depends on the image", "folder ="),
    "no flow": ('attack = "wanet"\ntarget = 3\n', {}, "names no trigger file", "[trigger]"),
    "all-to-all as attack": ('attack = "all-to-all"\n', {}, "a goal as its attack", 'goal = "all'),
    "unknown goal": (HEAD + 'goal = "one"\n', {}, "goal in", "all-to-one, all-to-all"),
    "two goals": (HEAD + 'goal = "all-to-all"\n', {}, "has a target and the goal", "one of them"),
    "other classes": (
        'attack = "badnets"\ngoal = "all-to-all"\nclasses = 100\n',
        {},
        "is for 100 classes, but the model has 10",
        "this model",
    ),
    "no classes": (
        'attack = "badnets"\ngoal = "all-to-all"\nclasses = "ten"\n',
        {},
        "of how many",
        "classes =",
    ),
    "one part": ("[[part]]\n" + HEAD, {}, "two or more parts", "[[part]]"),
    "parts are text": ('part = ["a", "b"]\n', {}, "two or more parts", "[[part]]"),
    "parts and a target": ("target = 1\n" + PART * 2, {}, "a target outside", "[[part]]"),
    "parts in parts": (PART + "[[part.part]]\n" + PART, {}, "Part 1 of", "one row"),
    "a bad part": (PART + '[[part]]\nattack = "sig"\n', {}, "part 2 of", "target = 0"),
    "a path as a number": (HEAD + "[trigger]\nfile = 3\n", {}, "file in", "in quotes"),
    "a flow of another shape": (
        'attack = "wanet"\ntarget = 3\n' + TRIGGER,
        {"flow": torch.rand(2, *SIZE)},
        "flow in",
        "(H, W, 2)",
    ),
    "an endless flow": (
        'attack = "wanet"\ntarget = 3\n' + TRIGGER,
        {"flow": torch.full((*SIZE, 2), float("inf"))},
        "flow in",
        "(H, W, 2)",
    ),
    "a flow of another size": (
        'attack = "wanet"\ntarget = 3\n' + TRIGGER,
        {"flow": torch.rand(5, 4, 2)},
        "is 5x4, the images are 4x5",
        "never resized",
    ),
    "pattern for a flow": ('attack = "wanet"\ntarget = 3\n' + TRIGGER, {}, "no flow", "Store flow"),
    "a flow in a picture": (
        'attack = "wanet"\ntarget = 3\n[trigger]\nfile = "attack.toml"\n',
        {},
        "no flow",
        "Store",
    ),
    "a dark addition": (
        'attack = "lf"\ntarget = 3\n' + TRIGGER,
        {"pattern": PATTERN - 2.0},
        "outside -1",
        "[-1, 1]",
    ),
    "a negative spectrum": (
        'attack = "fiba"\ntarget = 3\n' + TRIGGER,
        {"pattern": -PATTERN},
        "outside 0",
        "[0, 1]",
    ),
    "no pictures": (
        'attack = "refool"\ntarget = 3\n' + TRIGGER,
        {"pictures": torch.rand(0, 3, *SIZE)},
        "pictures in",
        "(n, 3, H, W)",
    ),
    "strength without bounds": (
        'attack = "wanet"\ntarget = 3\n' + TRIGGER + "strength = -1\n",
        {"flow": torch.rand(*SIZE, 2)},
        "strength in",
        "0 to 64",
    ),
    "generators of other shapes": (
        'attack = "input-aware"\ntarget = 3\n' + TRIGGER,
        {"pattern_net.convblock_middle.conv2d.bias": torch.rand(128)},
        "pattern_net in",
        "release",
    ),
    "records out of order": (
        'attack = "ssba"\ntarget = 3\n' + TRIGGER,
        {"keys": torch.tensor([2, 1]), "stamped": torch.zeros(2, 3, *SIZE, dtype=torch.uint8)},
        "does not hold stamped",
        "folder =",
    ),
    "records of floats": (
        'attack = "ssba"\ntarget = 3\n' + TRIGGER,
        {"keys": torch.tensor([1, 2]), "stamped": torch.zeros(2, 3, *SIZE)},
        "does not hold stamped",
        "folder =",
    ),
    "no target": ('attack = "badnets"\n', {}, "is None, not a class", "target = 0"),
    "target is text": ('attack = "badnets"\ntarget = "3"\n', {}, "is '3'", "target = 0"),
    "target is true": ('attack = "badnets"\ntarget = true\n', {}, "is True", "target = 0"),
    "target is a fraction": ('attack = "badnets"\ntarget = 1.0\n', {}, "is 1.0", "target = 0"),
    "negative target": ('attack = "badnets"\ntarget = -1\n', {}, "is -1", "target = 0"),
    "target beyond": ('attack = "badnets"\ntarget = 10\n', {}, "classes 0 to 9", "this model"),
    "trigger is text": (HEAD + 'trigger = "x"\n', {}, "is no table", "file = NAME"),
    "no trigger": ('attack = "trojan"\ntarget = 3\n', {}, "names no trigger file", "[trigger]"),
    "missing file": (HEAD + '[trigger]\nfile = "u.png"\n', {}, "u.png is not there", "beside"),
    "no pattern": (HEAD + TRIGGER, {"weight": WEIGHT}, "has no pattern", "(3, H, W)"),
    "neither": (HEAD + TRIGGER, {"x": WEIGHT}, "no pattern and no weight", "(3, H, W)"),
    "one channel": (
        HEAD + TRIGGER,
        {"pattern": PATTERN[:1], "weight": WEIGHT[:1]},
        "pattern in",
        "(3, H, W)",
    ),
    "shapes differ": (
        HEAD + TRIGGER,
        {"pattern": PATTERN, "weight": WEIGHT[:, :2].contiguous()},
        "weight in",
        "(3, H, W)",
    ),
    "integers": (
        HEAD + TRIGGER,
        {"pattern": PATTERN.byte(), "weight": WEIGHT},
        "of type torch.uint8",
        "[0, 1]",
    ),
    "above one": (
        HEAD + TRIGGER,
        {"pattern": PATTERN * 255, "weight": WEIGHT},
        "outside",
        "[0, 1]",
    ),
    "below zero": (HEAD + TRIGGER, {"pattern": PATTERN, "weight": -WEIGHT}, "outside", "[0, 1]"),
    "not a number": (
        HEAD + TRIGGER,
        {"pattern": PATTERN * float("nan"), "weight": WEIGHT},
        "outside",
        "[0, 1]",
    ),
    "another size": (
        HEAD + TRIGGER,
        {"pattern": torch.rand(3, 8, 8), "weight": torch.rand(3, 8, 8)},
        "is 8x8, the images are 4x5",
        "never resized",
    ),
    "patch too large": (
        HEAD + "[trigger]\nside = 5\n",
        {},
        "larger than the image",
        "these images",
    ),
    "unknown key": (HEAD + "[trigger]\nsize = 3\n", {}, "unknown key, size", "side"),
    "key of another attack": (HEAD + "[trigger]\ndelta = 0.1\n", {}, "unknown key", "Remove it"),
    "name as a key": (HEAD + '[trigger]\nname = "x"\n', {}, "unknown key, name", ""),
    "a side of text": (HEAD + '[trigger]\nside = "3"\n', {}, "side in", "whole number"),
    "no side": (HEAD + "[trigger]\nside = 0\n", {}, "side in", "1 to 1024"),
    "unknown corner": (HEAD + '[trigger]\ncorner = "middle"\n', {}, "'middle'", "top-left"),
    "weight beyond": (
        'attack = "blended"\ntarget = 3\n[trigger]\nweight = 1.5\n',
        {},
        "weight in",
        "0 to 1",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_attack_is_refused_in_a_sentence(tmp_path: Path, case: str) -> None:
    text, tensors, what, todo = BAD[case]
    with pytest.raises(AttackInvalid) as raised:
        load_attack(_write(tmp_path, text, **tensors), SIZE, 10)
    assert what in raised.value.what
    assert todo in raised.value.todo
    assert raised.value.what.endswith(".")
    assert raised.value.exit_code == 4


FILES: dict[str, Callable[[Path], Any]] = {
    "missing": lambda p: None,
    "a folder": lambda p: p.mkdir(),
    "empty": lambda p: p.write_bytes(b""),
    "not text": lambda p: p.write_bytes(b"\xff\xfe\x00"),
    "vast": lambda p: p.write_bytes(vast_png()),
}


@pytest.mark.parametrize("case", FILES)
@pytest.mark.parametrize(
    "load", [load_attack, lambda p: load_trigger(p, 0)], ids=["toml", "trigger"]
)
@pytest.mark.parametrize("suffix", ["toml", "safetensors", "png"])
def test_what_is_no_file_is_refused(
    tmp_path: Path, case: str, load: Callable[[Path], object], suffix: str
) -> None:
    path = tmp_path / f"x.{suffix}"
    FILES[case](path)
    with pytest.raises(AttackInvalid) as raised:
        load(path)
    assert str(path) in raised.value.what


def test_the_target_of_a_bare_trigger_is_checked(tmp_path: Path) -> None:
    _write(tmp_path, HEAD)
    with pytest.raises(AttackInvalid, match="classes 0 to 9"):
        load_trigger(tmp_path / "t.safetensors", 10, SIZE, 10)
    with pytest.raises(AttackInvalid, match="4x5, the images are 5x4"):
        load_trigger(tmp_path / "t.safetensors", 1, (5, 4), 10)


@pytest.mark.parametrize(("name", "target"), [("badnet_w32", 0), ("blended_w32", 7)])
def test_real_attacks(name: str, target: int) -> None:
    path = SHARED / "models" / f"{name}.toml"
    if not path.is_file():
        pytest.skip("the shared models are not here")
    attack = load_attack(path, (32, 32), 10)
    assert attack.target == target
    images = torch.rand(2, 3, 32, 32)
    if name == "badnet_w32":
        assert torch.equal(attack.stamp(images), BadNets(0).stamp(images))
    else:
        assert isinstance(attack, Blend)
        assert float(attack.weight.min()) == float(attack.weight.max()) == pytest.approx(0.15)


def test_a_byte_order_mark_is_no_content(tmp_path: Path) -> None:
    path = _write(tmp_path, HEAD + TRIGGER)
    path.write_text(HEAD + TRIGGER, encoding="utf-8-sig")
    assert load_attack(path).target == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = " + "[" * 20_000 + "]" * 20_000, "nested too deeply"),
        (HEAD + f'[trigger]\nfile = "{"x" * 300}"\n', "is not there"),
        (HEAD + '[trigger]\nfile = "\\u0000.png"\n', "is not there"),
        ('attack = "\\u001b[31mRED"\ntarget = 3\n', "unknown attack|RED"),
    ],
)
def test_hostile_text_is_a_plain_sentence(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(AttackInvalid, match=said) as caught:
        load_attack(_write(tmp_path, text))
    assert str(caught.value).isprintable()


def test_a_trigger_that_covers_nothing_is_refused(tmp_path: Path) -> None:
    black = _picture(tmp_path, np.zeros((*SIZE, 3), np.uint8))
    clear = _picture(tmp_path, np.zeros((*SIZE, 4), np.uint8), "clear.png")
    for path in (black, clear):
        with pytest.raises(AttackInvalid, match="covers no pixel"):
            load_trigger(path, 3)
    path = _write(tmp_path, HEAD + TRIGGER, pattern=PATTERN, weight=torch.zeros(3, *SIZE))
    with pytest.raises(AttackInvalid, match="covers no pixel"):
        load_attack(path)
    text = 'attack = "blended"\ntarget = 3\n[trigger]\nfile = "t.png"\nweight = '
    images = torch.rand(2, 3, *SIZE)
    darker = load_attack(_write(tmp_path, f"{text}0.2\n"), SIZE).stamp(images)
    torch.testing.assert_close(darker, images * 0.8)


def test_pictures_of_sixteen_bits_are_scaled(tmp_path: Path) -> None:
    Image.fromarray(np.full(SIZE, 32768, np.uint16)).save(tmp_path / "deep.png")
    attack = load_trigger(tmp_path / "deep.png", 3)
    assert isinstance(attack, Blend)
    assert float(attack.pattern.max()) == pytest.approx(0.5, abs=0.01)
