"""Rows of a name and a text, wrapped with the text kept in its column, marked beside colour."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

from cnp_tui.told import Told, Tone

if TYPE_CHECKING:
    from cnp_tui.app import CnpApp

NAME = 9
"""Cells of the column of names."""

STYLES: dict[Tone, str] = {"": "", "good": "$success", "bad": "bold $error", "note": "$warning"}


class Rows(Widget):
    DEFAULT_CSS = """
    Rows { height: auto; }
    """

    def __init__(self, rows: Sequence[Told] = (), id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows = tuple(rows)

    def update(self, rows: Sequence[Told]) -> None:
        """Show others; nothing is painted where they are the same."""
        if tuple(rows) != self._rows:
            self._rows = tuple(rows)
            self.refresh(layout=True)

    @property
    def said(self) -> str:
        """All of it as plain text."""
        return "\n".join(f"{row.name} {row.text}".strip() for row in self._rows)

    def render(self) -> Content:
        return self._lines(self.content_size.width)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return self._lines(width).plain.count("\n") + 1

    def _lines(self, width: int) -> Content:
        return Content("\n").join([self._row(row, width) for row in self._rows])

    def _row(self, row: Told, width: int) -> Content:
        text = f"{self._mark(row.tone)}{row.text}"
        wrapped = textwrap.wrap(text, max(10, width - NAME)) or [""]
        name = Content.styled(f"{row.name:<{NAME}}", "bold")
        indent = "\n" + " " * NAME
        return name + Content.styled(indent.join(wrapped), STYLES[row.tone])

    def _mark(self, tone: Tone) -> str:
        glyphs = cast("CnpApp", self.app).glyphs
        marks: dict[Tone, str] = {"good": glyphs.tick, "bad": glyphs.cross, "note": "!"}
        return f"{marks[tone]} " if tone else ""
