"""Errors as people see them: what happened, what to do, and no traceback unless asked for."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cnp_engine import errors
from cnp_engine.errors import (
    CheckpointUnsafe,
    CnpError,
    EngineError,
    Interrupted,
    WorkerDied,
)

if TYPE_CHECKING:
    from cnp_engine.events import Failed


class UnexpectedError(EngineError):
    """A mistake of the program; ``details`` is the traceback."""

    def __init__(self, what: str, todo: str = "", details: tuple[str, ...] = ()) -> None:
        super().__init__(what, todo)
        self.details = details


def revive(code: str, what: str, todo: str, details: Sequence[str] = ()) -> CnpError:
    """The error that another process met, of the same class, so with the same exit code."""
    kind = getattr(errors, code, None)
    if not (isinstance(kind, type) and issubclass(kind, CnpError)) or kind is EngineError:
        return UnexpectedError(what, todo, tuple(details))
    if issubclass(kind, CheckpointUnsafe):
        return kind(what, todo, tuple(details))
    return kind(what, todo)


def from_event(event: Failed) -> CnpError:
    return revive(event.code, event.what, event.todo, event.details)


def unexpected(error: BaseException) -> UnexpectedError:
    """Our own mistake in this process, as a sentence."""
    text = next(iter(str(error).splitlines()), "no message")
    return UnexpectedError(
        f"cnp failed unexpectedly ({type(error).__name__}: {text}).",
        "Please report it; --debug shows where.",
        tuple("".join(traceback.format_exception(error)).splitlines()),
    )


def show(error: CnpError, debug: bool = False) -> None:
    """Two sentences on stderr; the imports of a refused file always, the rest for ``debug``.

    To have been stopped is no error.
    """
    stopped = isinstance(error, Interrupted)
    lines = [error.what if stopped else f"error: {error.what}"]
    if error.todo:
        lines.append(f"  {error.todo}")
    if isinstance(error, CheckpointUnsafe):
        lines += [f"  refused import: {name}" for name in error.imports]
    if debug:
        lines += _details(error)
    sys.stderr.write("\n".join(lines) + "\n")


def _details(error: CnpError) -> list[str]:
    if isinstance(error, (UnexpectedError, WorkerDied)) and error.details:
        return list(error.details)
    return "".join(traceback.format_exception(error)).splitlines()
