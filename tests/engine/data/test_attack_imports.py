"""Files of other tools, made in the layouts they publish, and what is wrong with others."""

from __future__ import annotations

import argparse
import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor

from cnp_engine.attacks import Blend, FourCorners, InputAware, Warp, warp_field
from cnp_engine.attacks.input_aware import CIFAR_MEAN, CIFAR_STD, TriggerNet, trigger_net
from cnp_engine.data.attack_file import load_attack
from cnp_engine.data.attack_imports import is_torch_file
from cnp_engine.errors import AttackInvalid
from tests.engine.models.hostile import Calls

SIZE = (16, 16)
IMAGES = torch.rand(3, 3, *SIZE, generator=torch.Generator().manual_seed(0))


def wrong(path: Path, *, size: tuple[int, int] = SIZE, classes: int = 10) -> AttackInvalid:
    with pytest.raises(AttackInvalid) as raised:
        load_attack(path, size, classes)
    error = raised.value
    assert error.what.endswith(".")
    assert error.todo.endswith(".")
    return error


# --- WaNet ------------------------------------------------------------------------------------


def grids(seed: int = 0) -> tuple[Tensor, Tensor]:
    """identity_grid and noise_grid as BackdoorBox's gen_grid makes them."""
    noise = warp_field(SIZE, torch.Generator().manual_seed(seed))[None]
    array = torch.linspace(-1, 1, steps=SIZE[0])
    x, y = torch.meshgrid(array, array, indexing="ij")
    return torch.stack((y, x), 2)[None, ...], noise


def toml(root: Path, trigger: str, attack: str = "wanet") -> Path:
    path = root / "attack.toml"
    path.write_text(f'attack = "{attack}"\ntarget = 1\n[trigger]\n{trigger}\n')
    return path


GRIDS = 'identity_grid = "identity_grid.pth"\nnoise_grid = "noise_grid.pth"'


@pytest.mark.parametrize("strength", [0.5, 1.0])
@pytest.mark.parametrize("layout", ["two files", "noise alone", "checkpoint"])
def test_wanet_grids(tmp_path: Path, layout: str, strength: float) -> None:
    identity, noise = grids()
    torch.save(identity, tmp_path / "identity_grid.pth")
    torch.save(noise, tmp_path / "noise_grid.pth")
    state = {
        "netC": {"conv1.weight": torch.rand(3)}, "best_clean_acc": torch.tensor(0.9),
        "epoch_current": 3, "identity_grid": identity, "noise_grid": noise,
    }  # fmt: skip
    torch.save(state, tmp_path / "cifar10_all2one_morph.pth.tar")
    named = {
        "two files": GRIDS,
        "noise alone": 'noise_grid = "noise_grid.pth"',
        "checkpoint": 'checkpoint = "cifar10_all2one_morph.pth.tar"',
    }[layout]
    attack = load_attack(toml(tmp_path, f"{named}\nstrength = {strength}"), SIZE, 10)
    assert isinstance(attack, Warp)
    assert (attack.name, attack.target) == ("wanet", 1)
    grid = torch.clamp(identity + strength * noise / SIZE[0], -1, 1)
    wanted = F.grid_sample(IMAGES, grid.repeat(3, 1, 1, 1), align_corners=True)
    torch.testing.assert_close(attack.stamp(IMAGES), wanted, atol=1e-6, rtol=0)


def test_bad_grids(tmp_path: Path) -> None:
    identity, noise = grids()
    torch.save(identity.flip(3), tmp_path / "identity_grid.pth")
    torch.save(noise, tmp_path / "noise_grid.pth")
    path = toml(tmp_path, GRIDS)
    assert "is not where the pixels" in wrong(path).what
    torch.save(identity, tmp_path / "identity_grid.pth")
    assert "is 16x16, the images are 32x32" in wrong(path, size=(32, 32)).what
    for bad, what in (
        (noise[0], "holds no noise_grid"),
        ({"noise": noise}, "holds no noise_grid"),
        (noise.permute(0, 3, 1, 2), "holds no noise_grid"),
        (noise.long(), "type torch.int64"),
        (noise * float("nan"), "outside"),
    ):
        torch.save(bad, tmp_path / "noise_grid.pth")
        assert what in wrong(path).what
    (tmp_path / "noise_grid.pth").unlink()
    assert "noise_grid.pth is not there" in wrong(path).what
    torch.save({"netC": {}}, tmp_path / "c.pth")
    assert "holds no noise_grid" in wrong(toml(tmp_path, 'checkpoint = "c.pth"')).what
    alone = wrong(toml(tmp_path, 'identity_grid = "identity_grid.pth"'))
    assert "names no trigger file" in alone.what


