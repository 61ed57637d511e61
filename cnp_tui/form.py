"""The form of a new run: its parts, where each setting has its field, and what is wrong in it.

Knows no widgets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Literal, get_args

from cnp_engine.errors import CnpError
from cnp_engine.files import absolute
from cnp_tui import draft
from cnp_tui.aside import aside
from cnp_tui.draft import CATALOGUE, OUT, Draft

Part = Literal["model", "data", "truth", "settings", "review"]
PARTS: tuple[Part, ...] = get_args(Part)
TITLES: Mapping[Part, str] = {
    "model": "Model", "data": "Data", "truth": "Ground truth", "settings": "Settings",
    "review": "Review",
}  # fmt: skip

FIELDS: Mapping[str, Part] = {
    "model": "model", "data": "data", "clean": "data", "normalize": "data", "clean_dir": "data",
    "attack": "truth", "trigger": "truth", OUT: "review",
}  # fmt: skip
"""Where a setting has a field of its own; every other is in the list of settings."""


def part_of(key: str) -> Part:
    return FIELDS.get(key, "settings")


def following(key: str) -> str | None:
    """The next field of the same part; None where it is the last. The model has its part alone."""
    fields = [each for each, part in FIELDS.items() if part == FIELDS[key]]
    at = fields.index(key) + 1
    return fields[at] if at < len(fields) else None


class Findings:
    """What the disk and a look into the model have told so far."""

    def __init__(self) -> None:
        self._missing: Mapping[str, CnpError] = {}
        self._of: Draft | None = None
        self._verdicts: dict[str, CnpError | None] = {}
        self._judged = asyncio.Event()

    async def ask_disk(self, now: Draft) -> None:
        """Which of its paths lead nowhere; may hang where a share does."""
        self._missing = await aside(lambda: draft.missing(now))
        self._of = now

    def forget_disk(self) -> None:
        self._missing, self._of = {}, None

    def judge(self, model: str, trouble: CnpError | None) -> None:
        """``trouble``: why no run would take the model."""
        self._verdicts[place(model)] = trouble
        self._judged.set()

    def looking(self, now: Draft) -> bool:
        """Whether nobody can say yet what the model is."""
        at = place(now.text("model"))
        return bool(at) and at not in self._verdicts

    async def next_verdict(self) -> None:
        """Until a look into some model has ended."""
        self._judged.clear()
        await self._judged.wait()

    def settled(self, now: Draft, key: str) -> bool:
        """Whether asking again could tell nothing else of a setting; a file may come to be."""
        asked = now == self._of and key not in self._missing
        return asked and not (key == "model" and self.looking(now))

    def problems(self, now: Draft) -> dict[str, CnpError]:
        """By field, in the order in which they are met."""
        found = {**self._missing, **now.problems()}
        refused = self._verdicts.get(place(now.text("model")))
        if refused is not None:
            found.setdefault("model", refused)
        return {key: found[key] for key in (*CATALOGUE, OUT) if key in found}


def place(typed: str) -> str:
    """The path that was typed, absolute; empty where none was."""
    return str(absolute(typed.strip())) if typed.strip() else ""
