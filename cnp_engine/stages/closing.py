"""Close: exports, report, summary. What was measured and decided is only written down here."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from cnp_engine import runtime
from cnp_engine.aims import whom
from cnp_engine.algorithms.pruning import pruned_neurons
from cnp_engine.algorithms.scores import NeuronScores
from cnp_engine.events import (
    Chosen,
    Event,
    Exported,
    Finished,
    Healed,
    LabelFree,
    Measured,
    Remeasured,
    StageStarted,
    TargetRanked,
    TriggerReversed,
    VerdictReached,
)
from cnp_engine.export import files
from cnp_engine.export.inputs import PrunedNeuron
from cnp_engine.export.naming import FILES, HEALED, MODEL
from cnp_engine.files import write_atomic
from cnp_engine.rundir import SUMMARY, RunDirectory
from cnp_engine.stages.delivery import deliver, deliver_healed, pruned
from cnp_engine.stages.evidence import Evidence
from cnp_engine.stages.healing import Healing
from cnp_engine.stages.judging import Curve
from cnp_engine.stages.material import Clock, Material
from cnp_engine.stages.reversing import Triggers
from cnp_engine.stages.session import aims

EXAMPLES = 6
"""Clean images shown with and without the reversed trigger."""


@dataclass(frozen=True)
class Delivery:
    """What was written; ``remeasured`` is None where nothing was pruned, ``healed`` likewise."""

    remeasured: Remeasured | None
    paths: tuple[str, ...]
    chosen: Chosen | None = None
    healed: Healed | None = None


def export_stage(
    material: Material,
    evidence: Evidence,
    triggers: Triggers,
    scores: NeuronScores | None,
    curve: Curve | None,
    healing: Healing | None = None,
    formats: Sequence[str] = ("pth", "safetensors"),
) -> Generator[Event, None, Delivery]:
    """Write what the choice says; nothing is pruned where there was no evidence.

    A healed model is written beside it, and alone where pruning itself could not be justified.
    """
    clock, folder = Clock(), material.store.exports
    yield StageStarted("export")
    delivery, sha256 = Delivery(None, ()), ""
    if curve is not None and scores is not None and curve.chosen.k > 0:
        paths = [folder / f"{MODEL}.{name}" for name in formats]
        k = curve.chosen.k
        state = pruned(material, scores.order_N, k)
        done = yield from deliver(material, evidence, triggers.judges, state, k, paths)
        others = write_all(folder, side_files(material, triggers, scores, curve))
        remeasured = Remeasured(done.paths[0], k, done.label_free, done.measured)
        yield remeasured
        delivery = Delivery(remeasured, (*done.paths, *others), curve.chosen)
        sha256 = done.sha256
    if healing is not None and scores is not None:
        places = [folder / name for name in FILES[HEALED]]
        healed, written = yield from deliver_healed(
            material, evidence, triggers.judges, healing, places
        )
        yield healed
        delivery = replace(delivery, healed=healed, paths=(*delivery.paths, *written))
        sha256 = sha256 or healed.sha256
    for name in FILES[HEALED]:  # of an earlier choice
        if str(folder / name) not in delivery.paths:
            (folder / name).unlink(missing_ok=True)
    if delivery.paths:
        yield Exported(delivery.paths, sha256)
    yield clock.finished("export")
    chosen = None if curve is None else curve.chosen
    reports = write_reports(material, triggers, scores, chosen, folder)
    return replace(delivery, paths=(*delivery.paths, *reports))


def side_files(
    material: Material, triggers: Triggers, scores: NeuronScores, curve: Curve
) -> dict[str, bytes]:
    """What stands beside the models, by file name."""
    masks = files.write_mask_values(material.layers, scores.scores_N.tolist())
    return {
        "mask_values.txt": masks.encode(),
        "curve.csv": files.curve_csv(curve.points).encode(),
        "trigger.png": trigger_png(material, triggers),
    }


def write_all(folder: Path, contents: Mapping[str, bytes]) -> tuple[str, ...]:
    return tuple(str(write_atomic(folder / name, data)) for name, data in contents.items())


def trigger_png(material: Material, triggers: Triggers) -> bytes:
    trigger = triggers.strong[0][0]
    return files.trigger_png(trigger.pattern_CHW, trigger.mask_HW, material.select[0])


def write_reports(
    material: Material,
    triggers: Triggers,
    scores: NeuronScores | None,
    chosen: Chosen | None,
    folder: Path,
) -> tuple[str, ...]:
    """report.html and report.md, from the run's own event log."""
    # a copy elsewhere is not what stands in the run
    said = (record.value for record in material.store.events().read())
    events = [event for event in said if not getattr(event, "copy", False)]
    beside = (folder / "trigger.png").is_file()
    return write_all(folder, reports(material, triggers, scores, chosen, events, beside))


