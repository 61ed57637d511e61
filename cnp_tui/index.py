"""The runs of a folder, read a few at a time: a list of hundreds is there at once and stays cheap.

What was read is kept until the log changes (its time and size). Knows files; no widgets.
"""

from __future__ import annotations

import contextlib
import re
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cnp_engine import lock, runs
from cnp_engine.errors import CnpError, RunMissing
from cnp_engine.eventlog import EventLog, EventTail
from cnp_engine.rundir import CONFIG, EVENTS, LOCK, RunDirectory
from cnp_engine.state import RunState, fold
from cnp_tui import entries
from cnp_tui.entries import Entry

_MODEL = re.compile(r"^model = .+$", re.MULTILINE)

Stamp = tuple[int, int]
"""Time of the last change in nanoseconds, and size in bytes."""


@dataclass
class _Followed:
    """A run that has not ended: its log is folded on from where it was."""

    tail: EventTail
    state: RunState = field(default_factory=RunState)


class Index:
    """``scan`` finds runs, ``step`` reads of them what is not known, ``entries`` are in order."""

    def __init__(
        self, place: Path | None = None, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.place = place or runs.home()
        self.scanned = False
        self._clock = clock
        self._known: dict[Path, Entry] = {}
        self._changed: dict[Path, float] = {}
        self._stamps: dict[Path, Stamp | None] = {}
        self._followed: dict[Path, _Followed] = {}
        self._waiting: list[Path] = []

    @property
    def entries(self) -> list[Entry]:
        """Those at work, then the one that wrote last; equals by name, what is gone at the end."""
        return sorted(self._known.values(), key=self._rank)

    def _rank(self, entry: Entry) -> tuple[bool, bool, float, str]:
        """A file's time stands in until the log was read: copying a run makes its files new."""
        wrote = entry.wrote_at or self._changed.get(entry.path, 0.0)
        return entry.status == "gone", entry.status != "running", -wrote, entry.name

    @property
    def complete(self) -> bool:
        """Whether every run was read since it changed."""
        return self.scanned and not self._waiting

    def scan(self) -> bool:
        """Look which runs there are and which have changed; whether the list is another."""
        before = list(self._known)
        found = self._found()
        self._known = {path: self._known.get(path, Entry(path)) for path in found}
        for path, there in found.items():
            if not there:
                self._known[path] = _gone(path)
        self._waiting = [path for path, there in found.items() if there and self._stale(path)]
        self.scanned = True
        return list(self._known) != before

    def step(self, budget_s: float = 0.008) -> list[Entry]:
        """Read runs that wait for as long as ``budget_s``, at least one; those that are new."""
        until = self._clock() + budget_s
        new: list[Entry] = []
        while self._waiting:
            path = self._waiting.pop(0)
            entry = self._read(path)
            if entry != self._known.get(path):
                self._known[path] = entry
                new.append(entry)
            if self._clock() > until:
                break
        return new

    def _found(self) -> dict[Path, bool]:
        """Newest first; False for a registered run, or one shown before, that is gone."""
        times: dict[Path, float] = {}
        gone: list[Path] = []
        with contextlib.suppress(OSError):
            for entry in self.place.iterdir():
                linked = entry.is_symlink()
                try:
                    path = entry.readlink() if linked else entry
                    times[path] = _changed(entry)
                except OSError:
                    if linked and not entry.exists():
                        gone.append(path)
        self._changed = times
        there = sorted(times, key=lambda path: -times[path])
        gone += [path for path in self._known if path not in set(there) and not path.exists()]
        return {**dict.fromkeys(there, True), **dict.fromkeys(gone, False)}

    def forget(self, path: Path) -> None:
        """Take a run off the list."""
        self._known.pop(path, None)
        self._followed.pop(path, None)

    def _stale(self, path: Path) -> bool:
        """Whether something may be different; a run that has not ended may die silently."""
        known = self._known[path].status
        return known in ("unread", "running", "gone") or self._stamps.get(path) != _stamp(path)

    def _read(self, path: Path) -> Entry:
        self._stamps[path] = _stamp(path)
        try:
            return self._understood(path)
        except RunMissing:
            return _gone(path)
        except CnpError as error:
            self._followed.pop(path, None)
            return entries.troubled(path, "damaged", error)

    def _understood(self, path: Path) -> Entry:
        model = _model(path)
        if model is not None and self._stamps[path] is not None and path not in self._followed:
            with contextlib.suppress(OSError):
                entry = entries.of_last_word(path, model)
                if entry is not None:
                    return entry
        return self._folded(path)

    def _folded(self, path: Path) -> Entry:
        run = RunDirectory.open(path)
        alive = lock.held(path / LOCK)
        followed = self._followed.get(path)
        if followed is None:
            followed = self._followed[path] = _Followed(EventLog(path / EVENTS).tail())
        for record in followed.tail.poll():
            followed.state = fold(followed.state, record.value, record.at)
        entry = entries.of_state(path, run.config.model, followed.state, alive)
        if entry.status != "running":
            self._followed.pop(path)
        return entry


def _changed(path: Path) -> float:
    """When files of a run last did; OSError where it is none."""
    made = (path / CONFIG).stat().st_mtime
    stamp = _stamp(path)
    return made if stamp is None else stamp[0] / 1e9


def _stamp(path: Path) -> Stamp | None:
    try:
        found = (path / EVENTS).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _model(path: Path) -> str | None:
    """The model a run is about; None where ``run.toml`` does not say it on a line of its own.

    Only that line is parsed: all of them cost more than everything else about a run together.
    """
    try:
        line = _MODEL.search((path / CONFIG).read_text("utf-8"))
        model = tomllib.loads(line[0]).get("model") if line else None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return None
    return model if isinstance(model, str) else None


def _gone(path: Path) -> Entry:
    what = f"The folder {path} is not there any more."
    return entries.troubled(
        path, "gone", RunMissing(what, "Put it back, or take it off the list with D.")
    )
