"""A report as sections of blocks, before it is HTML or Markdown.

Text in blocks is plain: each writer escapes it for its own format.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from cnp_engine.export.inputs import Picture
from cnp_engine.export.markup import Html


@dataclass(frozen=True)
class Para:
    text: str
    tone: Literal["plain", "lead", "soft", "warning"] = "plain"


@dataclass(frozen=True)
class Bullets:
    items: Sequence[str]


@dataclass(frozen=True)
class Table:
    """``numeric`` columns are set to the right; ``fold`` is the line under which it is hidden."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: Sequence[int] = ()
    caption: str = ""
    fold: str = ""


@dataclass(frozen=True)
class Tile:
    """A key figure: what it is, the figure, and what must be known beside it."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Tiles:
    items: Sequence[Tile]


@dataclass(frozen=True)
class Plot:
    """``picture`` is for HTML; Markdown shows ``table`` in its place, or nothing."""

    picture: Html
    caption: str
    table: Table | None = None


@dataclass(frozen=True)
class Code:
    text: str


Block: TypeAlias = Para | Bullets | Table | Tiles | Plot | Picture | Code


@dataclass(frozen=True)
class Section:
    """``key`` is the anchor."""

    key: str
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Document:
    """``badge`` is the verdict in two or three words; ``alarm`` says how it is coloured."""

    title: str
    subtitle: str
    badge: str
    alarm: bool
    sections: Sequence[Section]
