"""Single heavy jobs in a process of their own, so that this one never imports torch.

A request goes to ``python -m cnp_engine.tasks NAME`` as JSON on its stdin; one JSON object comes
back on its stdout, the result or the error.
"""

from __future__ import annotations

import json
import signal
import subprocess
from typing import Any

from cnp_engine import process
from cnp_engine.errors import WorkerDied
from cnp_tui.faults import revive


def call(task: str, **request: Any) -> dict[str, Any]:
    """Run one task; its progress goes to stderr. Raises what it raised, WorkerDied."""
    with subprocess.Popen(  # noqa: S603  # our own module, no shell
        process.argv("cnp_engine.tasks", task),
        env=process.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        try:
            answer, _ = child.communicate(json.dumps(request).encode())
        except BaseException:  # Ctrl-C included: a job of the foreground ends with it
            child.kill()
            raise
    if child.returncode == -signal.SIGINT:  # it was told, and this process was to ignore it
        raise KeyboardInterrupt
    return _result(task, answer, child.returncode)


async def ask(task: str, **request: Any) -> dict[str, Any]:
    """``call`` for a program that goes on meanwhile; cancelled, it ends the process.

    What the process prints beside its answer is dropped: a screen is painted over stderr.
    """
    from cnp_tui.aside import aside  # only a screen has an event loop to wait on

    child = subprocess.Popen(  # noqa: S603  # our own module, no shell
        process.argv("cnp_engine.tasks", task),
        env=process.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        answer, _ = await aside(lambda: child.communicate(json.dumps(request).encode()))
    except BaseException:  # nobody waits for the answer any more
        child.kill()
        raise
    return _result(task, answer, child.returncode)


def _result(task: str, answer: bytes, code: int) -> dict[str, Any]:
    try:
        reply: dict[str, Any] = json.loads(answer)
    except ValueError:
        raise _died(task, code) from None
    if "error" in reply:
        error = reply["error"]
        raise revive(error["code"], error["what"], error["todo"], error["details"])
    result: dict[str, Any] = reply["result"]
    return result


def _died(task: str, code: int) -> WorkerDied:
    how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
    return WorkerDied(
        f"The process that was to {task} ended {how} without an answer.",
        "Run `cnp doctor`; a lack of memory is the commonest cause.",
    )
