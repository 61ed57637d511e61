"""What will start: the line that does the same, what is still wrong, where the run goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Checkbox, OptionList, Static
from textual.widgets.option_list import Option

from cnp_engine.errors import CnpError
from cnp_tui.completion import Rules
from cnp_tui.draft import LABELS, OUT, Draft
from cnp_tui.messages import Forced, Wanted
from cnp_tui.widgets.field import Field
from cnp_tui.widgets.path_input import PathInput

LOOKING = "The model is still being looked into."


class ReviewPane(Vertical):
    DEFAULT_CLASSES: ClassVar[str] = "part"

    def __init__(self) -> None:
        super().__init__()
        self._wrong: tuple[str, ...] = ()
        self._said = ""

    def compose(self) -> ComposeResult:
        with Horizontal(classes="buttons"):
            yield Button("Start", id="start", variant="primary", compact=True)
            yield Button("Copy the command", id="copy", compact=True)
        folders = Rules(("/",), folders=True)
        yield Field(OUT, LABELS[OUT], PathInput(folders, (), "in the runs folder"))
        yield Checkbox("replace the run that is there", id="force", compact=True)
        yield Static("The command that starts the same run", classes="title")
        with VerticalScroll(id="line-room", can_focus=False):
            yield Static(id="command", markup=False)
        yield Static(id="ready", markup=False)
        yield OptionList(id="wrong", compact=True)

    def show(self, draft: Draft, problems: Mapping[str, CnpError], looking: bool) -> None:
        """``looking``: what the model is is still being found out."""
        self._write("#command", draft.line())
        ready = LOOKING if looking else "Everything needed is there."
        self._write("#ready", "Before it can start:" if problems else ready)
        force = self.query_one("#force", Checkbox)
        force.display = bool(draft.out)
        with force.prevent(Checkbox.Changed):
            force.value = draft.force
        listed = self.query_one("#wrong", OptionList)
        rows = [f"{key}: {error.what} {error.todo}" for key, error in problems.items()]
        if (*problems, *rows) != self._wrong:
            self._wrong = (*problems, *rows)
            listed.clear_options()
            listed.add_options(
                Option(Content(row), f"wrong-{key}")
                for key, row in zip(problems, rows, strict=True)
            )
        listed.display = bool(problems)

    def _write(self, place: str, text: str) -> None:
        shown = self.query_one(place, Static)
        if shown.content != Content(text):
            shown.update(Content(text))

    @on(OptionList.OptionSelected, "#wrong")
    def _go(self, event: OptionList.OptionSelected) -> None:
        """To the field that is wrong."""
        event.stop()
        assert event.option_id is not None
        self.post_message(Wanted(event.option_id.removeprefix("wrong-")))

    @on(Checkbox.Changed, "#force")
    def _forced(self, event: Checkbox.Changed) -> None:
        event.stop()
        self.post_message(Forced(event.value))
