"""The cells of a grid: one model, one number of clean images, one seed; each is one run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cnp_engine.config import RunConfig
from cnp_engine.grid.grid import Grid
from cnp_engine.grid.models import Model

MODELS = "models"
RUNS = "runs"
MODEL_FILE = "model.pth"
ATTACK_FILE = "attack.toml"
PLAN_FILE = "plan.json"
DONE_FILE = "poison.json"
"""What `cnp poison` writes; the plan first, and the last of them last: it means finished."""


@dataclass(frozen=True)
class Cell:
    model: Model
    clean: int
    seed: int

    @property
    def name(self) -> str:
        """Of its run, and in the tables."""
        return f"{self.model.name}-clean{self.clean}-seed{self.seed}"


def cells(grid: Grid) -> tuple[Cell, ...]:
    """All cells, the models outermost: what is trained is used before the next is."""
    return tuple(
        Cell(model, clean, seed)
        for model in grid.models
        for clean in grid.clean
        for seed in grid.seeds
    )


def model_folder(folder: Path, model: Model) -> Path:
    """Where a bench in ``folder`` keeps a model that it trains."""
    return folder / MODELS / model.name


def config(grid: Grid, cell: Cell, folder: Path, device: str | None = None) -> RunConfig:
    """The run of ``cell`` in a bench in ``folder``. The environment has no say: the grid alone.

    Raises SettingUnknown, SettingInvalid.
    """
    model = cell.model
    home = model_folder(folder, model)
    file, attack = model.file, model.attack_file
    if file is None:
        file = home / MODEL_FILE
        attack = home / ATTACK_FILE if model.truth.backdoored else None
    given = {
        "model": str(file),
        "data": grid.data,
        "attack": None if attack is None else str(attack),
        "clean": cell.clean,
        "seed": cell.seed,
        "arch": model.arch,
        "normalize": model.normalize,
        "device": device,
    }
    named = {key: value for key, value in given.items() if value is not None}
    trained = {} if model.plan is None else {"normalize": model.plan.normalize}
    return RunConfig.build({**trained, **grid.sets, **named}, env={}).absolute()
