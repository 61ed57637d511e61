"""The command line: exit codes, two sentences an error, data on stdout only."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from cnp_engine import process, runs
from cnp_engine.events import Event
from cnp_engine.rundir import RunDirectory
from cnp_tui import options
from tests.engine.pipeline.conftest import ASSETS
from tests.engine.runs.tools import CANCELLED, FAILED, FINISHED, STARTED, config
from tests.tui.tools import call

Capture = pytest.CaptureFixture[str]


@pytest.fixture(name="inputs")
def model_and_data() -> list[str]:
    """Options that name files which are there; nothing is in them."""
    Path("model.pth").touch()
    Path("images").mkdir()
    return ["--model", "model.pth", "--data", "images"]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("run", 2, "No model is given"),
        ("run --model model.pth", 2, "No data is given"),
        ("run --model no.pth --data images", 3, "no checkpoint at"),
        ("scan --model no.pth --data images", 3, "no checkpoint at"),
        ("run --model model.pth --data nowhere", 4, "no data source at"),
        ("run --model model.pth --data cifar10:nowhere", 4, "no data source at"),
        ("run --model model.pth --data images --attack no.toml", 4, "no attack description"),
        ("run --model model.pth --data images --trigger no.npy", 4, "no trigger file"),
        ("run --model model.pth --data images --clean-dir no", 4, "no folder of clean images"),
        ("run --model model.pth --data images --set sed=1", 2, "Did you mean seed?"),
        ("run --model model.pth --data images --set seed", 2, "has no value"),
        ("run --model model.pth --data images --seed -1", 2, "seed cannot be -1"),
        ("run --model model.pth --data images --clean 0", 2, "clean cannot be 0"),
        ("run --model model.pth --data images --preset slow", 2, "one of fast, reference"),
        ("run --model model.pth --data images --target a", 2, "targets cannot be a"),
        ("run --model model.pth --data images --config no.toml", 2, "cannot be read"),
        ("run --model model.pth --data images --out images", 6, "is there already"),
        ("run --model model.pth --data images --out model.pth/x", 6, "model"),
        ("resume nothing", 6, "no run nothing"),
        ("attach nothing", 6, "no run nothing"),
        ("cancel nothing", 6, "no run nothing"),
        ("export nothing", 6, "no run nothing"),
        ("report nothing", 6, "no run nothing"),
        ("prune nothing --count 3", 6, "no run nothing"),
        ("prune nothing", 2, "exactly once"),
        ("prune nothing --count 3 --auto", 2, "exactly once"),
        ("config show --set sed=1", 2, "Did you mean seed?"),
    ],
)
@pytest.mark.usefixtures("inputs")
def test_an_error_is_two_sentences_and_an_exit_code(
    words: str, code: int, says: str, capfd: Capture, home: Path
) -> None:
    said = call(capfd, *words.split())
    assert (said.code, said.out) == (code, "")
    what, todo, *rest = said.err.splitlines()
    assert what.startswith("error: ")
    assert todo.startswith("  ")
    assert says in said.err
    assert rest == []
    assert not list(home.glob("*"))
    debugged = call(capfd, *words.split(), "--debug")
    assert debugged.code == code
    assert "Traceback" in debugged.err


@pytest.mark.parametrize(
    "words",
    ["nonsense", "run --nonsense", "run --clean many", "prune x --fraction 2", "inspect", "eval"],
)
def test_usage_errors(words: str, capfd: Capture) -> None:
    said = call(capfd, *words.split())
    assert (said.code, said.out) == (2, "")
    assert "Traceback" not in said.err


def test_a_mistake_of_ours_is_two_sentences_too(
    capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "paths", lambda: 1 / 0)
    said = call(capfd, "runs")
    assert said.code == 5
    assert "ZeroDivisionError: division by zero" in said.err
    assert "Traceback" not in said.err
    assert "Traceback" in call(capfd, "runs", "--debug").err


def test_ctrl_c_has_its_exit_code(capfd: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> list[Path]:
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "paths", interrupted)
    assert call(capfd, "runs").code == 130


@pytest.mark.parametrize("command", ["", "run", "scan", "demo", "resume", "cancel"])
def test_help(command: str, capfd: Capture) -> None:
    said = call(capfd, *command.split(), "--help")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("Usage: cnp")


OPTIONS = (
    "model data arch classes normalize clean clean-dir attack trigger target defense preset device "
    "seed config set out force json quiet detach"
)
COMMANDS = (
    "run demo inspect eval scan prune export runs attach cancel resume report doctor config "
    "tui replay compare"
)


@pytest.mark.parametrize("command", ["run", "scan"])
def test_the_options_of_the_contract_are_there(command: str, capfd: Capture) -> None:
    words = call(capfd, command, "--help").out.replace(",", " ").split()
    assert {f"--{name}" for name in OPTIONS.split()} <= set(words)


def test_commands_of_the_contract_are_there(capfd: Capture) -> None:
    said = call(capfd, "--help").out
    assert all(f"\n  {command} " in said for command in COMMANDS.split())


def test_version(capfd: Capture) -> None:
    said = call(capfd, "--version")
    assert said.code == 0
    assert said.out.startswith("cnp ")


@pytest.mark.parametrize(
    "words", [["-m", "cnp_tui"], ["-c", "from cnp_tui.cli import main; main()"]]
)
def test_runs_as_a_module_and_as_a_script(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, *words, "runs"],
        env=process.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("There are no runs yet.\n", "")


def test_cnp_on_its_own_says_how_to_begin(capfd: Capture) -> None:
    said = call(capfd)
    assert said.code == 0
    assert "cnp demo" in said.out


HISTORIES: dict[str, tuple[Event, ...]] = {
    "created": (),
    "died": (STARTED,),
    "failed": (STARTED, FAILED),
    "cancelled": (STARTED, CANCELLED),
    "finished": (STARTED, FINISHED),
}


def test_runs_are_listed_with_how_they_stand(capfd: Capture, home: Path) -> None:
    for status, events in HISTORIES.items():
        run = RunDirectory.create(home / f"a-{status}", config())
        for event in events:
            run.events().append(event)
    (home / "a-damaged").mkdir()
    (home / "a-damaged" / "run.toml").write_text("= =")
    with RunDirectory.create(home / "a-running", config()).lock():
        said = call(capfd, "runs")
        listed = json.loads(call(capfd, "runs", "--json").out)["runs"]
    lines = {line.split()[0]: line.split()[1] for line in said.out.splitlines()[1:]}
    wanted = {f"a-{status}": status for status in (*HISTORIES, "damaged", "running")}
    assert lines == wanted
    assert {row["name"]: row["status"] for row in listed} == wanted
    by_status = {row["status"]: row for row in listed}
    assert by_status["failed"]["error"] == FAILED.what
    assert "not TOML" in by_status["damaged"]["error"]
    assert by_status["created"]["begun"] is None


@pytest.mark.parametrize(("given", "when"), [(True, "always"), (False, "never"), (None, None)])
def test_healing_is_asked_for_or_ruled_out_or_left_to_the_run(
    given: bool | None, when: str | None
) -> None:
    assert options.settings({"heal": given, "model": "m.pth"}) == {
        "heal.when": when, "model": "m.pth",
    }  # fmt: skip
    assert options.settings({"seed": 1}) == {"seed": 1}


def test_settings_are_listed(capfd: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNP_SEED", "7")
    rows = json.loads(call(capfd, "config", "show", "--set", "clean=50", "--json").out)["settings"]
    values = {row["key"]: row["value"] for row in rows}
    assert (values["seed"], values["clean"]) == ("7", "50")
    assert "seed" in call(capfd, "config", "show").out


def test_a_finished_run_tells_its_summary_again(capfd: Capture, home: Path) -> None:
    run = RunDirectory.create(home / "done", config())
    for event in (STARTED, FINISHED):
        run.events().append(event)
    before = run.events().read()
    for command in ("resume", "attach"):
        said = call(capfd, command, "done", "--json", "--quiet")
        assert (said.code, said.err) == (0, "")
        assert json.loads(said.out) == FINISHED.summary
    assert run.events().read() == before


def test_cancelling_a_run_that_is_not_at_work_does_nothing(capfd: Capture, home: Path) -> None:
    run = RunDirectory.create(home / "idle", config())
    said = call(capfd, "cancel", "idle")
    assert (said.code, said.out) == (0, "")
    assert "not at work" in said.err
    assert not (run.path / "commands.jsonl").exists()


def test_a_locked_run_is_not_resumed(capfd: Capture, home: Path) -> None:
    run = RunDirectory.create(home / "busy", config())
    with run.lock():
        said = call(capfd, "resume", "busy")
    assert (said.code, said.out) == (6, "")
    assert "being worked on by process" in said.err


@pytest.mark.parametrize("closed", ["2>&-", "<&- 2>&-", "<&- >&- 2>&-"])
def test_what_a_shell_closed_leads_nowhere_and_fails_nothing(closed: str) -> None:
    """A job in a process of its own says on stderr how far it is."""
    model, data = ASSETS / "demo_model.pth", "demo"
    words = ("eval", "--model", str(model), "--data", data, "--normalize", "none", "--json")
    line = shlex.join(process.argv("cnp_tui", *words))
    done = subprocess.run(
        ["sh", "-c", f"exec {line} {closed}"],
        env={**process.environment(), "OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert ">&- 2" in closed or json.loads(done.stdout)["n"] == 1000
