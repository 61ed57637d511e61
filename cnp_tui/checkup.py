"""``cnp doctor``: what could keep a run from working, here and in the engine's libraries."""

from __future__ import annotations

import json
import platform
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from cnp_engine import runs
from cnp_engine.errors import CnpError, EngineError
from cnp_tui import bridge

LEAST_FREE = 500 * 2**20
"""Bytes a run may need on disk; less is said, and breaks nothing by itself."""


def run(as_json: bool) -> int:
    """Print the findings; 0, or 5 where something needed is broken."""
    found = [_python(), _folder(runs.home()), *_engine()]
    ok = all(row["ok"] for row in found)
    if as_json:
        print(json.dumps({"ok": ok, "checks": found}, indent=2))
    else:
        print("\n".join(_line(row) for row in found))
    return 0 if ok else EngineError.exit_code


def _line(row: dict[str, Any]) -> str:
    text = f"{'ok' if row['ok'] else 'BROKEN':<7} {row['name']:<12} {row['value']}"
    return text if row["ok"] else f"{text}\n        {row['todo']}"


def _finding(name: str, ok: bool, value: str, todo: str = "") -> dict[str, Any]:
    return {"name": name, "ok": ok, "value": value, "todo": todo}


def _python() -> dict[str, Any]:
    from cnp_tui.cli import version

    system = f"{platform.system()} {platform.release()}"
    value = f"{platform.python_version()} on {system}, cnp {version()}"
    return _finding("python", sys.version_info >= (3, 11), value, "Use Python 3.11 or newer.")


def _folder(place: Path) -> dict[str, Any]:
    """Whether runs can be written, by writing; a folder that was not there is not left behind."""
    try:
        nearest = next(folder for folder in (place, *place.parents) if folder.exists())
        with tempfile.TemporaryFile(dir=nearest) as file:
            file.write(b"cnp")
        free = shutil.disk_usage(nearest).free
    except OSError as error:
        todo = "Set CNP_HOME to a folder that can be written."
        return _finding("runs", False, f"{place}: {error.strerror}", todo)
    low = " (little)" if free < LEAST_FREE else ""
    return _finding("runs", True, f"{place}, {free / 2**30:.1f} GiB free{low}")


def _engine() -> list[dict[str, Any]]:
    try:
        checks: list[dict[str, Any]] = bridge.call("doctor")["checks"]
    except CnpError as error:
        return [_finding("engine", False, error.what, error.todo)]
    return checks
