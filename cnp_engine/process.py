"""How this package starts Python again: the worker, and single heavy jobs of a front end."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(1 << 34)}
"""glibc keeps freed memory: activations come and go by the megabyte, and handing them back to the
system each time costs a third of a forward pass (docs/log.md). Others take no notice."""

_THREADS = {"GOMP_SPINCOUNT": "10000"}
"""Threads that wait for each other give way after some microseconds: on a machine that does other
work too, spinning for milliseconds takes the very core that is waited for (docs/log.md)."""

_INSTALLED = ("site-packages", "dist-packages")


def argv(module: str, *arguments: str) -> list[str]:
    """Command line that runs ``module``. The working folder is not searched for modules: it may
    hold what came with an untrusted checkpoint."""
    return [sys.executable, "-P", "-m", module, *arguments]


def environment() -> dict[str, str]:
    """This process's own, which wins, and what makes torch faster on a CPU; nothing of it changes a
    figure. A path is added, so that a source checkout finds itself from any working folder."""
    waits = {} if "OMP_WAIT_POLICY" in os.environ else _THREADS
    env = {**_MALLOC, **waits, **os.environ}
    if _ROOT.name not in _INSTALLED:
        paths = [str(_ROOT), *filter(None, env.get("PYTHONPATH", "").split(os.pathsep))]
        env["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    return env
