"""What a list of runs says of one: read off its last word, or folded from its whole log.

A finished run's last word holds everything, so a list of hundreds reads a few kilobytes of each.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from cnp_engine.aims import ANY_NAME, short_name
from cnp_engine.errors import CnpError
from cnp_engine.events import SCHEMA, Finished, LabelFree, Measured, Rate, RunStarted, Stage
from cnp_engine.rundir import EVENTS
from cnp_engine.state import RunState

Status = Literal[
    "unread", "created", "running", "finished", "failed", "cancelled", "died", "damaged", "gone"
]

WORDS: dict[str, str] = {"cancelled": "stopped"}
"""What people read where a status is called otherwise: it is stopped, and x stops it."""

TAIL_BYTES = 65536
"""A last word is some 8 kB; what a worker answered after it stands behind it."""

HEAD_BYTES = 4096


@dataclass(frozen=True)
class Entry:
    """One run. ``what`` and ``todo`` are of what went wrong; ``share`` of ``stage`` in 0..1.

    ``wrote_at``: when it last said something, by its own log: a copy has the time of the original.
    ``status`` "unread": not looked at yet; "gone": its folder is not there any more.
    """

    path: Path
    status: Status = "unread"
    model: str = ""
    begun_at: float | None = None
    wrote_at: float | None = None
    verdict: str | None = None
    targets: tuple[str, ...] = ()
    pruned: int | None = None
    neurons: int | None = None
    before: Measured = field(default_factory=Measured)
    after: Measured = field(default_factory=Measured)
    label_free: LabelFree = field(default_factory=LabelFree)
    stage: Stage | None = None
    share: float | None = None
    paused: bool = False
    what: str = ""
    todo: str = ""

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def resumable(self) -> bool:
        return self.status in ("created", "failed", "cancelled", "died")


def troubled(path: Path, status: Status, error: CnpError) -> Entry:
    return Entry(path, status, what=error.what, todo=error.todo)


def of_state(path: Path, model: str, state: RunState, alive: bool) -> Entry:
    """Folded from its log; ``alive``: a worker holds its lock."""
    status: Status = state.outcome
    if status == "running" and not alive:
        status = "died"
    elif alive and not state.ended:
        status = "running"
    paused = state.paused and status == "running"
    entry = Entry(path, status, model, state.begun_at, state.at, paused=paused)
    if state.summary is not None:
        return with_summary(entry, state.summary)
    if state.stage is not None:
        now = state.stages[state.stage]
        share = now.done / now.total if now.total else None
        entry = replace(entry, stage=state.stage, share=share)
    if state.verdict is not None:
        names = state.data.classes if state.data else ()
        targets = tuple(short_name(names, index) for index in state.verdict.targets)
        entry = replace(entry, verdict=state.verdict.verdict, targets=targets)
    if state.failure is not None:
        entry = replace(entry, what=state.failure.what, todo=state.failure.todo)
    elif status == "died":
        what = "Its worker was ended without a last word."
        entry = replace(entry, what=what, todo="Go on with R; nothing that was done is lost.")
    return replace(entry, before=state.before or Measured())


def of_last_word(path: Path, model: str) -> Entry | None:
    """What a finished run's last word says; None where it has none, or its log is not plain.

    Reads the first line, for when it began and which vocabulary it has, and the last ones.
    """
    with (path / EVENTS).open("rb", buffering=0) as file:
        first, newline, _ = file.read(HEAD_BYTES).partition(b"\n")
        end = file.seek(0, 2)
        file.seek(max(0, end - TAIL_BYTES))
        lines = file.read().split(b"\n")[:-1]
    if not newline:
        return None
    try:
        begun = json.loads(first)
        word = _last_word(lines)
        latest = json.loads(lines[-1]) if word is not None else {}
    except ValueError:
        return None
    if word is None or not isinstance(begun, dict) or not isinstance(latest, dict):
        return None
    if begun.get("schema", SCHEMA) > SCHEMA:
        return None
    entry = Entry(path, "finished", model, begun.get("at"), latest.get("at"))
    return with_summary(entry, word.get("summary", {}))


def _last_word(lines: list[bytes]) -> dict[str, Any] | None:
    """The latest ``finished`` of them where no worker has begun after it."""
    for line in reversed(lines):
        if b'"tag":"%b"' % Finished.tag.encode() in line[:200]:
            word: dict[str, Any] = json.loads(line)
            return word
        if b'"tag":"%b"' % RunStarted.tag.encode() in line[:200]:
            return None
    return None


def with_summary(entry: Entry, summary: Mapping[str, Any]) -> Entry:
    """With the figures of ``summary``, the object ``--json`` prints."""
    neurons = summary.get("neurons") or {}
    rates = {
        group: {key: _rate(summary, group, key) for key in keys}
        for group, keys in (
            ("before", ("ba", "asr", "ra")),
            ("after", ("ba", "asr", "ra")),
            ("label_free", ("retention", "residual", "recovery")),
        )
    }
    return replace(
        entry,
        verdict=summary.get("verdict"),
        targets=_targets(summary),
        pruned=neurons.get("pruned"),
        neurons=neurons.get("total"),
        before=Measured(**rates["before"]),
        after=Measured(**rates["after"]),
        label_free=LabelFree(**rates["label_free"]),
    )


def _targets(summary: Mapping[str, Any]) -> tuple[str, ...]:
    """By name; a summary numbers them."""
    target = summary.get("target")
    names = {row["class"]: row["name"] for row in summary.get("target_ranking") or ()}
    if target is None and summary.get("verdict") == "backdoored":
        return (ANY_NAME,)
    found = target if isinstance(target, list) else [] if target is None else [target]
    return tuple(str(names.get(index, index)) for index in found)


def _rate(summary: Mapping[str, Any], group: str, key: str) -> Rate | None:
    value = (summary.get(group) or {}).get(key)
    evidence = summary.get("evidence") or {}
    n = evidence.get("n", {}).get(f"{group}.{key}")
    interval = evidence.get("intervals", {}).get(f"{group}.{key}")
    if value is None or n is None or interval is None:
        return None
    return Rate(value, n, *interval)
