"""What came of a cell, read off its run's summary, beside what is true of its model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from cnp_engine.events import LabelFree, Measured, Rate
from cnp_engine.grid.cells import Cell

State = Literal["done", "failed", "stopped", "waiting"]


@dataclass(frozen=True)
class Result:
    """One cell. Rates are in 0..1; what was not measured is None.

    ``error`` is a failed cell's sentence. ``network`` is as the grid names it, else as the run
    recognised it; None while nobody knows. ``targets`` are the classes the verdict names.
    ``after`` and ``label_free`` are of the pruned model, ``healed`` and ``healed_free`` of the same
    after healing; ``kept`` whether that was better, None where it did not come to that.
    """

    cell: Cell
    state: State = "waiting"
    error: str = ""
    network: str | None = None
    verdict: str | None = None
    targets: tuple[int, ...] = ()
    before: Measured = field(default_factory=Measured)
    after: Measured = field(default_factory=Measured)
    label_free: LabelFree = field(default_factory=LabelFree)
    kept: bool | None = None
    healed: Measured = field(default_factory=Measured)
    healed_free: LabelFree = field(default_factory=LabelFree)
    success: Rate | None = None
    pruned: int | None = None
    neurons: int | None = None
    seconds: float | None = None
    peak_memory_bytes: int | None = None
    device: str | None = None

    @property
    def done(self) -> bool:
        return self.state == "done"

    @property
    def backdoored(self) -> bool:
        """Whether the model truly is."""
        return self.cell.model.truth.backdoored

    @property
    def in_the_end(self) -> Result:
        """The same with the healed model after it, where that was kept."""
        if not self.kept:
            return self
        return replace(self, after=self.healed, label_free=self.healed_free)

    @property
    def ba_drop(self) -> float | None:
        """BA before less BA after."""
        return _less(self.before.ba, self.after.ba)

    @property
    def ra_gap(self) -> float | None:
        """BA after less RA after: what the trigger still costs. A clean model has no RA."""
        return _less(self.after.ba, self.after.ra)

    @property
    def fraction(self) -> float | None:
        """Share of the neurons that was pruned."""
        return None if self.pruned is None or not self.neurons else self.pruned / self.neurons

    @property
    def verdict_right(self) -> bool | None:
        """None where there was no verdict."""
        if self.verdict is None:
            return None
        return self.verdict == ("backdoored" if self.backdoored else "no_evidence")

    @property
    def target_right(self) -> bool | None:
        """Whether every true target is among the classes named; None where there is none."""
        truth = self.cell.model.truth.targets
        if not truth or self.verdict is None:
            return None
        return set(truth) <= set(self.targets)


def of_summary(cell: Cell, summary: Mapping[str, Any], network: str, repaired: bool) -> Result:
    """The result of a finished run: ``network`` as it was recognised, ``summary`` as `--json` has
    it, ``repaired`` whether the run was to do more than give a verdict.

    Where a repair pruned nothing, the checkpoint itself stands after it.
    """
    rates = _Rates(summary)
    neurons = summary["neurons"]
    before = rates.measured("before")
    untouched = repaired and neurons["pruned"] == 0
    target, healed = summary["target"], summary.get("healed")
    return Result(
        cell=cell,
        state="done",
        network=network_name(cell, network),
        verdict=summary["verdict"],
        targets=tuple(target) if isinstance(target, list) else () if target is None else (target,),
        before=before,
        after=before if untouched else rates.measured("after"),
        label_free=rates.label_free("label_free"),
        kept=healed["kept"] if healed else None,
        healed=rates.measured("healed") if healed else Measured(),
        healed_free=rates.label_free("healed") if healed else LabelFree(),
        success=rates.at("reversed", "success"),
        pruned=neurons["pruned"],
        neurons=neurons["total"],
        seconds=summary["seconds"]["total"],
        peak_memory_bytes=summary["peak_memory_bytes"],
        device=summary["device"],
    )


def network_name(cell: Cell, recognised: str | None = None) -> str | None:
    """ "resnet18, width 16": as the grid says, else shortened from what a run recognised."""
    model = cell.model
    name, width = model.network, model.width
    if recognised is not None:
        found = re.search(r"widths? (\d+)", recognised)
        name = name or recognised.partition(",")[0].partition(" (")[0]
        width = width or (int(found[1]) if found else None)
    if name is None:
        return None
    return name if width is None else f"{name}, width {width}"


class _Rates:
    """Rates of a summary with their n and interval, which stand apart from them."""

    def __init__(self, summary: Mapping[str, Any]) -> None:
        self._summary = summary

    def measured(self, when: str) -> Measured:
        return Measured(self.at(when, "ba"), self.at(when, "asr"), self.at(when, "ra"))

    def label_free(self, where: str) -> LabelFree:
        return LabelFree(
            self.at(where, "retention"), self.at(where, "residual"), self.at(where, "recovery")
        )

    def at(self, group: str, name: str) -> Rate | None:
        value = self._summary[group][name]
        if value is None:
            return None
        evidence, place = self._summary["evidence"], f"{group}.{name}"
        low, high = evidence["intervals"][place]
        return Rate(value, evidence["n"][place], low, high)


def _less(one: Rate | None, other: Rate | None) -> float | None:
    return None if one is None or other is None else one.value - other.value
