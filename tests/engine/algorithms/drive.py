"""Running the algorithms' generators to their end."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

T = TypeVar("T")


def finish(steps: Generator[Any, None, T]) -> tuple[T, list[Any]]:
    """What a generator returned, and what it yielded on the way."""
    yielded = []
    while True:
        try:
            yielded.append(next(steps))
        except StopIteration as end:
            result: T = end.value
            return result, yielded


def result(steps: Generator[Any, None, T]) -> T:
    return finish(steps)[0]
