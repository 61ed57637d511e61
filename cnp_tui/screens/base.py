"""What every screen shares: the bindings that are the same everywhere, and help made from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.binding import Binding, BindingType
from textual.screen import Screen

from cnp_tui.link import Link, Snapshot

if TYPE_CHECKING:
    from cnp_tui.app import CnpApp


class CnpScreen(Screen[None]):
    """A full screen. ``TOPIC`` heads its help, ``ABOUT`` says in plain words what it is for."""

    TOPIC: ClassVar[str] = ""
    ABOUT: ClassVar[str] = ""

    HORIZONTAL_BREAKPOINTS = [
        (0, "-narrow"), (80, "-normal"), (120, "-wide"), (160, "-full"),
    ]  # fmt: skip
    VERTICAL_BREAKPOINTS = [
        (0, "-short"), (24, "-medium"), (45, "-tall"),
    ]  # fmt: skip

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("backspace", "back", "Back", id="back", tooltip="One level back"),
        Binding("escape", "back", "Back", show=False, id="back.escape", tooltip="One level back"),
    ]

    @property
    def cnp(self) -> CnpApp:
        return cast("CnpApp", self.app)

    def action_back(self) -> None:
        self.cnp.go_back()


class RunScreen(CnpScreen):
    """A screen about one run. ``show`` gets every new snapshot, and the latest when mounted."""

    def __init__(self, link: Link) -> None:
        super().__init__()
        self.link = link

    def on_mount(self) -> None:
        self.show(self.link.snapshot)

    def on_screen_resume(self) -> None:
        self.show(self.link.snapshot)

    def show(self, snapshot: Snapshot) -> None:
        raise NotImplementedError
