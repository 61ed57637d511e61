"""A line that holds a path: completed while it is typed; down lists what was used before.

No list opens unasked: it lies over what is below the line.

Folders are read aside, one at a time, the newest text first: typing goes on whatever a disk does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.actions import SkipAction
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from cnp_tui import completion
from cnp_tui.aside import aside
from cnp_tui.completion import ANYTHING, Candidate, Listing, Rules

PATIENCE_S = 3.0
"""After which a folder that does not answer is left alone."""

BEFORE = "; down: used before"

Read = Callable[[str, Rules], Listing]


class Line(Input):
    """The input itself: its keys work the list while there is one, and the text otherwise."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "take", "Next", id="path.take",
                tooltip="Take the candidate, or what is typed; then on to the next field"),
        Binding("escape", "close", "Leave", id="path.close",
                tooltip="Close the list of candidates; without one, out of the field"),
        Binding("tab", "complete", "Complete", id="path.complete",
                tooltip="Complete the path as far as it is certain, else the next field"),
        Binding("down", "choose(1)", "Candidates", show=False, id="path.down",
                tooltip="Into the list of candidates"),
        Binding("up", "choose(-1)", "Candidates", show=False, id="path.up",
                tooltip="Up in the list of candidates"),
    ]  # fmt: skip

    @property
    def field(self) -> PathInput:
        parent = self.parent
        assert isinstance(parent, PathInput)
        return parent

    def action_complete(self) -> None:
        if not self.field.complete():
            self.screen.focus_next()

    def action_choose(self, step: int) -> None:
        if not self.field.choose(step):
            raise SkipAction

    async def action_take(self) -> None:
        if not self.field.take():
            await self.action_submit()

    def action_close(self) -> None:
        if not self.field.close():
            raise SkipAction

    def action_cursor_right(self, select: bool = False) -> None:
        at_end = self.cursor_at_end and not select
        if not (at_end and self.field.accept_highlighted()):
            super().action_cursor_right(select)


class _Completes(Suggester):
    """The first candidate, shown dim behind the cursor; asking for it fills the list."""

    def __init__(self, field: PathInput) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._field = field

    async def get_suggestion(self, value: str) -> str | None:
        return await self._field.read(value)


