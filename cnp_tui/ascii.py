"""Where the locale cannot show it, nothing but ASCII reaches the terminal.

A filter over every painted line, so that also what Textual draws by itself (borders, scroll bars,
arrows) and what a user named in another script keeps its place. Cell widths never change.
"""

from __future__ import annotations

import unicodedata

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

_TABLE = {
    **dict.fromkeys("─━╌╍┄┅┈┉═▁▂▔╴╶╸╺", "-"),
    **dict.fromkeys("│┃╎╏┆┇┊┋║▏▎▍▌▐▕╵╷╹╻", "|"),
    **dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╰╯┏┓┗┛┣┫┳┻╋╔╗╚╝╠╣╦╩╬╞╡╪", "+"),
    **dict.fromkeys("█▉▊▋▄▅▆▇▀■▪◼●⬤", "#"),
    **dict.fromkeys("▖▗▘▙▚▛▜▝▞▟", "#"),
    **dict.fromkeys("░▒▓", ":"),
    **dict.fromkeys("←◀◂‹", "<"),
    **dict.fromkeys("→▶▸›", ">"),
    **dict.fromkeys("↑▲▴⌃", "^"),
    **dict.fromkeys("↓▼▾⌄", "v"),
    **dict.fromkeys("•·○◌◦", "o"),
    **dict.fromkeys("✓✔", "+"),
    **dict.fromkeys("✗✘×⨯✕", "x"),
    **dict.fromkeys("–—−‐", "-"),
    **dict.fromkeys("‘’", "'"),
    **dict.fromkeys("“”", '"'),
    "…": ".",
    "\u00a0": " ",
    "⏎": "<",
}


class Styled(LineFilter):
    """A canvas that has no size yet paints a segment without a style; Textual's filters trip on it.

    Goes before them.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            segment if segment.style is not None else segment._replace(style=Style.null())
            for segment in segments
        ]


class Ascii(LineFilter):
    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            segment if segment.text.isascii() else segment._replace(text=plain(segment.text))
            for segment in segments
        ]


def plain(text: str) -> str:
    """``text`` in ASCII, as wide as before."""
    return text if text.isascii() else "".join(map(_plain, text))


def _plain(character: str) -> str:
    if character.isascii():
        return character
    width = cell_len(character)
    known = _TABLE.get(character)
    if known is None:
        if "\u2800" <= character <= "\u28ff":  # braille: a dot where any dot is set
            known = " " if character == "\u2800" else "*"
        else:
            bare = unicodedata.normalize("NFKD", character)[:1]
            known = bare if bare.isascii() and bare.isprintable() else "?"
    return known.ljust(width, known)[:width]
