"""A bench as Markdown, CSV and JSON. What was not measured is "-", empty or null, never NaN."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cnp_engine.codec import encode
from cnp_engine.events import Rate
from cnp_engine.export.definitions import DEFINITIONS, INTERVALS, NAMES
from cnp_engine.export.wording import count, plural
from cnp_engine.grid.grid import Grid
from cnp_engine.grid.means import FIGURES, Group, Mean, groups
from cnp_engine.grid.results import Result

ABSENT = "-"
WORDS = {True: "right", False: "wrong", None: ABSENT}
VERDICTS = {"backdoored": "backdoored", "no_evidence": "no evidence", None: ABSENT}

CELLS = (
    "attack", "network", "rate", "clean", "train seed", "seed", "BA before", "BA after",
    "ASR before", "ASR after", "RA before", "RA after", "BA drop", "RA gap", "retention",
    "residual", "trigger's success", "pruned", "verdict", "target", "s", "MiB",
    "run",
)  # fmt: skip
HEALED = ("BA healed", "ASR healed", "RA healed", "residual healed")
"""More columns of a grid that heals."""

MEANS = (
    "clean", "network", "rate", "done", "ASR", "BA drop", "RA gap", "residual", "pruned",
    "targets right", "verdicts right", "false alarms", "worst ASR", "worst BA drop",
    "worst RA gap", "s",
)  # fmt: skip
BARS = ("clean", "network", "rate", "figure", "bar", "mean", "holds", "cells that keep it", "worst")

MEANINGS = (
    f"BA. {DEFINITIONS['ba']}",
    f"ASR. {DEFINITIONS['asr']}",
    f"RA. {DEFINITIONS['ra']}",
    "BA drop. BA before less BA after, in points.",
    "RA gap. BA after less RA after, in points: what the trigger still costs.",
    f"{NAMES['retention']}. {DEFINITIONS['retention']}",
    f"{NAMES['residual']}. {DEFINITIONS['residual']}",
    f"{NAMES['success']}. {DEFINITIONS['success']}",
    "Means are of backdoored models; false alarms are clean models called backdoored. Where "
    "nothing is pruned, after is as before. A model's attack is given for measuring alone.",
)
MEANING_HEALED = (
    "Healed. The pruned model after self-distillation, where that was better on the images that "
    "chose, else the pruned model."
)


@dataclass(frozen=True)
class Bench:
    """A grid and the results of all its cells, in the grid's order."""

    grid: Grid
    results: Sequence[Result]

    @property
    def groups(self) -> list[Group]:
        return groups(self.grid, self.results)

    @property
    def heals(self) -> bool:
        """Whether any cell has a healed model, or was to."""
        return any(row.kept is not None for row in self.results)

    @property
    def healed_groups(self) -> list[Group]:
        """The groups with healed models after the repair; none where nothing heals."""
        return groups(self.grid, [row.in_the_end for row in self.results]) if self.heals else []

    def number(self, state: str) -> int:
        """How many cells are in a state."""
        return sum(row.state == state for row in self.results)

    @property
    def standing(self) -> str:
        """ "3 of 4 cells done, 1 failed"."""
        parts = [f"{self.number('done')} of {plural(len(self.results), 'cell')} done"]
        parts += [f"{n} failed" for n in [self.number("failed")] if n]
        return ", ".join(parts)


def markdown(bench: Bench) -> str:
    """Tables of cells, means and bars with what their figures mean; healed models have theirs."""
    heals = bench.heals
    columns = (*CELLS[:-1], *HEALED, CELLS[-1]) if heals else CELLS
    lines = [
        f"# Bench {bench.grid.name}", "",
        f"{bench.standing}. Data `{bench.grid.data}`. Rates in per cent with {INTERVALS} "
        f"{_sizes(bench.results)}", "",
        *_table(columns, (_cell(row, heals) for row in bench.results)), "",
        *_failures(bench.results),
        *_judged(bench.groups, ""),
        *(_judged(bench.healed_groups, ", healed") if heals else []),
    ]  # fmt: skip
    return "\n".join(
        [*lines, "## What the figures mean", "", *(f"- {m}" for m in _meanings(bench))]
    )


def _meanings(bench: Bench) -> list[str]:
    return [*MEANINGS, *([MEANING_HEALED] if bench.heals else [])]


def _judged(found: Sequence[Group], what: str) -> Iterator[str]:
    """Means and bars."""
    means = _table(MEANS, (_mean(group) for group in found))
    yield from (f"## Means over attacks{what}", "", *means, "")
    bars = [row for group in found for row in _bars(group)]
    if bars:
        yield from (f"## Bars{what}", "", *_table(BARS, bars), "")