# --- Input-aware ------------------------------------------------------------------------------


@functools.cache
def release() -> dict[str, Any]:
    """The checkpoint of the release's train.py, optimisers and options included."""
    draws = torch.Generator().manual_seed(5)
    net_g, net_m = trigger_net(3, draws), trigger_net(1, draws)
    head = torch.nn.Linear(3, 10)
    adam = torch.optim.Adam(net_g.parameters(), 0.01, betas=(0.5, 0.9))
    schedule = torch.optim.lr_scheduler.MultiStepLR(adam, [200, 300, 400, 500], 0.1)
    net_g(IMAGES).sum().backward()
    adam.step()
    schedule.step()
    options = argparse.Namespace(
        dataset="cifar10", attack_mode="all2one", target_label=0, lambda_div=1, device="cuda",
        schedulerC_milestones=[100, 200, 300, 400], mask_density=0.032, EPSILON=1e-7,
    )  # fmt: skip
    return {
        "netC": head.state_dict(), "netG": net_g.state_dict(), "netM": net_m.state_dict(),
        "optimizerC": torch.optim.SGD(head.parameters(), 0.1).state_dict(),
        "optimizerG": adam.state_dict(), "schedulerG": schedule.state_dict(),
        "best_acc_clean": torch.tensor(94.1), "best_acc_bd": torch.tensor(99.3),
        "best_acc_cross": 88.0, "epoch": 600, "opt": options,
    }  # fmt: skip


CHECKPOINT = 'checkpoint = "all2one_cifar10_ckpt.pth.tar"'


@pytest.mark.parametrize(
    ("dataset", "trigger", "mean", "std"),
    [
        ("cifar10", "", CIFAR_MEAN, CIFAR_STD),
        ("gtsrb", "", (0, 0, 0), (1, 1, 1)),
        ("gtsrb", "mean = [0.5, 0.5, 0.5]", (0.5, 0.5, 0.5), (1, 1, 1)),
    ],
)
def test_input_aware_checkpoints(
    tmp_path: Path, dataset: str, trigger: str, mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    state = release() | {"opt": argparse.Namespace(dataset=dataset)}
    torch.save(state, tmp_path / "all2one_cifar10_ckpt.pth.tar")
    attack = load_attack(toml(tmp_path, f"{CHECKPOINT}\n{trigger}", "input-aware"), SIZE, 10)
    assert isinstance(attack, InputAware)
    assert (attack.mean, attack.std) == (mean, std)
    nets = (TriggerNet(3), TriggerNet(1))
    for net, key in zip(nets, ("netG", "netM"), strict=True):
        net.load_state_dict(state[key])
    wanted = InputAware(1, *nets, attack.mean, attack.std)
    torch.testing.assert_close(attack.stamp(IMAGES), wanted.stamp(IMAGES), atol=1e-6, rtol=0)
    assert not any(p.requires_grad for p in attack.pattern_net.parameters())


def test_a_whole_checkpoint_with_all_its_options_is_read(tmp_path: Path) -> None:
    torch.save(release(), tmp_path / "all2one_cifar10_ckpt.pth.tar")
    assert load_attack(toml(tmp_path, CHECKPOINT, "input-aware"), SIZE, 10).target == 1


CUT: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "no generator": (lambda s: {k: v for k, v in s.items() if k != "netG"}, "holds no netG"),
    "no mask": (lambda s: s | {"netM": 3}, "holds no netM"),
    "exchanged": (lambda s: s | {"netM": s["netG"]}, "mask_net in"),
    "a weight less": (lambda s: s | {"netG": dict(list(s["netG"].items())[1:])}, "at convblock"),
    "a weight more": (lambda s: s | {"netG": {**s["netG"], "x": torch.rand(1)}}, "at x"),
    "not a number": (
        lambda s: s | {"netG": {k: v * float("nan") for k, v in s["netG"].items()}}, "no numbers",
    ),
    "a list": (lambda s: [s["netG"], s["netM"]], "holds no netG"),
}  # fmt: skip


