"""Generators with the release's names, and the formula on an independent forward pass."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cnp_engine.attacks import InputAware
from cnp_engine.attacks.input_aware import (
    CIFAR_MEAN,
    CIFAR_STD,
    TriggerNet,
    combine,
    mask,
    normalised,
    pattern,
    trigger_net,
)

CHANNELS = {
    "convblock_down_0": (3, 32), "convblock_down_1": (32, 32),
    "convblock_down_2": (32, 64), "convblock_down_3": (64, 64),
    "convblock_down_4": (64, 128), "convblock_down_5": (128, 128),
    "convblock_middle": (128, 128),
    "convblock_up_0": (128, 128), "convblock_up_1": (128, 64),
    "convblock_up_2": (64, 64), "convblock_up_3": (64, 32),
    "convblock_up_4": (32, 32), "convblock_up_5": (32, 3),
}  # fmt: skip
"""Of the release's Generator for cifar10 (channel_init 32, steps 3), followed by hand."""


def published(outgoing: int) -> dict[str, tuple[int, ...]]:
    """Keys and shapes of the release's state dict, in its order."""
    shapes: dict[str, tuple[int, ...]] = {}
    for block, (incoming, out) in CHANNELS.items():
        width = outgoing if block == "convblock_up_5" else out
        shapes[f"{block}.conv2d.weight"] = (width, incoming, 3, 3)
        shapes[f"{block}.conv2d.bias"] = (width,)
        for key in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{block}.batch_norm.{key}"] = (width,)
        shapes[f"{block}.batch_norm.num_batches_tracked"] = ()
    return shapes


def nets(seed: int = 0) -> tuple[TriggerNet, TriggerNet]:
    """With statistics that are not those of a fresh BatchNorm."""
    draws = torch.Generator().manual_seed(seed)
    both = trigger_net(3, draws), trigger_net(1, draws)
    for net in both:
        for key, value in net.state_dict().items():
            if key.endswith("running_var"):
                value.uniform_(0.2, 1.0, generator=draws)
            elif "batch_norm" in key and value.is_floating_point():
                value.uniform_(-0.3, 0.5, generator=draws)
    return both


def forward(state: dict[str, Tensor], x: Tensor) -> Tensor:
    def block(name: str, x: Tensor, relu: bool = True) -> Tensor:
        x = F.conv2d(x, state[f"{name}.conv2d.weight"], state[f"{name}.conv2d.bias"], padding=1)
        mean, var, weight, bias = (
            state[f"{name}.batch_norm.{k}"].view(-1, 1, 1)
            for k in ("running_mean", "running_var", "weight", "bias")
        )
        x = (x - mean) / (var + 1e-5).sqrt() * weight + bias
        return x.clamp(min=0) if relu else x

    for step in range(3):
        x = block(f"convblock_down_{2 * step + 1}", block(f"convblock_down_{2 * step}", x))
        x = x.unfold(2, 2, 2).unfold(3, 2, 2).amax((-2, -1))
    x = block("convblock_middle", x)
    for step in range(3):
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        x = block(f"convblock_up_{2 * step}", x)
        x = block(f"convblock_up_{2 * step + 1}", x, relu=step < 2)
    return torch.tanh(x) / (2 + 1e-7) + 0.5


@pytest.mark.parametrize("outgoing", [3, 1])
def test_state_dicts_of_the_release_fit(outgoing: int) -> None:
    state = TriggerNet(outgoing).state_dict()
    assert list(state) == list(published(outgoing))
    assert {key: tuple(value.shape) for key, value in state.items()} == published(outgoing)


@pytest.mark.parametrize(("mean", "std"), [(CIFAR_MEAN, CIFAR_STD), ((0.0,) * 3, (1.0,) * 3)])
def test_a_stamp_is_the_mask_s_share_of_the_pattern(
    mean: tuple[float, float, float], std: tuple[float, float, float]
) -> None:
    pattern_net, mask_net = nets()
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    attack = InputAware(0, pattern_net, mask_net, mean, std)
    got = attack.stamp(images)
    shift, scale = torch.tensor(mean).view(3, 1, 1), torch.tensor(std).view(3, 1, 1)
    x = (images - shift) / scale
    p = forward(pattern_net.state_dict(), x)
    m = torch.tanh(forward(mask_net.state_dict(), x) * 20 - 10) / (2 + 1e-7) + 0.5
    # as the release does it: the pattern normalised, mixed in, and all of it shown in pixels
    mixed = x + ((p - shift) / scale - x) * m
    torch.testing.assert_close(got, mixed * scale + shift, atol=1e-5, rtol=0)
    assert float((got - images).abs().mean()) > 0.01, "the trigger does something"


def test_stamping_leaves_networks_in_training_alone() -> None:
    pattern_net, mask_net = nets()
    pattern_net.train()
    mask_net.train()
    before = {k: v.clone() for k, v in pattern_net.state_dict().items()}
    images = torch.rand(3, 3, 16, 24, generator=torch.Generator().manual_seed(1))
    attack = InputAware(0, pattern_net, mask_net)
    stamped = attack.stamp(images)
    assert not stamped.requires_grad
    assert pattern_net.training
    assert mask_net.training
    assert all(torch.equal(v, before[k]) for k, v in pattern_net.state_dict().items())
    torch.testing.assert_close(attack.stamp(images[1:]), stamped[1:], atol=1e-5, rtol=0)


def test_training_gets_gradients() -> None:
    pattern_net, mask_net = nets()
    images = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    x = normalised(images, CIFAR_MEAN, CIFAR_STD)
    stamped = combine(images, pattern(pattern_net, x), mask(mask_net, x))
    torch.autograd.backward(stamped.sum())
    for net in (pattern_net, mask_net):
        slope = net.get_parameter("convblock_down_0.conv2d.weight").grad
        assert slope is not None
        assert float(slope.abs().sum()) > 0


def test_networks_are_drawn_by_the_generator_alone() -> None:
    torch.manual_seed(0)
    one = trigger_net(3, torch.Generator().manual_seed(4)).state_dict()
    state = torch.get_rng_state()
    other = trigger_net(3, torch.Generator().manual_seed(4)).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(one[key], other[key]) for key in one)
    weight = one["convblock_middle.conv2d.weight"]
    bound = 1 / (128 * 9) ** 0.5  # torch's own: uniform within 1 / sqrt(fan in)
    assert 0.99 * bound < float(weight.abs().max()) <= bound
    assert float(weight.std()) == pytest.approx(bound / 3**0.5, rel=0.02)
    assert float(one["convblock_middle.batch_norm.running_var"].min()) == 1
