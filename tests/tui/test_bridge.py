"""Heavy jobs in a process of their own: results, errors and deaths come back as such."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cnp_engine import process, tasks
from cnp_engine.errors import CheckpointUnreadable, CheckpointUnsafe, DataMissing, WorkerDied
from cnp_tui import bridge, faults
from tests.tui.tools import call


@pytest.mark.parametrize(
    "error",
    [
        DataMissing("Nothing there.", "Look elsewhere."),
        CheckpointUnsafe("It would run code.", "Do not load it.", ("os.system", "builtins.exec")),
    ],
)
def test_an_error_is_the_same_on_this_side(error: DataMissing | CheckpointUnsafe) -> None:
    said = json.loads(json.dumps(tasks.describe(error)))
    again = faults.revive(said["code"], said["what"], said["todo"], said["details"])
    assert type(again) is type(error)
    assert (again.what, again.todo, again.exit_code) == (error.what, error.todo, error.exit_code)
    assert getattr(again, "imports", ()) == getattr(error, "imports", ())


def test_a_mistake_of_the_other_side_is_ours() -> None:
    said = tasks.describe(KeyError("x"))
    error = faults.revive(said["code"], said["what"], said["todo"], said["details"])
    assert isinstance(error, faults.UnexpectedError)
    assert error.exit_code == said["exit_code"] == 5
    assert "KeyError" in error.what


def test_an_unknown_task_is_told() -> None:
    with pytest.raises(faults.UnexpectedError, match="KeyError"):
        bridge.call("dance")


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("raise SystemExit(7)", "with exit code 7"),
        ("print('noise')", "with exit code 0"),
        ("import os; os.kill(os.getpid(), 9)", "by signal 9"),
    ],
)
def test_a_death_without_an_answer_is_told(
    code: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dying(module: str, *arguments: str) -> list[str]:
        return [sys.executable, "-c", code]

    monkeypatch.setattr(process, "argv", dying)
    with pytest.raises(WorkerDied, match=says):
        bridge.call("doctor")


def test_noise_of_a_library_never_reaches_the_answer() -> None:
    code = (
        "import os; from cnp_engine import tasks\n"
        "def noisy(**request):\n    print('noise'); os.system('echo noise'); return request\n"
        "tasks.TASKS['noisy'] = noisy\n"
        "raise SystemExit(tasks.main(['noisy']))"
    )
    request: dict[str, Any] = {"a": [1, None, "ü"]}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=process.environment(),
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == {"result": request}
    assert done.stderr.split() == ["noise", "noise"]


def test_doctor_finds_this_machine_fit(capfd: pytest.CaptureFixture[str]) -> None:
    said = call(capfd, "doctor", "--json")
    found = json.loads(said.out)
    assert (said.code, found["ok"]) == (0, True)
    names = [check["name"] for check in found["checks"]]
    assert {"python", "runs", "torch", "safe loading", "cpu"} <= set(names)


def test_doctor_says_what_is_broken(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def dying(module: str, *arguments: str) -> list[str]:
        return [sys.executable, "-c", "raise SystemExit(7)"]

    monkeypatch.setattr(process, "argv", dying)
    monkeypatch.setenv("CNP_HOME", "/dev/null/home")
    said = call(capfd, "doctor")
    assert said.code == 5
    assert said.out.count("BROKEN") == 2
    assert "Set CNP_HOME" in said.out


def test_asked_beside_a_screen_it_answers_as_it_does_when_called(tmp_path: Path) -> None:
    (tmp_path / "empty.pth").touch()
    with pytest.raises(CheckpointUnreadable, match="is empty"):
        asyncio.run(bridge.ask("inspect", file=str(tmp_path / "empty.pth")))


def test_a_question_nobody_waits_for_ends_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def noted(*args: Any, **options: Any) -> subprocess.Popen[bytes]:
        begun.append(popen(*args, **options))
        return begun[-1]

    async def give_up() -> None:
        question = asyncio.create_task(bridge.ask("doctor"))
        await asyncio.sleep(0.05)
        question.cancel()
        with pytest.raises(asyncio.CancelledError):
            await question

    monkeypatch.setattr(subprocess, "Popen", noted)
    asyncio.run(give_up())
    assert begun[0].wait(20) == -signal.SIGKILL
