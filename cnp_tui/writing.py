"""An export that is being written: one a run, which goes on when its screen is left.

Knows links and requests, and the application to tell; not the screen.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textual.timer import Timer

from cnp_engine.commands import Export
from cnp_engine.events import Exported
from cnp_tui.link import Link
from cnp_tui.requests import Desk

if TYPE_CHECKING:
    from cnp_tui.app import CnpApp

ALONE_S = 3.0
"""An engine that is not there so long after it was started does not come."""

LOOK_S = 0.5


@dataclass(frozen=True)
class Ended:
    """How it ended: ``well``, or not and why."""

    well: bool
    sentence: str


class Writing:
    """``desk`` has what was asked; ``since`` when, ``folder`` where to."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.desk = Desk(link)
        self.since = 0.0
        self.folder = link.run.exports
        self._earlier: Exported | None = None
        self._timer: Timer | None = None

    @property
    def under_way(self) -> bool:
        return self.desk.asked is not None

    def ask(self, wanted: Export, now: float) -> None:
        """Raises CnpError; then nothing was asked."""
        self._earlier, self.since = self.link.snapshot.state.exported, now
        self.folder = Path(wanted.to) if wanted.to else self.link.run.exports
        self.desk.ask(wanted)

    def ended(self) -> Ended | None:
        """What the worker said since; None while it says nothing. It is told once."""
        if not self.under_way:
            return None
        refused = self.desk.refused("export")
        found: Ended | None = None
        if self.link.snapshot.state.exported is not self._earlier:
            found = Ended(True, "written, read back and measured")
        elif refused is not None:
            found = Ended(False, f"{refused.what} {refused.todo}")
        elif self.desk.left():
            found = Ended(False, "The engine ended before it had written; enter tries again.")
        if found is not None:
            self.desk.answered()
        return found

    def deserted(self) -> Ended | None:
        """To be asked ``ALONE_S`` after an engine was started for it."""
        if not self.desk.alone:
            return None
        self.desk.answered()
        return Ended(False, "The engine did not come; enter tries again, worker.log may say why.")

    # While its screen is not shown

    def follow(self, app: CnpApp, clock: Callable[[], float] = time.monotonic) -> None:
        """Say that it goes on, and later how it ended, over whatever is shown then."""
        self.forget()
        app.notify(
            f"It goes on to {self.folder}; its end is told here.",
            title="Still being written", markup=False,
        )  # fmt: skip
        self._timer = app.set_interval(LOOK_S, lambda: self._look(app, clock))

    def forget(self) -> None:
        """A screen tells of it again."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    def _look(self, app: CnpApp, clock: Callable[[], float]) -> None:
        if app.link is not self.link:
            self.link.poll()  # nobody else does
        ended = self.ended()
        if ended is None and self.desk.woken and clock() - self.since > ALONE_S:
            ended = self.deserted()
        if ended is None:
            return
        self.forget()
        if ended.well:
            app.notify(str(self.folder), title="Export written and measured", markup=False)
        else:
            app.notify(
                ended.sentence, title="The export was not written", severity="error", markup=False
            )