def as_csv(bench: Bench) -> str:
    """A line a cell; rates in 0..1 with n, low and high in columns of their own."""
    rows = [dict(_flat(_plain(row))) for row in bench.results]
    target = io.StringIO()
    writer = csv.DictWriter(target, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return target.getvalue()


def as_json(bench: Bench) -> dict[str, Any]:
    """Plain data: rates in 0..1 with n, low and high, times in seconds."""
    return {
        "grid": bench.grid.name,
        "data": bench.grid.data,
        "settings": encode(bench.grid.sets),
        "cells": len(bench.results),
        "done": bench.number("done"),
        "failed": bench.number("failed"),
        "rows": [_plain(row) for row in bench.results],
        "means": [encode(group) for group in bench.groups],
        "means_healed": [encode(group) for group in bench.healed_groups],
        "meanings": _meanings(bench),
    }


_RATES = (
    ("before", "ba"), ("before", "asr"), ("before", "ra"),
    ("after", "ba"), ("after", "asr"), ("after", "ra"),
    ("label_free", "retention"), ("label_free", "residual"), ("label_free", "recovery"),
    ("healed", "ba"), ("healed", "asr"), ("healed", "ra"),
    ("healed_free", "retention"), ("healed_free", "residual"), ("healed_free", "recovery"),
)  # fmt: skip


def _plain(row: Result) -> dict[str, Any]:
    model, truth = row.cell.model, row.cell.model.truth
    return {
        "name": row.cell.name,
        "state": row.state,
        "error": row.error or None,
        "model": model.name,
        "attack": truth.attack,
        "all_to_all": truth.all_to_all,
        "network": row.network,
        "rate": truth.rate,
        "clean": row.cell.clean,
        "train_seed": model.train_seed,
        "seed": row.cell.seed,
        "rates": {
            f"{group}_{name}": encode(getattr(getattr(row, group), name)) for group, name in _RATES
        }
        | {"reversed_success": encode(row.success)},
        "healed_kept": row.kept,
        "ba_drop": row.ba_drop,
        "ra_gap": row.ra_gap,
        "pruned": row.pruned,
        "neurons": row.neurons,
        "fraction": row.fraction,
        "verdict": row.verdict,
        "verdict_right": row.verdict_right,
        "true_targets": list(truth.targets),
        "targets": list(row.targets),
        "target_right": row.target_right,
        "seconds": row.seconds,
        "peak_memory_bytes": row.peak_memory_bytes,
        "device": row.device,
    }


def _flat(plain: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in plain.items():
        if key == "rates":
            for name, rate in value.items():
                known = rate or {}
                yield name, known.get("value")
                yield from ((f"{name}_{part}", known.get(part)) for part in ("n", "low", "high"))
        elif isinstance(value, list):
            yield key, " ".join(str(one) for one in value)
        else:
            yield key, value


def _cell(row: Result, heals: bool = False) -> list[str]:
    model, truth = row.cell.model, row.cell.model.truth
    about = [
        _attack(row), row.network or ABSENT, _share(truth.rate),
        count(row.cell.clean), _text(model.train_seed), _text(row.cell.seed),
    ]  # fmt: skip
    name = f"`{row.cell.name}`"
    if not row.done:
        more = len(HEALED) if heals else 0
        rest = [*[ABSENT] * (len(CELLS) - len(about) - 5), row.state, *[ABSENT] * (3 + more)]
        return [*about, *rest, name]
    pairs = [(row.before.ba, row.after.ba), (row.before.asr, row.after.asr),
             (row.before.ra, row.after.ra)]  # fmt: skip
    return [
        *about,
        *(rate(one) for pair in pairs for one in pair),
        points(row.ba_drop), points(row.ra_gap),
        rate(row.label_free.retention), rate(row.label_free.residual), rate(row.success),
        _pruned(row), _verdict(row), _target(row),
        _seconds(row.seconds), _mebibytes(row.peak_memory_bytes),
        *(_healed(row) if heals else []),
        name,
    ]  # fmt: skip


def _healed(row: Result) -> list[str]:
    """A model that was not kept says so where its ASR would stand."""
    if row.kept is False:
        return [ABSENT, "not kept", ABSENT, ABSENT]
    found = row.healed
    return [rate(found.ba), rate(found.asr), rate(found.ra), rate(row.healed_free.residual)]


def _attack(row: Result) -> str:
    truth = row.cell.model.truth
    name = truth.attack or "none (clean)"
    return f"{name}, all-to-all" if truth.all_to_all else name


def _failures(results: Sequence[Result]) -> list[str]:
    failed = [
        f"- `{row.cell.name}`: {' '.join(row.error.split())}"
        for row in results
        if row.state == "failed"
    ]
    return ["Failed, and tried again by the next call:", "", *failed, ""] if failed else []


def _mean(group: Group) -> list[str]:
    found = group.figures
    worst = [_worst(key, found[key]) for key in ("asr", "ba_drop", "ra_gap")]
    return [
        *_about(group), f"{group.done} of {group.cells}",
        *(_figure(key, found[key].value)
          for key in ("asr", "ba_drop", "ra_gap", "residual", "pruned")),
        *(_counted(found[key]) for key in ("target_right", "verdict_right", "false_alarms")),
        *worst, _figure("seconds", found["seconds"].value),
    ]  # fmt: skip


def _bars(group: Group) -> Iterator[list[str]]:
    for one in FIGURES:
        found = group.figures[one.key]
        if found.bar is None:
            continue
        sign = "at most" if one.better == "less" else "at least"
        holds = {True: "yes", False: "NO", None: "not all measured"}[found.holds]
        yield [
            *_about(group), one.name, f"{sign} {_figure(one.key, found.bar)}",
            _figure(one.key, found.value), holds if found.asked else "no such model",
            ABSENT if found.keeping is None else f"{found.keeping} of {found.asked}",
            _worst(one.key, found),
        ]  # fmt: skip


def _about(group: Group) -> list[str]:
    rate = "all" if group.rate is None else _share(group.rate)
    return [count(group.clean), group.network or ABSENT, rate]


def _counted(found: Mean) -> str:
    """ "3 of 4": cells for which the answer is yes among those that have one."""
    if found.value is None:
        return ABSENT if not found.asked else f"0 of 0, {found.asked} missing"
    missing = found.asked - found.n
    text = f"{round(found.value * found.n)} of {found.n}"
    return f"{text}, {missing} missing" if missing else text


def _worst(key: str, found: Mean) -> str:
    if found.worst is None:
        return ABSENT
    return f"{_figure(key, found.worst.value)} ({found.worst.cell})"


def _figure(key: str, value: float | None) -> str:
    kind = next(one.kind for one in FIGURES if one.key == key)
    tell = {"points": points, "seconds": _seconds, "rate": percent, "share": percent}
    return tell[kind](value)


def rate(value: Rate | None) -> str:
    """ "97.1 (96.1 to 97.9)", in per cent."""
    if value is None:
        return ABSENT
    return f"{percent(value.value)} ({100 * value.low:.1f} to {100 * value.high:.1f})"


def percent(value: float | None) -> str:
    return ABSENT if value is None else f"{100 * value:.2f}"


def points(value: float | None) -> str:
    """A difference of two rates, signed where it is not to nothing."""
    return ABSENT if value is None else f"{100 * value:.2f}".replace("-0.00", "0.00")


def _sizes(results: Iterable[Result]) -> str:
    """On how many images BA and ASR were measured; figures of each cell are in the CSV."""
    rows = list(results)
    said = []
    for name, sizes in (
        ("BA", {one.before.ba.n for one in rows if one.before.ba}),
        ("ASR and RA", {one.before.asr.n for one in rows if one.before.asr}),
    ):
        if sizes:
            low, high = min(sizes), max(sizes)
            said.append(f"{name} on {count(low)}" + (f" to {count(high)}" if high > low else ""))
    where = "n of every rate is in bench.csv"
    return f"Test images: {', '.join(said)}; {where}." if said else ""


def _pruned(row: Result) -> str:
    if row.pruned is None or row.neurons is None:
        return ABSENT
    return f"{row.pruned} of {count(row.neurons)} ({percent(row.fraction)})"


def _verdict(row: Result) -> str:
    word = VERDICTS[row.verdict]
    return word if row.verdict_right is None else f"{word}, {WORDS[row.verdict_right]}"


def _target(row: Result) -> str:
    named = " ".join(str(one) for one in row.targets) or ABSENT
    return named if row.target_right is None else f"{named}, {WORDS[row.target_right]}"


def _share(value: float | None) -> str:
    return ABSENT if value is None else f"{100 * value:g} %"


def _seconds(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.1f}"


def _mebibytes(value: int | None) -> str:
    return ABSENT if value is None else f"{value / 2**20:,.0f}"


def _text(value: int | None) -> str:
    return ABSENT if value is None else str(value)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield _row(head)
    yield _row(["---"] * len(head))
    yield from (_row(row) for row in rows)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
