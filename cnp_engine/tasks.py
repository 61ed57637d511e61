"""Single heavy jobs for a front end: ``python -m cnp_engine.tasks NAME``, JSON in, JSON out.

stdin holds the request, an object of keyword arguments. stdout gets exactly one object,
``{"result": {...}}`` or ``{"error": {code, exit_code, what, todo, details}}``; whatever a library
prints meanwhile goes to stderr, and so does how far the job is, unless it is to be ``quiet``. Each
job imports what it needs when it is called.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cnp_engine.codec import decode, encode
from cnp_engine.errors import CnpError
from cnp_engine.telling import telling
from cnp_engine.training.plan import TrainingPlan
from cnp_engine.worker import last_word

Task = Callable[..., Any]


def inspect(file: str, arch: str | None = None, classes: int | None = None) -> Any:
    """What a checkpoint is, without running any of it."""
    return _import("cnp_engine.models.inspect").inspect_file(Path(file), arch, classes)


def evaluate(quiet: bool = False, **request: Any) -> Any:
    with telling(quiet) as tell:
        return _import("cnp_engine.actions").evaluate_model(**request, tell=tell)


def prune(quiet: bool = False, **request: Any) -> Any:
    with telling(quiet) as tell:
        return _import("cnp_engine.actions").prune_run(**request, tell=tell)


def export(quiet: bool = False, **request: Any) -> Any:
    with telling(quiet) as tell:
        return _import("cnp_engine.actions").export_run(**request, tell=tell)


def report(**request: Any) -> Any:
    return _import("cnp_engine.actions").report_run(**request)


def poison(plan: dict[str, Any], out: str, device: str, precision: str, quiet: bool = False) -> Any:
    """Train a network with a backdoor, or its clean twin."""
    job = _import("cnp_engine.training.job")
    wanted = decode(TrainingPlan, plan)
    with telling(quiet) as tell:
        return job.poison(wanted, Path(out), device, precision, tell)


def doctor() -> Any:
    return {"checks": _import("cnp_engine.doctor").checks()}


def survey(**request: Any) -> Any:
    """What a data source holds, with a few pictures."""
    return _import("cnp_engine.survey").survey(**request)


def devices() -> Any:
    return {"devices": _import("cnp_engine.devices").devices()}


TASKS: dict[str, Task] = {
    task.__name__: task
    for task in (inspect, evaluate, prune, export, report, poison, doctor, survey, devices)
}


def main(argv: list[str] | None = None) -> int:
    """Do one task; the exit code is that of its error, 0 without one."""
    name = (sys.argv[1:] if argv is None else argv)[0]
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the front end says that it was stopped
    answers = _keep_stdout()
    code = 0
    try:
        reply = {"result": encode(TASKS[name](**json.load(sys.stdin)))}
    except (Exception, SystemExit) as error:
        described = describe(error)
        code = described["exit_code"]
        reply = {"error": described}
    with os.fdopen(answers, "w", encoding="utf-8") as stdout:
        json.dump(reply, stdout, allow_nan=False)
    return code


def describe(error: BaseException) -> dict[str, Any]:
    """An error as data: what the worker's log would say of it."""
    if isinstance(error, CnpError):
        details = list(getattr(error, "imports", ()))
        said = {"code": error.code, "exit_code": error.exit_code}
        return {**said, "what": error.what, "todo": error.todo, "details": details}
    return dict(encode(last_word(error)))


def _keep_stdout() -> int:
    """Point stdout at stderr for everyone else; the handle of the real one."""
    sys.stdout.flush()
    answers = os.dup(1)
    os.dup2(2, 1)
    return answers


def _import(name: str) -> Any:
    return importlib.import_module(name)


if __name__ == "__main__":
    sys.exit(main())
