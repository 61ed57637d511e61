"""One screen by itself over a recorded run: Home and Run under it would cost a test its time."""

from __future__ import annotations

from textual.events import Mount

from cnp_tui.app import CnpApp, Name
from tests.tui.recorded import Recorded


class Alone(CnpApp):
    """Looks at the run when a test says so: ``look``."""

    def __init__(self, link: Recorded, name: Name) -> None:
        super().__init__(link)
        self.animation_level = "none"
        self._alone = name

    def on_mount(self, event: Mount) -> None:  # type: ignore[override]
        event.prevent_default()
        self.push_screen(self.make(self._alone))
