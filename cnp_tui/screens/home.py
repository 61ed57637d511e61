from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Footer, Static

from cnp_tui.link import Snapshot
from cnp_tui.screens.base import CnpScreen


class HomeScreen(CnpScreen):
    def compose(self) -> ComposeResult:
        yield Static("home", id="what")
        yield Footer()

    def show(self, snapshot: Snapshot) -> None:
        self.query_one("#what", Static).update(f"home {snapshot.status}")

    def action_folder(self) -> None:
        pass
