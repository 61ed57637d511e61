"""What a path can go on to, and what lies under a folder: tables, and bounds that hold."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from cnp_tui.completion import CHECKPOINTS, Candidate, Rules, common, complete
from cnp_tui.scan import Scan

MODELS = Rules(CHECKPOINTS)
SOURCES = Rules((".zip",), folders=True, prefixes=("cifar10", "gtsrb"), names=("demo",))


@pytest.fixture(name="tree", autouse=True)
def tree_in_the_working_folder(monkeypatch: pytest.MonkeyPatch) -> Path:
    here = Path.cwd()
    for name in ("runs/", "Models/", "Models/deep/", ".hidden/", "demodata/"):
        (here / name).mkdir()
    for name in ("a.pth", "b.PT", "notes.txt", "c.zip", ".secret.pth", "Models/net.tar",
                 "Models/deep/x.ckpt"):  # fmt: skip
        (here / name).write_bytes(b"x")
    (here / "gone.pth").symlink_to(here / "nowhere")
    monkeypatch.setenv("HOME", str(here))
    return here


@pytest.mark.parametrize(
    ("text", "rules", "expected"),
    [
        ("", MODELS, ["demodata/", "Models/", "runs/", "a.pth", "b.PT", "gone.pth"]),
        ("m", MODELS, ["Models/"]),
        ("M", MODELS, ["Models/"]),
        ("Models/", MODELS, ["Models/deep/", "Models/net.tar"]),
        ("./Mod", MODELS, ["./Models/"]),
        ("~/Models/n", MODELS, ["~/Models/net.tar"]),
        ("~", MODELS, ["~/"]),
        ("..", MODELS, ["../"]),
        (".", MODELS, ["./"]),
        (".s", MODELS, [".secret.pth"]),
        ("notes", MODELS, []),
        ("nowhere/x", MODELS, []),
        ("~nobody-of-that-name/", MODELS, []),
        ("d", SOURCES, ["demo", "demodata/"]),
        ("ci", SOURCES, ["cifar10:"]),
        ("cifar10:", SOURCES, ["cifar10:demodata/", "cifar10:Models/", "cifar10:runs/",
                               "cifar10:c.zip"]),
        ("cifar10:~/Mo", SOURCES, ["cifar10:~/Models/"]),
        ("other:Mo", SOURCES, []),
        ("", Rules(), ["demodata/", "Models/", "runs/", "a.pth", "b.PT", "c.zip", "gone.pth",
                       "notes.txt"]),
    ],
)  # fmt: skip
def test_candidates(text: str, rules: Rules, expected: list[str]) -> None:
    assert [each.text for each in complete(text, rules).candidates] == expected


def test_a_folder_that_cannot_be_read_says_why() -> None:
    assert complete("nowhere/x", MODELS).note == "nowhere/: No such file or directory"
    assert "a.pth" in complete("a.pth/", MODELS).note


def test_a_huge_folder_is_read_in_part(tree: Path) -> None:
    for number in range(1000):
        (tree / "runs" / f"{number:04}.pth").touch()
    ticks = iter(range(100))
    cut = complete("runs/", MODELS, seconds=1.5, clock=lambda: next(ticks))
    assert cut.note == "a large folder, read in part: type more of the name"
    assert 200 >= len(cut.candidates) > 100
    whole = complete("runs/", MODELS)
    assert (len(whole.candidates), whole.note) == (200, "800 more: type more of the name")


@pytest.mark.parametrize(
    ("text", "texts", "expected"),
    [
        ("m", ["model.pth", "model.pth.tar"], "model.pth"),
        ("m", ["me/", "mo/"], "m"),
        ("M", ["model.pth", "mo/"], "mo"),
        ("m", [], "m"),
        ("longer than all", ["long"], "longer than all"),
    ],
)
def test_common(text: str, texts: list[str], expected: str) -> None:
    assert common(text, [Candidate(each, each) for each in texts]) == expected


def scanned(scan: Scan) -> Scan:
    deadline = time.monotonic() + 20
    while not scan.done:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return scan


def test_a_scan_finds_checkpoints_and_nothing_else(tree: Path) -> None:
    os.utime(tree / "a.pth", (2, 2))
    os.utime(tree / "Models" / "net.tar", (3, 3))
    (tree / "Models" / "loop").symlink_to(tree)
    found = scanned(Scan(tree))
    names = [file.path.name for file in found.newest()]
    assert sorted(names) == [".secret.pth", "a.pth", "b.PT", "net.tar", "x.ckpt"]
    assert names.index("net.tar") < names.index("a.pth")
    assert (found.cut, found.newest()[0].size) == ("", 1)


@pytest.mark.parametrize(
    ("limits", "cut"),
    [
        ({"files": 1}, "stopped after 1 files"),
        ({"folders": 0}, "stopped after 0 folders"),
        ({"seconds": -1.0}, "stopped: it took too long"),
    ],
)
def test_a_scan_is_bounded(tree: Path, limits: dict[str, float], cut: str) -> None:
    found = scanned(Scan(tree, **limits))  # type: ignore[arg-type]
    assert found.cut == cut
    assert len(found.found) <= 1


def test_a_scan_can_be_stopped(tree: Path) -> None:
    scan = Scan(tree)
    scan.stop()
    assert scanned(scan).cut in ("", "stopped")


def test_a_scan_of_nothing_is_empty(tree: Path) -> None:
    assert scanned(Scan(tree / "nowhere")).found == []