@pytest.mark.parametrize("case", CUT)
def test_bad_generators(tmp_path: Path, case: str) -> None:
    change, what = CUT[case]
    torch.save(change(release()), tmp_path / "all2one_cifar10_ckpt.pth.tar")
    assert what in wrong(toml(tmp_path, CHECKPOINT, "input-aware")).what


# --- ANP --------------------------------------------------------------------------------------


def trigger_info(kind: str = "corner", **changes: Any) -> dict[str, Any]:
    """As ANP's poison_cifar.py makes it, for images of 16 x 16."""
    rng = np.random.default_rng(0)
    pattern = np.zeros((16, 16, 1), dtype=np.uint8) + 122
    mask = np.zeros((16, 16, 1), dtype=np.uint8)
    value = [[0, 0, 255], [0, 255, 0], [255, 0, 255]]
    if kind == "corner":
        pattern[13:, 13:, 0], mask[13:, 13:] = value, 1
    if kind == "four corners":
        for centre in (1, 14):
            for h in (-1, 0, 1):
                for w in (-1, 0, 1):
                    pattern[centre + h, 14 + w, 0] = value[h + 1][w + 1]
                    pattern[centre + h, 1 + w, 0] = value[h + 1][-w - 2]
                    mask[centre + h, 14 + w] = mask[centre + h, 1 + w] = 1
    if kind == "noise":
        pattern = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        mask = np.ones((16, 16, 1), dtype=np.uint8)
    return {
        "trigger_pattern": pattern[np.newaxis, :, :, :], "trigger_mask": mask[np.newaxis, :, :, :],
        "trigger_alpha": 0.2 if kind == "noise" else 1.0, "poison_target": np.array([3]),
        "data_index": rng.choice(50000, 2500, replace=False),
    } | changes  # fmt: skip


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("kind", ["corner", "four corners", "noise"])
def test_trigger_info(tmp_path: Path, kind: str, named: bool, legacy: bool) -> None:
    info, path = trigger_info(kind), tmp_path / "trigger_info.th"
    torch.save(info, path, _use_new_zipfile_serialization=not legacy)
    if named:
        path = tmp_path / "attack.toml"
        path.write_text('attack = "badnets"\ntarget = 3\n[trigger]\nfile = "trigger_info.th"\n')
    attack = load_attack(path, SIZE, 10)
    assert isinstance(attack, Blend)
    assert (attack.name, attack.target) == ("badnets" if named else "trigger", 3)
    data = np.random.default_rng(1).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
    mask, alpha = info["trigger_mask"], info["trigger_alpha"]
    mixed = (1 - mask) * data + mask * ((1 - alpha) * data + alpha * info["trigger_pattern"])
    images = torch.from_numpy(data).permute(0, 3, 1, 2) / 255
    got = attack.stamp(images).permute(0, 2, 3, 1) * 255
    np.testing.assert_allclose(got.numpy(), mixed, atol=1e-3)
    if kind == "four corners":
        torch.testing.assert_close(attack.stamp(images), FourCorners(3).stamp(images))


def test_trigger_info_of_two_dimensions_and_tensors(tmp_path: Path) -> None:
    whole = trigger_info()
    flat = {k: torch.from_numpy(whole[k][0, :, :, 0]) for k in ("trigger_pattern", "trigger_mask")}
    torch.save(whole | flat | {"poison_target": 3}, tmp_path / "flat.th")
    torch.save(whole, tmp_path / "whole.th")
    one, other = (load_attack(tmp_path / f"{name}.th", SIZE, 10) for name in ("flat", "whole"))
    assert one.target == other.target == 3
    assert torch.equal(one.stamp(IMAGES), other.stamp(IMAGES))


