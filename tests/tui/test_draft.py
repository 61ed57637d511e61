"""A run being put together: every text checked, and a line that starts exactly that run."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import typer

from cnp_engine.config import RunConfig
from cnp_engine.errors import RunExists
from cnp_engine.rundir import RunDirectory
from cnp_tui import draft, jobs
from cnp_tui import options as o
from cnp_tui.commands import running
from cnp_tui.draft import CATALOGUE, OUT, Draft, choices

BASE = Draft().put("model", "m.pth").put("data", "demo")


@pytest.mark.parametrize(
    ("key", "text", "what"),
    [
        ("masks.lr", "0.1", None),
        ("masks.lr", " 1e-2 ", None),
        ("masks.lr", "", None),
        ("masks.lr", "fast", "masks.lr cannot be fast."),
        ("masks.lr", "-1", "masks.lr cannot be -1."),
        ("masks.lr", "nan", "masks.lr cannot be nan."),
        ("clean", "0", "clean cannot be 0."),
        ("clean", "1.5", "clean cannot be 1.5."),
        ("sweep.cap", "1.01", "sweep.cap cannot be 1.01."),
        ("preset", "slow", "preset cannot be slow."),
        ("targets", "3, 5", None),
        ("targets", "cat", "targets cannot be cat."),
        ("classes", "none", None),
        ("masks.flip", "perhaps", "masks.flip cannot be perhaps."),
        ("model", "", "No checkpoint is given."),
        ("data", "  ", "No data is given."),
    ],
)
def test_every_text_is_checked_as_set_would(key: str, text: str, what: str | None) -> None:
    problem = BASE.put(key, text).problem(key)
    assert (problem.what if problem else None) == what
    assert (problem is None) == (key not in BASE.put(key, text).problems())


def config_of(line: str) -> tuple[RunConfig, dict[str, object]]:
    """What ``cnp`` makes of a command line."""
    words = shlex.split(line)
    assert words[:2] == ["cnp", "run"]
    app = typer.Typer()
    running.register(app)
    group = typer.main.get_command(app)
    command = group.commands["run"]  # type: ignore[attr-defined]
    context = command.make_context("run", words[2:])
    given = context.params
    return RunConfig.build(o.settings(given), given["set_"] or []), given


@pytest.mark.parametrize(
    "typed",
    [
        {},
        {"preset": "reference", "masks.rounds": "30", "masks.lr": "0.3"},
        {"targets": "3,5", "device": "cpu", "seed": "7", "until": "verdict"},
        {"model": "~/my models/it's.pth", "data": "cifar10:data", "clean_dir": "some images"},
        {"attack": "-odd.toml", "reversal.adapt": "false", "arch": "net.py:make"},
        {"normalize": "0.5,0.5,0.5/0.2,0.2,0.2", "sweep.step": "0.0025", "masks.lr": "not yet"},
    ],
)
def test_the_line_that_is_shown_starts_the_same_run(typed: dict[str, str]) -> None:
    wanted = BASE
    for key, text in typed.items():
        wanted = wanted.put(key, text)
    again, _ = config_of(wanted.line())
    assert again.absolute() == wanted.config().absolute()
    assert RunConfig.build(wanted.values()).absolute() == again.absolute()


def test_the_line_names_the_place() -> None:
    _, given = config_of(replace(BASE.put(OUT, "a place"), force=True).line())
    assert (given["out"], given["force"]) == (Path.cwd() / "a place", True)


def test_inputs_not_given_stand_as_words() -> None:
    assert Draft().line() == "cnp run --model FILE --data SOURCE"


def test_what_is_changed_and_what_it_would_be_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNP_MASKS_LR", "0.25")
    wanted = BASE.put("preset", "reference").put("seed", "0").put("masks.rounds", "5")
    assert wanted.base().masks.lr == 0.25
    assert wanted.base().masks.rounds == 30
    assert wanted.changed() == {"model", "data", "preset", "seed", "masks.rounds"}
    assert wanted.put("masks.rounds", "").changed() == {"model", "data", "preset", "seed"}


def test_every_setting_is_offered_in_full() -> None:
    assert {item.key for item in RunConfig(model="", data="").describe()} == set(CATALOGUE)
    assert choices(CATALOGUE["masks.flip"]) == ("true", "false")
    assert choices(CATALOGUE["preset"]) == ("fast", "reference")
    assert choices(CATALOGUE["masks.lr"]) == ()


def test_files_that_are_not_there_are_told_at_their_fields(tmp_path: Path) -> None:
    (tmp_path / "m.pth").touch()
    wanted = Draft().put("model", str(tmp_path / "m.pth")).put("data", "gtsrb:nowhere")
    found = draft.missing(wanted.put("attack", "a.toml"))
    assert set(found) == {"data", "attack"}
    assert str(Path.cwd() / "nowhere") in found["data"].what
    assert draft.missing(Draft()) == {}
    assert not [error.todo for error in found.values() if "--" in error.todo]
    assert found["data"].todo == "Check the path to the images."


def test_a_run_that_is_there_already(tmp_path: Path) -> None:
    place = tmp_path / "run"
    wanted = Draft().put(OUT, str(place))
    assert draft.missing(wanted) == {}
    run = RunDirectory.create(place, RunConfig(model="/m", data="demo"))
    assert isinstance(draft.missing(wanted)[OUT], RunExists)
    forced = replace(wanted, force=True)
    assert draft.missing(forced) == {}
    with run.lock():
        assert "is at work" in draft.missing(forced)[OUT].what
    (tmp_path / "notes.txt").touch()
    assert "is not a run" in draft.missing(forced.put(OUT, str(tmp_path)))[OUT].what


def test_the_demo_is_whole() -> None:
    wanted = Draft()
    for key, text in jobs.demo_inputs().items():
        wanted = wanted.put(key, text)
    assert (wanted.problems(), draft.missing(wanted)) == ({}, {})


@pytest.mark.parametrize(
    ("preset", "default"), [("", "0.05"), ("reference", "0.2"), ("nonsense", "0.05")]
)
def test_a_mistake_names_the_default_of_the_preset(preset: str, default: str) -> None:
    problem = Draft().put("preset", preset).put("masks.lr", "x").problem("masks.lr")
    assert problem is not None
    assert problem.todo.endswith(f"The default is {default}.")


def test_a_list_is_typed_and_never_none() -> None:
    """Its values can be counted off, but it is more than one of them."""
    item = CATALOGUE["target.families"]
    assert choices(item) == ()
    assert choices(CATALOGUE["precision"]) == ("auto", "float32", "bfloat16")
    draft = Draft().put("target.families", "none")
    problem = draft.problem("target.families")
    assert problem is not None
    assert "cannot be none" in problem.what
    assert Draft().put("target.families", "patch,wave").problem("target.families") is None
