"""Answers that come late: while a screen is being taken down there is nothing to show them in."""

from __future__ import annotations

import contextlib

from textual.css.query import NoMatches
from textual.widget import MountError


def late() -> contextlib.AbstractContextManager[None]:
    """Around what is done with an answer that was waited for."""
    return contextlib.suppress(NoMatches, MountError)
