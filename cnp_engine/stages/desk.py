"""The desk where requests on a run that has come to its curve are answered.

A request that cannot be done is refused with a sentence; nothing here ends or damages the run.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator

import torch

from cnp_engine.commands import Evaluate, Export
from cnp_engine.errors import CnpError, Interrupted, RunUnwritable
from cnp_engine.events import Event, Refused
from cnp_engine.stages import exporting
from cnp_engine.stages.answering import Answers, check
from cnp_engine.stages.session import Session


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

    def ponder(self) -> bool:
        """A moment's thought about what may be asked next; False where there is no need."""
        try:
            return self._answers is not None and self._answers.ponder()
        except Interrupted:
            raise
        except Exception as error:  # nobody has asked for it
            sys.stderr.write(f"cannot think ahead: {error}\n")
            self._answers = None
            return False

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
