"""A real terminal for tests: tmux on a socket of its own, without the user's configuration.

with Terminal(tmp_path, "tui", "base-demo-0") as terminal:
    terminal.wait_for("finished")
    terminal.press("q")
    assert terminal.wait_for_exit() == 0
"""

from __future__ import annotations

import itertools
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import pytest

from cnp_engine import process

PATIENCE_S = 30.0
LEFT = "left with"
SANE = "0 0 1"
"""No alternate screen, no mouse reports, a visible cursor."""

needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")

_numbers = itertools.count()


class Terminal:
    """``cnp WORDS`` in a terminal of ``columns`` x ``rows``; the shell around it stays.

    ``argv`` runs something else in place of ``cnp``.
    """

    def __init__(
        self,
        folder: Path,
        *words: str,
        columns: int = 80,
        rows: int = 24,
        env: Mapping[str, str] | None = None,
        argv: Sequence[str] | None = None,
    ) -> None:
        self._number = next(_numbers)
        self._socket = f"cnp-test-{os.getpid()}-{self._number}"
        self._pid_file = folder / f"pid-{self._number}"
        self._size = ("-x", str(columns), "-y", str(rows))
        self._script = folder / f"script-{self._number}.sh"
        command = [*(argv or (sys.executable, "-m", "cnp_tui")), *words]
        self._script.write_text(
            f"echo $$ >{shlex.quote(str(self._pid_file))}\nexec {shlex.join(command)}\n"
        )
        self._env = {**process.environment(), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
        for name in ("TMUX", "TMUX_PANE", "NO_COLOR", "SSH_CONNECTION", "COLORTERM"):
            self._env.pop(name, None)
        self._env |= env or {}

    def __enter__(self) -> Terminal:
        shell = f'sh {shlex.quote(str(self._script))}; echo "{LEFT} $?"; exec cat'
        self.tmux("new-session", "-d", *self._size, shell)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill_server()

    def tmux(self, *words: str) -> str:
        """One command to the server, and what it answers."""
        done = subprocess.run(
            ["tmux", "-L", self._socket, "-f", "/dev/null", *words],
            env=self._env,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )
        return done.stdout

    def kill_server(self) -> None:
        self.tmux("kill-server")

    @property
    def pid(self) -> int:
        """The process that runs in the terminal."""
        wait_until(lambda: self._pid_file.exists() and self._pid_file.read_text().strip() != "")
        return int(self._pid_file.read_text())

    @property
    def screen(self) -> str:
        return self.tmux("capture-pane", "-p")

    @property
    def flags(self) -> str:
        """Alternate screen, mouse reports, cursor: ``SANE`` where all is as it was."""
        words = "#{alternate_on} #{mouse_all_flag} #{cursor_flag}"
        return self.tmux("display", "-p", words).strip()

    def press(self, *keys: str) -> None:
        """Keys by tmux's names: ``q``, ``Enter``, ``Escape``, ``S-Left``, ``BSpace``."""
        self.tmux("send-keys", *keys)

    def type(self, text: str) -> None:
        self.tmux("send-keys", "-l", text)

    def send(self, *codes: int) -> None:
        """Raw bytes."""
        self.tmux("send-keys", "-H", *(f"{code:02x}" for code in codes))

    def mouse(self, button: int, column: int, row: int, *, release: bool = False) -> None:
        """An SGR report, from 1; 32 added to the button is a drag, 64 and 65 are the wheel."""
        self.type(f"\x1b[<{button};{column};{row}{'m' if release else 'M'}")

    def click(self, column: int, row: int) -> None:
        self.mouse(0, column, row)
        self.mouse(0, column, row, release=True)

    def click_on(self, text: str) -> None:
        """Where ``text`` stands first."""
        for row, line in enumerate(self.screen.splitlines(), start=1):
            if text in line:
                self.click(line.index(text) + 1, row)
                return
        raise AssertionError(f"no {text!r} on the screen:\n{self.screen}")

    def resize(self, columns: int, rows: int) -> None:
        self.tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def wait_for(self, *texts: str, patience_s: float = PATIENCE_S) -> str:
        """The screen, once all ``texts`` stand on it."""
        screen = ""

        def shown() -> bool:
            nonlocal screen
            screen = self.screen
            return all(text in screen for text in texts)

        wait_until(shown, lambda: f"waited for {texts} on:\n{screen}", patience_s)
        return screen

    def wait_for_exit(self) -> int:
        """The exit code, once the program has left."""
        after = self.wait_for(LEFT).partition(LEFT)[2]
        return int(after.split()[0])


def wait_until(
    holds: Callable[[], bool],
    why: Callable[[], str] = lambda: "",
    patience_s: float = PATIENCE_S,
) -> None:
    """Until a deadline."""
    deadline = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < deadline, why()
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
