"""Characters that pictures, bars and plots are drawn with; ASCII where the locale is not UTF-8."""

from __future__ import annotations

import locale
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Mode = Literal["braille", "block", "ascii"]


@dataclass(frozen=True)
class Glyphs:
    """``fill`` and ``rest`` of a bar, ``handle`` of a slider, marks on its scale.

    Handle and marks stand on charts too, and are no sign that a series has there.
    """

    mode: Mode
    fill: str
    rest: str
    handle: str
    recommended: str
    reference: str
    upper_half: str
    tick: str
    cross: str
    arrow: str
    ellipsis: str
    spark: str

    def bar(self, share: float, width: int) -> str:
        """``share`` in 0..1 of ``width`` cells."""
        full = round(max(0.0, min(1.0, share)) * width)
        return self.fill * full + self.rest * (width - full)


_UNICODE = ("█", "░", "↓", "☆", "│", "▀", "✓", "✗", "→", "…", "▁▂▃▄▅▆▇█")
BRAILLE = Glyphs("braille", *_UNICODE)
BLOCK = Glyphs("block", *_UNICODE)
ASCII = Glyphs("ascii", "#", ".", "v", "^", "|", "#", "ok", "x", "->", "...", "_.-=+*#@")
BY_MODE: dict[Mode, Glyphs] = {"braille": BRAILLE, "block": BLOCK, "ascii": ASCII}


def fitting(wanted: Mode | None = None) -> Glyphs:
    """``wanted`` where the user said it; else what the locale can show."""
    if wanted is not None:
        return BY_MODE[wanted]
    return BRAILLE if _shows_utf8(os.environ) else ASCII


def _shows_utf8(env: Mapping[str, str]) -> bool:
    """As the environment says it. Python itself takes C for UTF-8, and may have set LC_CTYPE so.

    Where nothing is set, as in many containers, the terminal outside nearly always shows it.
    """
    coerced = env.get("LC_CTYPE") == "C.UTF-8" and not env.get("LC_ALL")
    names = ("LC_ALL", "LANG") if coerced and env.get("LANG") else ("LC_ALL", "LC_CTYPE", "LANG")
    said = next((env[name] for name in names if env.get(name)), "")
    if said:
        return "utf8" in said.lower().replace("-", "")
    return locale.getpreferredencoding(False).lower().replace("-", "") == "utf8"
