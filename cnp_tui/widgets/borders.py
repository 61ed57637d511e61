"""Words in a border. Textual paints a widget anew for each that is set, also for the same."""

from __future__ import annotations

import math
from weakref import WeakKeyDictionary

from textual.content import Content
from textual.widget import Widget

_said: WeakKeyDictionary[Widget, tuple[str, str]] = WeakKeyDictionary()
"""What was set: read back, markup is no longer spelled as it was."""


def border(widget: Widget, title: str | None = None, subtitle: str | None = None) -> None:
    """Set what is given and different; both may hold markup."""
    before = _said.get(widget, ("", ""))
    now = (before[0] if title is None else title, before[1] if subtitle is None else subtitle)
    _said[widget] = now
    if now[0] != before[0]:
        widget.border_title = now[0]
    if now[1] != before[1]:
        widget.border_subtitle = now[1]


def fitting(widget: Widget, *texts: str) -> str:
    """The first of ``texts`` (they may hold markup) that its border has room for, or the last."""
    width = widget.size.width or math.inf
    return next((t for t in texts if Content.from_markup(t).cell_length <= width), texts[-1])
