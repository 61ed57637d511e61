"""torchvision's own networks, built by torchvision without weights.

torchvision is imported only when a network is built: recognising needs shapes alone, and the
import costs as much as reading a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from cnp_engine.models.families.base import (
    Architecture,
    Family,
    MisfitError,
    Shapes,
    count,
    has,
    listed,
    shape,
)

_RESNETS: dict[tuple[str, tuple[int, ...]], str] = {
    ("BasicBlock", (2, 2, 2, 2)): "18",
    ("BasicBlock", (3, 4, 6, 3)): "34",
    ("Bottleneck", (3, 4, 6, 3)): "50",
    ("Bottleneck", (3, 4, 23, 3)): "101",
    ("Bottleneck", (3, 8, 36, 3)): "152",
}
_DENSENETS: dict[tuple[int, ...], str] = {
    (6, 12, 24, 16): "121",
    (6, 12, 36, 24): "161",
    (6, 12, 32, 32): "169",
    (6, 12, 48, 32): "201",
}
_EFFICIENTNETS: dict[tuple[int, int], str] = {
    (16, 1280): "b0",
    (23, 1280): "b1",
    (23, 1408): "b2",
    (26, 1536): "b3",
    (32, 1792): "b4",
    (39, 2048): "b5",
    (45, 2304): "b6",
    (55, 2560): "b7",
    (40, 1280): "v2_s",
    (57, 1280): "v2_m",
    (79, 1280): "v2_l",
}
"""Blocks in all and features before the classifier, to the name."""

_MOBILENET_WIDTHS = (0.25, 0.35, 0.5, 0.75, 1.0, 1.25, 1.3, 1.4, 1.5, 2.0)


def _architecture(
    name: str, title: str, head: str, classes: int, aux: tuple[str, ...] = (), **options: Any
) -> Architecture:
    """``options``: ``call`` is torchvision's function or class, the rest its arguments."""
    planes = options.pop("planes", None)
    depth = options.pop("depth", None)
    return Architecture(
        name=name,
        family="torchvision",
        options={"arguments": options, "aux": list(aux), "planes": planes, "depth": depth},
        classes=classes,
        input_size=None,
        head=head,
        describe=f"torchvision's {title}, {classes} classes",
    )


def _build(architecture: Architecture) -> nn.Module:
    import torchvision.models as zoo

    arguments = dict(architecture.options["arguments"])
    call = arguments.pop("call")
    arguments["num_classes"] = architecture.classes
    if call == "ResNet":
        arguments["block"] = getattr(zoo.resnet, arguments["block"])
    if call in ("ResNet", "DenseNet", "GoogLeNet"):
        module: nn.Module = getattr(zoo, call)(**arguments)
    else:
        module = getattr(zoo, call)(weights=None, **arguments)
    return module


def _resnet(shapes: Shapes) -> Architecture:
    stem = shape(shapes, "conv1.weight", 4)
    if stem != (64, 3, 7, 7):
        raise MisfitError(f"the stem is {list(stem)}, not 64 filters of 3x7x7")
    shape(shapes, "bn1.weight", 1)
    block = "Bottleneck" if has(shapes, "layer1.0.conv3.") else "BasicBlock"
    layers = [count(shapes, rf"layer{stage}\.(\d+)\.") for stage in (1, 2, 3, 4)]
    depth = _RESNETS.get((block, tuple(layers)))
    if depth is None:
        raise MisfitError(f"its stages have {listed(layers)} blocks")
    middle, within = shape(shapes, "layer1.0.conv2.weight", 4)[:2]
    groups = middle // within
    width = 64 if block == "BasicBlock" else middle // groups
    if block == "BasicBlock" and middle != 64:
        raise MisfitError(f"its first stage is {middle} wide")
    name = f"resnet{depth}"
    if groups > 1:
        name = f"resnext{depth}_{groups}x{width}d"
    elif width > 64:
        name = f"wide_resnet{depth}_{width // 64}"
    classes = shape(shapes, "fc.weight", 2)[0]
    planes = [shape(shapes, f"layer{stage}.0.bn1.weight", 1)[0] for stage in (1, 2, 3, 4)]
    return _architecture(
        name, name, "fc", classes, call="ResNet", block=block, layers=layers, groups=groups,
        width_per_group=width, planes=planes, depth=int(depth),
    )  # fmt: skip


def _densenet(shapes: Shapes) -> Architecture:
    stem = shape(shapes, "features.conv0.weight", 4)
    if stem[1:] != (3, 7, 7):
        raise MisfitError(f"the stem is {list(stem)}, not 3x7x7")
    blocks = [
        count(shapes, rf"features\.denseblock{stage}\.denselayer(\d+)\.") - 1
        for stage in (1, 2, 3, 4)
    ]
    depth = _DENSENETS.get(tuple(blocks))
    if depth is None:
        raise MisfitError(f"its stages have {listed(blocks)} layers")
    first = "features.denseblock1.denselayer1"
    middle = shape(shapes, f"{first}.conv1.weight", 4)[0]
    growth = shape(shapes, f"{first}.conv2.weight", 4)[0]
    classes = shape(shapes, "classifier.weight", 2)[0]
    return _architecture(
        f"densenet{depth}", f"densenet{depth}", "classifier", classes, call="DenseNet",
        growth_rate=growth, block_config=blocks, num_init_features=stem[0],
        bn_size=middle // growth, depth=int(depth),
    )  # fmt: skip


