"""Runs and events for the tests of this folder."""

from __future__ import annotations

from pathlib import Path

from cnp_engine import events as ev
from cnp_engine.config import RunConfig
from cnp_engine.rundir import RunDirectory

RATE = ev.Rate(0.5, 10, 0.2, 0.8)
STARTED = ev.RunStarted(ev.SCHEMA, "digest", False, {}, "cpu", 1, 1)
RESUMED = ev.RunStarted(ev.SCHEMA, "digest", True, {}, "cpu", 1, 2)
FAILED = ev.Failed("DataMissing", 4, "Nothing there.", "Look elsewhere.")
CANCELLED = ev.Cancelled("Ctrl-C", 130)
FINISHED = ev.Finished({"verdict": "no_evidence"})


def config(arch: str | None = None) -> RunConfig:
    return RunConfig.build({"model": "m.pth", "data": "d", "arch": arch}, env={})


def new_run(folder: Path, arch: str | None = None) -> RunDirectory:
    """A fresh run at ``folder / "run"``; ``arch`` is how the stand-in worker behaves."""
    return RunDirectory.create(folder / "run", config(arch))
