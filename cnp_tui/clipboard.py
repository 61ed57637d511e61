"""Copying out of a terminal that may be far away: tmux's buffer, else OSC 52, and always a file."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from textual.app import App

from cnp_engine import runs
from cnp_engine.errors import RunDirectoryError
from cnp_engine.files import write_atomic

FILE = "copied.txt"


def copy(app: App[int], text: str, folder: Path | None = None, what: str = "Copied") -> None:
    """Copy ``text`` and say so, with the path of the file in ``folder`` (of the run, if any).

    Nothing tells whether the terminal took it, so the file is always written.
    """
    how = "to tmux's buffer" if _to_tmux(text) else "through the terminal"
    if how == "through the terminal":
        app.copy_to_clipboard(text)
    place = (folder or runs.home()) / FILE
    try:
        write_atomic(place, text.encode("utf-8", "surrogateescape") + b"\n")
    except RunDirectoryError as error:
        app.notify(f"{what} {how}. {error.what}", severity="warning", markup=False)
        return
    app.notify(f"{what} {how}, and to {place}", markup=False)


def _to_tmux(text: str) -> bool:
    """With -w tmux hands it on to the terminal around it as well."""
    if not os.environ.get("TMUX"):
        return False
    try:
        done = subprocess.run(
            ["tmux", "load-buffer", "-w", "-"],  # noqa: S607  # the user's own tmux
            input=text.encode("utf-8", "surrogateescape"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=2.0,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
