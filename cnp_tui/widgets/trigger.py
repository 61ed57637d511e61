"""The reversed trigger as it forms: its picture, and beside it how well it works and how large."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from cnp_engine.aims import short_name, whom
from cnp_engine.events import TriggerPreview
from cnp_engine.export.wording import figure, percent, rate
from cnp_engine.state import RunState
from cnp_tui.widgets.borders import border
from cnp_tui.widgets.picture import VIEWS, Picture, View

SAID: Mapping[View, str] = {
    "trigger": "pattern through its mask",
    "pattern": "pattern alone",
    "mask": "mask alone",
}


class TriggerPane(Vertical, can_focus=True):
    """Follows the trigger that changed last, until another of several is chosen."""

    TOPIC: ClassVar[str] = "the trigger"
    ALLOW_MAXIMIZE = True

    DEFAULT_CSS = """
    TriggerPane { border: round $secondary; border-title-color: $foreground;
        border-subtitle-color: $foreground; }
    TriggerPane:focus { border: heavy $primary; }
    TriggerPane > Picture { width: 1fr; height: 1fr; }
    TriggerPane > Static { width: 1fr; height: auto; padding: 0 1; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "other(-1)", "Trigger before", show=False, id="trigger.before",
                tooltip="The trigger of the target before, where there are several"),
        Binding("right", "other(1)", "Next trigger", show=False, id="trigger.next",
                tooltip="The trigger of the next target"),
    ]  # fmt: skip

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._state = RunState()
        self._target: int | None = None
        self._caption = ""

    def compose(self) -> ComposeResult:
        yield Picture(empty="no trigger yet")
        yield Static(markup=False)

    def update(self, state: RunState) -> None:
        before, self._state = self._state.previews, state
        changed = [t for t, p in state.previews.items() if before.get(t) is not p]
        if changed or self._target not in state.previews:
            self._target = changed[-1] if changed else next(iter(state.previews), None)
        self._paint()

    @property
    def view(self) -> View:
        return self.query_one(Picture).view

    def show_view(self, view: View) -> None:
        self.query_one(Picture).view = view
        self._paint()

    def action_other(self, way: int) -> None:
        known = list(self._state.previews)
        if self._target in known:
            self._target = known[(known.index(self._target) + way) % len(known)]
            self._paint()

    def on_show(self) -> None:
        self._paint()

    def _paint(self) -> None:
        if not self.display:
            return
        preview = self._state.previews.get(self._target) if self._target is not None else None
        several = len(self._state.previews)
        border(
            self,
            "Trigger" if preview is None else f"Trigger, {SAID[self.view]}",
            f"{several} targets, left and right" if several > 1 else "",
        )
        picture = self.query_one(Picture)
        if preview is None:
            picture.update(None)
        else:
            picture.update(pixels(preview), preview.height, preview.width)
        caption = told(self._state, self._target)
        if caption != self._caption:
            self._caption = caption
            self.query_one(Static).update(Content(caption))


def pixels(preview: TriggerPreview) -> bytes | None:
    """RGBA bytes; None where the log holds something else."""
    try:
        rgba = base64.b64decode(preview.rgba, validate=True)
    except (binascii.Error, ValueError):
        return None
    return rgba if len(rgba) == 4 * preview.height * preview.width else None


def told(state: RunState, target: int | None) -> str:
    """Its own success and size; while it forms, those of the latest step."""
    if target is None:
        return ""
    names = state.data.classes if state.data else ()
    head = whom(target, short_name(names, target))
    found = state.triggers.get(target)
    if found is not None and state.stage != "trigger":
        size = f"mask L1 {figure(found.mask_l1, 3)} px"
        return f"{head}, {size}\nsuccess {rate(found.success)}"
    now = state.stages["trigger"]
    parts = []
    if now.values.get("success") is not None:
        parts.append(f"success {percent(now.values['success'])} of the last images")
    if now.values.get("mask_l1") is not None:
        parts.append(f"mask L1 {figure(now.values['mask_l1'], 3)} px")
    if now.values.get("strength") is not None:
        parts.append(f"strength {figure(now.values['strength'], 3)}")
    if now.values.get("warp") is not None:
        parts.append(f"warp {figure(now.values['warp'], 3)} px")
    return f"{head}, forming ({now.label})\n{', '.join(parts)}"


def following(view: View) -> View:
    return VIEWS[(VIEWS.index(view) + 1) % len(VIEWS)]
