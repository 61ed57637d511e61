"""Requests to the worker of a finished run: who is asked, and what stands in the way.

Knows links and commands; no widgets.
"""

from __future__ import annotations

from cnp_engine.commands import Command
from cnp_engine.events import Refused
from cnp_tui.link import Link

UNFINISHED = ("failed", "cancelled", "died")
REPLAYED = "this is a replay, which asks nothing of the engine"


class Desk:
    """One request at a time, the newest: ``asked`` is the one without an answer yet.

    ``woken``: no worker was there, and one was started for it.
    """

    def __init__(self, link: Link) -> None:
        self.link = link
        self.asked: Command | None = None
        self.woken = False
        self._refused: Refused | None = None
        self._met = False

    def hindrance(self) -> str | None:
        """Why nothing can be asked now, as the end of a sentence; None where it can."""
        snapshot = self.link.snapshot
        if snapshot.trouble is not None:
            return f"the run cannot be read any more. {snapshot.trouble.todo}"
        if not self.link.live:
            return REPLAYED
        if snapshot.status in UNFINISHED:
            return f"the run has to finish first: `cnp resume {self.link.run.path}`"
        if snapshot.status != "finished":
            return "the run has to finish first"
        return None

    def ask(self, command: Command) -> None:
        """Where no worker is there, one is started. Raises CnpError; then nothing was asked."""
        assert self.hindrance() is None
        snapshot = self.link.snapshot
        self.asked, self._refused = None, snapshot.state.refused
        self._met = snapshot.answering
        if not snapshot.answering:
            self.link.wake()
            self.woken = True
        self.link.send(command)
        self.asked = command

    def answered(self) -> None:
        """What was asked came, or is not waited for any more."""
        self.asked = None
        self.woken = False

    def refused(self, request: str) -> Refused | None:
        """The refusal of the latest ``request`` that came after it was asked."""
        latest = self.link.snapshot.state.refused
        if self.asked is None or latest is None or latest is self._refused:
            return None
        return latest if latest.request in (request, "wake") else None

    def left(self) -> bool:
        """Whether the worker went, and what was asked of it has no answer."""
        answering = self.link.snapshot.answering
        gone = self._met and not answering
        self._met = self._met or answering
        return self.asked is not None and gone

    @property
    def alone(self) -> bool:
        """Whether something is asked, and nobody is there."""
        return self.asked is not None and not self.link.snapshot.answering
