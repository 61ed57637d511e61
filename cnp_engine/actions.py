"""Single jobs on a finished run or a file, for front ends: measure, prune, export, report.

Each returns plain data, and says by ``tell`` how far it is. They build their material the way a run
does, so figures agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch

from cnp_engine import codec, runtime
from cnp_engine.algorithms.scores import NeuronScores
from cnp_engine.config import RunConfig
from cnp_engine.data.sources import open_source
from cnp_engine.data.split import split
from cnp_engine.errors import DataMissing, RunMissing, SettingInvalid
from cnp_engine.events import Chosen, Healed, LabelFree, Measured, Warned
from cnp_engine.export.naming import FILES, HEALED, MODEL
from cnp_engine.models.checkpoint import read_checkpoint
from cnp_engine.models.registry import load_model
from cnp_engine.rundir import CURVE, RunDirectory
from cnp_engine.stages import closing, finding, loading, reversing
from cnp_engine.stages.delivery import (
    WRITERS,
    Delivered,
    deliver,
    deliver_healed,
    pruned,
    wanted_formats,
)
from cnp_engine.stages.evidence import Evidence, measured
from cnp_engine.stages.healing import healing_of
from cnp_engine.stages.judging import Curve, load_curve, threshold_of
from cnp_engine.stages.material import Material, has
from cnp_engine.stages.session import aims
from cnp_engine.state import RunState
from cnp_engine.steps import result
from cnp_engine.telling import Tell, narrated, silent

T = TypeVar("T")


def evaluate_model(
    model: str,
    data: str,
    attack: str | None = None,
    arch: str | None = None,
    classes: int | None = None,
    normalize: str = "auto",
    device: str = "auto",
    seed: int = 0,
    tell: Tell = silent,
) -> dict[str, Any]:
    """BA, and with an attack ASR and RA, on the labelled test images, in float32."""
    config = RunConfig(
        model=model, data=data, attack=attack, arch=arch, classes=classes,
        normalize=normalize, device=device, seed=seed,
    )  # fmt: skip
    chosen = runtime.pick_device(device)
    loaded = load_model(read_checkpoint(model), arch, classes)
    source = open_source(data, loaded.architecture.input_size)
    drawn = split(source, config.clean, seed)
    names = loading.class_names(source.classes, loaded.architecture.classes)
    truth = loading.ground_truth(config, drawn, names)
    if truth is None:
        raise DataMissing(
            f"{data} has no labelled test images to measure on.",
            "Give a folder with one subfolder a class, or another source with labels.",
        )
    said = loading.ask_first(loaded, drawn)
    found, more = loading.choose_normalize(normalize, loaded, drawn)
    notices = [*source.notices, *drawn.clean.notices, *drawn.notices]
    notices += [event.text for event in (*said, *more) if isinstance(event, Warned)]
    loaded.module.to(chosen).to(memory_format=torch.channels_last)
    network = loading.masked_network(loaded, found, None)
    rates = _rates(narrated(measured("load", network, truth), tell))
    return {**rates, "normalize": found.name, "notices": list(dict.fromkeys(notices))}


def _rates(measured: Measured) -> dict[str, Any]:
    rates = {"ba": measured.ba, "asr": measured.asr, "ra": measured.ra}
    return {
        **{key: rate.value if rate else None for key, rate in rates.items()},
        "n": measured.ba.n if measured.ba else None,
        "intervals": {key: [rate.low, rate.high] for key, rate in rates.items() if rate},
        "counts": {key: rate.n for key, rate in rates.items() if rate},
    }


def _free(label_free: LabelFree) -> dict[str, float | None]:
    rates = codec.encode(label_free).items()
    return {key: rate["value"] if rate else None for key, rate in rates}


def prune_run(
    run: str,
    count: int | None = None,
    fraction: float | None = None,
    threshold: float | None = None,
    auto: bool | None = None,
    out: str | None = None,
    tell: Tell = silent,
) -> dict[str, Any]:
    """Write and measure the model with another number of neurons pruned."""
    job = _Job(run, tell)
    k = job.amount(count, fraction, threshold)
    path = Path(out) if out else job.store.exports / f"{MODEL}-k{k}.pth"
    done = job.delivered(k, [path])
    return {
        "path": done.paths[0],
        "sha256": done.sha256,
        "pruned": k,
        "of": job.material.network.neurons,
        "threshold": threshold_of(job.scores, k),
        **_rates(done.measured),
        "label_free": _free(done.label_free),
    }


def export_run(
    run: str, formats: Sequence[str] = (), to: str | None = None, tell: Tell = silent
) -> dict[str, Any]:
    """Write the files of a finished run again, to ``to`` or its own exports folder.

    Where a healed model is among them, ``healed`` says what it came to, ``before`` what it was made
    from; one that is no better is not written. Raises SettingInvalid for one in the run's own
    exports that its log does not tell of.
    """
    job = _Job(run, tell)
    wanted = job.formats(formats)
    folder = Path(to) if to else job.store.exports
    if HEALED in wanted and folder == job.store.exports and not job.healed_there:
        raise SettingInvalid(
            f"The run in {job.store.path} tells of no healed model, so none can stand in its "
            "exports.",
            "Give --to DIR, or tick it on the application's Export screen.",
        )
    return job.write(folder, wanted)


def report_run(run: str) -> dict[str, Any]:
    """Write report.html and report.md of a run again."""
    store = RunDirectory.open(run)
    material, _ = result(loading.load_stage(store.config, store))
    triggers = reversing.load_triggers(material) if _found(store) else reversing.Triggers()
    scores = finding.load_scores(material)[0] if has(store, finding.SCORES) else None
    paths = closing.write_reports(material, triggers, scores, standing(store), store.exports)
    return {"exports": list(paths)}


def standing(store: RunDirectory) -> Chosen | None:
    """What a run's exports hold: its own choice, or what the user exported in its place."""
    return RunState.from_records(store.events().read()).chosen


