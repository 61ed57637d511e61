"""Recognised from names and shapes, built to compute what its origin computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision.models as zoo
from torch import Tensor, nn

from cnp_engine.errors import ArchitectureUnknown
from cnp_engine.models.checkpoint import read_checkpoint
from cnp_engine.models.families import densenet
from cnp_engine.models.registry import NAMES, LoadedModel, build, create, load_model, recognise

from . import reference
from .tools import State, fill, images, small_state


def load(tmp_path: Path, state: State, **asked: Any) -> LoadedModel:
    torch.save(state, tmp_path / "model.pth")
    return load_model(read_checkpoint(tmp_path / "model.pth"), **asked)


@pytest.mark.parametrize("name", reference.NETWORKS)
def test_small_networks_compute_the_same_as_written_a_second_time(
    tmp_path: Path, name: str
) -> None:
    state = small_state(name, classes=7, width=8)
    loaded = load(tmp_path, state)
    assert loaded.architecture.name == name
    assert loaded.architecture.classes == 7
    assert loaded.architecture.head == "linear"
    # in float64: how float32 rounds over fifty layers is the processor's matter
    exact = {k: v.double() if v.is_floating_point() else v for k, v in state.items()}
    expected = reference.NETWORKS[name](images().double(), exact)
    got = loaded.module.double()(images().double())
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)


def dense_state() -> State:
    shapes = {
        "conv1.weight": (8, 3, 3, 3),
        "linear.weight": (5, 16 + 16 * 4),
        **{f"trans{stage}.conv.weight": (16, 1, 1, 1) for stage in (1, 2, 3)},
        "dense1.0.conv1.weight": (16, 1, 1, 1),
        "dense1.0.conv2.weight": (4, 1, 1, 1),
        **{
            f"dense{stage}.{layers - 1}.bn1.weight": (1,)
            for stage, layers in zip((1, 2, 3, 4), (6, 12, 24, 16), strict=True)
        },
    }
    return fill(densenet.DenseNet(densenet.FAMILY.match(shapes))).state_dict()


def test_densenet_for_small_images(tmp_path: Path) -> None:
    state = dense_state()
    loaded = load(tmp_path, state)
    assert loaded.architecture.name == "densenet121-cifar"
    expected = reference.densenet(images(), state)
    torch.testing.assert_close(loaded.module(images()), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("depth", [11, 13, 16, 19])
def test_small_vgg_is_its_sequence(tmp_path: Path, depth: int) -> None:
    """features, a flatten of the single cell, one Linear: kuangliu's VGG."""
    layout = {11: "aMbMccMddMddM", 13: "aaMbbMccMddMddM", 16: "aaMbbMcccMdddMdddM",
              19: "aaMbbMccccMddddMddddM"}[depth]  # fmt: skip
    widths, inputs, layers = {"a": 4, "b": 8, "c": 16, "d": 24}, 3, list[nn.Module]()
    for letter in layout:
        if letter == "M":
            layers.append(nn.MaxPool2d(2))
            continue
        layers += [nn.Conv2d(inputs, widths[letter], 3, padding=1),
                   nn.BatchNorm2d(widths[letter]), nn.ReLU()]  # fmt: skip
        inputs = widths[letter]
    net = nn.Module()
    net.features = nn.Sequential(*layers)
    net.classifier = nn.Linear(24, 5)
    fill(net)
    loaded = load(tmp_path, net.state_dict())
    assert loaded.architecture.name == f"vgg{depth}_bn-cifar"
    assert loaded.architecture.head == "classifier"
    assert loaded.neurons == sum(widths[letter] for letter in layout if letter != "M")
    expected = net.classifier(net.features(images()).flatten(1))
    torch.testing.assert_close(loaded.module(images()), expected)


def narrow_vgg() -> nn.Module:
    """torchvision's VGG-11, an eighth as wide or less."""
    layout: list[str | int] = [8, "M", 8, "M", 8, 16, "M", 16, 16, "M", 24, 24, "M"]
    with torch.device("meta"):  # its own classifier has 120 million weights
        net: nn.Module = zoo.vgg.VGG(nn.Sequential(), init_weights=False)
    net.features = zoo.vgg.make_layers(layout, batch_norm=True)
    return net


def three_linear(net: nn.Module) -> nn.Module:
    """Dropout first, one cell: the classifier other CIFAR repositories give VGG."""
    net.avgpool = nn.Identity()
    net.classifier = nn.Sequential(
        nn.Dropout(), nn.Linear(24, 12), nn.ReLU(), nn.Dropout(),
        nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 5),
    )  # fmt: skip
    return net


def stemless(net: nn.Module) -> nn.Module:
    """torchvision's ResNet made to fit small images in the usual way."""
    net.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    net.maxpool = nn.Identity()
    return net


