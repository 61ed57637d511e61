"""summary.json: what ``--json`` prints. Its keys are a contract; scripts read them.

Rates are in 0..1, times in seconds, what was not measured is null. Intervals, sample sizes and
definitions stand apart under ``evidence``, so that the contract's values stay plain numbers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypedDict

from cnp_engine.aims import ANY, named
from cnp_engine.events import STAGES, Healed, LabelFree, Measured, Rate, TargetRow, finite
from cnp_engine.export.definitions import DEFINITIONS, INTERVALS, LABEL_FREE


class Rates(TypedDict):
    ba: float | None
    asr: float | None
    ra: float | None


class LabelFreeRates(TypedDict):
    retention: float | None
    residual: float | None
    recovery: float | None


class HealedRates(TypedDict):
    """``kept`` false: no better, so not written; its ground truth was not measured then.

    ``share`` of what the steps had changed was taken.
    """

    kept: bool
    steps: int
    share: float
    ba: float | None
    asr: float | None
    ra: float | None
    retention: float | None
    residual: float | None
    recovery: float | None


# "class" is no name Python allows as an attribute.
RankingRow = TypedDict(
    "RankingRow",
    {
        "class": int | None,
        "name": str,
        "score": float | None,
        "mask_l1": float | None,
        "success": float | None,
        "anomaly": float | None,
        "votes": float | None,
        "signals": dict[str, float | None],
    },
)


class Reversed(TypedDict):
    success: float | None
    mask_l1: float | None


class Neurons(TypedDict):
    total: int | None
    pruned: int
    fraction: float | None


class Seconds(TypedDict):
    total: float | None
    load: float | None
    target: float | None
    trigger: float | None
    scores: float | None
    sweep: float | None
    heal: float | None
    export: float | None


class Evidence(TypedDict):
    """Sample sizes and [low, high] by place ("before.ba"); asr_all, which has no key of its own."""

    n: dict[str, int]
    intervals: dict[str, list[float]]
    asr_all: dict[str, float | None]
    definitions: dict[str, str]


class Summary(TypedDict):
    status: str
    verdict: str | None
    target: int | list[int] | None
    target_ranking: list[RankingRow]
    reversed: Reversed
    neurons: Neurons
    threshold: float | None
    before: Rates
    after: Rates
    label_free: LabelFreeRates
    healed: HealedRates | None
    repaired: list[int | None]
    seconds: Seconds
    peak_memory_bytes: int | None
    device: str | None
    seed: int
    exports: list[str]
    run: str | None
    evidence: Evidence


@dataclass(frozen=True)
class SummaryParts:
    """Everything the object is made of; what a run did not come to stays at its default.

    ``targets`` are the classes the verdict names, ``repaired`` what was pruned or healed against:
    others where the user named them. ``seconds`` maps a stage, and "total", to
    its time. ``after`` and ``label_free`` are of the exported file as read back, pruned;
    ``healed`` is None where nothing was healed.
    """

    seed: int
    status: str = "done"
    verdict: Literal["backdoored", "no_evidence"] | None = None
    targets: tuple[int, ...] = ()
    ranking: tuple[TargetRow, ...] = ()
    success: Rate | None = None
    mask_l1: float | None = None
    repaired: tuple[int, ...] = ()
    neurons: int | None = None
    pruned: int = 0
    threshold: float | None = None
    before: Measured = field(default_factory=Measured)
    after: Measured = field(default_factory=Measured)
    label_free: LabelFree = field(default_factory=LabelFree)
    healed: Healed | None = None
    seconds: Mapping[str, float] | None = None
    peak_memory_bytes: int | None = None
    device: str | None = None
    exports: tuple[str, ...] = ()
    run: str | None = None


def summary(parts: SummaryParts) -> Summary:
    """The object of the contract, in the contract's order of keys."""
    total = parts.neurons
    return Summary(
        status=parts.status,
        verdict=parts.verdict,
        target=_target(parts.targets),
        target_ranking=[_row(row) for row in parts.ranking],
        reversed=Reversed(success=_value(parts.success), mask_l1=_number(parts.mask_l1)),
        neurons=Neurons(
            total=total, pruned=parts.pruned, fraction=parts.pruned / total if total else None
        ),
        threshold=_number(parts.threshold),
        before=_rates(parts.before),
        after=_rates(parts.after),
        label_free=_free(parts.label_free),
        healed=_healed(parts.healed),
        repaired=[None if one == ANY else one for one in parts.repaired],
        seconds=_seconds(parts.seconds or {}),
        peak_memory_bytes=parts.peak_memory_bytes,
        device=parts.device,
        seed=parts.seed,
        exports=list(parts.exports),
        run=parts.run,
        evidence=_evidence(parts),
    )


