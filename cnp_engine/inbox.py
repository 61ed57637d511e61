"""The worker's ear: a thread follows ``commands.jsonl``, so that a long step hears a cancel too."""

from __future__ import annotations

import contextlib
import queue
import sys
import threading
from types import TracebackType
from typing import Protocol

from cnp_engine.commands import Cancel, Command, Continue, Pause
from cnp_engine.errors import CnpError, Interrupted, Terminated
from cnp_engine.eventlog import CommandTail
from cnp_engine.stopping import Stop

POLL_S = 0.02
"""How often the log's size is looked at: a slider's request is heard at once."""


class Requests(Protocol):
    """What the pipeline has of an inbox."""

    def __call__(self, timeout_s: float = 0.0) -> list[Command]:
        """The commands since the last call; waits for the first at most ``timeout_s``."""
        ...


class Inbox:
    """Cancel and pause are seen to here; a call returns the other commands that have come.

    Listens while entered, to commands after byte ``since`` of the log: earlier ones were meant for
    an earlier worker.
    """

    def __init__(self, tail: CommandTail, stop: Stop, poll_s: float = POLL_S) -> None:
        self._tail = tail
        self._stop = stop
        self._poll_s = poll_s
        self._waiting: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._running = threading.Event()
        self._running.set()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="inbox", daemon=True)

    def __call__(self, timeout_s: float = 0.0) -> list[Command]:
        """The commands for the pipeline since the last call; waits for one at most so long."""
        commands: list[Command] = []
        with contextlib.suppress(queue.Empty):
            if timeout_s > 0:
                commands.append(self._waiting.get(timeout=timeout_s))
            while True:
                commands.append(self._waiting.get_nowait())
        return commands

    def __enter__(self) -> Inbox:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closed.set()
        self._thread.join()

    @property
    def paused(self) -> bool:
        return not self._running.is_set()

    def wait_while_paused(self) -> None:
        """Block until told to go on; a request to stop is raised out of here."""
        while not self._running.wait(self._poll_s):
            self._stop.check()

    def _listen(self) -> None:
        while not self._closed.wait(self._poll_s):
            try:
                records = self._tail.poll()
            except CnpError as error:  # the work matters more than what can be asked of it
                sys.stderr.write(f"no longer listening: {error}\n")
                return
            for record in records:
                self._take(record.value)

    def _take(self, command: Command) -> None:
        match command:
            case Cancel(reason=reason, exit_code=code):
                kind = Terminated if code == Terminated.exit_code else Interrupted
                self._stop.ask(kind(reason))
            case Pause():
                self._running.clear()
            case Continue():
                self._running.set()
            case _:
                self._waiting.put(command)
