"""A run being watched, in plain words: what stands in the way, what came of it, what it runs on.

Pure: a snapshot and a configuration in, lines out. Screens decide where they stand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from cnp_engine import events as ev
from cnp_engine.aims import ANY, class_name, named
from cnp_engine.config import RunConfig
from cnp_engine.events import STAGES, Stage
from cnp_engine.export.definitions import DEFINITIONS, NAMES
from cnp_engine.export.wording import (
    ABSENT,
    count,
    interval,
    mebibytes,
    percent,
    plural,
    rate,
    seconds,
)
from cnp_engine.rundir import RunDirectory
from cnp_engine.state import RunState, StageState
from cnp_tui.history import Points
from cnp_tui.link import Snapshot
from cnp_tui.phrases import UNHEALED, rates

Tone = Literal["error", "warning", "note"]

SMALL_MARGIN = 0.5
"""Octaves over the next class under which a suspect is told to be hardly ahead."""

Row = tuple[str, str]
"""What it is about, and what is so; an empty name goes on with the row above."""


@dataclass(frozen=True)
class Notice:
    """Something to know before the figures are believed, or before anything goes on."""

    tone: Tone
    text: str


def notices(snapshot: Snapshot, live: bool = True) -> tuple[Notice, ...]:
    """The gravest first."""
    found = [*_standing(snapshot, live), *_doubts(snapshot.state)]
    return tuple(sorted(found, key=lambda notice: ("error", "warning", "note").index(notice.tone)))


def _standing(snapshot: Snapshot, live: bool) -> Iterator[Notice]:
    state = snapshot.state
    again = " R goes on from there." if live else ""
    if snapshot.trouble is not None:
        yield Notice("error", f"{snapshot.trouble.what} {snapshot.trouble.todo}".strip())
    elif snapshot.status == "failed" and state.failure is not None:
        failed = state.failure
        yield Notice("error", f"{failed.what} {failed.todo}{again}".strip())
    elif snapshot.status == "died":
        yield Notice(
            "error",
            "The worker is gone without a last word (often for want of memory); "
            f"what it had saved is kept.{again}",
        )
    elif snapshot.status == "cancelled" and state.cancelled is not None:
        yield Notice("warning", f"Stopped: {state.cancelled.reason}; what is done is kept.{again}")
    elif snapshot.status == "created" and live:
        yield Notice("note", "Nobody has worked on this run yet. R begins.")
    elif snapshot.status == "running" and state.paused:
        yield Notice("note", "Paused: the worker waits." + (" R goes on." if live else ""))


def _doubts(state: RunState) -> Iterator[Notice]:
    """What the method says against itself."""
    for warned in state.warnings:
        yield Notice("warning", warned.text)
    ranked = state.target
    close = ranked is not None and ranked.suspicious and ranked.margin < SMALL_MARGIN
    if ranked is not None and close and ANY not in ranked.targets:
        yield Notice(
            "warning",
            f"The first class is hardly ahead of the next ({ranked.margin:.2f} octaves): "
            "both may be targets, or neither.",
        )
    if state.data is not None:
        yield from (Notice("note", text) for text in state.data.notices)


# What can be asked of it

Deed = Literal["pause", "resume", "stop"]
DEEDS: tuple[Deed, ...] = get_args(Deed)


def deeds(snapshot: Snapshot, live: bool) -> frozenset[Deed]:
    """What makes sense now; the footer names no more."""
    if not live or snapshot.trouble is not None:
        return frozenset()
    if snapshot.status == "running":
        return frozenset(("resume" if snapshot.state.paused else "pause", "stop"))
    return frozenset() if snapshot.status == "finished" else frozenset(("resume",))


def why_not(snapshot: Snapshot, live: bool) -> str:
    """Where a key asks for something else."""
    if not live:
        return "This is a recording: no worker is there to ask."
    if snapshot.status == "running":
        return "It is at work already; x stops it."
    if snapshot.status == "finished":
        return "The run is finished: there is nothing to go on with, and nothing to stop."
    return "No worker is at work on this run; R goes on with it."


# Stages


def followed(state: RunState) -> Stage:
    """The stage at work, else the last that was."""
    if state.stage is not None:
        return state.stage
    begun = [stage for stage in STAGES if state.stages[stage].status != "waiting"]
    return begun[-1] if begun else "load"


def eta_s(stage: StageState, at: float | None) -> float | None:
    """Seconds still to go at the pace so far; None where nothing tells."""
    if stage.status != "running" or None in (stage.started_at, at, stage.total) or not stage.done:
        return None
    assert stage.started_at is not None
    assert stage.total is not None
    assert at is not None
    return (at - stage.started_at) / stage.done * max(0, stage.total - stage.done)


def roughly(value: float) -> str:
    """Seconds as one tells them when they are a guess."""
    if value < 90:
        return f"{max(1, round(value))} s"
    return f"{round(value / 60)} min" if value < 5400 else f"{value / 3600:.1f} h"


# What came of it


def outcome(run: RunDirectory, snapshot: Snapshot, arrow: str) -> tuple[Row, ...]:
    """Verdict, figures before and after, files, why, and what it ran on: what matters first."""
    state = snapshot.state
    rows = [
        *_verdict(state),
        *_pruned(run.config, state),
        *_figures(state, arrow),
        *_files(state, run.path),
        *_reasons(state),
        *facts(state),
    ]
    return tuple(rows) or (("", "Nothing is known yet: the checkpoint is being read."),)


def _verdict(state: RunState) -> Iterator[Row]:
    found = state.verdict
    if found is None:
        return
    sure = f"confidence {percent(found.confidence)}"
    if found.verdict == "no_evidence":
        forced = state.chosen is not None and state.chosen.k > 0
        then = "pruned because a target was named" if forced else "nothing was pruned"
        yield "verdict", f"No evidence of a backdoor ({sure}): {then}."
        yield "", "That is no proof that there is none: attacks without a static trigger hide best."
        return
    names = state.data.classes if state.data else ()
    targets = ", ".join(class_name(names, index) for index in named(found.targets))
    toward = f"class {targets}" if targets else "no class in particular"
    yield "verdict", f"Evidence of a backdoor toward {toward} ({sure})."


def _pruned(config: RunConfig, state: RunState) -> Iterator[Row]:
    chosen = state.chosen
    if chosen is None or state.model is None or config.until == "verdict":
        return
    if chosen.k:
        who = "by you" if chosen.by_user else "without the attack"
        share = percent(chosen.fraction, 2)
        of = f"{count(chosen.k)} of {count(state.model.neurons)} neurons ({share})"
        yield "pruned", f"{of}, chosen {who}"


def _reasons(state: RunState) -> Iterator[Row]:
    reasons = state.verdict.reasons if state.verdict else ()
    yield from zip(("because", *[""] * len(reasons)), reasons, strict=False)
    if state.chosen is not None and state.chosen.k:
        yield "choice", state.chosen.rule


def _figures(state: RunState, arrow: str) -> Iterator[Row]:
    """Each rate with its interval and n, before and, once re-measured, after."""
    before, origin = state.before or ev.Measured(), state.curve.get(0)
    after = state.remeasured
    for key in ("ba", "asr", "ra"):
        old = getattr(before, key)
        new = getattr(after.measured, key) if after else None
        if old is not None or new is not None:
            yield NAMES[key], _moved(old, new, after is not None, arrow)
    for key in ("retention", "residual"):
        old = getattr(origin.label_free, key) if origin else None
        new = getattr(after.label_free, key) if after else None
        if new is not None or (old is not None and after is None):
            yield NAMES[key].lower(), _moved(old, new, after is not None, arrow)
    yield from _healed(state, arrow)
    if state.data is not None and not state.data.labelled_test:
        yield "BA, ASR", f"{ABSENT}: the data has no labelled test images"
    elif state.before is not None and before.asr is None:
        yield "ASR", f"{ABSENT}: no --attack was given"


def _healed(state: RunState, arrow: str) -> Iterator[Row]:
    """The pruned model, or the checkpoint where nothing was pruned, against the healed one."""
    healed, pruned = state.healed, state.remeasured
    if healed is None:
        return
    if not healed.kept:
        yield "healed", UNHEALED
        return
    before = (
        rates(pruned.measured, pruned.label_free)
        if pruned
        else rates(state.before or ev.Measured(), healed.pruned)
    )
    for number, (word, now) in enumerate(rates(healed.measured, healed.label_free).items()):
        yield "" if number else "healed", f"{word} {_moved(before.get(word), now, True, arrow)}"


def _moved(old: ev.Rate | None, new: ev.Rate | None, measured: bool, arrow: str) -> str:
    """Both with their intervals; the number of images once where it is the same."""
    if not measured:
        return rate(old)
    if old is None or new is None or old.n != new.n:
        return f"{rate(old)} {arrow}\u00a0{rate(new)}"
    was, now = (f"{percent(one.value)} ({interval(one)})" for one in (old, new))
    return f"{was} {arrow}\u00a0{now}, n = {count(old.n)}"


def _files(state: RunState, run: Path) -> Iterator[Row]:
    """The folder once, then what is in it; those of a run that was moved or copied went along."""
    summary = state.summary or {}
    names = tuple(summary.get("exports", ()))
    if not names and state.exported is not None:
        names = state.exported.paths
    paths = [moved_along(Path(name), summary.get("run"), run) for name in names]
    folders = dict.fromkeys(path.parent for path in paths)
    for number, folder in enumerate(folders):
        yield "" if number else "exports", str(folder)
        yield "", ", ".join(path.name for path in paths if path.parent == folder)


def moved_along(path: Path, before: str | None, run: Path) -> Path:
    """Where ``path`` is now that the run that was ``before`` stands at ``run``."""
    if before is None or not path.is_relative_to(before):
        return path
    return run / path.relative_to(before)


def facts(state: RunState) -> Iterator[Row]:
    """What is examined, with which data, on what."""
    model, data, pixels = state.model, state.data, state.normalize
    if model is not None:
        size = f"{count(model.neurons)} neurons in {plural(len(model.layers), 'layer')}"
        yield "model", f"{Path(model.path).name}: {model.architecture}, {size}"
    if data is not None:
        used = f"{count(data.optimise)} images optimise, {count(data.select)} choose"
        yield "data", f"{data.source}: {used}, {count(data.test)} test"
    if pixels is not None:
        bgr = ", BGR" if pixels.bgr else ""
        yield "pixels", f"normalised as {pixels.name}{bgr}"
    if state.started is not None:
        yield "device", "  ".join([state.started.device, *memory(state)])
    if state.ended and state.spent_s is not None:
        yield "time", f"{seconds(state.spent_s)} since the worker began"


def memory(state: RunState) -> tuple[str, ...]:
    used = state.resources
    if used is None:
        return ()
    rows = [f"memory {mebibytes(used.resident_bytes)}"]
    if used.device_bytes is not None:
        total = used.device_total_bytes
        of = f" of {mebibytes(total)}" if total is not None else ""
        rows.append(f"device memory {mebibytes(used.device_bytes)}{of}")
    return tuple(rows)


def definitions(state: RunState) -> tuple[str, ...]:
    """Of the figures that ``outcome`` shows."""
    shown = [name for name, _ in _figures(state, "")]
    keys = [key for key, name in NAMES.items() if name in shown or name.lower() in shown]
    return tuple(f"{NAMES[key]}: {DEFINITIONS[key]}" for key in keys)


# The curve as series


def curve_series(state: RunState) -> Mapping[str, Points]:
    """Label-free rates, and those against ground truth where they were measured, by k."""
    series: dict[str, list[tuple[float, float]]] = {}
    for k in sorted(state.curve):
        point = state.curve[k]
        named = {
            "retention": point.label_free.retention,
            "residual": point.label_free.residual,
            "BA": point.measured.ba,
            "ASR": point.measured.asr,
        }
        for name, share in named.items():
            if share is not None:
                series.setdefault(name, []).append((float(k), share.value))
    return {name: tuple(points) for name, points in series.items()}
