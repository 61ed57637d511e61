"""Networks of the user's own: ``module:factory``, imported because the user named it.

The one place where code outside of this package runs, and never because a checkpoint asks for it.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from cnp_engine.errors import ArchitectureUnknown
from cnp_engine.models.checkpoint import Checkpoint
from cnp_engine.models.families.base import Architecture
from cnp_engine.models.layouts import WRAPPERS

_CLASS_ARGUMENTS = ("num_classes", "classes", "n_classes")


def from_factory(
    checkpoint: Checkpoint, spec: str, classes: int | None
) -> tuple[nn.Module, Architecture, Checkpoint]:
    """The user's network in float32, what it is, and the checkpoint under the names it uses.

    ``spec`` is ``package.module:factory`` or ``path/to/file.py:factory``; the factory is a class,
    a function or a ready module. Raises ArchitectureUnknown naming what failed.
    """
    with torch.random.fork_rng(devices=[]):  # initial weights draw from the global generator
        made = _call(spec, _find(spec), classes or _guess_classes(checkpoint.state))
    if not isinstance(made, nn.Module):
        raise ArchitectureUnknown(
            f"{spec} gave a {type(made).__name__}, not a torch.nn.Module.",
            "Name a function or class that builds the network.",
        )
    module = made.float().cpu()
    head, outputs, kind = _head(spec, module, classes)
    architecture = Architecture(
        name=spec,
        family="own",
        options={},
        classes=outputs,
        input_size=None,
        head=head,
        describe=f"{type(module).__name__} of {spec}, head {head} ({kind}), {outputs} classes",
    )
    return module, architecture, _renamed(checkpoint, module)


def _find(spec: str) -> Any:
    """The object a spec names; the working directory is searched last."""
    place, _, name = spec.rpartition(":")
    try:
        found: Any = _import_file(Path(place)) if place.endswith(".py") else _import(place)
        for part in name.split("."):
            found = getattr(found, part)
    except (Exception, SystemExit) as error:
        # Importing runs the user's code, which may fail in any way; the way is what they need.
        raise ArchitectureUnknown(
            f"--arch {spec} could not be imported ({type(error).__name__}: {error}).",
            "Check the module's name and that it imports on its own.",
        ) from error
    return found


def _import(name: str) -> ModuleType:
    here = str(Path.cwd())
    sys.path.append(here)
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(here)


def _import_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _call(spec: str, factory: Any, classes: int | None) -> Any:
    if isinstance(factory, nn.Module) or not callable(factory):
        return factory
    arguments = {}
    name = _class_argument(factory)
    if name is not None and classes is not None:
        arguments[name] = classes
    try:
        return factory(**arguments)
    except (Exception, SystemExit) as error:
        # As above: the user's own code.
        raise ArchitectureUnknown(
            f"--arch {spec} failed when called ({type(error).__name__}: {error}).",
            "Name a factory that needs no argument but the number of classes.",
        ) from error


def _class_argument(factory: Callable[..., Any]) -> str | None:
    try:
        parameters = inspect.signature(factory).parameters
    except (TypeError, ValueError):
        return None  # built-in callables have no signature
    return next((name for name in _CLASS_ARGUMENTS if name in parameters), None)


def _guess_classes(state: Mapping[str, Tensor]) -> int | None:
    """Outputs of the last matrix in the file, which is the classifier's in most."""
    matrices = [t for name, t in state.items() if t.ndim == 2 and name.endswith("weight")]
    return matrices[-1].shape[0] if matrices else None


def _head(spec: str, module: nn.Module, classes: int | None) -> tuple[str, int, str]:
    """Path, outputs and kind of the last layer: a Linear, or a 1x1 convolution without one."""
    found = [
        (name, layer.out_features, "Linear")
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Linear)
    ] or [
        (name, layer.out_channels, "1x1 convolution")
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1)
    ]
    found = [entry for entry in found if entry[1] == classes] or found
    if not found:
        raise ArchitectureUnknown(
            f"{spec} has neither a Linear layer nor a 1x1 convolution as its classifier.",
            "Give a network that ends in one.",
        )
    return found[-1]


def _renamed(checkpoint: Checkpoint, module: nn.Module) -> Checkpoint:
    """Put back so much of the prefix as the network's own names have (``model.``, ``net.``)."""
    expected = module.state_dict().keys()
    starts = [""]
    rest = checkpoint.prefix
    while rest:
        wrapper = next(name for name in WRAPPERS if rest.endswith(name))
        starts.append(wrapper + starts[-1])
        rest = rest.removesuffix(wrapper)
    hits = [sum(start + key in expected for key in checkpoint.state) for start in starts]
    start = starts[hits.index(max(hits))]
    return dataclasses.replace(
        checkpoint,
        prefix=checkpoint.prefix.removesuffix(start),
        state={start + key: tensor for key, tensor in checkpoint.state.items()},
    )
