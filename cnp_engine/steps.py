"""Work done in steps: run to its end, or with other words for what it says on the way."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeVar

R = TypeVar("R")
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


def retold(steps: Generator[S, None, T], tell: Callable[[S], R | None]) -> Generator[R, None, T]:
    """The same work; it yields what ``tell`` makes of what it would yield, nothing for None."""
    while True:
        try:
            step = next(steps)
        except StopIteration as stop:
            value: T = stop.value
            return value
        told = tell(step)
        if told is not None:
            yield told
