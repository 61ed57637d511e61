"""`cnp bench` over the embedded models, on a schedule of seconds whose figures mean nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cnp_engine import launch, lock, process
from cnp_engine.codec import encode
from cnp_engine.events import RunStarted
from cnp_engine.files import write_atomic
from cnp_engine.grid.grid import parse
from cnp_engine.rundir import RunDirectory
from tests.engine.pipeline.conftest import ASSETS, SHORT
from tests.tui.tmux import wait_until
from tests.tui.tools import call

LONG_S = 240.0
CHEAP = "\n".join(
    f"{key} = {repr(value) if key in ('normalize', 'heal.when') else value}"
    for key, value in (text.split("=") for text in SHORT)
)
TWO = f"""
data = "demo"
clean = [60]
[[model]]
name = "demo"
file = "{ASSETS}/demo_model.pth"
attack = "{ASSETS}/demo_attack.toml"
[[model]]
name = "twin"
file = "{ASSETS}/demo_clean.pth"
[bars]
asr = 0.02
[set]
device = "cpu"
"target.families" = ["patch"]
{CHEAP}
"""
CELLS = ("demo-clean60-seed0", "twin-clean60-seed0")
ONE = re.sub(r'\[\[model\]\]\nname = "twin".*?(?=\[bars\])', "", TWO, flags=re.DOTALL)


@pytest.fixture(scope="module")
def finished(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A bench of two cells that has come to its end, and what it said; copy it to change it."""
    folder = tmp_path_factory.mktemp("bench")
    (folder / "two.toml").write_text(TWO)
    env = {**process.environment(), "CNP_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        process.argv("cnp_tui", "bench", "two.toml", "--out", "out", "--json"),
        cwd=folder, env=env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return folder, done


@pytest.fixture(name="copy")
def a_copy(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> Path:
    """The finished bench, with its grid, in the working folder."""
    shutil.copytree(finished[0] / "out", "out")
    shutil.copy(finished[0] / "two.toml", "two.toml")
    return Path("out")


@pytest.fixture(autouse=True)
def no_worker_outlives_the_test() -> Iterator[None]:
    yield
    for path in Path.cwd().glob("*/runs/*/lock"):
        by = lock.holder(path)
        if by is not None and lock.held(path):
            os.kill(by.pid, signal.SIGKILL)


def started(*words: str) -> subprocess.Popen[str]:
    """A bench in a process of its own, in the working folder, in a session of its own."""
    return subprocess.Popen(
        process.argv("cnp_tui", "bench", *words),
        env={**process.environment(), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def reach(bench: subprocess.Popen[str], place: Path) -> None:
    """Wait for a file or folder that a bench at work makes."""
    wait_until(lambda: place.exists() or bench.poll() is not None, patience_s=LONG_S)
    assert place.exists(), bench.communicate()


def logs(folder: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in folder.glob("runs/*/events.jsonl")}


def starts(run: Path) -> list[bool]:
    """Of every worker the run had: whether it went on where another had stopped."""
    records = RunDirectory.open(run).events().read()
    return [one.value.resumed for one in records if isinstance(one.value, RunStarted)]


@pytest.mark.slow
def test_every_cell_is_a_run_and_stdout_is_one_object(
    finished: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, done = finished
    out = folder / "out"
    told: dict[str, Any] = json.loads(done.stdout)
    assert told == json.loads((out / "bench.json").read_text())
    assert (told["cells"], told["done"], told["failed"]) == (2, 2, 0)
    assert told["out"] == str(out)
    rows = {row["name"]: row for row in told["rows"]}
    assert tuple(rows) == CELLS
    for name, row in rows.items():
        summary = json.loads((out / "runs" / name / "summary.json").read_text())
        assert row["verdict"] == summary["verdict"]
        assert row["rates"]["before_ba"]["value"] == summary["before"]["ba"]
        assert row["rates"]["before_ba"]["n"] == 1000
        assert row["seconds"] == summary["seconds"]["total"]
    known, twin = rows.values()
    assert (known["attack"], known["true_targets"], twin["attack"]) == ("badnets", [5], None)
    assert known["rates"]["before_asr"]["value"] > 0.98
    assert twin["rates"]["before_asr"] is None
    assert known["network"] == twin["network"] == "ResNet-18 for small images, width 8"
    assert told["means"][0]["figures"]["asr"]["bar"] == 0.02
    assert all(f"| `{name}` |" in (out / "bench.md").read_text() for name in CELLS)
    assert len((out / "bench.csv").read_text().splitlines()) == 3
    lines = done.stderr.splitlines()
    for name in CELLS:  # one line for each that is done, beside the lines of its run
        assert sum(line.startswith(f"{name}: verdict ") for line in lines) == 1


@pytest.mark.slow
def test_what_is_finished_is_not_done_again(copy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before, table = logs(copy), (copy / "bench.md").read_text()
    said = call(capfd, "bench", "two.toml", "--out", "out")
    assert said.code == 0
    assert said.err == "2 of 2 cells are done already\n"
    assert said.out == table
    assert logs(copy) == before


@pytest.mark.slow
def test_a_summary_that_is_gone_is_written_again(
    copy: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    place = copy / "runs" / CELLS[1] / "summary.json"
    was = json.loads(place.read_text())
    place.write_text("{")
    said = call(capfd, "bench", "two.toml", "--out", "out", "--json", "--quiet")
    assert (said.code, said.err) == (0, "")
    assert json.loads(said.out)["done"] == 2
    assert json.loads(place.read_text())["before"] == was["before"]


@pytest.mark.slow
def test_a_run_that_is_damaged_is_a_failed_row(
    copy: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (copy / "runs" / CELLS[0] / "run.toml").write_text("= =")
    said = call(capfd, "bench", "two.toml", "--out", "out", "--json")
    assert said.code == 5
    rows = json.loads(said.out)["rows"]
    assert [row["state"] for row in rows] == ["failed", "done"]
    assert "cannot be understood" in rows[0]["error"]


@pytest.mark.slow
def test_a_grid_that_grew_runs_what_is_new(copy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = logs(copy)
    third = f'[[model]]\nname = "again"\nfile = "{ASSETS}/demo_clean.pth"\n[bars]'
    Path("two.toml").write_text(TWO.replace("[bars]", third))
    said = call(capfd, "bench", "two.toml", "--out", "out", "--json")
    told = json.loads(said.out)
    assert [row["model"] for row in told["rows"]] == ["demo", "twin", "again"]
    assert told["done"] == 3
    assert {name: log for name, log in logs(copy).items() if name in CELLS} == before


@pytest.mark.slow
def test_a_killed_bench_goes_on_where_it_was() -> None:
    Path("two.toml").write_text(TWO)
    first, out = Path("out", "runs", CELLS[0]), Path("out")
    bench = started("two.toml", "--out", "out")
    reach(bench, first / "artifacts" / "before.json")
    by = lock.holder(first / "lock")
    bench.kill()
    assert by is not None
    os.kill(by.pid, signal.SIGKILL)
    bench.communicate()
    rows = json.loads((out / "bench.json").read_text())["rows"]
    assert [row["state"] for row in rows] == ["waiting", "waiting"]
    cut_off = out / "runs" / CELLS[1]  # killed while it made the folder
    (cut_off / "artifacts").mkdir(parents=True)
    (cut_off / ".run.toml.x").touch()
    again = started("two.toml", "--out", "out", "--json")
    answer, _ = again.communicate(timeout=LONG_S)
    assert again.returncode == 0
    assert json.loads(answer)["done"] == 2
    assert starts(first) == [False, True]


@pytest.mark.slow
def test_a_run_that_outlived_its_bench_is_followed_to_its_end() -> None:
    Path("two.toml").write_text(ONE)
    first = Path("out", "runs", CELLS[0])
    bench = started("two.toml", "--out", "out")
    reach(bench, first / "events.jsonl")
    wait_until(lambda: len(starts(first)) == 1, patience_s=LONG_S)
    bench.kill()
    bench.communicate()
    again = started("two.toml", "--out", "out", "--json", "--quiet")
    answer, said = again.communicate(timeout=LONG_S)
    assert (again.returncode, said) == (0, "")
    assert json.loads(answer)["done"] == 1
    assert starts(first) == [False]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_bench_keeps_what_is_there(number: signal.Signals, code: int) -> None:
    slow = TWO.replace("target.steps = 6", "target.steps = 6000")
    assert slow != TWO
    Path("two.toml").write_text(slow)
    first = Path("out", "runs", CELLS[0])
    bench = started("two.toml", "--out", "out", "--json")
    reach(bench, first / "artifacts" / "before.json")
    beside = started("two.toml", "--out", "out", "--json")  # two benches do not share a folder
    answer, said = beside.communicate(timeout=LONG_S)
    assert (beside.returncode, answer) == (6, "")
    assert "is being worked on by process" in said
    assert len(said.splitlines()) == 2
    bench.send_signal(number)
    answer, said = bench.communicate(timeout=LONG_S)
    assert (bench.returncode, answer) == (code, "")
    assert "The bench was stopped: 0 of 2 cells done." in said
    assert not lock.held(first / "lock")
    assert launch.status(RunDirectory.open(first))[0] == "cancelled"
    rows = json.loads(Path("out", "bench.json").read_text())["rows"]
    assert [row["state"] for row in rows] == ["stopped", "waiting"]


@pytest.mark.slow
def test_a_failed_cell_is_a_row_and_tried_again(capfd: pytest.CaptureFixture[str]) -> None:
    Path("mine.pth").write_bytes(b"hello")
    Path("two.toml").write_text(TWO.replace(f"{ASSETS}/demo_model.pth", "mine.pth"))
    said = call(capfd, "bench", "two.toml", "--json")
    told = json.loads(said.out)
    assert said.code == 5
    assert [row["state"] for row in told["rows"]] == ["failed", "done"]
    assert "not a checkpoint" in told["rows"][0]["error"]
    assert told["means"][0]["figures"]["asr"]["holds"] is None
    assert "1 of 2 cells done, 1 failed; the same command tries those again" in said.err
    assert "not a checkpoint" in Path("bench-two", "bench.md").read_text()
    other = logs(Path("bench-two"))[CELLS[1]]
    shutil.copy(ASSETS / "demo_model.pth", "mine.pth")
    said = call(capfd, "bench", "two.toml", "--json", "--quiet")
    assert (said.code, said.err) == (0, "")
    assert [row["state"] for row in json.loads(said.out)["rows"]] == ["done", "done"]
    assert logs(Path("bench-two"))[CELLS[1]] == other


TRAINED = f"""
data = "demo"
clean = [60]
[models]
attacks = ["badnets"]
widths = [8]
rates = [0.1, 0.0]
epochs = 1
images = 256
[set]
device = "cpu"
"target.families" = ["patch"]
{CHEAP}
"""
TRAINED_CELLS = ("badnets-resnet18-w8-r0.1-t0-s0", "clean-resnet18-w8-s0")


@pytest.mark.slow
def test_models_are_trained_once_and_kept(capfd: pytest.CaptureFixture[str]) -> None:
    Path("g.toml").write_text(TRAINED)
    said = call(capfd, "bench", "g.toml", "--out", "out", "--json", "--device", "cpu")
    assert said.code == 0, said.err
    told = json.loads(said.out)
    assert [row["model"] for row in told["rows"]] == list(TRAINED_CELLS)
    assert [row["network"] for row in told["rows"]] == ["resnet18, width 8"] * 2
    assert [row["rates"]["before_asr"] is None for row in told["rows"]] == [False, True]
    kept = {path: path.stat().st_mtime_ns for path in Path("out", "models").rglob("*.*")}
    assert sum(path.name == "poison.json" for path in kept) == 2
    Path("g.toml").write_text(TRAINED.replace("[60]", "[60, 70]").replace("[0.1, 0.0]", "[0.1]"))
    again = call(capfd, "bench", "g.toml", "--out", "out", "--json", "--device", "cpu")
    assert json.loads(again.out)["done"] == 2
    assert "training" not in again.err
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    Path("g.toml").write_text(TRAINED.replace("epochs = 1", "epochs = 2"))
    other = call(capfd, "bench", "g.toml", "--out", "out", "--device", "cpu")
    assert (other.code, other.out) == (6, "")
    assert "was trained with epochs = 1, and the grid now says 2" in other.err


ONE_TRAINED = TRAINED.replace("[0.1, 0.0]", "[0.1]") + 'until = "verdict"\n'
"""One training, and a cell that is only looked at."""


@pytest.mark.slow
def test_a_stopped_training_ends_with_its_bench_and_the_next_call_finishes_it() -> None:
    Path("g.toml").write_text(ONE_TRAINED)
    place = Path("out", "models", TRAINED_CELLS[0])
    bench = started("g.toml", "--out", "out", "--device", "cpu")
    reach(bench, place / "plan.json")
    bench.send_signal(signal.SIGINT)
    _, said = bench.communicate(timeout=LONG_S)
    assert bench.returncode == 130
    assert "The bench was stopped: 0 of 1 cell done." in said
    wait_until(lambda: not lock.held(place / "lock"))
    assert not (place / "poison.json").exists()
    assert not Path("out", "runs").exists()
    again = started("g.toml", "--out", "out", "--device", "cpu", "--json")
    answer, said = again.communicate(timeout=LONG_S)
    assert again.returncode == 0, said
    assert json.loads(answer)["done"] == 1
    assert (place / "poison.json").is_file()


@pytest.mark.slow
def test_a_training_that_outlived_its_bench_is_waited_for() -> None:
    Path("g.toml").write_text(ONE_TRAINED)
    (model,) = parse(ONE_TRAINED, Path.cwd(), "g").models
    place = Path("out", "models", model.name)
    write_atomic(Path("out", "bench.lock"), b"")
    write_atomic(place / "plan.json", json.dumps(encode(model.plan)).encode())
    with lock.hold(place / "lock"):
        bench = started("g.toml", "--out", "out", "--device", "cpu", "--json")
        reach(bench, Path("out", "bench.json"))
        with pytest.raises(subprocess.TimeoutExpired):
            bench.wait(timeout=6.0)
        assert not (place / "model.pth").exists()
    answer, said = bench.communicate(timeout=LONG_S)
    assert bench.returncode == 0, said
    assert json.loads(answer)["done"] == 1


def test_a_training_that_fails_is_the_row_of_its_cells(capfd: pytest.CaptureFixture[str]) -> None:
    Path("g.toml").write_text(TRAINED.replace("widths = [8]", 'architectures = ["resnet19"]'))
    said = call(capfd, "bench", "g.toml", "--out", "out", "--json", "--device", "cpu")
    told = json.loads(said.out)
    assert said.code == 5
    assert [row["state"] for row in told["rows"]] == ["failed", "failed"]
    assert all("resnet19" in row["error"] for row in told["rows"])


def _other_plan() -> None:
    """A cached model that another grid trained."""
    (model, _) = parse(TRAINED.replace("epochs = 1", "epochs = 9"), Path.cwd(), "g").models
    plan = encode(model.plan)
    place = Path("out", "models", model.name)
    write_atomic(Path("out", "bench.lock"), b"")
    write_atomic(place / "plan.json", json.dumps(plan).encode())


def _other_result() -> None:
    _other_plan()
    place = Path("out", "models", TRAINED_CELLS[0])
    plan = json.loads((place / "plan.json").read_text())
    (place / "plan.json").write_text(json.dumps({**plan, "epochs": 1}))
    (place / "poison.json").write_text(json.dumps({"plan": plan}))


def _damaged_plan() -> None:
    _other_plan()
    Path("out", "models", TRAINED_CELLS[0], "plan.json").write_text("[")


def _not_a_bench() -> None:
    Path("out").mkdir()
    Path("out", "thesis.tex").touch()


def _a_file() -> None:
    Path("out").touch()


@pytest.mark.parametrize(
    ("grid", "prepare", "code", "says"),
    [
        (None, None, 2, "cannot be read"),
        (TWO.replace("clean", "claen"), None, 2, "Did you mean clean?"),
        (TWO + "masks.round = 1", None, 2, "Did you mean masks.rounds?"),
        (TWO.replace("demo_model.pth", "no.pth"), None, 3, "no checkpoint at"),
        (TWO.replace("demo_attack.toml", "no.toml"), None, 4, "cannot be read"),
        (TWO.replace('"demo"', '"nowhere"', 1), None, 4, "no data source at"),
        (TRAINED.replace("badnets", "badnet"), None, 2, "Did you mean badnets?"),
        (TRAINED, _other_plan, 6, "was trained with epochs = 9, and the grid now says 1"),
        (TRAINED, _other_result, 6, "was trained with epochs = 9, and the grid now says 1"),
        (TRAINED, _damaged_plan, 6, "cannot be read"),
        (TWO, _not_a_bench, 6, "is no bench"),
        (TWO, _a_file, 6, "is no bench"),
    ],
    ids=str.split(
        "no-grid key set-key no-model no-attack no-data attack plan result damaged no-bench file"
    ),
)
def test_what_cannot_be_is_said_before_anything_is_done(
    grid: str | None, prepare: Any, code: int, says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    if grid is not None:
        Path("g.toml").write_text(grid)
    if prepare is not None:
        prepare()
    said = call(capfd, "bench", "g.toml", "--out", "out", "--json")
    assert (said.code, said.out) == (code, "")
    what, todo = said.err.splitlines()
    assert what.startswith("error: ")
    assert says in said.err
    assert todo.startswith("  ")
    assert not Path("out", "runs").exists()


@pytest.mark.slow
def test_a_run_made_with_other_settings_is_never_taken_over(
    copy: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("two.toml").write_text(TWO.replace("masks.rounds = 3", "masks.rounds = 4"))
    before = logs(copy)
    said = call(capfd, "bench", "two.toml", "--out", "out")
    assert (said.code, said.out) == (6, "")
    assert "masks.rounds = 3, and the grid now says 4" in said.err
    assert logs(copy) == before


def test_help_shows_a_grid_that_is_one(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    said = call(capfd, "bench", "--help")
    _, _, rest = said.out.partition("relative to it:\n")
    shown, _, _ = rest.partition("Arguments:")
    (tmp_path / "mine.toml").write_text('attack = "badnets"\ntarget = 0\n')
    grid = parse(shown, tmp_path, "shown")
    assert len(grid.models) == 4
    assert grid.bars[100].ba_drop == 0.015


def test_a_bench_imports_nothing_heavy() -> None:
    Path("g.toml").write_text(TWO.replace("demo_model.pth", "no.pth"))
    code = (
        "import sys\nfrom cnp_tui.cli import main\n"
        "try: main(['bench', 'g.toml'])\nexcept SystemExit: pass\n"
        "assert not {'torch', 'numpy', 'textual', 'PIL'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], env=process.environment(), check=True)
