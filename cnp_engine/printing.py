"""Text that a file brings, made fit to show. Light: imports nothing."""

from __future__ import annotations


def printable(text: str, most: int | None = None, keep: str = "") -> str:
    """No control characters, which could drive a terminal: each becomes U+FFFD.

    ``most`` characters at most; those in ``keep`` are let through.
    """
    return "".join(
        sign if sign.isprintable() or sign in keep else "\N{REPLACEMENT CHARACTER}"
        for sign in text[:most]
    )
