"""A few lines about one run: every figure with its interval and sample size, or what went wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cnp_engine.events import Rate
from cnp_engine.export.definitions import NAMES
from cnp_engine.export.wording import count, interval, percent, rate
from cnp_tui.entries import Entry
from cnp_tui.glyphs import Glyphs

_SAID = {
    "created": "It was made and never begun. R begins it.",
    "cancelled": "It was stopped; what was done stays. R goes on with it.",
    "running": "At work; enter looks at it, x stops it.",
    "unread": "",
}


def told(entry: Entry, glyphs: Glyphs) -> str:
    return "\n".join(line for line in _lines(entry, glyphs) if line)


def _lines(entry: Entry, glyphs: Glyphs) -> Iterator[str]:
    if entry.what:
        yield entry.what
        yield _todo(entry)
    elif entry.paused:
        yield "Paused; R goes on with it, x stops it."
    elif entry.status in _SAID:
        yield _SAID[entry.status]
    else:
        yield _found(entry)
    for key in ("ba", "asr"):
        before, after = getattr(entry.before, key), getattr(entry.after, key)
        if before is not None:
            then = f" {glyphs.arrow} {rate(after)}" if after is not None else ""
            yield f"{NAMES[key]} {rate(before) if not then else _short(before)}{then}"
    free = entry.label_free
    for key in ("retention", "residual"):
        value = getattr(free, key)
        if value is not None:
            yield f"{NAMES[key]} {rate(value)}"


def _short(value: Rate) -> str:
    return f"{percent(value.value)} ({interval(value)})"


def _todo(entry: Entry) -> str:
    """A key where one helps; the command line's advice otherwise."""
    if entry.status in ("failed", "died") and not re.search(r"\bR\b", entry.todo):
        return f"{entry.todo} R goes on with it.".strip()
    return entry.todo


def _found(entry: Entry) -> str:
    if entry.verdict == "no_evidence":
        return "No evidence of a backdoor; nothing was pruned."
    if entry.verdict is None:
        return "Finished."
    targets = ", ".join(entry.targets)
    said = f"Backdoored, target {targets}" if targets else "Backdoored"
    if entry.pruned is None or entry.neurons is None:
        return f"{said}."
    return f"{said}; {count(entry.pruned)} of {count(entry.neurons)} neurons suppressed."
