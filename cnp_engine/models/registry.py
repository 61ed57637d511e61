"""From named tensors to a network that computes: recognise, build, load strictly.

Recognition reads tensor names and shapes alone; nothing a file says of itself decides. Loading is
all or nothing: a tensor too many, too few or of another shape is a refusal, never random weights.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cnp_engine.errors import ArchitectureUnknown, NothingToPrune, WeightsMismatch
from cnp_engine.models import factories, norms
from cnp_engine.models.checkpoint import Checkpoint
from cnp_engine.models.families import densenet, mobilenet, resnet, torchvision_nets, vgg
from cnp_engine.models.families.base import Architecture, Family, MisfitError, Shapes
from cnp_engine.models.fitting import fit
from cnp_engine.models.norms import BatchNormLayer

__all__ = [
    "FAMILIES",
    "NAMES",
    "Architecture",
    "BatchNormLayer",
    "LoadedModel",
    "assemble",
    "build",
    "create",
    "load_model",
    "recognise",
]

FAMILIES: tuple[Family, ...] = (
    resnet.RESNET,
    resnet.PREACT,
    vgg.FAMILY,
    mobilenet.FAMILY,
    densenet.FAMILY,
    *torchvision_nets.FAMILIES,
)

NAMES: tuple[str, ...] = (
    *(f"resnet{depth}-cifar" for depth in resnet.DEPTHS.values()),
    *(f"preactresnet{depth}-cifar" for depth in resnet.DEPTHS.values()),
    *(f"vgg{depth}{bn}{size}" for depth in vgg.DEPTHS.values() for bn in ("_bn", "")
      for size in ("-cifar", "")),
    "mobilenet_v2-cifar",
    *(f"densenet{depth}-cifar" for depth in densenet.DEPTHS.values()),
    *torchvision_nets.NAMES,
)  # fmt: skip
"""What ``--arch`` takes beside module:factory."""

_OWN = "Name it with --arch module:factory, a function of yours that builds the network."
_NEAR = 0.5


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """``module`` in eval mode, float32, on the CPU, no parameter requiring a gradient.

    ``checkpoint`` is the one to write back: its prefix is the one that fits ``module``'s names.
    """

    module: nn.Module
    architecture: Architecture
    layers: tuple[BatchNormLayer, ...]
    checkpoint: Checkpoint

    @property
    def neurons(self) -> int:
        """Channels of all layers: what can be pruned."""
        return sum(layer.channels for layer in self.layers)


def recognise(
    state: Mapping[str, Tensor], hint: str | None = None, classes: int | None = None
) -> Architecture:
    """The network with these tensors. ``hint``: a name of ``NAMES`` that it must turn out to be.

    Raises ArchitectureUnknown (with the nearest family and why not), WeightsMismatch for other
    ``classes`` than the head has.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    if hint is not None:
        _check_name(hint)
    found = _match(shapes)
    if hint is not None and _canonical(hint) not in _aliases(found.name):
        raise ArchitectureUnknown(
            f"The tensors are those of {found.name} ({found.describe}), not of {hint}.",
            "Leave --arch away, or name what it is.",
        )
    if classes is not None and classes != found.classes:
        raise WeightsMismatch(
            f"The classifier {found.head} has {found.classes} outputs, not {classes}.",
            "Leave --classes away, or give the checkpoint that belongs to the data.",
        )
    return found


def build(architecture: Architecture) -> nn.Module:
    """The network with fresh random weights, on the default device; not for module:factory."""
    family = next(family for family in FAMILIES if family.name == architecture.family)
    return family.build(architecture)


def create(name: str, classes: int, width: int | None = None) -> Architecture:
    """A small-image network by name, for training: ``build(create("resnet18-cifar", 10))``.

    ``width``: first width where it is not the usual. Raises ArchitectureUnknown for a name of
    another kind than ResNet, PreActResNet, VGG-BN or MobileNetV2 for small images.
    """
    kind = re.fullmatch(r"(preactresnet|resnet|vgg|mobilenetv2)(\d*)(?:bn)?(?:cifar)?",
                        _canonical(name))  # fmt: skip
    try:
        match kind.groups() if kind else ("", ""):
            case ("mobilenetv2", ""):
                return mobilenet.plain(classes, width or 32)
            case ("vgg", depth):
                return vgg.plain(int(depth), classes, width or 64)
            case ("preactresnet" | "resnet" as order, depth):
                return resnet.plain(int(depth), classes, width or 64, order == "preactresnet")
    except (KeyError, ValueError):
        pass  # a depth that does not exist: the same answer as a name that does not
    raise _unknown_name(name)


