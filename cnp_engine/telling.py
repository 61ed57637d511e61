"""How far a single job is, in lines on stderr. Light: no torch."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Generator, Iterator
from typing import TypeVar

from cnp_engine.events import Event, Progress
from cnp_engine.steps import result

T = TypeVar("T")

Tell = Callable[[str], None]


@contextlib.contextmanager
def telling(quiet: bool) -> Iterator[Tell]:
    """Lines on stderr, not more than one every few seconds.

    On a terminal one line that changes, and is gone in the end.
    """
    live, last = sys.stderr.isatty(), [-10.0]

    def tell(text: str) -> None:
        now = time.monotonic()
        if quiet or (now - last[0] < (0.1 if live else 3.0)):
            return
        last[0] = now
        _write(f"\r\x1b[K{text}" if live else f"{text}\n")

    try:
        yield tell
    finally:
        if live and not quiet:
            _write("\r\x1b[K")


def _write(text: str) -> None:
    """A job is not lost with whoever was to read how far it is."""
    with contextlib.suppress(OSError):
        sys.stderr.write(text)
        sys.stderr.flush()


def silent(text: str) -> None:
    """For who does not want to know."""


def narrated(steps: Generator[Event, None, T], tell: Tell) -> T:
    """What a generator returns in the end, its progress told on the way."""

    def see(event: Event) -> None:
        if isinstance(event, Progress):
            tell(f"{event.label or event.stage} {event.done:,} of {event.total:,}")

    return result(steps, see)
