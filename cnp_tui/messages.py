"""Every message that screens and widgets send each other."""

from __future__ import annotations

from textual.message import Message


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
