"""What every screen shares: its first line, the bindings that are the same everywhere, its help."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.binding import Binding, BindingType
from textual.events import Event, Mount, ScreenResume
from textual.screen import Screen

from cnp_tui.link import Link, Snapshot
from cnp_tui.screens.painted import Painted
from cnp_tui.widgets import headline
from cnp_tui.widgets.headline import Headline

if TYPE_CHECKING:
    from cnp_tui.app import CnpApp

ARROWS = "The same as the arrow keys: left, down, up, right"


class CnpScreen(Painted, Screen[None]):
    """A full screen. ``TOPIC`` heads its help, ``ABOUT`` says in plain words what it is for.

    The headline is there before what ``compose`` yields.
    """

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
        Binding("h", "arrow('left')", "Arrows", show=False, id="arrow.left", tooltip=ARROWS),
        Binding("j", "arrow('down')", "Arrows", show=False, id="arrow.down", tooltip=ARROWS),
        Binding("k", "arrow('up')", "Arrows", show=False, id="arrow.up", tooltip=ARROWS),
        Binding("l", "arrow('right')", "Arrows", show=False, id="arrow.right", tooltip=ARROWS),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.headline = Headline()
        self.compose_add_child(self.headline)

    async def on_event(self, event: Event) -> None:
        """A screen that was left before it was there has no widgets to show anything with."""
        late = isinstance(event, (Mount, ScreenResume)) and self not in self.app.screen_stack
        if not late:
            await super().on_event(event)

    @property
    def cnp(self) -> CnpApp:
        return cast("CnpApp", self.app)

    def say(self) -> None:
        """Bring the headline up to date."""
        self.headline.say(f"cnp   {self.TOPIC}" if self.TOPIC else "cnp")

    def on_mount(self) -> None:
        self.say()

    def on_screen_resume(self) -> None:
        self.say()

    def action_back(self) -> None:
        self.cnp.go_back()

    def action_arrow(self, key: str) -> None:
        """A letter that stands for an arrow key, for whatever has the focus."""
        self.app.simulate_key(key)


class RunScreen(CnpScreen):
    """A screen about one run. ``show`` gets every new snapshot, and the latest when mounted."""

    def __init__(self, link: Link) -> None:
        super().__init__()
        self.link = link

    def say(self) -> None:
        self.headline.say(*headline.of_run(self.link, self.cnp.glyphs))

    def on_mount(self) -> None:
        self.show(self.link.snapshot)

    def on_screen_resume(self) -> None:
        if self.is_mounted:
            self.show(self.link.snapshot)

    def show(self, snapshot: Snapshot) -> None:
        raise NotImplementedError
