"""The frame every plot shares: size, colours, axes, grid, and a title for those who listen.

Colours are classes; their values stand once, in ``STYLE``, for light and for dark. No figure
relies on colour alone: lines differ by dash and marker and carry their name.
"""

from __future__ import annotations

from dataclasses import dataclass

from cnp_engine.export.axes import Scale, tick_label
from cnp_engine.export.markup import Child, Html, el

WIDTH = 760.0

STYLE = """
.plot{display:block;width:100%;height:auto;font:12px system-ui,sans-serif}
.plot text{fill:var(--ink);stroke:none}
.plot .tick{fill:var(--soft)}
.plot .grid{stroke:var(--line);stroke-width:1}
.plot .axis{stroke:var(--soft);stroke-width:1}
.plot .lead{stroke:var(--soft);stroke-width:.75}
.plot .chosen{stroke:var(--ink);stroke-width:1.5;stroke-dasharray:2 3}
.plot .strong{font-weight:600}
.plot .rest{fill:var(--rest);stroke:none}
.plot .band{stroke:none;opacity:.16}
.plot .curve{fill:none;stroke-width:2}
.plot .mark{stroke:var(--page);stroke-width:1}
.plot .f1{fill:var(--c1)}.plot .s1{stroke:var(--c1)}
.plot .f2{fill:var(--c2)}.plot .s2{stroke:var(--c2)}
.plot .f3{fill:var(--c3)}.plot .s3{stroke:var(--c3)}
.plot .f4{fill:var(--c4)}.plot .s4{stroke:var(--c4)}
.plot .f5{fill:var(--c5)}.plot .s5{stroke:var(--c5)}
"""

# Okabe and Ito's palette for colour-blind readers, moved until each holds 3:1 on its page.
LIGHT = {
    "--c1": "#0072b2",
    "--c2": "#c2410c",
    "--c3": "#00835f",
    "--c4": "#a3437f",
    "--c5": "#8a6a00",
    "--rest": "#c3cbd3",
}
DARK = {
    "--c1": "#5ab4f0",
    "--c2": "#ff9a6b",
    "--c3": "#2fc79b",
    "--c4": "#e79bca",
    "--c5": "#e8c24a",
    "--rest": "#48525c",
}


@dataclass(frozen=True)
class Box:
    """The inside of the axes, in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def middle(self) -> float:
        return (self.left + self.right) / 2


def svg(height: float, title: str, description: str, *children: Child) -> Html:
    """The picture; ``title`` and ``description`` are read out."""
    return el(
        "svg",
        el("title", title),
        el("desc", description),
        *children,
        class_="plot",
        viewBox=f"0 0 {WIDTH:g} {height:g}",
        role="img",
        aria_label=title,
    )


def line(x1: float, y1: float, x2: float, y2: float, style: str) -> Html:
    return el("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=style)


def rect(x: float, y: float, width: float, height: float, style: str, *children: Child) -> Html:
    return el("rect", *children, x=x, y=y, width=max(0.0, width), height=height, class_=style)


def text(x: float, y: float, words: str, anchor: str = "start", style: str | None = None) -> Html:
    """``y`` is the middle of the line."""
    return el("text", words, x=x, y=y + 4, text_anchor=anchor, class_=style)


def y_axis(box: Box, scale: Scale, unit: str = "") -> list[Html]:
    """Grid lines with their values on the left."""
    parts: list[Html] = []
    for tick in scale.ticks(5):
        y = scale(tick)
        parts.append(line(box.left, y, box.right, y, "grid"))
        parts.append(text(box.left - 8, y, tick_label(tick) + unit, "end", "tick"))
    return parts


def x_axis(box: Box, scale: Scale, name: str) -> list[Html]:
    """The base line, its ticks and what runs along it."""
    parts = [line(box.left, box.bottom, box.right, box.bottom, "axis")]
    for tick in scale.ticks(8):
        x = scale(tick)
        parts.append(line(x, box.bottom, x, box.bottom + 4, "axis"))
        parts.append(text(x, box.bottom + 15, tick_label(tick), "middle", "tick"))
    parts.append(text(box.middle, box.bottom + 36, name, "middle"))
    return parts