def summary_json(value: Summary) -> str:
    """One object as text. Raises ValueError on NaN, which the contract does not know."""
    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def _target(targets: tuple[int, ...]) -> int | list[int] | None:
    """null also where the backdoor aims at no class in particular."""
    classes = named(targets)
    if not classes:
        return None
    return classes[0] if len(classes) == 1 else classes


def _row(row: TargetRow) -> RankingRow:
    return {
        "class": None if row.index == ANY else row.index,
        "name": row.name,
        "score": finite(row.score),
        "mask_l1": finite(row.mask_l1),
        "success": finite(row.success),
        "anomaly": finite(row.anomaly),
        "votes": finite(row.votes),
        "signals": {key: finite(value) for key, value in row.signals.items()},
    }


def _rates(measured: Measured) -> Rates:
    return Rates(ba=_value(measured.ba), asr=_value(measured.asr), ra=_value(measured.ra))


def _free(of: LabelFree) -> LabelFreeRates:
    return LabelFreeRates(
        retention=_value(of.retention), residual=_value(of.residual), recovery=_value(of.recovery)
    )


def _healed(event: Healed | None) -> HealedRates | None:
    if event is None:
        return None
    return HealedRates(
        kept=event.kept,
        steps=event.steps,
        share=event.share,
        **_rates(event.measured),
        **_free(event.label_free),
    )


def _seconds(seconds: Mapping[str, float]) -> Seconds:
    unknown = set(seconds) - {"total", *STAGES}
    assert not unknown, unknown
    get = seconds.get
    return Seconds(
        total=_number(get("total")),
        load=_number(get("load")),
        target=_number(get("target")),
        trigger=_number(get("trigger")),
        scores=_number(get("scores")),
        sweep=_number(get("sweep")),
        heal=_number(get("heal")),
        export=_number(get("export")),
    )


def _evidence(parts: SummaryParts) -> Evidence:
    measured = dict(_places(parts))
    return Evidence(
        n={place: rate.n for place, rate in measured.items()},
        intervals={place: [rate.low, rate.high] for place, rate in measured.items()},
        asr_all={"before": _value(parts.before.asr_all), "after": _value(parts.after.asr_all)},
        definitions={**DEFINITIONS, "intervals": INTERVALS},
    )


def _places(parts: SummaryParts) -> list[tuple[str, Rate]]:
    places: list[tuple[str, Rate | None]] = [("reversed.success", parts.success)]
    healed = parts.healed.measured if parts.healed else Measured()
    for when, measured in (("before", parts.before), ("after", parts.after), ("healed", healed)):
        places += [
            (f"{when}.{name}", rate)
            for name, rate in (
                ("ba", measured.ba),
                ("asr", measured.asr),
                ("ra", measured.ra),
                ("asr_all", measured.asr_all),
            )
        ]
    places += [(f"label_free.{name}", getattr(parts.label_free, name)) for name in LABEL_FREE]
    if parts.healed is not None:
        free = parts.healed.label_free
        places += [(f"healed.{name}", getattr(free, name)) for name in LABEL_FREE]
    return [(place, rate) for place, rate in places if rate is not None]


def _value(rate: Rate | None) -> float | None:
    return None if rate is None else finite(rate.value)


def _number(value: float | None) -> float | None:
    return finite(value)
