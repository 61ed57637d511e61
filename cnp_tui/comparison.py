"""Runs side by side: one line a figure, one cell a run; as plain data and as text as well.

Pure but for ``read``. A figure is called best only among runs, never against a bar, and the mark
says where intervals do not tell the runs apart.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cnp_engine import events as ev
from cnp_engine import launch, settings
from cnp_engine.aims import ANY, class_name, named
from cnp_engine.config import RunConfig
from cnp_engine.events import STAGES, Rate, TriggerReversed
from cnp_engine.export.definitions import DEFINITIONS
from cnp_engine.export.wording import ABSENT, count, figure, percent, rate, seconds
from cnp_engine.rundir import RunDirectory
from cnp_engine.state import RunState
from cnp_tui import overview
from cnp_tui.history import Points

Standing = Literal["", "best", "not told apart"]
Curve = Literal["retention", "residual", "ba", "asr"]
CURVES: tuple[Curve, ...] = ("retention", "residual", "ba", "asr")
NAMES: dict[Curve, str] = {
    "retention": "Retention", "residual": "Residual", "ba": "BA", "asr": "ASR",
}  # fmt: skip
MARKS: dict[Standing, str] = {"": "  ", "best": "* ", "not told apart": "= "}
UNPRUNED = "nothing pruned"
LEGEND = "* best of these runs   = best, but another run's interval reaches it"


@dataclass(frozen=True)
class Compared:
    """One run as it stands; ``trouble`` where it cannot be read."""

    name: str
    path: Path
    config: RunConfig
    status: str
    state: RunState
    trouble: str = ""


@dataclass(frozen=True)
class Cell:
    text: str
    standing: Standing = ""


@dataclass(frozen=True)
class Line:
    """``key`` is its name in plain data, ``meaning`` the definition of the figure."""

    key: str
    name: str
    cells: tuple[Cell, ...]
    meaning: str = ""


def read(run: RunDirectory) -> Compared:
    """Raises RunDamaged."""
    status, state = launch.status(run)
    return Compared(run.name, run.path, run.config, status, state)


def lines(runs: Sequence[Compared]) -> list[Line]:
    """Every figure of every run; settings only where they differ."""
    if not runs:
        return []
    found = [
        *(_told(key, name, [tell(run) for run in runs]) for key, name, tell in _FACTS),
        *_rates(runs),
        *_times(runs),
        *_differences(runs),
    ]
    return [line for line in found if any(cell.text for cell in line.cells)]


def _told(key: str, name: str, texts: Sequence[str], meaning: str = "") -> Line:
    return Line(key, name, tuple(Cell(text) for text in texts), meaning)


def _verdict(run: Compared) -> str:
    found = run.state.verdict
    if found is None:
        return ABSENT
    text = "backdoored" if found.verdict == "backdoored" else "no evidence"
    return f"{text}, confidence {found.confidence:.2f}"


def _targets(run: Compared) -> str:
    found, data = run.state.verdict, run.state.data
    if found is None:
        return ABSENT
    names = data.classes if data else ()
    return ", ".join(class_name(names, target) for target in found.targets) or "none"


def _trigger(run: Compared) -> str:
    if not run.state.triggers:
        return ABSENT
    smallest = min(run.state.triggers.values(), key=lambda trigger: trigger.mask_l1)
    return f"L1 {figure(smallest.mask_l1, 3)} px, success {percent(smallest.success.value)}"


def _network(run: Compared) -> str:
    model = run.state.model
    if model is None:
        return ABSENT
    family = model.architecture.partition(",")[0].partition(" (")[0]
    return f"{family}, {count(model.neurons)} neurons"


def _pruned(run: Compared) -> str:
    chosen, model = run.state.chosen, run.state.model
    if chosen is None or model is None:
        return ABSENT
    return f"{count(chosen.k)} of {count(model.neurons)} ({percent(chosen.fraction, 2)})"


_FACTS: tuple[tuple[str, str, Callable[[Compared], str]], ...] = (
    ("status", "state", lambda run: run.trouble or run.status),
    ("model", "model", lambda run: Path(run.config.model).name),
    ("network", "network", _network),
    ("verdict", "verdict", _verdict),
    ("target", "target", _targets),
    ("trigger", "reversed trigger", _trigger),
    ("pruned", "pruned", _pruned),
)


@dataclass(frozen=True)
class _Figure:
    key: str
    name: str
    of: str
    find: Callable[[RunState], Rate | None]
    better: Literal["more", "less", ""]


def _after(name: str) -> Callable[[RunState], Rate | None]:
    return lambda state: (
        getattr(state.remeasured.measured, name) if state.remeasured is not None else None
    )


def _before(name: str) -> Callable[[RunState], Rate | None]:
    return lambda state: getattr(state.before, name) if state.before is not None else None


def _free(name: str) -> Callable[[RunState], Rate | None]:
    return lambda state: (
        getattr(state.remeasured.label_free, name) if state.remeasured is not None else None
    )


def _healed(name: str) -> Callable[[RunState], Rate | None]:
    """None too where the healed model was not kept."""

    def find(state: RunState) -> Rate | None:
        healed = state.healed
        if healed is None or not healed.kept:
            return None
        of = healed.measured if name in ("ba", "asr", "ra") else healed.label_free
        found: Rate | None = getattr(of, name)
        return found

    return find


FIGURES: tuple[_Figure, ...] = (
    _Figure("before.ba", "BA before", "ba", _before("ba"), ""),
    _Figure("after.ba", "BA after", "ba", _after("ba"), "more"),
    _Figure("before.asr", "ASR before", "asr", _before("asr"), ""),
    _Figure("after.asr", "ASR after", "asr", _after("asr"), "less"),
    _Figure("before.ra", "RA before", "ra", _before("ra"), ""),
    _Figure("after.ra", "RA after", "ra", _after("ra"), "more"),
    _Figure("label_free.retention", "retention", "retention", _free("retention"), "more"),
    _Figure("label_free.residual", "residual", "residual", _free("residual"), "less"),
)
HEALED: tuple[_Figure, ...] = (
    _Figure("healed.ba", "BA healed", "ba", _healed("ba"), "more"),
    _Figure("healed.asr", "ASR healed", "asr", _healed("asr"), "less"),
    _Figure("healed.ra", "RA healed", "ra", _healed("ra"), "more"),
    _Figure("healed.retention", "retention healed", "retention", _healed("retention"), "more"),
    _Figure("healed.residual", "residual healed", "residual", _healed("residual"), "less"),
)
"""Shown where one of the runs has healed its model."""


def _rates(runs: Sequence[Compared]) -> Iterator[Line]:
    heals = any(run.state.healed is not None for run in runs)
    for item in (*FIGURES, *HEALED) if heals else FIGURES:
        values = [item.find(run.state) for run in runs]
        standings = standing(values, item.better)
        cells = tuple(
            Cell(UNPRUNED if _unpruned(run, item) else rate(value), stands)
            for run, value, stands in zip(runs, values, standings, strict=True)
        )
        yield Line(item.key, item.name, cells, DEFINITIONS[item.of])


def _unpruned(run: Compared, item: _Figure) -> bool:
    """Whether there is no figure of a purified model because there is no such model."""
    chosen = run.state.chosen
    whole = chosen is not None and chosen.k == 0 and run.state.remeasured is None
    return whole and not item.key.startswith(("before.", "healed."))


def standing(values: Sequence[Rate | None], better: str) -> list[Standing]:
    """Which of them is best; none where all are the same, or fewer than two were measured."""
    measured = [value for value in values if value is not None]
    if not better or len({value.value for value in measured}) < 2:
        return [""] * len(values)
    pick = max if better == "more" else min
    best = pick(value.value for value in measured)
    found: list[Standing] = []
    for value in values:
        if value is None or value.value != best:
            found.append("")
            continue
        others = [other for other in measured if other.value != best]
        reached = any(other.low <= value.high and value.low <= other.high for other in others)
        found.append("not told apart" if reached else "best")
    return found


def _times(runs: Sequence[Compared]) -> Iterator[Line]:
    totals = [_seconds(run, "total") for run in runs]
    known = [value for value in totals if value is not None]
    least = min(known) if len(set(known)) > 1 else None
    cells = tuple(Cell(seconds(value), "best" if value == least else "") if value is not None
                  else Cell(ABSENT) for value in totals)  # fmt: skip
    yield Line("seconds.total", "time in all", cells)
    for stage in STAGES:
        if not any(stage in run.config.stages for run in runs):
            continue
        texts = [seconds(_seconds(run, stage)) for run in runs]
        yield _told(f"seconds.{stage}", f"  {stage}", texts)


def _seconds(run: Compared, what: str) -> float | None:
    """A finished run has left out the stages that it has no time of."""
    known = {stage: run.state.stages[stage].seconds for stage in STAGES}
    if what != "total":
        return next(value for stage, value in known.items() if stage == what)
    spent = [value for value in known.values() if value is not None]
    whole = run.status == "finished" or len(spent) >= len(run.config.stages)
    return sum(spent) if whole else None


def _differences(runs: Sequence[Compared]) -> Iterator[Line]:
    """Settings, the data among them, that are not the same in all runs; the model has its line."""
    values = [run.config.values() for run in runs]
    for item in settings.catalogue(RunConfig).values():
        texts = [settings.show(each[item.key]) for each in values]
        if item.key != "model" and len(set(texts)) > 1:
            yield _told(f"settings.{item.key}", item.key, texts, item.help)


def series(runs: Sequence[Compared], what: Curve) -> dict[str, Points]:
    """The curve of each run over the share of its neurons pruned, in percent: networks differ."""
    found: dict[str, Points] = {}
    for name, run in zip(names(runs), runs, strict=True):
        neurons = run.state.model.neurons if run.state.model else 1
        points = [(point.k, _value(point, what)) for point in run.state.curve.values()]
        shares = [(100 * k / neurons, value) for k, value in points if value is not None]
        found[name] = tuple(sorted(shares))
    return found


def _value(point: ev.CurvePoint, what: Curve) -> float | None:
    of = point.label_free if what in ("retention", "residual") else point.measured
    value: Rate | None = getattr(of, what)
    return None if value is None else value.value


def names(runs: Sequence[Compared]) -> list[str]:
    """Short and told apart: the letter that heads its column, then its name."""
    return [f"{chr(ord('A') + at % 26)} {run.name}" for at, run in enumerate(runs)]


# Without a screen


def table(runs: Sequence[Compared]) -> list[dict[str, Any]]:
    """The runs as plain data, rates with n and interval; null where it was not measured."""
    return [_plain(run) for run in runs]


def _reversed(trigger: TriggerReversed) -> dict[str, Any]:
    """``target`` is null where it aims at no class in particular."""
    plain = dataclasses.asdict(trigger)
    return {**plain, "target": None if trigger.target == ANY else trigger.target}


def _plain(run: Compared) -> dict[str, Any]:
    state = run.state
    found, chosen, model = state.verdict, state.chosen, state.model
    plain: dict[str, Any] = {
        "name": run.name,
        "run": str(run.path),
        "status": run.status,
        "model": run.config.model,
        "verdict": found.verdict if found else None,
        "target": named(found.targets) if found else None,
        "neurons": model.neurons if model else None,
        "pruned": chosen.k if chosen else None,
        "reversed": [_reversed(trigger) for trigger in state.triggers.values()],
        "before": {}, "after": {}, "label_free": {}, "healed": {},
        "seconds": {what: _seconds(run, what) for what in ("total", *STAGES)},
    }  # fmt: skip
    for item in (*FIGURES, *HEALED):
        place, name = item.key.split(".")
        value = item.find(state)
        plain[place][name] = None if value is None else dataclasses.asdict(value)
    return plain


def text(runs: Sequence[Compared]) -> str:
    """The lines as a table of text."""
    head = ("", *(f"  {name}" for name in names(runs)))
    rows = [(line.name, *(_marked(cell) for cell in line.cells)) for line in lines(runs)]
    return f"{overview.align([head, *rows])}\n\n{LEGEND}"


def _marked(cell: Cell) -> str:
    return f"{MARKS[cell.standing]}{cell.text}"