ODD: dict[str, tuple[Any, str]] = {
    "a state dict": ({"conv1.weight": torch.rand(3)}, "is no trigger_info.th"),
    "a tensor": (torch.rand(3), "is no trigger_info.th"),
    "many targets": (trigger_info(poison_target=np.arange(10)), "other targets for other images"),
    "half a target": (trigger_info(poison_target=np.array([0.5])), "other targets"),
    "no class": (trigger_info(poison_target=np.array([-1])), "is -1, not a class"),
    "another class": (trigger_info(poison_target=np.array([10])), "classes 0 to 9"),
    "two masks": (
        trigger_info(trigger_mask=np.ones((2, 16, 16, 1))), "trigger_mask in", ),
    "two channels": (trigger_info(trigger_mask=np.ones((1, 16, 16, 2))), "trigger_mask in"),
    "another mask": (trigger_info(trigger_mask=np.ones((1, 8, 8, 1))), "do not fit together"),
    "two alphas": (trigger_info(trigger_alpha=np.array([0.1, 0.2])), "do not fit together"),
    "too bright": (trigger_info(trigger_pattern=np.full((1, 16, 16, 1), 256.0)), "outside 0 to 1"),
    "too opaque": (trigger_info(trigger_alpha=1.5), "outside 0 to 1"),
    "text": (trigger_info(trigger_alpha="much"), "trigger_alpha in"),
}  # fmt: skip


@pytest.mark.parametrize("case", ODD)
def test_bad_trigger_info(tmp_path: Path, case: str) -> None:
    content, what = ODD[case]
    torch.save(content, tmp_path / "trigger_info.th")
    assert what in wrong(tmp_path / "trigger_info.th").what


def test_trigger_info_has_to_be_what_attack_toml_says(tmp_path: Path) -> None:
    torch.save(trigger_info(), tmp_path / "trigger_info.th")
    assert (
        "is 16x16, the images are 32x32" in wrong(tmp_path / "trigger_info.th", size=(32, 32)).what
    )
    error = wrong(toml(tmp_path, 'file = "trigger_info.th"', "badnets"))
    assert "aims at class 3, attack.toml says 1" in error.what


# --- untrusted --------------------------------------------------------------------------------

TRIGGERS = {
    "wanet": 'noise_grid = "evil.pth"',
    "input-aware": 'checkpoint = "evil.pth"',
    "badnets": 'file = "evil.pth"',
}


@pytest.mark.parametrize("attack", TRIGGERS)
def test_nothing_a_file_says_is_run(tmp_path: Path, attack: str) -> None:
    canary = tmp_path / "canary"
    evil = {"netG": Calls(os.system, f"touch {canary}"), **trigger_info()}
    torch.save(evil, tmp_path / "evil.pth")
    error = wrong(toml(tmp_path, TRIGGERS[attack], attack))
    assert "would import" in error.what
    assert "system" in error.what
    assert not canary.exists()
    if attack == "badnets":
        assert "would import" in wrong(tmp_path / "evil.pth").what


@pytest.mark.parametrize("attack", TRIGGERS)
def test_damaged_files(tmp_path: Path, attack: str) -> None:
    torch.save(release(), tmp_path / "whole.pth")
    (tmp_path / "evil.pth").write_bytes((tmp_path / "whole.pth").read_bytes()[:5000])
    assert "damaged or cut short" in wrong(toml(tmp_path, TRIGGERS[attack], attack)).what


def test_a_safetensors_file_is_no_pickle_whatever_the_length_of_its_header(tmp_path: Path) -> None:
    lengths = set()
    for padding in range(0, 900, 8):
        data = save({"x": torch.rand(1)}, {"note": "-" * padding})
        lengths.add(data[:2])
        (tmp_path / "t.safetensors").write_bytes(data)
        assert not is_torch_file(tmp_path / "t.safetensors")
    assert b"\x80\x02" in lengths, "as the pickles of protocol 2 start"
