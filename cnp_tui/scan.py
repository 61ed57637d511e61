"""Checkpoints under a folder: a bounded walk in a thread of its own, watched and stopped at will.

No widgets. Only names, sizes and times are looked at; no file is opened.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cnp_tui.completion import CHECKPOINTS

FOLDERS = 20_000
FILES = 500
DEPTH = 8
SECONDS = 30.0
"""Where a walk stops by itself, and says so."""

SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages", "proc", "sys"})
"""Folders that hold no checkpoints; ``.pth`` in site-packages is something else."""


@dataclass(frozen=True)
class File:
    path: Path
    size: int
    modified: float


class Scan:
    """Starts at once. ``found`` grows while ``done`` is False; ``cut`` says why it ended early."""

    def __init__(
        self,
        root: Path,
        suffixes: tuple[str, ...] = CHECKPOINTS,
        *,
        folders: int = FOLDERS,
        files: int = FILES,
        seconds: float = SECONDS,
    ) -> None:
        self.root = root
        self.found: list[File] = []
        self.folders = 0
        self.done = False
        self.cut = ""
        self._limits = (folders, files, time.monotonic() + seconds)
        self._suffixes = suffixes
        self._stopped = threading.Event()
        threading.Thread(target=self._walk, daemon=True, name="scan").start()

    def stop(self) -> None:
        self._stopped.set()

    def newest(self) -> list[File]:
        """What was found so far, the newest first."""
        return sorted(self.found, key=lambda file: (-file.modified, str(file.path)))

    def _walk(self) -> None:
        try:
            waiting = deque([(self.root, 0)])
            while waiting and not self._ended():
                folder, depth = waiting.popleft()  # nearest first: a cut loses what lies deep
                self.folders += 1
                for entry in _entries(folder):
                    if self._ended():
                        break
                    self._take(entry, depth, waiting)
        finally:
            self.done = True

    def _ended(self) -> bool:
        folders, files, deadline = self._limits
        if self._stopped.is_set():
            self.cut = "stopped"
        elif self.folders > folders:
            self.cut = f"stopped after {folders:,} folders"
        elif len(self.found) >= files:
            self.cut = f"stopped after {files:,} files"
        elif time.monotonic() > deadline:
            self.cut = "stopped: it took too long"
        return bool(self.cut)

    def _take(self, entry: os.DirEntry[str], depth: int, waiting: deque[tuple[Path, int]]) -> None:
        name = entry.name
        try:
            if entry.is_dir(follow_symlinks=False):
                if depth < DEPTH and not name.startswith(".") and name not in SKIPPED:
                    waiting.append((Path(entry.path), depth + 1))
            elif name.lower().endswith(self._suffixes) and entry.is_file():
                known = entry.stat()
                self.found.append(File(Path(entry.path), known.st_size, known.st_mtime))
        except OSError:  # gone meanwhile, or not ours to look at
            return


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Lazily; nothing where the folder cannot be read."""
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError:
        return
