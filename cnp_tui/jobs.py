"""What the commands about runs do: begin one, see it through, come back to it, stop it."""

from __future__ import annotations

import importlib.resources
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnp_engine import launch, runs
from cnp_engine.config import RunConfig
from cnp_engine.errors import Interrupted, RunExists, Terminated
from cnp_engine.rundir import RunDirectory
from cnp_engine.state import RunState
from cnp_tui import faults, preflight, summary
from cnp_tui.plain import follow, stoppable

FOUND = 10
"""Exit code of a scan that found a backdoor."""


@dataclass(frozen=True)
class Place:
    """Where a new run goes; ``out`` None: into the runs folder under a name of its own."""

    out: Path | None
    force: bool = False


@dataclass(frozen=True)
class Manner:
    """How a command speaks."""

    as_json: bool = False
    quiet: bool = False
    detach: bool = False


def demo_inputs() -> dict[str, Any]:
    """Settings of the embedded job."""
    assets = importlib.resources.files("assets")
    return {
        "model": str(assets / "demo_model.pth"),
        "data": "demo",
        "attack": str(assets / "demo_attack.toml"),
    }


def begin(
    values: Mapping[str, Any], sets: Sequence[str], file: Path | None, place: Place
) -> RunDirectory:
    """Check the settings and make the run. Raises UsageError, RunDirectoryError, and others."""
    config = RunConfig.build(values, sets, file=file)
    preflight.check(config)
    if place.out is not None:
        run = RunDirectory.create(place.out, config, place.force)
        runs.register(run.path)
        return run
    while True:
        try:
            return RunDirectory.create(runs.new_path(config.model), config)
        except RunExists:  # the same short number within one second: draw another
            continue


def see_through(run: RunDirectory, manner: Manner, module: str = launch.WORKER) -> int:
    """Start the worker and follow it to its end; the exit code of the command."""
    if manner.detach:
        launch.start(run, module)
        print(json.dumps({"run": str(run.path)}) if manner.as_json else run.path)
        return 0
    if not manner.quiet:
        sys.stderr.write(f"run: {run.path}\n")
    with stoppable():
        worker = launch.start(run, module)
        state = follow(run, worker, manner.quiet, owner=True)
    return _conclude(run, state, manner)


def resume(name: str, manner: Manner) -> int:
    """A finished run only tells its result again."""
    run = runs.find(name)
    status, state = launch.status(run)
    if status == "finished":
        return _conclude(run, state, manner)
    return see_through(run, manner)


def attach(name: str, manner: Manner) -> int:
    run = runs.find(name)
    return _conclude(run, follow(run, None, manner.quiet, owner=False), manner)


def cancel(name: str) -> None:
    """Returns once the worker is gone, or was told for the second time."""
    run = runs.find(name)
    if not launch.cancel(run, "cancelled by `cnp cancel`", grace_s=10.0):
        sys.stderr.write(f"{run.path} is not at work; there is nothing to stop.\n")
        return
    launch.wait(run, 10.0)
    sys.stderr.write(f"stopped; go on with `cnp resume {run.path}`\n")


def _conclude(run: RunDirectory, state: RunState, manner: Manner) -> int:
    """Say how it ended. Raises what the worker met."""
    if state.failure is not None:
        raise faults.from_event(state.failure)
    if state.cancelled is not None:
        kind = Terminated if state.cancelled.exit_code == Terminated.exit_code else Interrupted
        raise kind(
            f"The run was stopped ({state.cancelled.reason}).",
            f"Go on with `cnp resume {run.path}`.",
        )
    assert state.summary is not None
    if manner.as_json:
        print(json.dumps(dict(state.summary), indent=2, allow_nan=False))
    else:
        print(summary.render(run.config, state))
    found = state.verdict is not None and state.verdict.verdict == "backdoored"
    return FOUND if found and run.config.until == "verdict" else 0
