"""What keys do now, on the last line."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from textual import events, widgets
from textual.app import ComposeResult
from textual.widgets._footer import FooterKey

if TYPE_CHECKING:
    from textual.binding import ActiveBinding
    from textual.screen import Screen

PALETTE = 11
"""Cells of the palette's key, at the right end."""


class Footer(widgets.Footer):
    """Keys are made anew only where others are to be shown.

    Textual replaces every one of them whenever the focus moves, though they be the same: a click on
    one that is on its way out is lost, and all of it is laid out again. ``also`` are ids of
    bindings that are shown, in this order, as far as the width allows.
    """

    def __init__(self, *, show_command_palette: bool = True, also: Sequence[str] = ()) -> None:
        super().__init__(show_command_palette=show_command_palette)
        self._also = tuple(also)
        self._named: list[object] | None = None

    def bindings_changed(self, screen: Screen[object]) -> None:
        if not self.app.app_focus:
            return
        every = list(screen.active_bindings.values())
        shown = [active for active in every if active.binding.show]
        named: list[object] = [(active.binding, active.enabled) for active in shown]
        named += [active.binding.id for active in self._fitting(every)]
        if named != self._named:
            self._named = named
            super().bindings_changed(screen)

    def on_resize(self, event: events.Resize) -> None:
        if self._also:
            self.bindings_changed(self.screen)

    def compose(self) -> ComposeResult:
        """The screen's own keys, those there is room for, the application's."""
        keys, every = list(super().compose()), self.screen.active_bindings
        apps = [key for key in keys if isinstance(key, FooterKey) and self._of_app(every, key)]
        yield from (key for key in keys if key not in apps)
        if keys:
            yield from (self._key(active) for active in self._fitting(every.values()))
        yield from apps

    def _of_app(self, every: Mapping[str, ActiveBinding], key: FooterKey) -> bool:
        active = every.get(key.key)
        return active is not None and active.node is self.app

    def _fitting(self, every: Collection[ActiveBinding]) -> Iterator[ActiveBinding]:
        taken = sum(self._width(active) for active in every if active.binding.show)
        room = self.app.size.width - PALETTE * self.show_command_palette - taken
        for name in self._also:
            for active in (active for active in every if active.binding.id == name):
                room -= self._width(active)
                if room < 0:
                    return
                yield active

    def _width(self, active: ActiveBinding) -> int:
        shown = self.app.get_key_display(active.binding)
        return len(shown) + len(active.binding.description) + 3

    def _key(self, active: ActiveBinding) -> FooterKey:
        _, binding, enabled, tooltip = active
        shown = self.app.get_key_display(binding)
        key = FooterKey(
            binding.key, shown, binding.description, binding.action, not enabled, tooltip
        )
        return key.data_bind(compact=widgets.Footer.compact)
