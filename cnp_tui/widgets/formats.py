"""What can be exported, a box each, and the line for where to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Checkbox, Input

from cnp_engine.export.naming import FILES

FORMATS: Mapping[str, str] = {
    "pth": "purified.pth, in its own layout",
    "safetensors": "purified.safetensors",
    "healed": "healed.pth and .safetensors",
    "masks": "mask_values.txt, every score",
    "curve": "curve.csv",
    "trigger": "trigger.png",
    "report": "report.html and report.md",
}
"""By the name the engine knows them under."""


class Check(Checkbox, inherit_bindings=False):
    """Space toggles; enter is left to the screen, which writes.

    ``held``: it is written whatever is ticked, and ticked for as long as that is so.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "toggle_button", "Toggle", show=False, id="export.toggle",
                tooltip="Write this format, or leave it out"),
    ]  # fmt: skip

    def __init__(self, name: str, ticked: bool = True) -> None:
        super().__init__(Content(FORMATS[name]), ticked, compact=True, id=f"format-{name}")
        self.format = name
        self.held = False

    @property
    def wanted(self) -> bool:
        return self.value or self.held

    def hold(self, held: bool) -> None:
        if held != self.held:
            self.held = held
            self.refresh()

    def toggle(self) -> Check:
        if self.held:
            files = " and ".join(FILES[self.format])
            self.app.notify(
                f"{files} will be written again: what stands in the run's own exports has to "
                "agree. Another folder can do without.",
                markup=False,
            )
            return self
        return super().toggle()

    @property
    def _button(self) -> Content:
        """Ticked or not is told by the character, not by its colour alone."""
        style = "$foreground 60%" if self.held else "$primary bold"
        return Content.styled("[x]" if self.wanted else "[ ]", style)


class Destination(Input):
    """Letters are letters here; what its own keys do stands in the footer."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "Write", id="export.to.write",
                tooltip="Write what is ticked there"),
        Binding("escape", "screen.leave_field", "Leave", id="export.to.leave",
                tooltip="Out of the field; what was typed stays"),
    ]  # fmt: skip

    TOPIC: ClassVar[str] = "the destination"
