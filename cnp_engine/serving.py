"""After the last word: stay while somebody looks at the run, and answer.

The newest ``Evaluate`` wins, exports are done in order and never dropped. A request that cannot be
done is refused with a sentence; nothing that happens here ends or damages the run.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterator

import torch

from cnp_engine.commands import Command, Evaluate, Export
from cnp_engine.errors import CnpError, Interrupted, RunUnwritable
from cnp_engine.events import Event, Refused
from cnp_engine.inbox import Requests
from cnp_engine.rundir import RunDirectory
from cnp_engine.stages import exporting
from cnp_engine.stages.answering import Answers, check
from cnp_engine.stages.session import Session

RECHECK_S = 0.25
"""How often it is looked whether anybody is still there."""

FAREWELL_S = 2.0
"""How long the worker stays after the last viewer: a terminal may only be starting again."""


def serve(store: RunDirectory, desk: Desk, inbox: Requests) -> Generator[Event, None, None]:
    """Answers for as long as the run is viewed, and exports that were asked for until then."""
    if not store.viewed():
        return
    desk.prepare()
    pending, seen = Pending(), time.monotonic()
    while True:
        pending.add(inbox(0.0 if pending.waiting else RECHECK_S))
        request = pending.take()
        if request is not None:
            yield from desk.answer(request)
        if store.viewed():
            seen = time.monotonic()
        elif time.monotonic() - seen > FAREWELL_S and not pending.exports:
            return


class Pending:
    """Requests that wait; of evaluations only the newest does."""

    def __init__(self) -> None:
        self.evaluate: Evaluate | None = None
        self.exports: deque[Export] = deque()

    @property
    def waiting(self) -> bool:
        return self.evaluate is not None or bool(self.exports)

    def add(self, commands: list[Command]) -> None:
        for command in commands:
            match command:
                case Evaluate():
                    self.evaluate = command
                case Export():
                    self.exports.append(command)

    def take(self) -> Evaluate | Export | None:
        """The slider first: it is moved while an export waits its turn."""
        if self.evaluate is not None:
            request, self.evaluate = self.evaluate, None
            return request
        return self.exports.popleft() if self.exports else None


class Desk:
    """Answers requests on a run that is in memory, or is brought there by the first of them."""

    def __init__(self, opening: Callable[[], Session]) -> None:
        self._opening = opening
        self._session: Session | None = None
        self._answers: Answers | None = None

    def prepare(self) -> None:
        """Load what answers take; what stands in the way is told to whoever asks."""
        try:
            self._ready()
        except Interrupted:
            raise
        except Exception as error:
            sys.stderr.write(f"cannot answer yet: {error}\n")

    def answer(self, request: Evaluate | Export) -> Iterator[Event]:
        try:
            if isinstance(request, Evaluate):
                session, answers = self._ready()
                check(session, request.k)
                yield answers.evaluate(request.k)
            else:
                yield from exporting.export(self._ready()[0], request)
        except Interrupted:
            raise
        except Exception as error:  # whatever it is, the run is whole and others may ask
            yield refusal(request, error)

    def _ready(self) -> tuple[Session, Answers]:
        if self._session is None:
            self._session = self._opening()
        if self._answers is None:
            self._answers = Answers(self._session)
        return self._session, self._answers


def refusal(request: Evaluate | Export, error: Exception) -> Refused:
    """Why a request could not be done, in words for whoever asked."""
    what, todo = _reason(error)
    return Refused("evaluate" if isinstance(request, Evaluate) else "export", request.k, what, todo)


def _reason(error: Exception) -> tuple[str, str]:
    if isinstance(error, RunUnwritable):
        return error.what, "Make room there, or export to another folder; the run is whole."
    if isinstance(error, CnpError):
        return error.what, error.todo
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "allocate memory" in str(error):
        return (
            "There is too little memory for this.",
            "Close other programs and ask again; the run is whole.",
        )
    traceback.print_exception(error)
    line = next(iter(str(error).splitlines()), "no message")
    return (
        f"That failed unexpectedly ({type(error).__name__}: {line}).",
        "Please report it with worker.log of this run, which is whole.",
    )
