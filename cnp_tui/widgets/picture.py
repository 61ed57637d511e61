"""A small picture in a terminal: two pixels a cell by half blocks, or letters where none are.

Knows bytes and cells only; what the picture is of, its caption says. Scaled by whole numbers, so
that a pixel of the picture is a pixel of the trigger; one too large for the room is averaged down.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, cast

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.geometry import Size
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from cnp_tui.glyphs import Glyphs

if TYPE_CHECKING:
    from cnp_tui.app import CnpApp

View = Literal["trigger", "pattern", "mask"]
VIEWS: tuple[View, ...] = ("trigger", "pattern", "mask")
"""The pattern as far as the mask lets it through, the pattern alone, the mask alone."""

Rgb = tuple[int, int, int]
Pixels = list[list[Rgb]]

CHECKERS: tuple[Rgb, Rgb] = ((72, 72, 72), (96, 96, 96))
NOTHING: tuple[Rgb, Rgb] = ((0, 0, 0), (0, 0, 0))
"""Behind what is see-through; letters have no room for a pattern behind a pattern."""

CHECKER = 4
"""Pixels of a field of the checkerboard."""

RAMP = " .:-=+*#%@"
"""From dark to light."""


class Picture(Widget):
    """``rgba`` holds height x width x 4 bytes, row by row; None shows ``empty``.

    ``view`` is one of ``VIEWS``. A mask is stretched to full range, since that of a blend is
    everywhere faint; say its true size beside the picture.
    """

    DEFAULT_CSS = """
    Picture { width: auto; height: auto; }
    """

    view: reactive[View] = reactive("trigger")

    def __init__(
        self,
        rgba: bytes | None = None,
        height: int = 32,
        width: int = 32,
        *,
        empty: str = "",
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._rgba = rgba
        self._pixels_size = Size(width, height)
        self._empty = empty
        self._strips: list[Strip] = []
        self._drawn: tuple[object, ...] = ()

    def update(self, rgba: bytes | None, height: int = 32, width: int = 32) -> None:
        """Show another picture; nothing is painted where it is the same."""
        assert rgba is None or len(rgba) == 4 * height * width, (len(rgba), height, width)
        size = Size(width, height)
        if rgba == self._rgba and size == self._pixels_size:
            return
        resized = size != self._pixels_size
        self._rgba, self._pixels_size = rgba, size
        self.refresh(layout=resized)

    def get_content_width(self, container: Size, viewport: Size) -> int:
        return self._pixels_size.width

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return -(-self._pixels_size.height // 2)

    def render_line(self, y: int) -> Strip:
        glyphs = cast("CnpApp", self.app).glyphs
        now = (self._rgba, self.view, self.size, glyphs, self.rich_style)
        if now != self._drawn:
            self._drawn = now
            self._strips = self._draw(glyphs)
        if y < len(self._strips):
            return self._strips[y]
        return Strip.blank(self.size.width, self.rich_style)

    def _draw(self, glyphs: Glyphs) -> list[Strip]:
        room, ground = self.size, self.rich_style
        if self._rgba is None:
            return _words(self._empty, room, ground)
        size = self._pixels_size
        behind = NOTHING if glyphs.mode == "ascii" else CHECKERS
        pixels = fitted(seen(self._rgba, size.height, size.width, self.view, behind), room)
        if glyphs.mode == "ascii":
            rows = _letters(pixels, ground)
        else:
            rows = _halves(pixels, glyphs.upper_half, ground)
        return _centred(rows, len(pixels[0]) if pixels else 0, room, ground)


def seen(
    rgba: bytes, height: int, width: int, view: View, behind: tuple[Rgb, Rgb] = CHECKERS
) -> Pixels:
    """What ``view`` shows of the picture, opaque."""
    strongest = max(rgba[3::4], default=0) or 1
    rows: Pixels = []
    for y in range(height):
        row: list[Rgb] = []
        for x in range(width):
            at = 4 * (y * width + x)
            colour = (rgba[at], rgba[at + 1], rgba[at + 2])
            field = behind[(x // CHECKER + y // CHECKER) % 2]
            row.append(_mixed(colour, rgba[at + 3] / strongest, field, view))
        rows.append(row)
    return rows


def _mixed(colour: Rgb, share: float, behind: Rgb, view: View) -> Rgb:
    if view == "pattern":
        return colour
    if view == "mask":
        grey = round(255 * share)
        return (grey, grey, grey)
    red, green, blue = (
        round(share * over + (1 - share) * under)
        for over, under in zip(colour, behind, strict=True)
    )
    return (red, green, blue)


def fitted(pixels: Pixels, room: Size) -> Pixels:
    """Scaled to ``room`` cells, each of two pixels: up by whole numbers, else averaged down."""
    height, width = len(pixels), len(pixels[0]) if pixels else 0
    if not (height and width and room.width and room.height):
        return []
    larger = min(room.width // width, 2 * room.height // height)
    if larger >= 1:
        return [[p for p in row for _ in range(larger)] for row in pixels for _ in range(larger)]
    smaller = max(-(-width // room.width), -(-height // (2 * room.height)))
    return [
        [_mean(pixels, y, x, smaller) for x in range(0, width, smaller)]
        for y in range(0, height, smaller)
    ]


def _mean(pixels: Pixels, top: int, left: int, side: int) -> Rgb:
    block = [pixel for row in pixels[top : top + side] for pixel in row[left : left + side]]
    red, green, blue = (round(sum(channel) / len(block)) for channel in zip(*block, strict=True))
    return (red, green, blue)


def _halves(pixels: Pixels, half: str, ground: Style) -> list[list[Segment]]:
    """Upper pixel as the foreground of a half block, lower one as its background."""
    behind = ground.bgcolor.get_truecolor() if ground.bgcolor else (0, 0, 0)
    under: Rgb = (behind[0], behind[1], behind[2])
    lines = []
    for top in range(0, len(pixels), 2):
        lower: Sequence[Rgb] = (
            pixels[top + 1] if top + 1 < len(pixels) else [under] * len(pixels[top])
        )
        lines.append([_cell(a, b, half) for a, b in zip(pixels[top], lower, strict=True)])
    return lines


def _cell(upper: Rgb, lower: Rgb, half: str) -> Segment:
    style = Style(color=Color(*upper).rich_color, bgcolor=Color(*lower).rich_color)
    return Segment(half, style)


def _letters(pixels: Pixels, ground: Style) -> list[list[Segment]]:
    """Two rows of pixels a line, the lighter the denser the letter."""
    lines = []
    for top in range(0, len(pixels), 2):
        pairs = zip(*pixels[top : top + 2], strict=True)
        text = "".join(_letter(pair) for pair in pairs)
        lines.append([Segment(text, ground)])
    return lines


def _letter(pair: Sequence[Rgb]) -> str:
    light = sum(0.299 * r + 0.587 * g + 0.114 * b for r, g, b in pair) / len(pair)
    return RAMP[min(len(RAMP) - 1, int(light / 256 * len(RAMP)))]


def _centred(rows: list[list[Segment]], width: int, room: Size, ground: Style) -> list[Strip]:
    left, above = (room.width - width) // 2, (room.height - len(rows)) // 2
    lead = Segment(" " * left, ground)
    lines = [Strip([lead, *row]).adjust_cell_length(room.width, ground).simplify() for row in rows]
    return [*(Strip.blank(room.width, ground) for _ in range(above)), *lines]


def _words(text: str, room: Size, ground: Style) -> list[Strip]:
    line = [Segment(text[: room.width], ground)]
    return _centred([line], min(len(text), room.width), room, ground)
