"""The line in which a value for the slider is typed."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import Input


class Value(Input):
    """Takes digits, a point and a percent sign."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "Set", id="value.set", tooltip="Set the slider to it"),
        Binding("escape", "screen.back", "Leave", id="value.leave",
                tooltip="Back to the slider, which stays where it is"),
    ]  # fmt: skip

    TOPIC: ClassVar[str] = "a typed value"

    def __init__(self, *, id: str) -> None:
        super().__init__(compact=True, restrict=r"[0-9.]*%?", select_on_focus=False, id=id)

    def open(self, text: str) -> None:
        """Begin with ``text``."""
        self.value = text
        self.cursor_position = len(text)
        self.focus()
