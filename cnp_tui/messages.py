"""Every message that screens and widgets send each other."""

from __future__ import annotations

from typing import Protocol

from textual.message import Message

from cnp_engine.errors import CnpError


class Moved(Message):
    """A slider is being dragged: cheap answers only."""

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k


class Rested(Message):
    """A slider was let go, or moved by a key that is not held: an exact answer is wanted."""

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k


class Line(Protocol):
    """What is typed into."""

    @property
    def text(self) -> str: ...


class Edited(Message):
    """A field of a run being put together holds another text; ``line`` is where it was typed."""

    def __init__(self, key: str, text: str, line: Line | None = None) -> None:
        super().__init__()
        self.key = key
        self.text = text
        self.line = line

    @property
    def latest(self) -> bool:
        """Whether nothing was typed since."""
        return self.line is None or self.line.text == self.text


class Accepted(Message):
    """Enter in such a field: on to what comes next."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key


class Inspected(Message):
    """What is known of the checkpoint at ``path``; ``trouble`` where no run would take it."""

    def __init__(self, path: str, trouble: CnpError | None) -> None:
        super().__init__()
        self.path = path
        self.trouble = trouble


class Forced(Message):
    """Whether a run that is where the new one shall be is replaced."""

    def __init__(self, value: bool) -> None:
        super().__init__()
        self.value = value


class Wanted(Message):
    """The field of a setting shall be shown."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key
