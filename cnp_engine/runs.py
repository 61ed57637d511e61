"""Where runs live and how they are named."""

from __future__ import annotations

import contextlib
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
    for folder in (absolute(name), _real(home() / name)):
        if (folder / CONFIG).exists():
            return RunDirectory.open(folder)
    raise RunMissing(f"There is no run {name}.", "List the runs with `cnp runs`.")


def register(path: Path) -> None:
    """Let a run that lives elsewhere be listed and found by name: a link in the runs folder.

    A convenience: where the link cannot be made, the run is still found by its path.
    """
    place = home()
    if path.parent == place:
        return
    with contextlib.suppress(OSError):
        place.mkdir(parents=True, exist_ok=True)
        for link in _links(place):
            if not link.exists() or link.resolve() == path.resolve():
                link.unlink()
        name = path.name
        while os.path.lexists(place / name):
            name = f"{path.name}-{secrets.token_hex(2)}"
        (place / name).symlink_to(path, target_is_directory=True)


def paths() -> list[Path]:
    """All runs of the runs folder, and those registered there; the newest last."""
    found: list[tuple[float, Path]] = []
    with contextlib.suppress(OSError):
        for entry in home().iterdir():
            with contextlib.suppress(OSError):  # no run, or removed meanwhile
                found.append(((entry / CONFIG).stat().st_mtime, _real(entry)))
    return [folder for _, folder in sorted(found)]


def _real(folder: Path) -> Path:
    """Where a registered run lives; any other as it is."""
    return folder.readlink() if folder.is_symlink() else folder


def _links(place: Path) -> list[Path]:
    return [entry for entry in place.iterdir() if entry.is_symlink()]