class PathInput(Vertical):
    """``recent`` is offered while nothing is typed. ``read`` is the one look at the disk."""

    class Changed(Message):
        """What is typed, at every key."""

        def __init__(self, field: PathInput, text: str) -> None:
            super().__init__()
            self.field = field
            self.text = text

        @property
        def control(self) -> PathInput:
            return self.field

    class Taken(Changed):
        """Enter on what is typed, or on a candidate that is an answer."""

    def __init__(
        self,
        rules: Rules = ANYTHING,
        recent: Sequence[str] = (),
        placeholder: str = "",
        read: Read = lambda text, rules: completion.complete(text, rules),
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self.rules = rules
        self.recent = tuple(recent)
        self.line = Line(
            placeholder=f"{placeholder}{BEFORE}" if recent else placeholder,
            suggester=_Completes(self),
            compact=True,
            select_on_focus=False,
        )
        self._list = OptionList(compact=True)
        self._list.can_focus = False
        self._read = read
        self._reading = asyncio.Lock()
        self._candidates: tuple[Candidate, ...] = ()
        self._settled: str | None = None
        """What was taken: no list opens for it again before something else is typed."""

    def compose(self) -> ComposeResult:
        yield self.line
        yield self._list

    @property
    def text(self) -> str:
        return self.line.value

    def lower(self, rows: int) -> None:
        """The list opens so many rows further down: something is to be read there."""
        self._list.styles.offset = (0, rows)

    def show(self, text: str) -> None:
        """Another text, from outside; no list opens for it."""
        if text != self.line.value:
            with self.prevent(Input.Changed):
                self.line.value = text
            self.line.cursor_position = len(text)
            self.close()

    # The list

    async def read(self, text: str) -> str | None:
        """Fill the list for ``text``; its first candidate where that goes on from ``text``."""
        async with self._reading:
            if not self._wants(text):
                return None
            try:
                listing = await asyncio.wait_for(
                    aside(lambda: self._read(text, self.rules)), PATIENCE_S
                )
            except TimeoutError:
                listing = Listing((), f"{Path(text).parent} does not answer")
        if not self._wants(text):
            return None
        self._open(listing)
        first = listing.candidates[0].text if listing.candidates else ""
        return first if first.startswith(text) else None

    def _wants(self, text: str) -> bool:
        return text == self.line.value and self.line.has_focus and text != self._settled

    def _open(self, listing: Listing) -> None:
        only = len(listing.candidates) == 1 and listing.candidates[0].text == self.line.value
        self._candidates = () if only else listing.candidates
        note = "" if only else listing.note
        self._list.clear_options()
        self._list.add_options(Option(Content(each.label)) for each in self._candidates)
        if note and not self._candidates:
            self._list.add_option(Option(Content(note), disabled=True))
        self._list.border_subtitle = Content(note) if self._candidates else ""
        self._list.display = bool(self._candidates or note)
        self.set_class(self._list.display, "-open")

    @property
    def open(self) -> bool:
        return self._list.display

    def close(self) -> bool:
        """Whether there was a list to close."""
        was = self._list.display
        self._list.display = False
        self._candidates = ()
        self.remove_class("-open")
        return was

    def choose(self, step: int) -> bool:
        """Move in the list, opening it first; False where there is nothing to choose from."""
        if not self._candidates:
            if step < 0:
                return False
            self._settled = None
            if self.line.value:
                self._reopen()
            else:
                self._open_recent()
            return bool(self.line.value or self._candidates)
        at = self._list.highlighted
        at = (0 if step > 0 else len(self._candidates) - 1) if at is None else at + step
        self._list.highlighted = at % len(self._candidates)
        return True

    @work
    async def _reopen(self) -> None:
        await self.read(self.line.value)

    def complete(self) -> bool:
        """As far as the candidates agree, or the highlighted one; False where nothing is to add."""
        if self.accept_highlighted():
            return True
        shared = completion.common(self.line.value, self._candidates)
        if shared == self.line.value:
            return False
        self._type(shared)
        return True

    def accept_highlighted(self) -> bool:
        chosen = self._highlighted()
        if chosen is None:
            return False
        self._type(chosen.text)
        return True

    def take(self) -> bool:
        """The highlighted candidate; a folder that is no answer is only gone into."""
        chosen = self._highlighted()
        if chosen is None:
            self._settled = self.line.value
            self.close()
            return False
        if not self._answers(chosen):
            self._type(chosen.text)
            return True
        self._settled = chosen.text
        with self.line.prevent(Input.Changed):  # said here, so that it is said before it is taken
            self._type(chosen.text)
        self.close()
        self.post_message(self.Changed(self, chosen.text))
        self.post_message(self.Taken(self, chosen.text))
        return True

    def _answers(self, chosen: Candidate) -> bool:
        return self.rules.folders if chosen.folder else not chosen.text.endswith(":")

    def _highlighted(self) -> Candidate | None:
        at = self._list.highlighted
        known = at is not None and at < len(self._candidates)
        return self._candidates[at] if known and at is not None else None

    def _type(self, text: str) -> None:
        self.line.value = text
        self.line.cursor_position = len(text)

    def _open_recent(self) -> None:
        self._open(Listing(tuple(Candidate(text, text) for text in self.recent)))

    # What happens to the line

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if event.value != self._settled:
            self._settled = None
        if not event.value:
            self.close()
        self.post_message(self.Changed(self, event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Taken(self, event.value))

    def on_descendant_blur(self) -> None:
        self.close()

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self._list.highlighted = event.option_index
        self.take()
        self.line.focus()

    @on(OptionList.OptionHighlighted)
    def _moved(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
