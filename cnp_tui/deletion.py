"""Deleting a run: its files, its folder where nothing else is in it, its place on the list."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from cnp_engine import lock, runs
from cnp_engine.files import writing
from cnp_engine.rundir import (
    ARTIFACTS,
    COMMANDS,
    CONFIG,
    CURVE,
    EVENTS,
    EXPORTS,
    LOCK,
    SUMMARY,
    VIEWERS,
    WORKER_LOG,
)
from cnp_tui import clipboard

FOLDERS = (ARTIFACTS, EXPORTS)
FILES = (EVENTS, COMMANDS, WORKER_LOG, CURVE, SUMMARY, clipboard.FILE, CONFIG)
"""``run.toml`` last: until then it is a run that can be deleted again."""

LEFT = (LOCK, VIEWERS)
"""What holds the run while the rest is deleted."""


def delete(path: Path, place: Path | None = None) -> None:
    """``place`` is the runs folder it is listed in. Raises RunLocked, RunUnwritable."""
    if (path / CONFIG).exists():
        with lock.hold(path / LOCK), writing(path):
            for name in FOLDERS:
                if (path / name).is_dir() and not (path / name).is_symlink():
                    shutil.rmtree(path / name)
            for name in FILES:
                (path / name).unlink(missing_ok=True)
        with writing(path):
            for name in LEFT:
                (path / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # something of the user's is in it
            path.rmdir()
    _unlist(path, place or runs.home())


def _unlist(path: Path, place: Path) -> None:
    """Remove links to ``path`` from the runs folder."""
    with contextlib.suppress(OSError):
        for entry in place.iterdir():
            if entry.is_symlink() and entry.readlink() == path:
                entry.unlink()
