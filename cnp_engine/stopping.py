"""Being told to stop, by a signal or by a command, without leaving anything half said.

The main thread gets an exception at once, wherever it is, so that a long step ends promptly; only
while it is shielded does the exception wait.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from cnp_engine.errors import Interrupted, Terminated


class Stop:
    """The first request to stop counts; it is raised once, or by ``check``."""

    def __init__(self) -> None:
        self.request: Interrupted | None = None
        self._raised = False
        self._shields = 0

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Answer SIGINT and SIGTERM, and outlive the terminal (SIGHUP), for a block."""
        before = {
            signal.SIGINT: signal.signal(signal.SIGINT, self._on_signal),
            signal.SIGTERM: signal.signal(signal.SIGTERM, self._on_signal),
            signal.SIGHUP: signal.signal(signal.SIGHUP, signal.SIG_IGN),
        }
        try:
            yield
        finally:
            for number, action in before.items():
                signal.signal(number, action)

    @contextlib.contextmanager
    def shielded(self) -> Iterator[None]:
        """Nothing is raised within the block; what came meanwhile is kept for ``check``."""
        self._shields += 1
        try:
            yield
        finally:
            self._shields -= 1

    def ask(self, request: Interrupted) -> None:
        """Stop the main thread, from any other."""
        self.request = self.request or request
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, signal.SIGINT)

    def deafen(self) -> None:
        """Raise nothing any more: the last word is being said."""
        self._raised = True

    def listen(self) -> None:
        """Hear again after ``deafen``; raises what came meanwhile."""
        self._raised = False
        self.check()

    def check(self) -> None:
        """Raise the request, if there is one."""
        if self.request is not None:
            self._raised = True
            raise self.request

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.request is None:
            terminated = number == signal.SIGTERM
            self.request = Terminated("SIGTERM") if terminated else Interrupted("SIGINT")
        if not self._shields and not self._raised:
            self.check()