def reports(
    material: Material,
    triggers: Triggers,
    scores: NeuronScores | None,
    chosen: Chosen | None,
    events: Iterable[Event],
    beside: bool,
) -> dict[str, bytes]:
    """What is said of ``events``, by file name; ``beside``: trigger.png will stand there too."""
    pruned: list[PrunedNeuron] = []
    if scores is not None and chosen is not None:
        order_N, k = scores.order_N, chosen.k
        values = scores.scores_N[order_N[:k]].tolist()
        places = pruned_neurons(material.layers, order_N, k)
        pruned = [PrunedNeuron(*place, value) for place, value in zip(places, values, strict=True)]
    pictures = []
    if triggers.strong:
        trigger, strength = triggers.strong[0]
        clean = material.select[:EXAMPLES]
        pictures = [
            files.Picture(
                trigger_png(material, triggers), "The reversed trigger",
                f"Reversed for {whom(trigger.target)}: pattern, mask, and stamped on an image.",
                "trigger.png" if beside else None,
            ),
            files.Picture(
                files.examples_png(clean, trigger.stamp(clean, strength)),
                "Clean images above, stamped below",
                "Clean images, and the same with the reversed trigger.",
            ),
        ]  # fmt: skip
    report = files.gather(
        material.config,
        events,
        scores=[] if scores is None else scores.scores_N.tolist(),
        pruned=pruned,
        pictures=pictures,
        peak_memory_bytes=runtime.peak_memory_bytes(material.network.device),
        measured_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
    texts = {"report.html": files.report_html(report), "report.md": files.report_md(report)}
    return {name: text.encode() for name, text in texts.items()}


def finish(
    material: Material,
    evidence: Evidence,
    ranked: TargetRanked,
    reversed_: Iterable[TriggerReversed],
    found: VerdictReached,
    delivery: Delivery,
    seconds: Mapping[str, float],
) -> Finished:
    """summary.json, then the event that carries the same object."""
    finished = sum_up(material, evidence, ranked, reversed_, found, delivery, seconds)
    write_summary(material.store, finished)
    return finished


def write_summary(store: RunDirectory, finished: Finished) -> None:
    store.write(SUMMARY, files.summary_json(cast(files.Summary, finished.summary)).encode())


def sum_up(
    material: Material,
    evidence: Evidence,
    ranked: TargetRanked,
    reversed_: Iterable[TriggerReversed],
    found: VerdictReached,
    delivery: Delivery,
    seconds: Mapping[str, float],
) -> Finished:
    """What summary.json will hold."""
    first = min(
        (r for r in reversed_ if not found.targets or r.target == found.targets[0]),
        key=lambda r: r.mask_l1,
        default=None,
    )
    chosen, remeasured, healed = delivery.chosen, delivery.remeasured, delivery.healed
    changed = bool(chosen and chosen.k) or bool(healed and healed.kept)
    value = files.summary(
        files.SummaryParts(
            seed=material.config.seed,
            verdict=found.verdict,
            targets=found.targets,
            ranking=ranked.ranking,
            success=first.success if first else None,
            mask_l1=first.mask_l1 if first else None,
            repaired=aims(material.config, found) if changed else (),
            neurons=material.network.neurons,
            pruned=chosen.k if chosen else 0,
            threshold=chosen.threshold if chosen else None,
            before=evidence.before,
            after=_after(evidence, found, remeasured),
            label_free=remeasured.label_free if remeasured else LabelFree(),
            healed=healed,
            seconds=seconds,
            peak_memory_bytes=runtime.peak_memory_bytes(material.network.device),
            device=runtime.describe(material.network.device),
            exports=delivery.paths,
            run=str(material.store.path),
        )
    )
    return Finished(dict(value))


def _after(evidence: Evidence, found: VerdictReached, remeasured: Remeasured | None) -> Measured:
    """Nothing pruned is the checkpoint itself: what held before holds after."""
    if remeasured is not None:
        return remeasured.measured
    return evidence.before if found.verdict == "no_evidence" else Measured()
