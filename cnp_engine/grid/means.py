"""Means over attacks, what is worst among them, and whether they keep to the grid's bars."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from cnp_engine.events import Rate
from cnp_engine.grid.grid import Grid
from cnp_engine.grid.results import Result
from cnp_engine.grid.tables import Bars


@dataclass(frozen=True)
class Figure:
    """A figure of a cell that has a mean. ``of`` says of which models, and "share" that a cell
    only says yes (1) or no (0)."""

    key: str
    name: str
    find: Callable[[Result], float | None]
    better: Literal["less", "more"] = "less"
    of: Literal["backdoored", "clean"] = "backdoored"
    kind: Literal["rate", "points", "share", "seconds"] = "rate"


FIGURES: tuple[Figure, ...] = (
    Figure("asr", "ASR", lambda row: _value(row.after.asr)),
    Figure("ba_drop", "BA drop", lambda row: row.ba_drop, kind="points"),
    Figure("ra_gap", "RA gap", lambda row: row.ra_gap, kind="points"),
    Figure("residual", "residual", lambda row: _value(row.label_free.residual)),
    Figure("pruned", "pruned", lambda row: row.fraction),
    Figure("seconds", "seconds", lambda row: row.seconds, kind="seconds"),
    Figure("verdict_right", "verdicts right", lambda row: _share(row.verdict_right), "more",
           kind="share"),
    Figure("target_right", "targets right", lambda row: _share(row.target_right), "more",
           kind="share"),
    Figure("false_alarms", "false alarms", lambda row: _alarm(row), of="clean", kind="share"),
)  # fmt: skip


@dataclass(frozen=True)
class Worst:
    value: float
    cell: str


@dataclass(frozen=True)
class Mean:
    """A figure over the cells of a group. ``asked`` cells should have it, ``n`` do; ``bar`` None is
    no bar; ``holds`` is None where there is no bar or a cell is still missing.

    ``keeping`` counts the cells that keep to the bar by themselves.
    """

    value: float | None
    n: int
    asked: int
    worst: Worst | None
    bar: float | None = None
    holds: bool | None = None
    keeping: int | None = None


@dataclass(frozen=True)
class Group:
    """Cells with one number of clean images and one network; ``rate`` None: of every poison rate.

    ``cells`` and ``done`` count all of them, clean models included.
    """

    clean: int
    network: str | None
    rate: float | None
    cells: int
    done: int
    figures: dict[str, Mean]


def groups(grid: Grid, results: Sequence[Result]) -> list[Group]:
    """All groups; where one has several poison rates, a group each follows it."""
    found: list[Group] = []
    for clean, network in dict.fromkeys((row.cell.clean, row.network) for row in results):
        mine = [row for row in results if (row.cell.clean, row.network) == (clean, network)]
        bars = grid.bars.get(clean, Bars())
        found.append(_group(mine, None, bars))
        rates = {row.cell.model.truth.rate for row in mine if row.backdoored} - {None}
        for rate in sorted(rate for rate in rates if rate is not None and len(rates) > 1):
            part = [r for r in mine if not r.backdoored or r.cell.model.truth.rate == rate]
            found.append(_group(part, rate, bars))
    return sorted(found, key=lambda group: -group.clean)


def _group(rows: Sequence[Result], rate: float | None, bars: Bars) -> Group:
    first = rows[0]
    figures = {one.key: mean(one, rows, getattr(bars, one.key)) for one in FIGURES}
    done = sum(row.done for row in rows)
    return Group(first.cell.clean, first.network, rate, len(rows), done, figures)


def mean(figure: Figure, rows: Iterable[Result], bar: float | None = None) -> Mean:
    """Of the cells that ``figure`` is of."""
    asked = [row for row in rows if row.backdoored == (figure.of == "backdoored")]
    if figure.key == "target_right":
        asked = [row for row in asked if row.cell.model.truth.targets]
    known = [(value, row) for row in asked if (value := figure.find(row)) is not None]
    if not known:
        return Mean(None, 0, len(asked), None, bar)
    values = [value for value, _ in known]
    average = statistics.fmean(values)
    pick = max if figure.better == "less" else min
    value, row = pick(known, key=lambda pair: pair[0])
    whole = len(known) == len(asked)
    return Mean(
        average, len(known), len(asked), Worst(value, row.cell.name), bar,
        None if bar is None or not whole else _keeps(average, bar, figure),
        None if bar is None else sum(_keeps(value, bar, figure) for value in values),
    )  # fmt: skip


ROUNDING = 1e-9
"""A difference of two shares that is a bar exactly may come out a bit above it."""


def _keeps(value: float, bar: float, figure: Figure) -> bool:
    return value <= bar + ROUNDING if figure.better == "less" else value >= bar - ROUNDING


def _alarm(row: Result) -> float | None:
    right = _share(row.verdict_right)
    return None if right is None else 1.0 - right


def _value(rate: Rate | None) -> float | None:
    return None if rate is None else rate.value


def _share(truth: bool | None) -> float | None:
    return None if truth is None else float(truth)
