"""What keys do now, on the last line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import widgets

if TYPE_CHECKING:
    from textual.screen import Screen


class Footer(widgets.Footer):
    """Keys are made anew only where others are to be shown.

    Textual replaces every one of them whenever the focus moves, though they be the same: a click on
    one that is on its way out is lost, and all of it is laid out again.
    """

    def __init__(self, *, show_command_palette: bool = True) -> None:
        super().__init__(show_command_palette=show_command_palette)
        self._named: list[tuple[object, ...]] | None = None

    def bindings_changed(self, screen: Screen[object]) -> None:
        if not self.app.app_focus:
            return
        named = [
            (key, binding.action, binding.description, binding.key_display, binding.group, enabled)
            for key, (_, binding, enabled, _) in screen.active_bindings.items()
            if binding.show
        ]
        if named != self._named:
            self._named = [*named]
            super().bindings_changed(screen)
