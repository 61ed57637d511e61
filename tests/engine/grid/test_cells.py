"""Cells: their order and names, and the run that each of them is."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnp_engine.config import RunConfig
from cnp_engine.grid.cells import Cell, cells, config
from cnp_engine.grid.grid import Grid, parse

TEXT = """
data = "demo"
clean = [50, 100]
seeds = [0, 7]
[models]
attacks = ["badnets"]
widths = [8]
rates = [0.1, 0.0]
normalize = "cifar10"
[[model]]
name = "mine"
file = "mine.pth"
attack = "mine.toml"
normalize = "imagenet"
"""


@pytest.fixture(name="grid")
def three_models(tmp_path: Path) -> Grid:
    (tmp_path / "mine.toml").write_text('attack = "blended"\ntarget = 1\n')
    return parse(TEXT, tmp_path, "g")


def cell(grid: Grid, name: str) -> Cell:
    return next(one for one in cells(grid) if one.name == name)


def test_what_is_trained_is_used_before_the_next_is(grid: Grid) -> None:
    assert [one.name for one in cells(grid)] == [
        f"{model}-clean{clean}-seed{seed}"
        for model in ("badnets-resnet18-w8-r0.1-t0-s0", "clean-resnet18-w8-s0", "mine")
        for clean in (50, 100)
        for seed in (0, 7)
    ]


def test_a_trained_model_comes_from_the_folder_with_its_own_preprocessing(grid: Grid) -> None:
    name = "badnets-resnet18-w8-r0.1-t0-s0"
    found = config(grid, cell(grid, f"{name}-clean50-seed7"), Path("/b"), "cpu")
    assert found.model == f"/b/models/{name}/model.pth"
    assert found.attack == f"/b/models/{name}/attack.toml"
    assert (found.clean, found.seed, found.device, found.normalize) == (50, 7, "cpu", "cifar10")
    twin = config(grid, cell(grid, "clean-resnet18-w8-s0-clean50-seed0"), Path("/b"))
    assert (twin.attack, twin.device) == (None, "auto")


def test_a_listed_model_is_where_the_grid_says(grid: Grid, tmp_path: Path) -> None:
    found = config(grid, cell(grid, "mine-clean100-seed0"), Path("/b"))
    assert (found.model, found.attack) == (str(tmp_path / "mine.pth"), str(tmp_path / "mine.toml"))
    assert (found.normalize, found.targets) == ("imagenet", ())


def test_settings_of_the_grid_reach_every_run_and_the_environment_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.toml").write_text('attack = "blended"\ntarget = 1\n')
    more = '[set]\nmasks.rounds = 3\nnormalize = "none"\ndevice = "cpu"\n'
    grid = parse(TEXT + more, tmp_path, "g")
    monkeypatch.setenv("CNP_MASKS_ROUNDS", "5")
    monkeypatch.setenv("CNP_TARGETS", "4")
    configs: dict[str, RunConfig] = {
        one.model.name: config(grid, one, Path("/b")) for one in cells(grid)
    }
    assert {found.masks.rounds for found in configs.values()} == {3}
    assert {found.targets for found in configs.values()} == {()}
    assert {found.device for found in configs.values()} == {"cpu"}
    by_name = {name: found.normalize for name, found in configs.items()}
    assert by_name["mine"] == "imagenet"  # what a model says of itself wins over what all say
    assert by_name["clean-resnet18-w8-s0"] == "none"