def load_model(
    checkpoint: Checkpoint, arch: str | None = None, classes: int | None = None
) -> LoadedModel:
    """The network with the checkpoint's weights, ready for pruning.

    ``arch``: a name, or module:factory, which is imported because the user named it. Raises
    ArchitectureUnknown, WeightsMismatch, WeightsNotFinite, NothingToPrune.
    """
    loaded = assemble(checkpoint, arch, classes)
    if loaded.architecture.classes < 2:
        raise WeightsMismatch(
            f"The classifier {loaded.architecture.head} has a single output.",
            "Give a network that tells classes apart.",
        )
    if not loaded.layers:
        raise NothingToPrune(norms.explain(loaded.module), norms.TODO)
    return loaded


def assemble(
    checkpoint: Checkpoint, arch: str | None = None, classes: int | None = None
) -> LoadedModel:
    """``load_model`` that takes networks without BatchNorm too, for inspection."""
    if arch is not None and ":" in arch:
        module, architecture, checkpoint = factories.from_factory(checkpoint, arch, classes)
        module.load_state_dict(fit(module, checkpoint.state, architecture.name))
    else:
        module, architecture = _known(checkpoint, arch, classes)
    module.eval().requires_grad_(False)
    return LoadedModel(
        module=module,
        architecture=_with_input_size(architecture, checkpoint),
        layers=norms.batch_norms(module, tuple(architecture.options.get("aux", ()))),
        checkpoint=checkpoint,
    )


def _known(
    checkpoint: Checkpoint, arch: str | None, classes: int | None
) -> tuple[nn.Module, Architecture]:
    try:
        architecture = recognise(checkpoint.state, arch, classes)
        with torch.device("meta"):  # no time spent on initial weights that nobody will see
            module = build(architecture)
        tensors = fit(module, checkpoint.state, architecture.name)
    except (ArchitectureUnknown, WeightsMismatch) as error:
        if arch is None and not norms.named_batch_norms(checkpoint.state):
            # Whatever network it is: nothing in it is what the method prunes.
            raise NothingToPrune(norms.explain_names(checkpoint.state), norms.TODO) from error
        raise
    module.load_state_dict(tensors, assign=True)
    return module, architecture


def _match(shapes: Shapes) -> Architecture:
    misfits: list[tuple[float, str]] = []
    for family in FAMILIES:
        try:
            return family.match(shapes)
        except MisfitError as misfit:
            misfits.append((family.likeness(shapes), f"{family.title}, but {misfit}"))
    likeness, nearest = max(misfits, key=lambda pair: pair[0])
    raise ArchitectureUnknown(
        "No known network has these tensor names and shapes"
        + (f"; the nearest is {nearest}." if likeness >= _NEAR else "."),
        _OWN,
    )


def _canonical(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _aliases(name: str) -> set[str]:
    """Spellings of a name that mean it: without the size suffix, without ``bn``."""
    short = name.removesuffix("-cifar")
    return {_canonical(text) for text in (name, short, short.removesuffix("_bn"))}


def _check_name(name: str) -> None:
    if not any(_canonical(name) in _aliases(known) for known in NAMES):
        raise _unknown_name(name)


def _unknown_name(name: str) -> ArchitectureUnknown:
    near = difflib.get_close_matches(name, NAMES, n=1)
    return ArchitectureUnknown(
        f"There is no architecture {name!r}" + (f"; the nearest is {near[0]}." if near else "."),
        _OWN,
    )


def _with_input_size(architecture: Architecture, checkpoint: Checkpoint) -> Architecture:
    """The size that the file itself records (BackdoorBench), where the network leaves it open."""
    size = checkpoint.extras.get("img_size")
    if architecture.input_size is None and isinstance(size, list) and len(size) in (2, 3):
        height, width = size[1:] if len(size) == 3 and size[0] in (1, 3) else size[:2]
        if all(isinstance(side, int) and 4 <= side <= 4096 for side in (height, width)):
            return dataclasses.replace(architecture, input_size=(height, width))
    return architecture
