"""The devices of this machine that a run can use (heavy: torch is asked)."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from cnp_engine import runtime


@dataclass(frozen=True)
class Device:
    """``name`` is what ``--device`` takes; ``free_bytes`` None where the device does not tell."""

    name: str
    title: str
    memory_bytes: int
    free_bytes: int | None


def devices() -> list[Device]:
    """The fastest kind last; one that is there but cannot be used is left out."""
    return list(_devices())


def _devices() -> Iterator[Device]:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    threads = torch.get_num_threads()
    yield Device("cpu", f"{_processor()}, {threads} threads", total, runtime.available_bytes())
    if torch.backends.mps.is_available():
        yield Device("mps", "Apple GPU", int(torch.mps.recommended_max_memory()), None)
    for index in range(torch.cuda.device_count()):
        with contextlib.suppress(RuntimeError):
            free, total = torch.cuda.mem_get_info(index)
            yield Device(f"cuda:{index}", torch.cuda.get_device_name(index), total, free)


def _processor() -> str:
    """The model's name where the system tells it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
