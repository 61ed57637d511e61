"""What of this machine and installation matters to a run, looked at one by one (heavy)."""

from __future__ import annotations

import functools
import importlib
import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass

LIBRARIES = ("torch", "torchvision", "numpy", "safetensors", "PIL")
MINIMUM_TORCH = (2, 10)
"""``torch.load(weights_only=True)`` is sound from here on (METHOD section 8)."""


@dataclass(frozen=True)
class Check:
    """One finding; ``ok`` False means that runs cannot work, and ``todo`` says what to do."""

    name: str
    ok: bool
    value: str
    todo: str = ""


def checks() -> list[Check]:
    """Libraries first; devices only where torch itself can be imported."""
    found = [_library(name) for name in LIBRARIES]
    if found[0].ok:
        found += [_torch_version(), *_devices()]
    return found


def _library(name: str) -> Check:
    try:
        module = importlib.import_module(name)
    except Exception as error:  # a broken shared library raises OSError, and others their own
        lines = str(error).splitlines() or [type(error).__name__]
        return Check(name, False, f"cannot be imported: {lines[0]}", "Install cnp again.")
    return Check(name, True, str(getattr(module, "__version__", "?")))


def _torch_version() -> Check:
    import torch

    parts = torch.__version__.split("+")[0].split(".")
    version = tuple(int(part) for part in parts[:2])
    wanted = ".".join(map(str, MINIMUM_TORCH))
    return Check(
        "safe loading", version >= MINIMUM_TORCH, f"torch >= {wanted}", "Install a newer torch."
    )


def _devices() -> Iterator[Check]:
    import torch

    cpu = f"{platform.machine()}, {torch.get_num_threads()} threads, {_memory()}"
    yield Check("cpu", True, f"{cpu}; bf16 {_bf16_on_cpu()}")
    for index in range(torch.cuda.device_count()):
        yield _guarded(f"cuda:{index}", functools.partial(_cuda, index))
    if torch.backends.mps.is_available():
        yield Check("mps", True, "available")


def _guarded(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, True, look())
    except RuntimeError as error:  # a device that is there but cannot be used: others still can
        return Check(name, True, f"not usable: {str(error).splitlines()[0]}")


def _cuda(index: int) -> str:
    import torch

    free, total = torch.cuda.mem_get_info(index)
    bf16 = "yes" if torch.cuda.is_bf16_supported() else "no"
    name = torch.cuda.get_device_name(index)
    return f"{name}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free; bf16 {bf16}"


def _memory() -> str:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return f"{total / 2**30:.1f} GiB"


def _bf16_on_cpu() -> str:
    """Whether oneDNN computes in bfloat16 here; torch tells by a private operator only."""
    import torch

    try:
        return "yes" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "no"
    except (AttributeError, RuntimeError):
        return "unknown"
