"""Run directories: made whole, refused politely, cleared of nothing but their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cnp_engine.errors import RunDamaged, RunExists, RunLocked, RunMissing, RunUnwritable
from cnp_engine.events import Warned
from cnp_engine.rundir import RunDirectory
from tests.engine.runs.tools import config, new_run


def test_a_new_run_opens_as_it_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = RunDirectory.create("deep/er/run", config())
    again = RunDirectory.open(made.path)
    assert made.path == tmp_path / "deep" / "er" / "run"
    assert again.config == made.config
    assert again.config.model == str(tmp_path / "m.pth")
    assert again.config.digest() == made.config.digest()
    assert again.events().read() == []
    assert not again.locked()


def test_artifacts_are_written_under_the_run(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    path = run.write("artifacts/scores.safetensors", b"x")
    assert path == run.artifact("scores.safetensors")
    assert run.write("summary.json", b"{}") == run.path / "summary.json"
    for outside in ("/etc/x", "../x"):
        with pytest.raises(AssertionError):
            run.write(outside, b"")


@pytest.mark.parametrize("there", ["run", "empty folder", "folder", "file"])
def test_what_is_there_is_not_touched(tmp_path: Path, there: str) -> None:
    place = tmp_path / "run"
    _put(place, there)
    before = _content(tmp_path)
    with pytest.raises(RunExists, match="is there already") as caught:
        RunDirectory.create(place, config())
    assert caught.value.exit_code == 6
    assert "--force" in caught.value.todo
    assert _content(tmp_path) == before


@pytest.mark.parametrize("there", ["folder", "file"])
def test_force_replaces_runs_only(tmp_path: Path, there: str) -> None:
    place = tmp_path / "run"
    _put(place, there)
    before = _content(tmp_path)
    with pytest.raises(RunExists, match="is not a run"):
        RunDirectory.create(place, config(), force=True)
    assert _content(tmp_path) == before


def test_force_clears_the_old_run_and_leaves_what_is_not_of_it(tmp_path: Path) -> None:
    old = new_run(tmp_path)
    old.events().append(Warned("a", "old"))
    old.write("exports/purified.pth", b"old")
    old.write("artifacts/scores.safetensors", b"old")
    (old.path / "notes.txt").write_text("mine")
    new = RunDirectory.create(old.path, config("resnet"), force=True)
    assert RunDirectory.open(new.path).config.arch == "resnet"
    assert new.events().read() == []
    assert not new.artifact("scores.safetensors").exists()
    assert not new.exports.exists()
    assert (new.path / "notes.txt").read_text() == "mine"


def test_force_follows_no_link_out_of_the_run(tmp_path: Path) -> None:
    old = new_run(tmp_path)
    treasure = tmp_path / "treasure"
    treasure.mkdir()
    (treasure / "file").touch()
    old.exports.symlink_to(treasure)
    RunDirectory.create(old.path, config(), force=True)
    assert (treasure / "file").exists()
    assert not old.exports.is_symlink()


def test_force_takes_an_empty_folder_and_a_damaged_run(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "run.toml").write_text("= =")
    for name in ("empty", "damaged"):
        made = RunDirectory.create(tmp_path / name, config(), force=True)
        assert RunDirectory.open(tmp_path / name).config == made.config


def test_force_does_not_replace_a_run_at_work(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    with run.lock(), pytest.raises(RunLocked, match=f"process {os.getpid()} "):
        RunDirectory.create(run.path, config(), force=True)
    assert RunDirectory.open(run.path).config == run.config


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("= =", "not TOML"),
        ("data = 'd'", "No model is given"),
        ("model = 'm'\ndata = 'd'\nmoods = 1", "no setting 'moods'"),
        ("model = 'm'\ndata = 'd'\nclean = 0", "clean cannot be 0"),
        ("model = 'm'\ndata = 'd'\nseed = 'x'", "seed cannot be x"),
    ],
)
def test_a_damaged_configuration_is_told(tmp_path: Path, text: str, says: str) -> None:
    run = new_run(tmp_path)
    (run.path / "run.toml").write_text(text)
    with pytest.raises(RunDamaged, match=says) as caught:
        RunDirectory.open(run.path)
    assert caught.value.exit_code == 6


def test_bytes_that_are_no_text_are_damage_too(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    (run.path / "run.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RunDamaged):
        RunDirectory.open(run.path)


@pytest.mark.parametrize("there", ["nothing", "folder", "file"])
def test_what_is_no_run_is_missing(tmp_path: Path, there: str) -> None:
    place = tmp_path / "run"
    _put(place, there)
    with pytest.raises(RunMissing, match="no run"):
        RunDirectory.open(place)


def test_a_place_that_cannot_be_written_is_told_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunUnwritable) as caught:
        RunDirectory.create(tmp_path / "file" / "run", config())
    assert caught.value.exit_code == 6
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def _put(place: Path, what: str) -> None:
    if what == "run":
        RunDirectory.create(place, config("old"))
    elif what == "file":
        place.write_text("mine")
    elif what != "nothing":
        place.mkdir()
        if what == "folder":
            (place / "thesis.txt").write_text("mine")


def _content(folder: Path) -> dict[str, str]:
    return {str(p): p.read_text() if p.is_file() else "" for p in sorted(folder.rglob("*"))}
