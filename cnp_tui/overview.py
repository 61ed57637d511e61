"""Tables of runs and of settings."""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cnp_engine import launch, runs
from cnp_engine.aims import ANY_NAME, named
from cnp_engine.config import RunConfig
from cnp_engine.errors import CnpError
from cnp_engine.rundir import RunDirectory

_COLUMNS = ("name", "status", "verdict", "target", "begun", "model")


def rows() -> list[dict[str, Any]]:
    """Every run as plain data; one that cannot be read is listed as damaged, with the reason."""
    return [_row(path) for path in runs.paths()]


def _row(path: Path) -> dict[str, Any]:
    empty = dict.fromkeys(("verdict", "target", "begun", "model", "error"))
    known: dict[str, Any] = {"name": path.name, "run": str(path), **empty}
    try:
        run = RunDirectory.open(path)
        status, state = launch.status(run)
    except CnpError as error:
        return {**known, "status": "damaged", "error": error.what}
    found = state.verdict
    return {
        **known,
        "status": status,
        "verdict": found.verdict if found else None,
        "target": named(found.targets) if found else None,
        "begun": _when(state.begun_at),
        "model": run.config.model,
        "error": state.failure.what if state.failure else None,
    }


def _when(at: float | None) -> str | None:
    if at is None:
        return None
    moment = datetime.datetime.fromtimestamp(at, tz=datetime.UTC).astimezone()
    return moment.isoformat(sep=" ", timespec="minutes")[:16]


def table(rows: Sequence[dict[str, Any]]) -> str:
    if not rows:
        return "There are no runs yet."
    cells = [_COLUMNS, *(tuple(_cell(row, column) for column in _COLUMNS) for row in rows)]
    return align(cells)


def _cell(row: dict[str, Any], column: str) -> str:
    value = row[column]
    if column == "model" and value:
        return Path(value).name
    if isinstance(value, list):
        none = ANY_NAME if row["verdict"] == "backdoored" else "-"
        return ",".join(map(str, value)) or none
    return "-" if value is None else str(value)


def align(cells: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def show_settings(
    file: Path | None, sets: Sequence[str], preset: str | None, as_json: bool
) -> None:
    """What a run with these options would be set to; its inputs are not asked for."""
    inputs = {"model": "FILE", "data": "SOURCE"}
    config = RunConfig.build({**inputs, "preset": preset}, sets, file=file)
    described = config.describe()
    if as_json:
        print(json.dumps({"settings": [dataclasses.asdict(row) for row in described]}, indent=2))
        return
    lines = [(row.key, row.value, row.default, row.help) for row in described]
    print(align([("key", "value", "default", "meaning"), *lines]))
