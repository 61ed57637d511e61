"""Work done in steps, run to its end."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")


def result(steps: Generator[S, None, T], see: Callable[[S], object] | None = None) -> T:
    """What a generator returns in the end; ``see`` is shown what it yields on the way."""
    while True:
        try:
            step = next(steps)
        except StopIteration as stop:
            value: T = stop.value
            return value
        if see is not None:
            see(step)
