"""Starting the application in a terminal, and giving the terminal back whole.

Refuses where there is none; survives bytes that are no text; leaves cleanly when it is told to by
a signal, when the terminal is gone, and when the application itself fails.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import faulthandler
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from cnp_engine.errors import RunDirectoryError, UsageError
from cnp_engine.files import absolute, writing
from cnp_tui.faults import UnexpectedError, unexpected

if TYPE_CHECKING:
    from cnp_tui.app import CnpApp, Name
    from cnp_tui.link import Link

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
GONE = 128 + signal.SIGHUP
"""Exit code where the terminal went away."""

LAST_RESORT_S = 5.0
"""How long a terminal that may be gone can hold up the end."""


def fits() -> bool:
    """Whether this process talks to a person at a terminal that can show the application."""
    return all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)) and not _dumb()


def require() -> None:
    """Raises UsageError where the application cannot be shown."""
    if _dumb():
        raise UsageError(
            f"This terminal cannot show the application (TERM={os.environ.get('TERM', '')}).",
            "Set TERM to what it is, or use `cnp run`, which needs none.",
        )
    if not fits():
        raise UsageError(
            "The application needs a terminal on stdin, stdout and stderr.",
            "Without one use `cnp run`, `cnp runs` and `cnp attach RUN`.",
        )


def _dumb() -> bool:
    return os.environ.get("TERM", "") in ("", "dumb", "unknown")


def start(link: Link | None = None, first: Name = "home", *args: object) -> int:
    """Show the application until it is left; its exit code. Raises UsageError, UnexpectedError.

    ``first`` is the screen to begin with, ``args`` what it is about besides ``link``.
    """
    require()
    tolerate_bytes()
    believe_the_terminal()
    from cnp_tui.app import CnpApp

    app = CnpApp(link, first, *args)
    app.begin = lambda: _listen(app)
    with _faults_to_file():
        code = app.run()
    if link is not None:
        link.close()
    if app.crash is not None:
        raise _failed(app.crash)
    if app.farewell:
        sys.stderr.write(app.farewell + "\n")
    return app.return_code or 0 if code is None else code


def tolerate_bytes() -> None:
    """A legacy mouse report holds bytes that are not UTF-8, and Textual 8.2.8 decodes strictly.

    Textualize/textual issue 6668. Terminals send one after a reconnect of SSH or VS Code.
    """
    from textual.drivers import linux_driver

    def lenient(encoding: str) -> Callable[[], codecs.IncrementalDecoder]:
        return partial(codecs.getincrementaldecoder(encoding), errors="replace")

    vars(linux_driver)["getincrementaldecoder"] = lenient


def believe_the_terminal() -> None:
    """COLUMNS and LINES, where exported, are of another moment: nothing would follow a resize."""
    with contextlib.suppress(OSError):
        if all(os.get_terminal_size(sys.stdout.fileno())):
            os.environ.pop("COLUMNS", None)
            os.environ.pop("LINES", None)


def log_path() -> Path:
    """Where crashes are written down: ``$CNP_HOME/tui.log``, else the system's place for logs."""
    home = os.environ.get("CNP_HOME")
    if home:
        return absolute(home) / "tui.log"
    from platformdirs import user_log_path

    return user_log_path("cnp") / "tui.log"


def _listen(app: CnpApp) -> None:
    """Leave on signals, within the event loop, so that the terminal is restored first."""
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, _leave, app, 128 + number)
    app.set_interval(1.0, lambda: _notice_a_hangup(app))


def _notice_a_hangup(app: CnpApp) -> None:
    """Under nohup no signal tells; a terminal that is gone is no terminal any more."""
    if not os.isatty(0):
        _leave(app, GONE)


def _leave(app: CnpApp, code: int) -> None:
    """Runs at work go on. What is painted to a terminal that is gone may never return."""
    last_resort = threading.Timer(LAST_RESORT_S, os._exit, (code,))
    last_resort.daemon = True
    last_resort.start()
    app.exit(code, return_code=code)


@contextlib.contextmanager
def _faults_to_file() -> Iterator[None]:
    """fd 2 is what Textual paints on, so a fault of a native library is told elsewhere."""
    try:
        file = _log()
    except RunDirectoryError:  # a home that cannot be written to
        yield
        return
    with file:
        faulthandler.enable(file)
        try:
            yield
        finally:
            faulthandler.disable()


def _log() -> IO[str]:
    path = log_path()
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("a", encoding="utf-8")


def _failed(error: BaseException) -> UnexpectedError:
    """Two sentences, the second with the file that says more."""
    strange = unexpected(error)
    todo = "Runs at work go on. Please report it"
    try:
        with _log() as file:
            file.writelines(traceback.format_exception(error))
        return UnexpectedError(strange.what, f"{todo} with {log_path()}.", strange.details)
    except (RunDirectoryError, OSError):
        return UnexpectedError(strange.what, f"{todo}; --debug shows where.", strange.details)
