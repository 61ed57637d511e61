"""Work that may block, away from the event loop: in a thread that nobody waits for at the exit.

Executors of asyncio and of Textual are joined when a program ends, so a network share that hangs
would keep the terminal; a daemon thread ends with the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def aside(function: Callable[[], T]) -> T:
    """What ``function`` returns or raises. Cancelling stops the waiting, not the thread."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def settle(set_it: Callable[[], None]) -> None:
        if not answer.done():
            set_it()

    def work() -> None:
        try:
            result = function()
        except BaseException as error:  # handed on, whatever it is
            told = error
            then: Callable[[], None] = lambda: answer.set_exception(told)  # noqa: E731
        else:
            then = lambda: answer.set_result(result)  # noqa: E731
        with contextlib.suppress(RuntimeError):  # the loop has closed meanwhile
            loop.call_soon_threadsafe(settle, then)

    threading.Thread(target=work, daemon=True, name="aside").start()
    return await answer
