"""Text that a file brings, made fit to show. Light: no torch."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

_JOINERS = "\u200c\u200d"
"""Non-joiner and joiner: letters of Persian, Indic scripts and emoji lean on them."""


def printable(text: str, most: int | None = None, keep: str = "") -> str:
    """``text`` with every character that does not print spelled out, as ``\\x1b``.

    A name may hold terminal escapes, bidirectional overrides or bytes that are no text; a reader is
    to see them, not to suffer them. ``most`` characters at most; those in ``keep`` are let through.
    """
    return "".join(
        sign if _prints(sign) or sign in keep else sign.encode("unicode_escape").decode()
        for sign in text[:most]
    )


def name_some(names: Iterable[str], shown: int = 3, longest: int = 200) -> str:
    """``a, b, c and 4 more``: the first few of a list a sentence should name."""
    every = list(names)
    rest = len(every) - shown
    told = ", ".join(printable(name, longest) for name in every[:shown])
    return told + (f" and {rest:,} more" if rest > 0 else "")


def _prints(sign: str) -> bool:
    return sign.isprintable() or sign in _JOINERS or unicodedata.category(sign) == "Zs"
