"""Where runs live, what they are called, and how they are found again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cnp_engine import runs
from cnp_engine.errors import RunMissing
from cnp_engine.rundir import RunDirectory
from tests.engine.runs.tools import config


@pytest.fixture(name="home", autouse=True)
def private_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CNP_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "runs"


def test_without_cnp_home_runs_lie_with_the_users_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CNP_HOME")
    assert runs.home().parts[-2:] == ("cnp", "runs")
    assert runs.home().is_absolute()


@pytest.mark.parametrize(
    ("model", "stem"),
    [
        ("/x/badnet_w32.pth", "badnet_w32"),
        ("../a b/ü ber?.pt", "ber"),
        ("...", "run"),
        ("x" * 300 + ".pth", "x" * 40),
    ],
)
def test_names_say_which_model_and_when(home: Path, model: str, stem: str) -> None:
    one, two = runs.new_path(model), runs.new_path(model)
    assert one != two
    assert one.parent == home
    assert one.name.startswith(f"{stem}-2")


def test_a_run_is_found_by_name_and_by_path(home: Path) -> None:
    run = RunDirectory.create(home / "mine", config())
    for name in ("mine", str(run.path), os.path.relpath(run.path)):
        assert runs.find(name).path == run.path
    with pytest.raises(RunMissing, match="no run yours") as caught:
        runs.find("yours")
    assert caught.value.exit_code == 6


def test_a_run_kept_elsewhere_is_listed_and_found_too(home: Path, tmp_path: Path) -> None:
    far = RunDirectory.create(tmp_path / "far", config())
    near = RunDirectory.create(home / "near", config())
    for run in (far, far, near):
        runs.register(run.path)
    assert sorted(runs.paths()) == sorted([far.path, near.path])
    assert runs.find("far").path == far.path


def test_two_runs_of_one_name_are_both_listed(tmp_path: Path) -> None:
    both = [RunDirectory.create(tmp_path / folder / "run", config()).path for folder in "ab"]
    for path in both:
        runs.register(path)
    assert sorted(runs.paths()) == both


def test_a_run_that_is_gone_is_no_longer_listed(home: Path, tmp_path: Path) -> None:
    far = RunDirectory.create(tmp_path / "far", config())
    runs.register(far.path)
    (far.path / "run.toml").unlink()
    assert runs.paths() == []
    (far.path / "artifacts").rmdir()
    far.path.rmdir()
    runs.register(RunDirectory.create(tmp_path / "next", config()).path)
    assert [link.name for link in home.iterdir()] == ["next"]


def test_without_a_folder_there_are_no_runs(home: Path) -> None:
    assert runs.paths() == []
    home.parent.mkdir()
    home.touch()
    assert runs.paths() == []
    runs.register(Path("/x/y"))


def test_the_newest_run_comes_last(home: Path) -> None:
    for age, name in ((30, "b"), (20, "c"), (10, "a")):
        run = RunDirectory.create(home / name, config())
        os.utime(run.path / "run.toml", (1000 - age, 1000 - age))
    assert [path.name for path in runs.paths()] == ["b", "c", "a"]