def _mobilenet_v2(shapes: Shapes) -> Architecture:
    first = shape(shapes, "features.0.0.weight", 4)[0]
    narrow = shape(shapes, "features.1.conv.1.weight", 4)[0]
    wide = shape(shapes, "features.17.conv.2.weight", 4)[0]
    for scale in _MOBILENET_WIDTHS:
        if (first, narrow, wide) == tuple(_divisible(c * scale) for c in (32, 16, 320)):
            classes = shape(shapes, "classifier.1.weight", 2)[0]
            return _architecture(
                "mobilenet_v2", f"mobilenet_v2, width {scale:g}", "classifier.1", classes,
                call="mobilenet_v2", width_mult=scale, planes=[first, narrow, wide],
            )  # fmt: skip
    raise MisfitError(f"its widths {first}, {narrow}, {wide} are of no known multiplier")


def _divisible(width: float) -> int:
    """The nearest multiple of 8, at least 8, never under nine tenths (MobileNetV2's rule)."""
    nearest = max(8, int(width + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * width else nearest


def _mobilenet_v3(shapes: Shapes) -> Architecture:
    blocks = count(shapes, r"features\.(\d+)\.")
    kinds = {17: ("large", 960), 13: ("small", 576)}
    if blocks not in kinds:
        raise MisfitError(f"it has {blocks} feature blocks, not 17 or 13")
    size, width = kinds[blocks]
    if shape(shapes, "classifier.0.weight", 2)[1] != width:
        raise MisfitError(f"its classifier does not take {width} features")
    classes = shape(shapes, "classifier.3.weight", 2)[0]
    name = f"mobilenet_v3_{size}"
    return _architecture(name, name, "classifier.3", classes, call=name)


def _efficientnet(shapes: Shapes) -> Architecture:
    classes, features = shape(shapes, "classifier.1.weight", 2)
    stages = count(shapes, r"features\.(\d+)\.")
    blocks = sum(count(shapes, rf"features\.{stage}\.(\d+)\.block\.") for stage in range(stages))
    kind = _EFFICIENTNETS.get((blocks, features))
    if kind is None:
        raise MisfitError(f"it has {blocks} blocks and {features} features")
    name = f"efficientnet_{kind}"
    return _architecture(name, name, "classifier.1", classes, call=name)


def _googlenet(shapes: Shapes) -> Architecture:
    shape(shapes, "conv1.conv.weight", 4)
    shape(shapes, "inception5b.branch4.1.conv.weight", 4)
    classes = shape(shapes, "fc.weight", 2)[0]
    aux = has(shapes, "aux1.")
    return _architecture(
        "googlenet", f"googlenet{' with auxiliary heads' if aux else ''}", "fc", classes,
        aux=("aux1", "aux2") if aux else (), call="GoogLeNet", aux_logits=aux, init_weights=False,
    )  # fmt: skip


@dataclass(frozen=True)
class _Entry:
    title: str
    match: Any
    marks: tuple[str, ...]


_ENTRIES = (
    _Entry(
        "torchvision's ResNet", _resnet,
        ("conv1.weight", "bn1.running_mean", "layer1.0.conv1.weight", "layer4.1.conv2.weight",
         "layer2.0.downsample.0.weight", "fc.weight"),
    ),
    _Entry(
        "torchvision's DenseNet", _densenet,
        ("features.conv0.weight", "features.norm0.running_mean", "features.norm5.running_mean",
         "features.denseblock1.denselayer1.conv1.weight", "classifier.weight"),
    ),
    _Entry(
        "torchvision's MobileNetV2", _mobilenet_v2,
        ("features.0.0.weight", "features.1.conv.0.0.weight", "features.17.conv.3.running_mean",
         "features.18.0.weight", "classifier.1.weight"),
    ),
    _Entry(
        "torchvision's MobileNetV3", _mobilenet_v3,
        ("features.0.0.weight", "features.1.block.0.0.weight", "features.12.0.weight",
         "classifier.0.weight", "classifier.3.weight"),
    ),
    _Entry(
        "torchvision's EfficientNet", _efficientnet,
        ("features.0.0.weight", "features.1.0.block.0.0.weight", "features.7.0.block.0.0.weight",
         "features.1.0.block.0.1.running_mean", "classifier.1.weight"),
    ),
    _Entry(
        "torchvision's GoogLeNet", _googlenet,
        ("conv1.conv.weight", "conv1.bn.running_mean", "inception3a.branch1.conv.weight",
         "inception5b.branch4.1.conv.weight", "fc.weight"),
    ),
)  # fmt: skip

FAMILIES = tuple(
    Family("torchvision", entry.title, entry.marks, entry.match, _build) for entry in _ENTRIES
)
NAMES = (
    *(f"resnet{depth}" for depth in dict.fromkeys(_RESNETS.values())),
    *(f"densenet{depth}" for depth in _DENSENETS.values()),
    *(f"efficientnet_{kind}" for kind in _EFFICIENTNETS.values()),
    "resnext50_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "wide_resnet50_2",
    "wide_resnet101_2",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "googlenet",
)
