"""VGG with or without BatchNorm, of any width: for small images and torchvision's.

``features.N`` numbers betray the ReLU and pooling layers between the convolutions, which have no
tensors; the four layouts of Simonyan & Zisserman (ICLR 2015) are accepted, others refused.
"""

from __future__ import annotations

import itertools

from torch import Tensor, nn

from cnp_engine.models.families.base import (
    Architecture,
    Family,
    MisfitError,
    Shapes,
    count,
    listed,
    shape,
)

DEPTHS: dict[tuple[int, ...], int] = {
    (1, 1, 2, 2, 2): 11,
    (2, 2, 2, 2, 2): 13,
    (2, 2, 3, 3, 3): 16,
    (2, 2, 4, 4, 4): 19,
}
"""Convolutions a stage to the depth in the name."""


class VGG(nn.Module):
    """Images (B, 3, H, W) to logits (B, classes). ``options`` as ``match`` reads them off."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        options = architecture.options
        layers: list[nn.Module] = []
        inputs = 3
        for stage in options["stages"]:
            for width in stage:
                layers.append(nn.Conv2d(inputs, width, 3, padding=1, bias=options["bias"]))
                if options["bn"]:
                    layers.append(nn.BatchNorm2d(width))
                layers.append(nn.ReLU())
                inputs = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(options["side"])
        self.classifier = _classifier(options["classifier"])

    def forward(self, images_BCHW: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.avgpool(self.features(images_BCHW)).flatten(1))
        return logits


def _classifier(linears: list[list[int]]) -> nn.Module:
    """``linears``: index, inputs, outputs; index -1 is a classifier that is one Linear itself."""
    if linears[0][0] < 0:
        return nn.Linear(linears[0][1], linears[0][2])
    layers: list[nn.Module] = []
    for index, inputs, outputs in linears:
        if layers:
            layers.append(nn.ReLU())
        layers += [nn.Dropout() for _ in range(index - len(layers))]
        layers.append(nn.Linear(inputs, outputs))
    return nn.Sequential(*layers)


def _match(shapes: Shapes) -> Architecture:
    shape(shapes, "features.0.weight", 4)
    stages = _stages(shapes)
    depth = DEPTHS.get(tuple(map(len, stages)))
    if depth is None:
        raise MisfitError(f"it has {listed([len(s) for s in stages])} convolutions between pools")
    linears = _linears(shapes)
    cells, rest = divmod(linears[0][1], stages[-1][-1])
    side = round(cells**0.5)
    if rest or cells == 0 or side * side != cells:
        raise MisfitError(f"its classifier takes {linears[0][1]} features")
    bn = "features.1.weight" in shapes
    single = linears[0][0] < 0
    head = "classifier" if single else f"classifier.{linears[-1][0]}"
    classes = linears[-1][2]
    suffix = ("_bn" if bn else "") + ("" if side == 7 else "-cifar")
    title = f"VGG-{depth}{' with BatchNorm' if bn else ', no normalisation'}"
    return Architecture(
        name=f"vgg{depth}{suffix}",
        family="vgg",
        options={
            "depth": depth,
            "stages": stages,
            "planes": [stage[-1] for stage in stages],
            "bn": bn,
            "bias": "features.0.bias" in shapes,
            "side": side,
            "classifier": linears,
        },
        classes=classes,
        input_size=None,  # the pooling before the classifier takes any size
        head=head,
        describe=f"{title}, widths {listed([s[-1] for s in stages])}, {classes} classes",
    )


def _stages(shapes: Shapes) -> list[list[int]]:
    """Widths of the convolutions, grouped by the pools between them."""
    size = count(shapes, r"features\.(\d+)\.")
    convolutions = [i for i in range(size) if len(shapes.get(f"features.{i}.weight", ())) == 4]
    bn = "features.1.weight" in shapes
    stages: list[list[int]] = [[]]
    for index, following in zip(convolutions, [*convolutions[1:], -1], strict=True):
        width = shape(shapes, f"features.{index}.weight", 4)[0]
        stages[-1].append(width)
        if following < 0:
            break
        between = following - index - (3 if bn else 2)  # less the norm and the ReLU
        if between not in (0, 1):
            raise MisfitError(f"features.{index} is followed by features.{following}")
        if between:
            stages.append([])
    return stages


def _linears(shapes: Shapes) -> list[list[int]]:
    if "classifier.weight" in shapes:
        outputs, inputs = shape(shapes, "classifier.weight", 2)
        return [[-1, inputs, outputs]]
    size = count(shapes, r"classifier\.(\d+)\.")
    found = [
        [index, shapes[name][1], shapes[name][0]]
        for index in range(size)
        if len(shapes.get(name := f"classifier.{index}.weight", ())) == 2
    ]
    if not found:
        raise MisfitError("it has no classifier.weight")
    if any(after[0] - before[0] < 2 for before, after in itertools.pairwise(found)):
        raise MisfitError("its classifier has no activation between two layers")
    return found


def plain(depth: int, classes: int, width: int) -> Architecture:
    """VGG-BN for 32x32 images with first width ``width``; KeyError for another depth."""
    counts = {depth: key for key, depth in DEPTHS.items()}[depth]
    shapes: dict[str, tuple[int, ...]] = {"classifier.weight": (classes, 8 * width)}
    index = 0
    for amount, scale in zip(counts, (1, 2, 4, 8, 8), strict=True):
        for _ in range(amount):
            shapes[f"features.{index}.weight"] = (width * scale, 1, 3, 3)
            shapes[f"features.{index}.bias"] = (width * scale,)
            shapes[f"features.{index + 1}.weight"] = (width * scale,)
            index += 3
        index += 1
    return _match(shapes)


FAMILY = Family(
    "vgg",
    "VGG",
    ("features.0.weight", "features.0.bias", "features.1.running_mean", "features.3.weight"),
    _match,
    VGG,
)
