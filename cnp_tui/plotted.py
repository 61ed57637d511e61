"""Which series of a run the three charts of the Run screen show, stage by stage. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from cnp_engine.config import RunConfig
from cnp_engine.events import Stage
from cnp_engine.export.definitions import DEFINITIONS, NAMES
from cnp_engine.state import RunState
from cnp_tui.history import Points
from cnp_tui.link import Snapshot
from cnp_tui.watching import curve_series

Place = Literal["rates", "loss", "size"]
PLACES: tuple[Place, ...] = ("rates", "loss", "size")

RATES = (0.0, 1.0)
REFERENCE = 0.01
"""Share of the neurons that the literature prunes by rule of thumb."""


@dataclass(frozen=True)
class Plotted:
    """One chart. ``marks`` are (x, label); ``about`` defines what is drawn."""

    title: str
    series: Mapping[str, Points] = field(default_factory=dict)
    y_range: tuple[float, float] | None = None
    unit: str = "step"
    marks: tuple[tuple[float, str], ...] = ()
    log: bool = False
    empty: str = ""
    about: str = ""


def plots(config: RunConfig, snapshot: Snapshot, stage: Stage) -> Mapping[Place, Plotted]:
    """All three for ``stage``; one that has nothing to plot says so."""
    if stage in ("sweep", "export") and snapshot.state.curve:
        return _of_masks(config, snapshot) | _of_curve(snapshot.state)
    if stage in ("target", "trigger"):
        return _of_reversal(config, snapshot, stage)
    if stage == "scores":
        return _of_masks(config, snapshot)
    if stage == "heal":
        return _of_healing(config, snapshot)
    return {place: Plotted(place.capitalize(), empty=_NOTHING[stage]) for place in PLACES}


_NOTHING: dict[Stage, str] = {
    "load": "The checkpoint and the images are being read; the first curve comes with the target.",
    "target": "", "trigger": "", "scores": "", "heal": "",
    "sweep": "The curve begins when the scores are there.",
    "export": "Exporting has no curve of its own.",
}  # fmt: skip


def _of_reversal(config: RunConfig, snapshot: Snapshot, stage: Stage) -> dict[Place, Plotted]:
    first, batch = config.target.first_batch, config.target.batch
    if stage == "trigger":
        who, images = "all restarts", f"{config.reversal.batch} images a step each"
    elif first < batch:
        who, images = "all classes", f"{first} images a step each, {batch} if that is not clear"
    else:
        who, images = "all classes", f"{batch} images a step each"
    about = f"Mean over {who}, on {images}. "
    series, unit = _series(snapshot, stage), f"{stage} step"
    return {
        "rates": Plotted(
            "Rates", series({"success": "success"}), RATES, unit,
            empty="The success of reversed triggers comes with the first step.",
            about=about + f"{NAMES['success']}: {DEFINITIONS['success']}",
        ),
        "loss": Plotted(
            "Loss", series({"loss": "loss"}), None, unit,
            log=True,
            empty="The loss comes with the first step.",
            about=about + "Cross entropy towards the target, and the weighted size of the mask.",
        ),
        "size": Plotted(
            "Size",
            series({"mask_l1": "mask L1 (px)", "strength": "strength", "warp": "warp (px)"}),
            None, unit,
            log=True,
            empty="The size of the triggers comes with the first step.",
            about=about + f"{DEFINITIONS['mask_l1']} Strength: how strongly a blend is laid over. "
            "Warp: how far pixels are moved.",
        ),
    }  # fmt: skip


def _of_masks(config: RunConfig, snapshot: Snapshot) -> dict[Place, Plotted]:
    about = f"On {config.masks.batch} images a step. "
    series, unit = _series(snapshot, "scores"), "scores step"
    return {
        "rates": Plotted(
            "Rates", series({"recovery": "recovery"}), RATES, unit,
            empty="The recovery rate comes with the first step.",
            about=about + f"Recovery: {DEFINITIONS['recovery']}",
        ),
        "loss": Plotted(
            "Loss", series({"loss": "loss"}), None, unit,
            empty="The contrastive loss comes with the first step.",
            about=about + "The contrastive loss of the masks, with its regulariser.",
        ),
        "size": Plotted(
            "Masks under 0.5", series({"under_half": "neurons"}), None, unit,
            empty="How many masks fall comes with the first step.",
            about="Neurons whose mask is under one half: what would be pruned. "
            + DEFINITIONS["neurons"],
        ),
    }  # fmt: skip


def _of_healing(config: RunConfig, snapshot: Snapshot) -> dict[Place, Plotted]:
    """The loss alone; beside it the curve that the pruned model was chosen on."""
    loss = Plotted(
        "Loss", _series(snapshot, "heal")({"loss": "loss"}), None, "heal step",
        log=True,
        empty="The loss of healing comes with the first steps.",
        about=f"On {config.heal.batch} images a step: divergence from the original's answers, on "
        "clean images and on the same with the reversed trigger.",
    )  # fmt: skip
    return _of_masks(config, snapshot) | _of_curve(snapshot.state) | {"loss": loss}


def _of_curve(state: RunState) -> dict[Place, Plotted]:
    """The rates alone: a sweep has neither loss nor size, and the masks are what it goes by."""
    rates = curve_series(state)
    about = " ".join(
        f"{name}: {DEFINITIONS[name.lower()]}" for name in rates if name.lower() in DEFINITIONS
    )
    about += " 1 %: that share of all neurons, what the literature prunes by rule of thumb."
    return {
        "rates": Plotted("Rates", rates, RATES, "neurons pruned", _marks(state), about=about)
    }  # fmt: skip


def _marks(state: RunState) -> tuple[tuple[float, str], ...]:
    marks = []
    if state.recommended is not None and state.recommended.k:
        marks.append((float(state.recommended.k), "recommended"))
    chosen = state.chosen
    if chosen is not None and chosen.by_user:
        marks.append((float(chosen.k), "chosen"))
    if state.model is not None:
        one = float(round(REFERENCE * state.model.neurons))
        if one <= max(state.curve, default=0):
            marks.append((one, "1 %"))
    return tuple(marks)


def _series(snapshot: Snapshot, stage: Stage) -> Callable[[Mapping[str, str]], dict[str, Points]]:
    """Series of one stage: keys of the log in, with the names they are shown by."""
    known = snapshot.history.series

    def named(names: Mapping[str, str]) -> dict[str, Points]:
        return {name: known[stage, key] for key, name in names.items() if (stage, key) in known}

    return named
