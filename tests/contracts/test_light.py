"""Front ends and light modules stay instant: nothing heavy is imported, whatever is asked."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import cnp_tui
from cnp_engine import process

LIGHT = (
    "aims",
    "codec",
    "commands",
    "config",
    "data.preprocessing",
    "doctor",
    "errors",
    "eventlog",
    "events",
    "export.naming",
    "files",
    "grid.cells",
    "grid.grid",
    "grid.table",
    "inbox",
    "jsonl",
    "launch",
    "lock",
    "outliers",
    "process",
    "rundir",
    "runs",
    "serving",
    "settings",
    "stage_settings",
    "state",
    "steps",
    "stopping",
    "tasks",
    "telling",
    "training.plan",
    "worker",
)
HEAVY = {"torch", "torchvision", "numpy", "safetensors", "PIL"}
PLOTS = "cnp_tui.widgets.plotting"
"""The one module that needs numpy; a chart imports it when it first has something to show."""
FRONT = {"rich", "typer", "textual"}
IMPORTED = "import json, sys; print(json.dumps(sorted({m.split('.')[0] for m in sys.modules})))"


def imported_by(code: str, home: Path) -> set[str]:
    """Top names of all modules loaded once ``code`` has run in a process of its own."""
    env = {**process.environment(), "CNP_HOME": str(home)}
    words = [sys.executable, "-c", f"{code}\n{IMPORTED}"]
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("module", LIGHT)
def test_a_light_module_of_the_engine_imports_nothing_heavy(module: str, tmp_path: Path) -> None:
    assert not imported_by(f"import cnp_engine.{module}", tmp_path) & (HEAVY | FRONT)


def test_no_module_of_the_front_end_imports_anything_heavy(tmp_path: Path) -> None:
    modules = [m.name for m in pkgutil.walk_packages(cnp_tui.__path__, "cnp_tui.")]
    assert {"cnp_tui.cli", "cnp_tui.plain", "cnp_tui.commands.running"} <= set(modules)
    assert PLOTS in modules
    names = [name for name in modules if not name.endswith("__main__") and name != PLOTS]
    assert not imported_by(f"import {', '.join(names)}", tmp_path) & HEAVY


@pytest.mark.parametrize(
    "words", [["--help"], [], ["runs"], ["run", "--help"], ["config", "show"], ["run"]], ids=str
)
def test_commands_that_compute_nothing_import_nothing_heavy(
    words: list[str], tmp_path: Path
) -> None:
    code = (
        "from cnp_tui.cli import main\n"
        f"try: main({words!r})\nexcept SystemExit as end: assert end.code in (0, 2), end.code"
    )
    assert not imported_by(code, tmp_path) & (HEAVY | {"textual"})
