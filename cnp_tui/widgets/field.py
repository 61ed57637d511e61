"""One setting as a labelled line; what is wrong with it stands under it."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import Resize
from textual.widgets import Input, Label, Static

from cnp_engine.errors import CnpError
from cnp_tui.messages import Accepted, Edited
from cnp_tui.widgets.path_input import PathInput


class Entry(Input):
    """A plain line of a form; what its keys do stands in the footer."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "Next", id="entry.next", tooltip="On to the next field"),
    ]  # fmt: skip

    TOPIC: ClassVar[str] = "a field"


class Field(Vertical):
    """``editor`` is what is typed into; ``show`` brings both text and problem up to date."""

    DEFAULT_CLASSES: ClassVar[str] = "field"

    def __init__(self, key: str, label: str, editor: PathInput | Input) -> None:
        super().__init__(id=f"field-{key.replace('.', '-')}")
        self.key = key
        self.editor = editor
        self._label = label
        self._problem = Static(classes="problem", markup=False)
        self._shown: str | None = None
        self._agreed = ""
        """The text that was last the draft's and the editor's both."""

    def compose(self) -> ComposeResult:
        with Horizontal(classes="line"):
            yield Label(self._label, classes="label")
            yield self.editor
        yield self._problem

    @property
    def text(self) -> str:
        return self.editor.text if isinstance(self.editor, PathInput) else self.editor.value

    def show(self, text: str, problem: CnpError | None) -> None:
        typed, wanted = self.text.strip(), text.strip()  # a draft keeps no blanks at the ends
        if typed == self._agreed != wanted:
            self._write(text)
        if self.text.strip() == wanted:  # else what is typed is ahead of a draft that hears of it
            self._agreed = wanted
        said = f"! {problem.what} {problem.todo}".rstrip() if problem else ""
        if said != self._shown:
            self._shown = said
            self._problem.update(Content(said))
            self._problem.display = bool(said)
            self.set_class(bool(said), "-wrong")

    def _write(self, text: str) -> None:
        """Another text, from outside."""
        if isinstance(self.editor, PathInput):
            self.editor.show(text)
            return
        with self.prevent(Input.Changed):
            self.editor.value = text
        self.editor.cursor_position = len(text)

    def on_resize(self, event: Resize) -> None:
        """What is wrong stays readable while candidates are shown."""
        if isinstance(self.editor, PathInput):
            self.editor.lower(event.size.height - 1)

    @property
    def line(self) -> Input:
        return self.editor.line if isinstance(self.editor, PathInput) else self.editor

    def take_focus(self) -> None:
        self.line.focus()

    def on_descendant_focus(self) -> None:
        self.add_class("-active")

    def on_descendant_blur(self) -> None:
        self.remove_class("-active")

    @on(PathInput.Changed)
    @on(PathInput.Taken)
    def _path(self, event: PathInput.Changed) -> None:
        event.stop()
        self.post_message(Edited(self.key, event.text, self))
        if isinstance(event, PathInput.Taken):
            self.post_message(Accepted(self.key))

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(Edited(self.key, event.value, self))

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(Accepted(self.key))
