"""Stopping a run, and leaving while runs are at work: left to it, or stopped and heard out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from cnp_engine.commands import Cancel
from cnp_engine.errors import CnpError
from cnp_tui.link import Link
from cnp_tui.screens.confirm import YES, Choice, Confirm

if TYPE_CHECKING:
    from cnp_tui.app import CnpApp

PATIENCE_S = 15.0
"""How long a stopped run may take to say so before it is left to itself."""

REASON = "stopped in the application"
STOPPED = "What is done stays, and R goes on with it."


def working(link: Link) -> bool:
    """Whether its worker has something to lose; one that only waits to answer has not.

    A worker that was just started on a run that had ended has not said anything yet.
    """
    status = link.snapshot.status
    begun = link.started and status not in ("finished", "damaged")
    return link.live and (status == "running" or begun)


def ask_to_stop(app: CnpApp, name: str, stop: Callable[[], object]) -> None:
    """The one question before a run is stopped, wherever x is pressed."""

    def answered(key: str | None) -> None:
        if key == YES:
            stop()

    app.push_screen(Confirm(f"Stop {name}?", (Choice(YES, "stop", STOPPED),)), answered)


def ask(app: CnpApp, links: Sequence[Link]) -> None:
    """What is to become of the runs that would go on."""
    names = ", ".join(link.run.name for link in links)
    one = len(links) == 1
    goes, it = ("goes", "it") if one else ("go", "them")
    leave = Choice(YES, "leave", f"`cnp tui` comes back to {it}.")
    stop_them = Choice("x", "stop", STOPPED if one else STOPPED.replace("it.", "them."))

    def answered(key: str | None) -> None:
        if key == leave.key:
            detach(app, links)
        elif key == stop_them.key:
            stop(app, links)

    question = f"{names} {goes} on without this application."
    app.push_screen(Confirm(question, (leave, stop_them)), answered)


def detach(app: CnpApp, links: Sequence[Link]) -> None:
    app.farewell = "\n".join(
        f"{link.run.name} goes on; come back with `cnp tui {link.run.path}`." for link in links
    )
    app.exit(0)


def stop(app: CnpApp, links: Sequence[Link]) -> None:
    try:
        for link in links:
            link.send(Cancel(REASON))
    except CnpError as error:
        app.tell(error)
        return
    app.push_screen(Stopping(app, links))


class Stopping(ModalScreen[None]):
    """Waits for the last word of runs that were told to stop, then leaves."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace", "dismiss", "Stay", id="stopping.stay",
                tooltip="Stay and watch it stop"),
        Binding("q,ctrl+c", "leave", "Leave now", id="stopping.leave",
                tooltip="Leave before it has said so"),
    ]  # fmt: skip

    def __init__(
        self,
        app: CnpApp,
        links: Sequence[Link],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._cnp = app
        self._links = links
        self._clock = clock
        self._until = clock() + PATIENCE_S

    def compose(self) -> ComposeResult:
        with Vertical(id="confirm"):
            yield Static(Content("Stopping..."), id="question")
            yield Static(Content("esc  stay and watch;  q  leave now"))

    def on_mount(self) -> None:
        self.set_interval(0.1, self._look)

    def _look(self) -> None:
        self._poll()
        if not any(map(working, self._links)) or self._clock() > self._until:
            self.action_leave()

    def _poll(self) -> None:
        for link in self._links:
            link.poll()

    def action_leave(self) -> None:
        self._cnp.farewell = "\n".join(map(_told, self._links))
        self._cnp.exit(0)


def _told(link: Link) -> str:
    if working(link):
        return f"{link.run.name} was told to stop; see whether it did with `cnp runs`."
    return f"{link.run.name} stopped; go on with `cnp resume {link.run.path}`."
