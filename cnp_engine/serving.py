"""After the last word: stay while somebody looks at the run, and answer.

The newest ``Evaluate`` wins, exports are done in order and never dropped. Knows requests and who
looks on; not how they are answered (``stages.desk``).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterator
from typing import Protocol

from cnp_engine.commands import Command, Evaluate, Export
from cnp_engine.events import Event
from cnp_engine.inbox import Requests
from cnp_engine.rundir import RunDirectory

RECHECK_S = 0.25
"""How often it is looked whether anybody is still there."""

FAREWELL_S = 2.0
"""How long the worker stays after the last viewer: a terminal may only be starting again."""


class Desk(Protocol):
    """Answers requests; raises nothing but Interrupted."""

    def prepare(self) -> None:
        """Load what answers take, before anybody asks."""
        ...

    def answer(self, request: Evaluate | Export) -> Iterator[Event]: ...

    def ponder(self) -> bool:
        """Use a moment in which nobody asks; False where there is nothing to do in it."""
        ...


def serve(store: RunDirectory, desk: Desk, inbox: Requests) -> Generator[Event, None, None]:
    """Answers for as long as the run is viewed, and exports that were asked for until then."""
    if not store.viewed():
        return
    desk.prepare()
    pending, seen, busy = Pending(), time.monotonic(), False
    while True:
        pending.add(inbox(0.0 if pending.waiting or busy else RECHECK_S))
        request = pending.take()
        if request is not None:
            yield from desk.answer(request)
        busy = not pending.waiting and desk.ponder()
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
