"""Runs side by side as plain data and as a table: what ``cnp compare`` prints."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from cnp_engine import events as ev
from cnp_engine import launch
from cnp_engine.export.wording import rate
from cnp_engine.rundir import RunDirectory
from cnp_tui import overview

RATES = ("ba", "asr", "ra")
LABEL_FREE = ("retention", "residual")


def row(run: RunDirectory) -> dict[str, Any]:
    """Every figure with its n and interval; null where it was not measured. Raises RunDamaged."""
    status, state = launch.status(run)
    before = state.before or ev.Measured()
    after = state.remeasured.measured if state.remeasured else ev.Measured()
    free = state.remeasured.label_free if state.remeasured else ev.LabelFree()
    found, chosen = state.verdict, state.chosen
    return {
        "name": run.name,
        "run": str(run.path),
        "status": status,
        "model": run.config.model,
        "verdict": found.verdict if found else None,
        "target": list(found.targets) if found else None,
        "neurons": state.model.neurons if state.model else None,
        "pruned": chosen.k if chosen else None,
        "before": {key: _plain(getattr(before, key)) for key in RATES},
        "after": {key: _plain(getattr(after, key)) for key in RATES},
        "label_free": {key: _plain(getattr(free, key)) for key in LABEL_FREE},
    }


def _plain(value: ev.Rate | None) -> dict[str, Any] | None:
    return None if value is None else dataclasses.asdict(value)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """A column a run."""
    lines: list[tuple[str, ...]] = [("", *(row["name"] for row in rows))]
    for key in ("status", "model", "verdict", "target", "neurons", "pruned"):
        lines.append((key, *(_cell(row[key]) for row in rows)))
    for name in RATES:
        for when in ("before", "after"):
            cells = tuple(_rate(row[when][name]) for row in rows)
            lines.append((f"{name.upper()} {when}", *cells))
    for name in LABEL_FREE:
        lines.append((name, *(_rate(row["label_free"][name]) for row in rows)))
    return overview.align(lines)


def _cell(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return "-" if value is None else str(value)


def _rate(value: dict[str, Any] | None) -> str:
    return rate(None if value is None else ev.Rate(**value))
