"""What stands in the way, or against the figures: a bar where the eye is."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

from cnp_tui.glyphs import Glyphs
from cnp_tui.watching import Notice, Tone

if TYPE_CHECKING:
    from cnp_tui.app import CnpApp

STYLES: dict[Tone, str] = {"error": "bold $text-error", "warning": "$text-warning", "note": ""}


class Notices(Widget):
    """The gravest first, at most ``most`` lines; how many more there are is said."""

    DEFAULT_CSS = """
    Notices { height: auto; padding: 0 1; background: $boost; display: none; }
    Notices.-said { display: block; }
    """

    def __init__(self, most: int = 4, id: str | None = None) -> None:
        super().__init__(id=id)
        self.most = most
        self.told: tuple[Notice, ...] = ()

    def update(self, told: tuple[Notice, ...]) -> None:
        if told != self.told:
            self.told = told
            self.set_class(bool(told), "-said")
            self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(lines(self.told, width, self.most, self._glyphs))

    def render(self) -> Content:
        rows = lines(self.told, self.content_size.width, self.most, self._glyphs)
        return Content("\n").join(Content.styled(text, STYLES[tone]) for tone, text in rows)

    @property
    def _glyphs(self) -> Glyphs:
        return cast("CnpApp", self.app).glyphs


def lines(told: Sequence[Notice], width: int, most: int, glyphs: Glyphs) -> list[tuple[Tone, str]]:
    """Wrapped to ``width``; a mark tells each tone without colour."""
    marks: dict[Tone, str] = {"error": glyphs.cross, "warning": "!", "note": "-"}
    rows: list[tuple[Tone, str]] = []
    for number, notice in enumerate(told):
        text = f"{marks[notice.tone]} {notice.text}"
        wrapped = textwrap.wrap(text, max(10, width - 1), subsequent_indent="  ")
        left = len(told) - number
        if rows and len(rows) + len(wrapped) > most - (left > 1):
            rows.append((notice.tone, f"({left} more in the log)"))
            break
        rows += [(notice.tone, line) for line in wrapped]
    return rows
