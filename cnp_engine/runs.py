"""Where runs live and how they are named."""

from __future__ import annotations

import datetime
import os
import re
import secrets
from pathlib import Path

from cnp_engine.errors import RunMissing
from cnp_engine.files import absolute
from cnp_engine.rundir import CONFIG, RunDirectory


def home() -> Path:
    """The folder of the runs: ``$CNP_HOME/runs``, else the system's place for user data."""
    place = os.environ.get("CNP_HOME")
    if place:
        return absolute(place) / "runs"
    from platformdirs import user_data_path  # slow to import, and seldom needed

    return user_data_path("cnp") / "runs"


def new_path(model: str) -> Path:
    """A place for a new run, named after the model, the time and a short number."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(model).stem).strip("-.")[:40] or "run"
    now = datetime.datetime.now(tz=datetime.UTC).astimezone()
    return home() / f"{stem}-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def find(name: str) -> RunDirectory:
    """The run at the path ``name``, or of that name in the runs folder.

    Raises RunMissing, RunDamaged.
    """
    for folder in (absolute(name), home() / name):
        if (folder / CONFIG).exists():
            return RunDirectory.open(folder)
    raise RunMissing(f"There is no run {name}.", "List the runs with `cnp runs`.")


def paths() -> list[Path]:
    """All runs in the runs folder, the newest last."""
    try:
        found = [(file.stat().st_mtime, file.parent) for file in home().glob(f"*/{CONFIG}")]
    except OSError:
        return []
    return [folder for _, folder in sorted(found)]