REAL: dict[str, tuple[Callable[[], nn.Module], str, str, int]] = {
    # case: (network, recognised name, head, side of the images)
    "resnet18": (lambda: zoo.resnet18(num_classes=5), "resnet18", "fc", 64),
    "resnet18 small": (lambda: stemless(zoo.resnet18(num_classes=5)), "resnet18-cifar", "fc", 32),
    "vgg11_bn": (
        lambda: three_linear(narrow_vgg()), "vgg11_bn-cifar", "classifier.6", 32,
    ),
    "mobilenet_v2": (
        lambda: zoo.mobilenet_v2(num_classes=5, width_mult=0.35), "mobilenet_v2", "classifier.1",
        64,
    ),
    "mobilenet_v3_small": (
        lambda: zoo.mobilenet_v3_small(num_classes=5), "mobilenet_v3_small", "classifier.3", 64,
    ),
    "densenet": (
        lambda: zoo.DenseNet(4, (6, 12, 24, 16), 8, bn_size=2, num_classes=5),
        "densenet121", "classifier", 64,
    ),
    "efficientnet_b0": (
        lambda: zoo.efficientnet_b0(num_classes=5), "efficientnet_b0", "classifier.1", 64,
    ),
    "googlenet": (
        lambda: zoo.GoogLeNet(num_classes=5, aux_logits=False, init_weights=False),
        "googlenet", "fc", 64,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("make", "name", "head", "side"), REAL.values(), ids=REAL.keys())
def test_networks_of_torchvision_compute_as_there(
    tmp_path: Path, make: Callable[[], nn.Module], name: str, head: str, side: int
) -> None:
    net = fill(make())
    loaded = load(tmp_path, net.state_dict())
    assert (loaded.architecture.name, loaded.architecture.head) == (name, head)
    assert loaded.architecture.classes == 5
    assert isinstance(loaded.module.get_submodule(head), nn.Linear)
    assert loaded.neurons == sum(
        layer.num_features for layer in net.modules() if isinstance(layer, nn.BatchNorm2d)
    )
    torch.testing.assert_close(loaded.module(images(2, side)), net(images(2, side)))


SHAPES_ONLY = [
    "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "resnext101_32x8d",
    "resnext101_64x4d", "wide_resnet50_2", "wide_resnet101_2", "vgg11_bn", "vgg13_bn", "vgg16_bn",
    "vgg19_bn", "vgg16", "densenet121", "densenet161", "densenet169", "densenet201",
    *(f"efficientnet_b{size}" for size in range(8)),
    "efficientnet_v2_s", "efficientnet_v2_m", "efficientnet_v2_l",
    "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small", "googlenet",
]  # fmt: skip


@pytest.mark.parametrize("name", SHAPES_ONLY)
def test_every_size_of_torchvision_is_recognised_and_fits(name: str) -> None:
    with torch.device("meta"):
        options = {"init_weights": False} if name == "googlenet" else {}
        theirs: nn.Module = getattr(zoo, name)(num_classes=43, **options)
        found = recognise(theirs.state_dict(), hint=name, classes=43)
        ours = build(found)
    assert found.name == name
    assert name in NAMES
    assert {k: v.shape for k, v in ours.state_dict().items()} == {
        k: v.shape for k, v in theirs.state_dict().items()
    }
    head = ours.get_submodule(found.head)
    assert isinstance(head, nn.Linear)
    assert head.out_features == found.classes == 43


def test_auxiliary_heads_are_not_among_the_neurons(tmp_path: Path) -> None:
    net = fill(zoo.GoogLeNet(num_classes=5, aux_logits=True, init_weights=False))
    loaded = load(tmp_path, net.state_dict())
    assert not any(layer.name.startswith("aux") for layer in loaded.layers)
    assert loaded.neurons == 7280
    with torch.no_grad():
        torch.testing.assert_close(loaded.module(images(1, 64)), net(images(1, 64)))


WIDTHS = [("resnet18-cifar", 64, 4800), ("resnet18-cifar", 32, 2400), ("resnet34-cifar", 64, 8512),
          ("resnet50-cifar", 64, 26560), ("preactresnet18-cifar", 64, 3392),
          ("vgg16_bn-cifar", 64, 4224)]  # fmt: skip


@pytest.mark.parametrize(("name", "width", "neurons"), WIDTHS)
def test_neurons_at_full_width(name: str, width: int, neurons: int) -> None:
    """Published counts: 4,800 for ResNet-18 (METHOD section 1)."""
    with torch.device("meta"):
        net = build(create(name, 10, width))
        found = recognise(net.state_dict())
    channels = [m.num_features for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    assert sum(channels) == neurons
    assert found == create(name, 10, width)


def test_layers_are_in_module_order(tmp_path: Path) -> None:
    state = small_state(width=4)
    loaded = load(tmp_path, dict(reversed(state.items())))
    assert [(layer.name, layer.channels) for layer in loaded.layers][:8] == [
        ("bn1", 4), ("layer1.0.bn1", 4), ("layer1.0.bn2", 4), ("layer1.1.bn1", 4),
        ("layer1.1.bn2", 4), ("layer2.0.bn1", 8), ("layer2.0.bn2", 8), ("layer2.0.shortcut.1", 8),
    ]  # fmt: skip


def test_stages_of_any_width(tmp_path: Path) -> None:
    """A network narrowed stage by stage, as structured pruning leaves it."""
    base = create("resnet18-cifar", 5, 4)
    options = {**base.options, "stem": 3, "planes": [5, 6, 11, 9]}
    net = fill(build(type(base)(**{**vars(base), "options": options})))
    loaded = load(tmp_path, net.state_dict())
    assert loaded.architecture.options["planes"] == [5, 6, 11, 9]
    assert torch.equal(loaded.module(images()), net(images()))


def test_a_head_over_several_cells_fixes_the_image_size(tmp_path: Path) -> None:
    base = create("resnet18-cifar", 5, 4)
    net = fill(build(type(base)(**{**vars(base), "options": {**base.options, "cells": 4}})))
    loaded = load(tmp_path, net.state_dict())
    assert loaded.architecture.input_size == (64, 64)
    assert loaded.module(images(1, 64)).shape == (1, 5)


def test_a_final_norm_before_the_head(tmp_path: Path) -> None:
    base = create("preactresnet18-cifar", 5, 4)
    net = fill(build(type(base)(**{**vars(base), "options": {**base.options, "final_bn": True}})))
    loaded = load(tmp_path, net.state_dict())
    assert loaded.layers[-1].name == "bn"
    assert torch.equal(loaded.module(images()), net(images()))


@pytest.mark.parametrize("hint", ["resnet18", "ResNet-18", "resnet18-cifar", "RESNET18_CIFAR"])
def test_a_name_that_fits_is_taken(hint: str) -> None:
    assert recognise(small_state(), hint).name == "resnet18-cifar"


def test_names_that_do_not_fit() -> None:
    with pytest.raises(ArchitectureUnknown, match="those of resnet18-cifar"):
        recognise(small_state(), "vgg16_bn")
    with pytest.raises(ArchitectureUnknown, match="nearest is resnet18-cifar"):
        recognise(small_state(), "resnet19-cifar")
    for name in ("resnet19-cifar", "efficientnet_b0", "module:factory", "vgg12_bn"):
        with pytest.raises(ArchitectureUnknown):
            create(name, 10)


def without(prefix: str) -> Callable[[State], State]:
    return lambda state: {k: v for k, v in state.items() if not k.startswith(prefix)}


def reshaped(key: str, *shape: int) -> Callable[[State], State]:
    return lambda state: {**state, key: torch.zeros(shape)}


UNKNOWN: dict[str, tuple[Callable[[State], State], str]] = {
    "block gone": (without("layer4.1."), r"ResNet for small images, but its stages have 2-2-2-1"),
    "head gone": (without("linear."), r"but there is no fc.weight"),
    "stem of 5x5": (reshaped("conv1.weight", 4, 3, 5, 5), r"the stem is 4x3x5x5"),
    "stem of grey": (reshaped("conv1.weight", 4, 1, 3, 3), r"the stem is 4x1x3x3"),
    "head of another": (reshaped("linear.weight", 5, 33), r"its head takes 33 features"),
    "flat stem": (reshaped("conv1.weight", 4, 27), r"conv1.weight has shape \[4, 27\]"),
    "something else": (lambda s: {"a.running_mean": torch.zeros(2)}, r"shapes\."),
    "nothing": (lambda s: {}, r"shapes\."),
}


@pytest.mark.parametrize(("change", "said"), UNKNOWN.values(), ids=UNKNOWN.keys())
def test_the_nearest_family_is_named(change: Callable[[State], State], said: str) -> None:
    with pytest.raises(ArchitectureUnknown, match=said) as caught:
        recognise(change(small_state()))
    assert "--arch module:factory" in caught.value.todo


def test_recognising_never_fails_otherwise() -> None:
    """Every tensor of every family in turn missing or of rank 1: an answer or a refusal."""
    for name in ("resnet18-cifar", "vgg11_bn-cifar"):
        with torch.device("meta"):
            state = build(create(name, 3, 8)).state_dict()
            vector = torch.zeros(1)
        for key in state:
            for changed in (without(key)(state), {**state, key: vector}):
                try:
                    found: Any = recognise(changed)
                except ArchitectureUnknown:
                    continue
                assert found.family


def test_building_leaves_the_global_generator_alone(tmp_path: Path) -> None:
    torch.save(small_state(), tmp_path / "model.pth")
    before = torch.get_rng_state()
    load_model(read_checkpoint(tmp_path / "model.pth"))
    assert torch.equal(before, torch.get_rng_state())


def test_a_loaded_network_shares_nothing_with_the_file(tmp_path: Path) -> None:
    loaded = load(tmp_path, small_state())
    stored = {key: tensor.clone() for key, tensor in loaded.checkpoint.state.items()}
    for tensor in loaded.module.state_dict().values():
        tensor.zero_()
    assert all(torch.equal(loaded.checkpoint.state[key], stored[key]) for key in stored)
    assert not loaded.module.training
    assert not any(p.requires_grad for p in loaded.module.parameters())


def test_gradients_reach_the_images(tmp_path: Path) -> None:
    """Weights are frozen; what optimises a trigger needs the input's gradient."""
    loaded = load(tmp_path, small_state())
    batch: Tensor = images().requires_grad_()
    loaded.module(batch).sum().backward()
    assert batch.grad is not None
    assert batch.grad.abs().sum() > 0
