"""A worker with a tiny pipeline, so that processes, locks and signals can be tried without torch.

The ``arch`` of the run's configuration says how the pipeline behaves.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator

from cnp_engine import worker
from cnp_engine.commands import Command, Evaluate, Export
from cnp_engine.config import RunConfig
from cnp_engine.errors import DataMissing
from cnp_engine.events import (
    Evaluated,
    Event,
    Exported,
    Finished,
    LabelFree,
    Measured,
    Progress,
    RunStarted,
    Warned,
)
from cnp_engine.inbox import Requests
from cnp_engine.rundir import RunDirectory
from cnp_engine.serving import serve

MODULE = "tests.engine.runs.stand_in"


def pipeline(config: RunConfig, store: RunDirectory, inbox: Requests) -> Iterator[Event]:
    """Say hello, then do what ``config.arch`` names, then finish, and answer where it "serves"."""
    resumed = any(isinstance(r.value, RunStarted) for r in store.events().read()[:1])
    yield RunStarted(1, store.digest, resumed, {"python": "3"}, "cpu", 1, os.getpid())
    try:
        yield from _BEHAVIOURS[config.arch or "ends"](inbox)
    finally:
        store.write("cleaned-up", b"yes")
    yield Finished({"verdict": "no_evidence", "run": str(store.path)})
    if config.arch == "serves":
        yield from serve(store, _Desk(), inbox)


class _Desk:
    """Evaluates at once; an export takes a second."""

    def prepare(self) -> None:
        return

    def ponder(self) -> bool:
        return False

    def answer(self, request: Evaluate | Export) -> Iterator[Event]:
        if isinstance(request, Evaluate):
            yield Evaluated(request.k, LabelFree(), Measured(), 0.0)
        else:
            time.sleep(1)
            yield Exported((str(request.k),), "sha")


def _ends(inbox: Callable[[], list[Command]]) -> Iterator[Event]:
    yield Progress("target", 1, 2)


def _steps(inbox: Callable[[], list[Command]]) -> Iterator[Event]:
    """Many short steps: a stop is heard between two events."""
    for done in range(3000):
        time.sleep(0.01)
        yield Progress("scores", done, 3000)


def _stuck(inbox: Callable[[], list[Command]]) -> Iterator[Event]:
    """One long step: a stop has to be heard within it."""
    yield Progress("scores", 0, 1)
    time.sleep(60)


def _refuses(inbox: Callable[[], list[Command]]) -> Iterator[Event]:
    yield Progress("load", 0, 1)
    raise DataMissing("There is nothing here.", "Look elsewhere.")


def _breaks(inbox: Callable[[], list[Command]]) -> Iterator[Event]:
    yield Progress("load", 0, 1)
    raise ZeroDivisionError("one over none")


def _starves(inbox: Callable[[], list[Command]]) -> Iterator[Event]:
    yield Progress("load", 0, 1)
    raise MemoryError


def _dies(inbox: Callable[[], list[Command]]) -> Iterator[Event]:
    yield Progress("load", 0, 1)
    sys.stderr.write("something dreadful\n")
    sys.stderr.flush()
    os._exit(9)


def _goes_on_talking(inbox: Callable[[], list[Command]]) -> Iterator[Event]:
    yield Finished({"verdict": "no_evidence"})
    yield Warned("late", "This must never be logged.")


def _silent(inbox: Callable[[], list[Command]]) -> Iterator[Event]:
    """Ends without a last word of its own (see ``pipeline``: it is cut short)."""
    yield Progress("load", 0, 1)
    raise SystemExit(0)


def _answers(inbox: Callable[[], list[Command]]) -> Iterator[Event]:
    """Answer one evaluate command, then finish."""
    for _ in range(3000):
        time.sleep(0.01)
        for command in inbox():
            if isinstance(command, Evaluate):
                yield Evaluated(command.k, LabelFree(), Measured(), 0.0)
                return


_BEHAVIOURS: dict[str, Callable[[Callable[[], list[Command]]], Iterator[Event]]] = {
    "ends": _ends,
    "serves": _ends,
    "steps": _steps,
    "stuck": _stuck,
    "refuses": _refuses,
    "breaks": _breaks,
    "starves": _starves,
    "dies": _dies,
    "goes_on_talking": _goes_on_talking,
    "silent": _silent,
    "answers": _answers,
}


if __name__ == "__main__":
    sys.exit(worker.main(pipeline=pipeline))
