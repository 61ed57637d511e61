"""Device, precision, generators, memory, provenance. Knows the machine, not the stages."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import resource
import sys
from importlib import metadata
from pathlib import Path

import torch

from cnp_engine.errors import DeviceMissing
from cnp_engine.events import Resources


def pick_device(text: str) -> torch.device:
    """``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``. Raises DeviceMissing."""
    if text == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(text)
    except RuntimeError:
        raise DeviceMissing(
            f"{text!r} is no device.", "Give --device auto, cpu, cuda, cuda:N or mps."
        ) from None
    if device.type == "cpu":
        return torch.device("cpu")
    if device.type == "mps" and torch.backends.mps.is_available():
        return device
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if (device.index or 0) < count:
            return torch.device("cuda", device.index or 0)
        have = f"it has {count} CUDA device{'s' if count > 1 else ''}" if count else "it has none"
        raise DeviceMissing(
            f"This machine has no device {text} ({have} that torch can use).",
            "Give --device auto or cpu; `cnp doctor` lists the devices.",
        )
    raise DeviceMissing(
        f"This machine has no device {text}.", "Give --device auto; `cnp doctor` lists the devices."
    )


def autocast_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """bfloat16 where asked for or where the device computes it natively, else None (float32)."""
    if precision == "float32":
        return None
    if precision == "bfloat16":
        return torch.bfloat16
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else None
    return torch.bfloat16 if device.type == "cpu" and _computes_bfloat16() else None


def _computes_bfloat16() -> bool:
    """Whether this processor has instructions for it; an older torch tells of AVX-512 alone."""
    tells = getattr(torch.cpu, "get_capabilities", None)
    if tells is None:
        return bool(torch.cpu._is_avx512_bf16_supported())
    able = tells()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def generator(seed: int, purpose: str) -> torch.Generator:
    """A stream for each purpose, so that a stage draws the same however it is reached."""
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def peak_memory_bytes(device: torch.device) -> int:
    """Largest resident size of this process, or largest allocation on a CUDA device if larger."""
    host = _kibibytes("/proc/self/status", "VmHWM:")
    if host is None:  # on Linux that would begin at the peak of whoever started this process
        usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        host = usage if sys.platform == "darwin" else usage * 1024
    if device.type == "cuda":
        return max(host, torch.cuda.max_memory_allocated(device))
    return host


def _kibibytes(path: str, name: str) -> int | None:
    """What a line of /proc says in kB, in bytes; None where the system has no such line."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path(path).read_text("ascii").splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
    return None


def resident_bytes() -> int:
    """Memory of this process that is in use now; where the system does not tell, the largest."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return peak_memory_bytes(torch.device("cpu"))
    return pages * os.sysconf("SC_PAGE_SIZE")


def available_bytes() -> int | None:
    """Memory that can be had without swapping, as Linux tells it."""
    return _kibibytes("/proc/meminfo", "MemAvailable:")


def cache_bytes(device: torch.device) -> float:
    """Memory for what only saves time: a quarter of what is free on the device, at most 1 GiB."""
    free = available_bytes()
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
    return min(2**30, (free or 2**30) / 4)


def resources(device: torch.device) -> Resources:
    """Memory in use by this process, on its device too where that has memory of its own."""
    if device.type == "cuda":
        total = torch.cuda.get_device_properties(device).total_memory
        return Resources(resident_bytes(), torch.cuda.memory_reserved(device), total)
    if device.type == "mps":
        total = int(torch.mps.recommended_max_memory())
        return Resources(resident_bytes(), int(torch.mps.driver_allocated_memory()), total)
    return Resources(resident_bytes())


def describe(device: torch.device) -> str:
    """The device in words: ``cpu (2 threads)``, ``cuda:0 (NVIDIA H200)``."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    if device.type == "cpu":
        return f"cpu ({torch.get_num_threads()} threads)"
    return str(device)


def versions() -> dict[str, str]:
    """What figures may depend on."""
    packages = ("cnp", "torch", "torchvision", "numpy", "pillow", "safetensors")
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
