"""A known attack to measure against: optional, and no part of any decision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from cnp_tui.completion import ATTACKS, Rules
from cnp_tui.draft import LABELS
from cnp_tui.widgets.field import Field
from cnp_tui.widgets.path_input import PathInput

TRIGGERS = Rules((".safetensors", ".png"))

TITLE = "Measure against a known attack (optional, measuring only)"
MEANING = (
    "With the attack that was planted, its success (ASR) and what is left of it are measured "
    "before and after. It never takes part in a decision: target, trigger, neurons and threshold "
    "are found without it, and a run without it finds the same."
)


class TruthPane(Vertical):
    DEFAULT_CLASSES: ClassVar[str] = "part"

    def __init__(self, recent: Sequence[str]) -> None:
        super().__init__()
        self._recent = tuple(recent)

    def compose(self) -> ComposeResult:
        yield Static(TITLE, classes="title")
        yield Static(MEANING, classes="meaning")
        attack = PathInput(
            Rules(ATTACKS), self._recent, "attack.toml: its kind, target class, trigger"
        )
        yield Field("attack", LABELS["attack"], attack)
        trigger = PathInput(TRIGGERS, (), "or its trigger alone: a .safetensors or .png")
        yield Field("trigger", LABELS["trigger"], trigger)
