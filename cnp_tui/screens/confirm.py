"""Questions before something that cannot be taken back, answered by one key or one click."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import Key
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from cnp_tui.screens.painted import Painted


@dataclass(frozen=True)
class Choice:
    """``key`` answers with ``key``; ``meaning`` says what then happens."""

    key: str
    word: str
    meaning: str


YES = "y"
"""What does it. No key that asks is this one: held down too long, it answers nothing."""

STAY = Choice("n", "stay", "Change nothing.")


class Confirm(Painted, ModalScreen[str]):
    """Dismissed with the key of a choice. Escape, backspace and ``n`` are always to stay.

    What was typed before the question could be read is no answer to it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace", "answer('n')", "Stay", id="confirm.stay",
                tooltip="Change nothing"),
        Binding("left,h,up,k", "app.focus_previous", "Before", show=False, id="confirm.before",
                tooltip="The choice before"),
        Binding("right,l,down,j", "app.focus_next", "Next", show=False, id="confirm.next",
                tooltip="The choice after"),
    ]  # fmt: skip

    def __init__(self, question: str, choices: Sequence[Choice]) -> None:
        super().__init__()
        self._question = question
        self._choices = (*choices, STAY)

    def compose(self) -> ComposeResult:
        with Vertical(id="confirm"):
            yield Static(Content(self._question), id="question")
            for choice in self._choices:
                yield Static(Content(f"{choice.key}  {choice.word}: {choice.meaning}"))
            with Horizontal(id="answers"):
                for choice in self._choices:
                    yield Button(f"{choice.word} ({choice.key})", id=f"answer-{choice.key}")

    def on_mount(self) -> None:
        self.query_one("#answer-n").focus()

    def on_key(self, event: Key) -> None:
        if event.key in {choice.key for choice in self._choices}:
            event.stop()
            if event.time > self.painted_at:
                self.action_answer(event.key)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.action_answer((event.button.id or "").removeprefix("answer-"))

    def action_answer(self, key: str) -> None:
        self.dismiss(key)
