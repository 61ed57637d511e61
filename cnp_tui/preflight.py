"""Slips of the pen found before a run is made for them: files that are simply not there."""

from __future__ import annotations

from pathlib import Path

from cnp_engine.config import RunConfig
from cnp_engine.errors import AttackInvalid, CheckpointUnreadable, CnpError, DataMissing

_WHAT: tuple[tuple[str, type[CnpError], str], ...] = (
    ("model", CheckpointUnreadable, "checkpoint"),
    ("data", DataMissing, "data source"),
    ("clean_dir", DataMissing, "folder of clean images"),
    ("attack", AttackInvalid, "attack description"),
    ("trigger", AttackInvalid, "trigger file"),
)


def check(config: RunConfig) -> None:
    """Raises the error of the first path of ``config`` that names nothing."""
    for error in problems(config).values():
        raise error


def problems(config: RunConfig) -> dict[str, CnpError]:
    """The error of every path of ``config`` that names nothing, by its setting."""
    found: dict[str, CnpError] = {}
    values = config.absolute().values()
    for key, kind, noun in _WHAT:
        value = values[key]
        if value is None or not value.startswith("/"):
            value = (value or "").partition(":")[2]
        if value and not Path(value).exists():
            option = "--" + key.replace("_", "-")
            found[key] = kind(f"There is no {noun} at {value}.", f"Check {option}.")
    return found