class _Job:
    """A run that has come to its curve, loaded. Raises RunMissing where it has not."""

    def __init__(self, run: str, tell: Tell) -> None:
        self.tell = tell
        self.store = RunDirectory.open(run)
        if not has(self.store, finding.SCORES) or not (self.store.path / CURVE).is_file():
            raise RunMissing(
                f"{self.store.path} has no scores to prune by: it found no backdoor or is not "
                "finished.",
                "Look at it with `cnp attach`, go on with `cnp resume`, or begin one that "
                "names a --target.",
            )
        self.material: Material
        self.evidence: Evidence
        loaded = loading.load_stage(self.store.config, self.store)
        self.material, self.evidence = narrated(loaded, tell)
        self.curve: Curve = load_curve(self.material)
        self.state = RunState.from_records(self.store.events().read())
        self.chosen: Chosen = self.state.chosen or self.curve.chosen
        self.scores: NeuronScores = finding.load_scores(self.material)[0]
        aimed = aims(self.store.config, self.state.verdict)
        self.triggers = reversing.load_triggers(self.material).aimed_at(aimed)

    def amount(self, count: int | None, fraction: float | None, threshold: float | None) -> int:
        """How many neurons are meant; the run's own choice where nothing is said."""
        total = self.material.network.neurons
        k = self.curve.chosen.k
        if count is not None:
            k = count
        elif fraction is not None:
            k = round(fraction * total)
        elif threshold is not None:
            k = int((self.scores.scores_N <= threshold).sum())
        if k > total:
            raise SettingInvalid(f"There are {total} neurons, not {k}.", f"Give at most {total}.")
        return k

    @property
    def healed_there(self) -> bool:
        """Whether the log tells of a healed model in the run's own exports."""
        healed = self.state.healed
        return healed is not None and healed.kept and healed.k == self.chosen.k

    def formats(self, asked: Sequence[str]) -> tuple[str, ...]:
        """Raises SettingInvalid for one that does not exist."""
        return wanted_formats(asked, self.healed_there)

    def delivered(self, k: int, paths: Sequence[Path]) -> Delivered:
        state = pruned(self.material, self.scores.order_N, k)
        steps = deliver(self.material, self.evidence, self.triggers.judges, state, k, paths)
        return narrated(steps, self.tell)

    def healed(self, folder: Path) -> tuple[Healed, tuple[str, ...]]:
        """What came of healing, and the files written: none where the model is no better."""
        steps = healing_of(self.material, self.triggers, self.scores.order_N, self.chosen.k)
        healing = narrated(steps, self.tell)
        paths = [folder / name for name in FILES[HEALED]]
        judges = self.triggers.judges
        written = deliver_healed(self.material, self.evidence, judges, healing, paths)
        return narrated(written, self.tell)

    def _before(self, healed: Healed) -> dict[str, Any]:
        """The model that was healed: the pruned one in the exports, else the checkpoint."""
        there = self.state.remeasured
        if there is not None and there.k == healed.k:
            return {**_rates(there.measured), **_free(there.label_free)}
        return {**_rates(self.evidence.before), **_free(healed.pruned)}

    def write(self, folder: Path, formats: Sequence[str]) -> dict[str, Any]:
        """``formats`` into ``folder``; what to tell of it."""
        models = [folder / f"{MODEL}.{name}" for name in formats if name in WRITERS]
        paths: list[str] = []
        if models:
            paths += self.delivered(self.chosen.k, models).paths
        told: dict[str, Any] = {}
        if HEALED in formats:
            healed, written = self.healed(folder)
            paths += written
            told = {
                "before": self._before(healed),
                "healed": {
                    "kept": healed.kept,
                    "steps": healed.steps,
                    "share": healed.share,
                    **_rates(healed.measured),
                    **_free(healed.label_free),
                },
            }
        sides = closing.side_files(self.material, self.triggers, self.scores, self.curve)
        wanted = [name for format_ in formats for name in FILES[format_] if name in sides]
        paths += closing.write_all(folder, {name: sides[name] for name in wanted})
        if "report" in formats:
            paths += closing.write_reports(
                self.material, self.triggers, self.scores, self.chosen, folder
            )
        return {"exports": paths, **told}


def _found(store: RunDirectory) -> bool:
    return has(store, reversing.TRIGGER, reversing.TRIGGERS)
