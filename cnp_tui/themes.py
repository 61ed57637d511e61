"""The colours of the application: four themes, in the order in which ``t`` goes through them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from textual.theme import BUILTIN_THEMES, Theme

_DARK = Theme(
    name="cnp-dark",
    primary="#5FAFFF",
    secondary="#5FD7AF",
    accent="#FFAF5F",
    warning="#FFD75F",
    error="#FF5F5F",
    success="#5FD787",
    foreground="#E4E4E4",
    background="#121212",
    surface="#1C1C1C",
    panel="#303030",
)
"""Near colours of the 256-colour cube, which is what SSH leaves of a terminal."""

_LIGHT = Theme(
    name="cnp-light",
    primary="#005FAF",
    secondary="#00875F",
    accent="#AF5F00",
    warning="#875F00",
    error="#AF0000",
    success="#00703C",
    foreground="#1C1C1C",
    background="#FFFFFF",
    surface="#F2F2F2",
    panel="#DADADA",
    dark=False,
)

_CONTRAST = Theme(
    name="high-contrast",
    primary="#FFFF00",
    secondary="#00FFFF",
    accent="#FFFF00",
    warning="#FFFF00",
    error="#FF8787",
    success="#00FF00",
    foreground="#FFFFFF",
    background="#000000",
    surface="#000000",
    panel="#000000",
    luminosity_spread=0.0,
    text_alpha=1.0,
    variables={
        "block-cursor-background": "#FFFF00",
        "block-cursor-foreground": "#000000",
        "block-cursor-text-style": "bold",
        "border": "#FFFF00",
        "border-blurred": "#FFFFFF",
        "footer-background": "#000000",
        "footer-key-foreground": "#FFFF00",
    },
)

_ANSI = dataclasses.replace(BUILTIN_THEMES["ansi-dark"], name="ansi")
"""The terminal's own colours and background."""

THEMES: Sequence[Theme] = (_DARK, _LIGHT, _CONTRAST, _ANSI)
NAMES: Sequence[str] = tuple(theme.name for theme in THEMES)


def following(name: str) -> str:
    """The theme after ``name``."""
    return NAMES[(NAMES.index(name) + 1) % len(NAMES)] if name in NAMES else NAMES[0]
