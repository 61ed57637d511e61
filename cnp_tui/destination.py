"""Whether a folder can be exported to, as far as can be told before it is tried; opening a file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from cnp_engine.files import absolute


def trouble(text: str) -> str | None:
    """Why nothing can be written to the folder ``text``, and what to do; None where it seems fine.

    A folder that is not there yet is made; only what is above it counts.
    """
    if not text.strip():
        return "Name a folder to write to."
    folder = absolute(text.strip())
    for place in (folder, *folder.parents):
        if not os.path.lexists(place):
            continue
        if not place.is_dir():
            return f"{place} is not a folder; name another."
        if not os.access(place, os.W_OK | os.X_OK):
            return f"{place} cannot be written to; name another folder, or change its permissions."
        return None
    return f"There is no {folder.anchor}; name another folder."


def opener(environment: Mapping[str, str], platform: str = sys.platform) -> str | None:
    """The program that opens a file in a window; None where there is no display to show one."""
    if environment.get("SSH_CONNECTION"):
        return None
    if platform == "darwin":
        return shutil.which("open", path=environment.get("PATH"))
    if environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"):
        return shutil.which("xdg-open", path=environment.get("PATH"))
    return None


def open_file(path: Path) -> bool:
    """Whether ``path`` was handed to a window. What the program says must not reach the screen."""
    program = opener(os.environ)
    if program is None:
        return False
    try:
        subprocess.Popen(  # noqa: S603  # the desktop's own opener
            [program, str(path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        return False
    return True
