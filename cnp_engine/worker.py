"""The worker process: ``python -m cnp_engine.worker RUN_DIR``.

Takes the lock, drains the pipeline into the event log and says one last word. After a good end it
stays while somebody looks at the run, and logs what the pipeline answers; nothing that happens
then changes how the run ended. Knows the lock, signals and the log; not what a stage computes.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import importlib
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeAlias

from cnp_engine import lock
from cnp_engine.config import RunConfig
from cnp_engine.errors import (
    CheckpointUnsafe,
    CnpError,
    Interrupted,
    OutOfMemory,
    RunDamaged,
    RunUnwritable,
)
from cnp_engine.eventlog import ENDS, EventLog
from cnp_engine.events import (
    Cancelled,
    Continued,
    Event,
    Failed,
    Finished,
    Paused,
    Refused,
    RunStarted,
)
from cnp_engine.files import writing
from cnp_engine.inbox import Inbox, Requests
from cnp_engine.rundir import RunDirectory
from cnp_engine.state import RunState
from cnp_engine.stopping import Stop

Pipeline: TypeAlias = Callable[[RunConfig, RunDirectory, Requests], Iterator[Event]]
"""Its events up to a last word; what it has to say after that are answers to ``Requests``."""


def main(argv: Sequence[str] | None = None, pipeline: Pipeline | None = None) -> int:
    """Work on one run to its end; the exit code is that of its last event."""
    faulthandler.enable()
    parser = argparse.ArgumentParser(prog="python -m cnp_engine.worker")
    parser.add_argument("run", type=Path)
    parser.add_argument("--lock-handle", type=int, help="a lock the starting process took")
    parser.add_argument("--commands-from", type=int, help="byte from which commands count")
    given = parser.parse_args(argv)
    try:
        run = RunDirectory.open(given.run)
        with _locked(run, given.lock_handle):
            since = given.commands_from
            return work(run, pipeline, run.commands().size() if since is None else since)
    except CnpError as error:
        sys.stderr.write(f"error: {error.what}\n  {error.todo}\n")
        return error.exit_code


def work(run: RunDirectory, pipeline: Pipeline | None = None, commands_from: int = 0) -> int:
    """Drain ``pipeline`` (the real one by default) into the log of ``run``, whose lock is held.

    Raises RunUnwritable or RunDamaged where not even the last word can be written.
    """
    log, stop = run.events(), Stop()
    tail = run.commands().tail(commands_from)
    with stop.installed(), Inbox(tail, stop) as inbox:
        try:
            _check_digest(run, log)
            events = (pipeline or _pipeline())(run.config, run, inbox)
            last = _drain(events, log, stop, inbox)
        except (Exception, SystemExit) as error:  # whatever a stage raises is its last word
            stop.deafen()
            last = last_word(error)
            if not isinstance(error, CnpError):
                traceback.print_exception(error)
            if _ended_well(log):  # it stays so: only nobody answers
                log.append(Refused("wake", None, *_said(error)))
            else:
                log.append(last)
        if isinstance(last, Finished):
            with _closing(events):
                _answer(run, events, log, stop)
    return last.exit_code if isinstance(last, (Failed, Cancelled)) else 0


def _drain(events: Iterator[Event], log: EventLog, stop: Stop, inbox: Inbox) -> Event:
    """Log every event up to the last word, which is returned; a good end leaves ``events`` open."""
    with _closing(events) as clean_up:
        for event in events:
            with stop.shielded():
                log.append(event)
                if isinstance(event, Finished):
                    clean_up.pop_all()
                if isinstance(event, ENDS):
                    stop.deafen()
                    return event
            stop.check()
            _pause(log, inbox)
    raise AssertionError("the pipeline ended without a last event")


def _answer(run: RunDirectory, events: Iterator[Event], log: EventLog, stop: Stop) -> None:
    """Log what is answered after the last word; being told to stop only ends it."""
    if not run.viewed():
        return
    try:
        stop.listen()
        for event in events:
            with stop.shielded():
                _say(log, event)
            stop.check()
    except Interrupted:
        return
    except (Exception, SystemExit):  # an answer that failed is no reason to call the run failed
        traceback.print_exc()
    finally:
        stop.deafen()


def _say(log: EventLog, event: Event) -> None:
    """A full disk takes an answer; whoever asks again once there is room gets one."""
    try:
        log.append(event)
    except RunUnwritable as error:
        sys.stderr.write(f"not said: {error}\n")


def _pause(log: EventLog, inbox: Inbox) -> None:
    if inbox.paused:
        log.append(Paused())
        inbox.wait_while_paused()
        log.append(Continued())


def last_word(error: BaseException) -> Event:
    """The event that tells why a run ended early."""
    if isinstance(error, Interrupted):
        return Cancelled(error.what, error.exit_code)
    if isinstance(error, CnpError):
        details = error.imports if isinstance(error, CheckpointUnsafe) else ()
        return Failed(error.code, error.exit_code, error.what, error.todo, tuple(details))
    if isinstance(error, MemoryError):
        return Failed(
            OutOfMemory.__name__,
            OutOfMemory.exit_code,
            "The machine has too little memory for this run.",
            "Give fewer images with --clean, or close other programs, and resume.",
        )
    return Failed(
        "EngineError",
        5,
        f"The engine failed unexpectedly ({type(error).__name__}: {_first_line(error)}).",
        "Please report it with worker.log and run.toml of this run; --debug shows where.",
        tuple("".join(traceback.format_exception(error)).splitlines()),
    )


def _ended_well(log: EventLog) -> bool:
    """Whether the run is finished, whatever has become of it since."""
    try:
        return RunState.from_records(log.read()).outcome == "finished"
    except RunDamaged:
        return False


def _said(error: BaseException) -> tuple[str, str]:
    said = last_word(error)
    if isinstance(said, Failed):
        return said.what, said.todo
    return "The engine was stopped.", "Ask again, and it is started again."


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "no message")


def _check_digest(run: RunDirectory, log: EventLog) -> None:
    """Artifacts of one configuration are never taken over by another."""
    for record in log.read():
        if isinstance(record.value, RunStarted) and record.value.digest != run.digest:
            raise RunDamaged(
                f"{run.path / 'run.toml'} was changed after the run had begun.",
                "Put it back as it was, or begin a new run with these settings.",
            )


def _closing(events: Iterator[Event]) -> contextlib.ExitStack:
    """Let a generator run its own clean-up before the last word, not at some later collection."""
    stack = contextlib.ExitStack()
    close = getattr(events, "close", None)
    if close is not None:
        stack.callback(close)
    return stack


def _locked(run: RunDirectory, handle: int | None) -> AbstractContextManager[object]:
    if handle is None:
        return run.lock()
    with writing(run.lock_path):
        lock.adopt(handle)
    return contextlib.nullcontext()


def _pipeline() -> Pipeline:
    """Imported only now: torch takes seconds, and the lock and the log come first."""
    run: Pipeline = importlib.import_module("cnp_engine.pipeline").run
    return run


if __name__ == "__main__":
    sys.exit(main())
