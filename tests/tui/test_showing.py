"""Commands that open the application, called where there is no terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cnp_engine.rundir import RunDirectory
from tests.engine.runs.tools import config
from tests.tui.recorded import folder
from tests.tui.tools import call

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("tui", 2, "needs a terminal"),
        ("tui run", 2, "needs a terminal"),
        ("replay run", 2, "needs a terminal"),
        ("demo --tui", 2, "needs a terminal"),
        ("demo --tui --json", 2, "--tui goes with neither"),
        ("replay nothing --screenshot x.svg", 6, "no run nothing"),
        ("replay run --screenshot x.svg --at never", 2, "no moment of a run"),
        ("replay run --screenshot x.svg --at -3", 2, "no moment of a run"),
        ("replay run --screenshot x.svg --size big", 2, "no size of a screen"),
        ("replay run --screenshot x.svg --size 2x2", 2, "no size of a screen"),
        ("replay run --screenshot x.svg --screen moon", 2, "One of home, new, run"),
        ("replay unbegun --screenshot x.svg", 2, "no events yet"),
        ("compare run", 2, "only one run"),
        ("compare run nothing", 6, "no run nothing"),
    ],
)
def test_refusals_are_two_sentences(
    words: str, code: int, says: str, capfd: Capture, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")  # where tests run there may be none
    folder(home / "run", "demo")
    RunDirectory.create(home / "unbegun", config())
    said = call(capfd, *words.split())
    assert (said.code, said.out) == (code, "")
    assert says in said.err
    assert said.err.startswith("error: ")
    assert not Path("x.svg").exists()


@pytest.mark.parametrize(
    ("screen", "at", "shows"),
    [
        ("run", "end", "backdoored"),
        ("run", "2", "replay"),
        ("home", "end", "suppressed"),
        ("prune", "end", "pruned"),
        ("compare", "end", "BA"),
    ],
)
def test_a_picture_of_a_moment_needs_no_terminal(
    screen: str, at: str, shows: str, capfd: Capture, home: Path
) -> None:
    folder(home / "run", "demo")
    words = ["replay", "run", "--screenshot", "out/x.svg", "--at", at, "--screen", screen]
    said = call(capfd, *words, "--size", "100x30")
    assert (said.code, said.err) == (0, "")
    assert said.out == "out/x.svg\n"
    svg = Path("out/x.svg").read_text()
    assert svg.startswith("<svg")
    assert shows in svg.replace("&#160;", " ")


def test_pictures_of_a_moment_are_the_same_to_the_byte(capfd: Capture, home: Path) -> None:
    folder(home / "run", "demo")
    for name in ("a", "b"):
        words = ["replay", "run", "--screenshot", f"{name}.svg", "--at", "5"]
        assert call(capfd, *words).code == 0
    assert Path("a.svg").read_text() == Path("b.svg").read_text()


def test_compare_on_a_pipe_is_a_table(capfd: Capture, home: Path) -> None:
    folder(home / "one", "demo")
    folder(home / "two", "unlabelled")
    said = call(capfd, "compare", "one", "two")
    assert (said.code, said.err) == (0, "")
    first, *lines = said.out.splitlines()
    assert "one" in first
    assert "two" in first
    after = next(line for line in lines if "ASR" in line and "after" in line.lower())
    assert "n = " in after
    assert "not measured" in after


def test_compare_as_json(capfd: Capture, home: Path) -> None:
    folder(home / "one", "demo")
    folder(home / "two", "clean")
    said = call(capfd, "compare", "one", "two", "--json")
    one, two = json.loads(said.out)["runs"]
    assert (one["verdict"], two["verdict"]) == ("backdoored", "no_evidence")
    assert set(one["before"]["ba"]) == {"value", "n", "low", "high"}
    assert two["after"]["asr"] is None
    assert one["pruned"] > 0


def test_cnp_alone_on_a_pipe_still_says_how_to_begin(capfd: Capture) -> None:
    said = call(capfd)
    assert said.code == 0
    assert "Begin with `cnp demo`" in said.out


def test_the_demo_on_a_pipe_asks_nothing(capfd: Capture) -> None:
    said = call(capfd, "demo", "--set", "nonsense=1")
    assert said.code == 2
    assert "Watch" not in said.err
